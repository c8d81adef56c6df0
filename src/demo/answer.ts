/** One event of the service's stream before it is framed. `payload` is sent as JSON. */
export type DemoEvent = { type: string; payload: Record<string, unknown> };

const LABEL = "[demo]";

/**
 * What the demo says to a GenerateAssistantResponse body. Every answer names itself a demo. A prompt whose last line
 * has `call NAME`, optionally with JSON behind it, calls that tool where it is declared; a tool's result is read back;
 * anything else is quoted. Any input will do.
 */
export function demoAnswer(body: unknown): DemoEvent[] {
  const state = members(members(body)["conversationState"]);
  const message = members(members(state["currentMessage"])["userInputMessage"]);
  const context = members(message["userInputMessageContext"]);
  const prompt = lastLine(text(message["content"]));
  const tools = list(context["tools"]).map((tool) => members(members(tool)["toolSpecification"]));
  const results = list(context["toolResults"]).map(resultText);

  const sent = JSON.stringify(body ?? null);
  // A conversation grows, so no two of its calls share an id.
  const callId = `tooluse_demo_${Bun.hash.wyhash(sent).toString(36)}`;
  const spoken = results.length > 0 ? afterTool(results) : afterPrompt(prompt, tools, callId);
  return [...(asksForThinking(body) ? think() : []), ...spoken, ...accounts(sent.length, spoken)];
}

function afterTool(results: string[]): DemoEvent[] {
  return say(
    `${LABEL} The tool answered: "${shortened(withoutReminders(results.join(" ")))}". A model would go on from here; the demo stops.`,
  );
}

function afterPrompt(
  prompt: string,
  tools: Record<string, unknown>[],
  callId: string,
): DemoEvent[] {
  const asked = /\bcall\s+(?:the\s+)?(?:tool\s+)?`?([\w-]+)`?[^{]*(\{.*\})?/i.exec(prompt);
  const wanted = asked?.[1]?.toLowerCase();
  const tool = tools.find((offered) => text(offered["name"]).toLowerCase() === wanted);
  if (tool !== undefined) {
    const name = text(tool["name"]);
    const schema = members(members(tool["inputSchema"])["json"]);
    return [
      ...say(`${LABEL} Calling ${name}, as you asked.`),
      ...call(callId, name, parsedObject(asked?.[2]) ?? sample(schema)),
    ];
  }
  const offered = tools[0];
  const hint =
    offered === undefined
      ? "Offer a tool and write `call` and its name to see a tool call."
      : `Write \`call ${text(offered["name"])}\` to see a tool call.`;
  return say(
    `${LABEL} No model wrote this: it is the demo inside kiro-proxy, and the way your request took is the real one. ` +
      `You wrote: "${shortened(prompt)}". ${hint} Add credentials and restart without --demo for real answers.`,
  );
}

function say(spoken: string): DemoEvent[] {
  return words(spoken).map((content) => ({ type: "assistantResponseEvent", payload: { content } }));
}

/** Thinking has no signature here: the demo has no service that could check one. */
function think(): DemoEvent[] {
  return words(`${LABEL} The client asked for thinking, so here is some.`).map((part) => ({
    type: "reasoningContentEvent",
    payload: { text: part },
  }));
}

function call(toolUseId: string, name: string, input: Record<string, unknown>): DemoEvent[] {
  const fragments = JSON.stringify(input).match(/[^]{1,12}/gu) ?? [];
  return [
    { toolUseId, name },
    ...fragments.map((part) => ({ toolUseId, name, input: part })),
    { toolUseId, name, stop: true },
  ].map((payload) => ({ type: "toolUseEvent", payload }));
}

/** Counts that are about right, so that a client shows some; nothing is charged. */
function accounts(inputChars: number, spoken: DemoEvent[]): DemoEvent[] {
  const outputChars = spoken.map(
    ({ payload }) => text(payload["content"] ?? payload["input"]).length,
  );
  const uncachedInputTokens = Math.ceil(inputChars / 4);
  const outputTokens = Math.ceil(outputChars.reduce((sum, length) => sum + length, 0) / 4);
  const totalTokens = uncachedInputTokens + outputTokens;
  return [
    {
      type: "metadataEvent",
      payload: { tokenUsage: { uncachedInputTokens, outputTokens, totalTokens } },
    },
    { type: "meteringEvent", payload: { usage: 0, unit: "credit", unitPlural: "credits" } },
  ];
}

/** Thinking is asked for by a tag in the system prompt, or by a member of the body for models that know it. */
function asksForThinking(body: unknown): boolean {
  const { additionalModelRequestFields, conversationState } = members(body);
  if (members(additionalModelRequestFields)["thinking"] !== undefined) return true;
  const first = members(list(members(conversationState)["history"])[0]);
  return text(members(first["userInputMessage"])["content"]).includes("<thinking_mode>");
}

/** The least that satisfies the schema's required properties. */
function sample(schema: Record<string, unknown>): Record<string, unknown> {
  const properties = members(schema["properties"]);
  return Object.fromEntries(
    list(schema["required"])
      .map(text)
      .map((name) => [name, sampleValue(members(properties[name]))]),
  );
}

function sampleValue(property: Record<string, unknown>): unknown {
  const [first] = list(property["enum"]);
  if (first !== undefined) return first;
  switch (property["type"]) {
    case "number":
    case "integer":
      return property["minimum"] ?? 1;
    case "boolean":
      return false;
    case "array":
      return [];
    case "object":
      return sample(property);
    default:
      return "demo";
  }
}

function lastLine(content: string): string {
  return withoutReminders(content).split("\n").at(-1) ?? "";
}

/** Agents put reminders of their own around what the user wrote and behind what a tool answered. */
function withoutReminders(content: string): string {
  return content.replaceAll(/<system-reminder>[^]*?<\/system-reminder>/g, "").trimEnd();
}

function resultText(result: unknown): string {
  return list(members(result)["content"])
    .map((part) => text(members(part)["text"]))
    .join(" ");
}

function parsedObject(json: string | undefined): Record<string, unknown> | undefined {
  try {
    return json === undefined ? undefined : members(JSON.parse(json));
  } catch {
    // Half a JSON object is only a prompt with braces in it.
    return undefined;
  }
}

function shortened(content: string): string {
  const points = Array.from(content);
  return points.length > 200 ? `${points.slice(0, 200).join("")}…` : content;
}

function words(content: string): string[] {
  return content.match(/\s*\S+/g) ?? [];
}

function members(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
