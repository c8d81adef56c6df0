import { at, ensure } from "./check.ts";

/** All that a plain HTTP client sees of one answer. */
export type Answer = {
  status: number;
  headers: Headers;
  text: string;
  /** The body, where it is JSON. */
  json: unknown;
  /** The events of a stream in their order, comments left out. */
  events: StreamEvent[];
  /** The connection broke before the body was whole. */
  cut: boolean;
};

/** `name` is the `event:` line; `data` is parsed where it is JSON. */
export type StreamEvent = { name?: string; data: unknown };

export type Ask = {
  path?: string;
  /** Where the key goes. */
  auth?: "x-api-key" | "api-key" | "bearer" | "none";
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Reads no further once this is true of what has come. */
  until?: (soFar: string) => boolean;
};

export type Body = object | string | Uint8Array<ArrayBuffer>;

/** Sends the requests of one rule. Bodies get what every request must have, unless they say otherwise. */
export type Client = {
  model: string;
  key: string;
  /** The rule's own prompt, by which a scripted service knows its requests. */
  prompt: string;
  messages(more?: object, ask?: Ask): Promise<Answer>;
  chat(more?: object, ask?: Ask): Promise<Answer>;
  responses(more?: object, ask?: Ask): Promise<Answer>;
  /** A body as it is. */
  post(path: string, body: Body, ask?: Ask): Promise<Answer>;
  request(method: string, path: string, ask?: Ask): Promise<Answer>;
};

export function createClient(target: {
  url: string;
  key: string;
  model: string;
  prompt: string;
}): Client {
  const { url, key, model, prompt } = target;
  const origin = url.replace(/\/+$/, "").replace(/\/v1$/, "");

  const send = async (
    method: string,
    path: string,
    body: Body | undefined,
    ask: Ask,
  ): Promise<Answer> => {
    const bytes =
      body === undefined || typeof body === "string" || body instanceof Uint8Array
        ? body
        : JSON.stringify(body);
    const response = await fetch(origin + path, {
      method,
      headers: { ...keyIn(ask.auth ?? "bearer", key), ...ask.headers },
      redirect: "manual",
      ...(bytes !== undefined && { body: bytes }),
      ...(ask.signal && { signal: ask.signal }),
    });
    return await read(response, ask.until);
  };
  const post: Client["post"] = async (path, body, ask = {}) =>
    await send("POST", ask.path ?? path, body, {
      ...ask,
      headers: { "content-type": "application/json", ...ask.headers },
    });
  const messages = [{ role: "user", content: prompt }];
  return {
    model,
    key,
    prompt,
    post,
    request: async (method, path, ask = {}) => await send(method, path, undefined, ask),
    messages: async (more = {}, ask = {}) =>
      await post(
        "/v1/messages",
        { model, max_tokens: 1_000, messages, ...more },
        {
          auth: "x-api-key",
          ...ask,
        },
      ),
    chat: async (more = {}, ask = {}) =>
      await post("/v1/chat/completions", { model, messages, ...more }, ask),
    responses: async (more = {}, ask = {}) =>
      await post("/v1/responses", { model, input: prompt, ...more }, ask),
  };
}

function keyIn(auth: NonNullable<Ask["auth"]>, key: string): Record<string, string> {
  if (auth === "none") return {};
  return auth === "bearer" ? { authorization: `Bearer ${key}` } : { [auth]: key };
}

async function read(response: Response, until?: (soFar: string) => boolean): Promise<Answer> {
  const decoder = new TextDecoder();
  let text = "";
  let cut = false;
  try {
    for await (const bytes of response.body ?? []) {
      text += decoder.decode(bytes, { stream: true });
      if (until?.(text) === true) break;
    }
  } catch {
    cut = true;
  }
  const { status, headers } = response;
  const isStream = headers.get("content-type")?.startsWith("text/event-stream") === true;
  return {
    status,
    headers,
    text,
    cut,
    json: isStream ? undefined : parsed(text),
    events: isStream ? eventsIn(text) : [],
  };
}

function eventsIn(text: string): StreamEvent[] {
  const blocks = text.split(/\r?\n\r?\n/).slice(0, -1);
  return blocks.flatMap((block) => {
    const lines = block.split(/\r?\n/);
    const named = lines.find((line) => line.startsWith("event:"));
    const data = lines.filter((line) => line.startsWith("data:")).map(valueOf);
    if (named === undefined && data.length === 0) return [];
    const joined = data.join("\n");
    return [
      { ...(named !== undefined && { name: valueOf(named) }), data: parsed(joined) ?? joined },
    ];
  });
}

function valueOf(line: string): string {
  return line.slice(line.indexOf(":") + 1).replace(/^ /, "");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The event's own word for what it is. */
export function typeOf({ data }: StreamEvent): string {
  return String(at(data, "type"));
}

/** All data of one type. */
export function ofType(answer: Answer, type: string): unknown[] {
  return answer.events.filter((event) => typeOf(event) === type).map(({ data }) => data);
}

export function hasStatus(answer: Answer, status: number): Answer {
  ensure(
    answer.status === status,
    `expected status ${status}, got ${answer.status}: ${answer.text.slice(0, 200)}`,
  );
  return answer;
}
