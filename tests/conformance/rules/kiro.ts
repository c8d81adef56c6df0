import { reasoning, stream, trailer, words } from "../../emulator/answers.ts";
import type { ChatRequest } from "../../emulator/request.ts";
import { scenarios } from "../../emulator/scenarios.ts";
import { absent, at, check, ensure, members, text } from "../check.ts";
import { type Client, hasStatus, ofType } from "../client.ts";
import { type Rule, scripted } from "../rule.ts";
import { assistant, IMAGE, PNG, result, TOOL, use, user } from "./samples.ts";

/** The bodies that the service got for these requests of a client. */
async function sent(
  client: Client,
  upstream: { requests(): ChatRequest[]; violations(): string[] },
  ...bodies: object[]
): Promise<unknown[]> {
  for (const body of bodies) hasStatus(await client.messages(body), 200);
  check(upstream.violations(), []);
  return upstream.requests().map(({ body }) => at(body, "conversationState"));
}

function current(state: unknown): unknown {
  return at(state, "currentMessage.userInputMessage");
}

function history(state: unknown): unknown[] {
  return members(at(state, "history"));
}

function specs(state: unknown): unknown[] {
  const tools = members(at(current(state), "userInputMessageContext.tools"));
  return tools.map((tool) => at(tool, "toolSpecification"));
}

function asks(client: Client): object {
  return user({ type: "text", text: client.prompt });
}

export const kiroRules: Rule[] = [
  scripted(
    "K-01",
    "a request names its origin, model, trigger and conversation",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, {});
      check(state, { conversationId: text, chatTriggerType: "MANUAL", history: absent });
      check(current(state), { origin: "AI_EDITOR", modelId: text, content: client.prompt });
    },
  ),
  scripted(
    "K-02",
    "the history alternates, begins with the user and ends with the assistant",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, {
        messages: [
          assistant({ type: "text", text: "I begin." }),
          assistant({ type: "text", text: "And go on." }),
          { role: "user", content: "one" },
          { role: "user", content: "two" },
          asks(client),
        ],
      });
      const roles = history(state).map((entry) =>
        at(entry, "userInputMessage") === undefined ? "a" : "u",
      );
      check(roles.join(""), /^(ua)+$/, "roles");
    },
  ),
  scripted(
    "K-03",
    "the system prompt is the first pair of the history",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, { system: "Be brief." });
      check(history(state), [
        { userInputMessage: { content: "Be brief." } },
        { assistantResponseMessage: { content: text } },
      ]);
    },
  ),
  scripted(
    "K-04",
    "a trailing assistant message goes into the history",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, {
        messages: [asks(client), assistant({ type: "text", text: "I was say" })],
      });
      check(history(state).at(-1), { assistantResponseMessage: { content: "I was say" } });
      check(current(state), { content: text });
    },
  ),
  scripted(
    "K-05",
    "every result answers a call of the message before, every call is answered",
    async (client, upstream) => {
      await sent(
        client,
        upstream,
        {
          tools: [TOOL],
          messages: [user(result("toolu_none")), assistant(use("toolu_1")), asks(client)],
        },
        {
          tools: [TOOL],
          messages: [
            asks(client),
            assistant(use("toolu_1")),
            user(result("toolu_1"), result("toolu_1"), result("toolu_2")),
          ],
        },
      );
    },
  ),
  scripted(
    "K-06",
    "tools that the history uses are declared, also where the client declares none",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, {
        messages: [asks(client), assistant(use("toolu_1")), user(result("toolu_1"))],
      });
      check(
        specs(state).map((spec) => at(spec, "name")),
        [TOOL.name],
      );
    },
  ),
  scripted("K-07", "no tool is declared twice", async (client, upstream) => {
    const [state] = await sent(client, upstream, {
      tools: [TOOL, { ...TOOL, description: "Again." }],
    });
    check(specs(state).length, 1, "tools");
  }),
  scripted(
    "K-08",
    "names of tools have at most 63 characters of the allowed ones",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, {
        tools: ["a".repeat(100), "with.dots/and more", "9_first", "__private"].map((name) => ({
          ...TOOL,
          name,
        })),
      });
      for (const spec of specs(state))
        check(at(spec, "name"), /^[A-Za-z][A-Za-z0-9_-]{0,62}$/, "name");
      check(new Set(specs(state).map((spec) => at(spec, "name"))).size, 4, "names");
    },
  ),
  scripted(
    "K-09",
    "a long description goes on in the system prompt, an empty one is filled",
    async (client, upstream) => {
      const description = `${"word ".repeat(3_000)}the end of it`;
      const [state] = await sent(client, upstream, {
        tools: [
          { ...TOOL, description },
          { ...TOOL, name: "other", description: "" },
        ],
      });
      for (const spec of specs(state)) {
        check(at(spec, "description"), text, "description");
        ensure(String(at(spec, "description")).length <= 10_000, "a description is too long");
      }
      ensure(JSON.stringify(history(state)).includes("the end of it"), "the rest is lost");
    },
  ),
  scripted(
    "K-10",
    "schemas are objects without what the service refuses",
    async (client, upstream) => {
      const input_schema = {
        $schema: "http://json-schema.org/draft-07/schema#",
        $defs: { path: { type: "string" } },
        properties: { path: { $ref: "#/$defs/path" } },
        required: [],
      };
      const [state] = await sent(client, upstream, {
        tools: [
          { ...TOOL, input_schema },
          { ...TOOL, name: "none", input_schema: {} },
        ],
      });
      for (const spec of specs(state))
        check(at(spec, "inputSchema.json"), {
          type: "object",
          properties: (it) => typeof it === "object",
        });
      ensure(
        !/\$schema|\$ref|\$defs/.test(JSON.stringify(specs(state))),
        "one of $schema, $ref, $defs is left",
      );
      check(at(specs(state)[0], "inputSchema.json.properties.path"), { type: "string" });
    },
  ),
  scripted("K-11", "images are on the message with their true format", async (client, upstream) => {
    const [state] = await sent(client, upstream, {
      messages: [user(IMAGE, { type: "text", text: client.prompt })],
    });
    check(current(state), { images: [{ format: "png", source: { bytes: PNG } }] });
  }),
  scripted(
    "K-12",
    "at most ten images are sent, and what is left out is said",
    async (client, upstream) => {
      const images = Array.from({ length: 12 }, () => IMAGE);
      const [state] = await sent(client, upstream, {
        messages: [user(...images, { type: "text", text: client.prompt })],
      });
      const all = JSON.stringify(state).match(/"format":"png"/g) ?? [];
      ensure(all.length <= 10, `${all.length} images were sent`);
      check(at(current(state), "content"), /left out/, "content");
    },
  ),
  scripted("K-13", "no message is empty but one with results", async (client, upstream) => {
    const [state] = await sent(client, upstream, {
      messages: [
        { role: "user", content: "" },
        assistant(),
        { role: "user", content: "" },
        assistant({ type: "text", text: "ok" }),
        asks(client),
      ],
    });
    for (const entry of history(state)) {
      const content =
        at(entry, "userInputMessage.content") ?? at(entry, "assistantResponseMessage.content");
      check(content, text, "content");
    }
  }),
  scripted("K-14", "text beside tool results is kept", async (client, upstream) => {
    const [state] = await sent(client, upstream, {
      tools: [TOOL],
      messages: [
        asks(client),
        assistant(use("toolu_1")),
        user(result("toolu_1"), { type: "text", text: "A reminder." }),
      ],
    });
    check(at(current(state), "content"), /A reminder\./, "content");
  }),
  scripted(
    "K-15",
    "nothing is null, and no sampling parameter is sent",
    async (client, upstream) => {
      const [state] = await sent(client, upstream, {
        temperature: 0.5,
        top_p: 0.9,
        top_k: 5,
        stop_sequences: ["x"],
      });
      ensure(
        !/null|inferenceConfig|temperature|top_?[pPkK]|cachePoint/.test(JSON.stringify(state)),
        JSON.stringify(state),
      );
    },
  ),
  scripted(
    "K-16",
    "the turns of a session have one conversation id, and the earlier ones stay as they were",
    async (client, upstream) => {
      const metadata = {
        user_id: JSON.stringify({ session_id: "7d4f3a90-2b8c-4c55-9f4e-3a1c5d6e7f80" }),
      };
      const opening = [asks(client), assistant({ type: "text", text: "ok" })];
      const [first, second] = await sent(
        client,
        upstream,
        {
          metadata,
          system: "Be brief.",
          messages: [...opening, { role: "user", content: `${client.prompt} 2` }],
        },
        {
          metadata,
          system: "Be brief.",
          messages: [
            ...opening,
            { role: "user", content: `${client.prompt} 2` },
            assistant({ type: "text", text: "so" }),
            { role: "user", content: `${client.prompt} 3` },
          ],
        },
      );
      check(at(second, "conversationId"), String(at(first, "conversationId")), "conversationId");
      const before = JSON.stringify(history(first)).slice(0, -1);
      ensure(
        JSON.stringify(history(second)).startsWith(before),
        "the history is not an extension of the one before",
      );
    },
  ),
  scripted("K-17", "a thinking block goes back as it came", async (client, upstream) => {
    const signature = "RW11bGF0ZWRTaWduYXR1cmU=";
    upstream.answers(stream([...reasoning("Hm.", signature), ...words("Hello."), ...trailer()]));
    const thinking = { max_tokens: 4_000, thinking: { type: "enabled", budget_tokens: 2_000 } };
    const first = hasStatus(await client.messages(thinking), 200);
    hasStatus(
      await client.messages({
        ...thinking,
        messages: [
          asks(client),
          { role: "assistant", content: at(first.json, "content") },
          asks(client),
        ],
      }),
      200,
    );
    const state = at(upstream.requests()[1]?.body, "conversationState");
    ensure(
      JSON.stringify(history(state)).includes(JSON.stringify({ text: "Hm.", signature })),
      "it is not in the history",
    );
  }),
  scripted("K-18", "events that nobody knows are passed over", async (client, upstream) => {
    upstream.answers(scenarios["unknown events"]);
    const answer = hasStatus(await client.messages({ stream: true }), 200);
    ensure(!answer.text.includes("not for the client"), "one of them came through");
    check(ofType(answer, "message_stop").length, 1, "ends");
  }),
];
