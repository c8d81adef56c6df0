import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { defaultProfile } from "../src/kiro/default-profile.ts";
import { toKiroRequest } from "../src/kiro/request.ts";
import { messages } from "../src/wire/anthropic/messages.ts";
import { chat } from "../src/wire/chat/chat-completions.ts";
import { responses } from "../src/wire/responses/responses.ts";
import type { Wire } from "../src/wire/wire.ts";
import type { ReplyEvent } from "../src/conversation/reply.ts";

const root = join(import.meta.dir, "..");

type Body = Record<string, unknown>;
type Row = { name: string; parameter: string; example: unknown; result: string; named: string };
type Effect = {
  named: string;
  /** What is sent to Kiro, and what this client gets for one and the same reply: the parameter did something. */
  seen: unknown;
  /** What the gateway sees to itself. */
  limits: unknown;
};

const model = "claude-sonnet-5";
const hello = [{ role: "user", content: "Hi" }];

/** The smallest request of each API, and what else a parameter needs to mean something. */
const apis = [
  {
    name: "messages",
    effectOf: effects(messages),
    least: { model, max_tokens: 1_000, messages: hello },
    besides: { tool_choice: { tools: [{ name: "run", input_schema: { type: "object" } }] } },
    types: [
      ["@anthropic-ai/sdk/resources/messages/messages.d.ts", "MessageCreateParamsBase"],
      ["@anthropic-ai/sdk/resources/beta/messages/messages.d.ts", "MessageCreateParamsBase"],
    ],
  },
  {
    name: "chat",
    effectOf: effects(chat),
    least: { model, messages: hello },
    besides: {
      tool_choice: { tools: [{ type: "function", function: { name: "run" } }] },
      function_call: { functions: [{ name: "run" }] },
      stream_options: { stream: true },
      input: { input: "Hi", messages: null },
    },
    types: [
      ["openai/resources/chat/completions/completions.d.ts", "ChatCompletionCreateParamsBase"],
    ],
  },
  {
    name: "responses",
    effectOf: effects(responses),
    least: { model, input: "Hi" },
    besides: { tool_choice: { tools: [{ type: "function", name: "run" }] } },
    types: [["openai/resources/responses/responses.d.ts", "ResponseCreateParamsBase"]],
  },
];

/** A reply with something of everything that a parameter could show or hide. */
const reply: ReplyEvent[] = [
  { type: "reasoning", text: "Greet." },
  { type: "reasoning-end", signature: "c2ln" },
  { type: "text", text: "Hello" },
  { type: "tool-call", id: "t1", name: "run", json: "{}" },
  { type: "stop", reason: "tool-use" },
];

function effects<Event>(wire: Wire<Event>): (body: Body) => Effect {
  return (body) => {
    const parsed = wire.parse(structuredClone(body), new Headers());
    if (!parsed.ok) {
      const error = wire.failure(parsed.failure, "req_1");
      const { code, type } = (error.body as { error: { code?: string; type: string } }).error;
      return { named: `${error.status} ${code ?? type}`, seen: undefined, limits: undefined };
    }
    const { conversation, stream } = parsed.value;
    const ids = { conversationId: "c", continuationId: "d" };
    const request = toKiroRequest(conversation, ids, defaultProfile);
    if (!request.ok) throw new Error(request.failure.message);
    const encoder = parsed.value.encoder({ id: "x", createdAt: 0, inputTokens: 1 });
    const { limits, sessionId } = conversation;
    return {
      named: request.value.notices
        .map(({ code, detail }) => (detail === undefined ? code : `${code}: ${detail}`))
        .join(", "),
      seen: [request.value.body, stream, sessionId, reply.flatMap((event) => encoder.push(event))],
      limits,
    };
  };
}

/** `body` with the value at a dotted path. */
function withValue(body: Body, path: string, value: unknown): Body {
  const [name = "", ...rest] = path.split(".");
  return { ...body, [name]: rest.length === 0 ? value : withValue({}, rest.join("."), value) };
}

const doc = await Bun.file(join(root, "docs/parameters.md")).text();

function rowsOf(api: string): Row[] {
  const table = doc.split(`<!-- ${api} -->`)[1]?.split("\n## ")[0] ?? "";
  return table.split("\n").flatMap((line) => {
    const cells = line.split("|").map((cell) => cell.trim().replaceAll("`", ""));
    const [, parameter = "", example = "", result = "", named = ""] = cells;
    if (parameter === "" || parameter === "parameter" || parameter.startsWith("---")) return [];
    const name = `${parameter} ${example}`;
    return { name, parameter, example: JSON.parse(example), result, named };
  });
}

/** The members of an interface in a vendor's type declarations. */
async function membersOf(file: string, name: string): Promise<string[]> {
  const text = await Bun.file(join(root, "node_modules", file)).text();
  const body = text.split(`export interface ${name} {`)[1]?.split("\n}\n")[0] ?? "";
  return Array.from(body.matchAll(/^ {4}(\w+)\??:/gm), ([, member = ""]) => member);
}

describe.each(apis)("docs/parameters.md, $name", (api) => {
  const rows = rowsOf(api.name);

  test.each(rows)("says what happens: $name is $result", (row) => {
    const [top = ""] = row.parameter.split(".");
    const besides: Record<string, Body | undefined> = api.besides;
    const least = { ...api.least, ...besides[top] };
    const before = api.effectOf(least);
    const after = api.effectOf(withValue(least, row.parameter, row.example));
    const acts = !Bun.deepEquals(before.seen, after.seen);
    const limits = !Bun.deepEquals(before.limits, after.limits);
    expect(after.named).toBe(row.named);
    expect(row.result).toBe(
      after.seen === undefined
        ? "refused"
        : !acts && !limits && row.named !== ""
          ? "ignored"
          : limits || row.named !== ""
            ? "emulated"
            : "honoured",
    );
    // What asks for that which happens anyway can't be told from what nobody looks at.
    const anyway = JSON.stringify(row.example) === '["reasoning.encrypted_content"]';
    if (row.result === "honoured") expect(acts).toBe(!anyway);
  });

  test("has a row for every parameter that the vendor's SDK has", async () => {
    const members = await Promise.all(
      api.types.map(async ([file = "", name = ""]) => await membersOf(file, name)),
    );
    const known = new Set(rows.map(({ parameter }) => parameter.split(".")[0] ?? ""));
    expect(members.flat().filter((member) => !known.has(member))).toEqual([]);
    expect(members.every((names) => names.length > 10)).toBe(true);
  });
});
