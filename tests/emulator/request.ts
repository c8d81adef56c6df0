export type RecordedRequest = {
  method: string;
  /** Which host the gateway believed to call, and with which region. */
  host: "api" | "oidc" | "auth" | "portal";
  region: string;
  /** Without the host's prefix, with the query. */
  path: string;
  headers: Record<string, string>;
  /** The parsed body; the text where it is not JSON. */
  body: unknown;
  /** Why the service would call the request improperly formed. Empty when it is in order. */
  violations: string[];
};

/** What a scenario may look at: the body that the gateway sent. */
export type ChatRequest = {
  /** The text of the current message. */
  prompt: string;
  modelId: string;
  /** Declared tools, by the names that were sent. */
  tools: string[];
  /** The results in the current message. */
  toolResults: { toolUseId: string; status: string; text: string }[];
  body: unknown;
};

/** Undefined where the path names none of the hosts. */
export async function record(request: Request): Promise<RecordedRequest | undefined> {
  const { pathname, search } = new URL(request.url);
  const [, host, region, ...rest] = pathname.split("/");
  if (host !== "api" && host !== "oidc" && host !== "auth" && host !== "portal") return undefined;
  const text = await request.text();
  return {
    method: request.method,
    host,
    region: region ?? "",
    path: `/${rest.join("/")}${search}`,
    headers: Object.fromEntries(request.headers),
    body: parsed(text),
    violations: [],
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function bearerOf(request: RecordedRequest): string | undefined {
  return /^Bearer (.+)$/.exec(request.headers["authorization"] ?? "")?.[1];
}

export function chatRequestOf(body: unknown): ChatRequest {
  const state = members(members(body)["conversationState"]);
  const message = members(members(state["currentMessage"])["userInputMessage"]);
  const context = members(message["userInputMessageContext"]);
  return {
    prompt: String(message["content"]),
    modelId: String(message["modelId"]),
    tools: list(context["tools"]).map((tool) =>
      String(members(members(tool)["toolSpecification"])["name"]),
    ),
    toolResults: list(context["toolResults"])
      .map(members)
      .map((result) => ({
        toolUseId: String(result["toolUseId"]),
        status: String(result["status"]),
        text: list(result["content"])
          .map((part) => String(members(part)["text"]))
          .join(""),
      })),
    body,
  };
}

export function members(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
