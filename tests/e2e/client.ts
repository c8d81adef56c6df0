import type { Gateway } from "./binary.ts";

/** All that a plain HTTP client sees of one answer. */
export type Answer = {
  status: number;
  headers: Headers;
  text: string;
  /** The connection broke before the body was whole. */
  cut: boolean;
  /** The body, where it is JSON. */
  json: unknown;
  /** The events of a stream, pings included. */
  events: StreamEvent[];
  requestId: string;
};

export type StreamEvent = { event: string; data: Record<string, unknown> };

export type Ask = { path?: string; headers?: Record<string, string>; signal?: AbortSignal };

/** The least that makes a request, with a prompt of its own. */
export function prompt(text: string, more: object = {}): object {
  return {
    model: "claude-sonnet-4-5",
    max_tokens: 1_000,
    messages: [{ role: "user", content: text }],
    ...more,
  };
}

/** Sends a body as it is, or as JSON, with the gateway's key. */
export async function post(
  gateway: Gateway,
  body: object | string | Uint8Array<ArrayBuffer>,
  { path = "/v1/messages", headers = {}, signal }: Ask = {},
): Promise<Response> {
  const bytes =
    typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return await fetch(gateway.url + path, {
    method: "POST",
    headers: { "x-api-key": gateway.apiKey, "content-type": "application/json", ...headers },
    body: bytes,
    redirect: "manual",
    ...(signal && { signal }),
  });
}

/** Sends a request and reads the answer to its end, good or bad. */
export async function ask(
  gateway: Gateway,
  body: object | string | Uint8Array<ArrayBuffer>,
  options: Ask = {},
): Promise<Answer> {
  return await readAll(await post(gateway, body, options));
}

export async function readAll(response: Response): Promise<Answer> {
  return await follow(response).ended;
}

/** Reads on in the background: `text` is what has come so far. */
export function follow(response: Response): { readonly text: string; ended: Promise<Answer> } {
  let text = "";
  const read = async (): Promise<Answer> => {
    const decoder = new TextDecoder();
    let cut = false;
    try {
      for await (const bytes of response.body ?? [])
        text += decoder.decode(bytes, { stream: true });
    } catch {
      cut = true;
    }
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    return {
      status: response.status,
      headers: response.headers,
      text,
      cut,
      json: isStream ? undefined : parsed(text),
      events: isStream ? eventsIn(text) : [],
      requestId: response.headers.get("request-id") ?? "",
    };
  };
  return {
    get text() {
      return text;
    },
    ended: read(),
  };
}

/** The whole events in a text; a rest without its blank line is none. */
function eventsIn(text: string): StreamEvent[] {
  return text
    .split("\n\n")
    .slice(0, -1)
    .map((block) => {
      const [, event = "", data = ""] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      return { event, data: JSON.parse(data) };
    });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
