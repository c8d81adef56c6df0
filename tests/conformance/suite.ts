import type { KiroEmulator } from "../emulator/kiro.ts";
import { chatRequestOf } from "../emulator/request.ts";
import { type Scenario, scenarios } from "../emulator/scenarios.ts";
import { createClient } from "./client.ts";
import type { Rule, Upstream } from "./rule.ts";
import { chatRules } from "./rules/chat.ts";
import { kiroRules } from "./rules/kiro.ts";
import { messagesRules } from "./rules/messages.ts";
import { responsesRules } from "./rules/responses.ts";
import { transportRules } from "./rules/transport.ts";

export const rules: readonly Rule[] = [
  ...messagesRules,
  ...chatRules,
  ...responsesRules,
  ...transportRules,
  ...kiroRules,
];

export const DEFAULT_MODEL = "claude-sonnet-4-5";

export type Target = { url: string; key: string; model: string };

export type Outcome = { result: "passed" | "skipped" } | { result: "failed"; why: string };

/** Tries one rule. Without a scripted service, a rule that needs one is skipped. */
export async function tryRule(rule: Rule, target: Target, script?: Script): Promise<Outcome> {
  if (rule.kind === "scripted" && script === undefined) return { result: "skipped" };
  const client = createClient({ ...target, prompt: promptOf(rule) });
  try {
    if (rule.kind === "black-box") await rule.run(client);
    else if (script !== undefined) await rule.run(client, script(rule));
    return { result: "passed" };
  } catch (error) {
    return { result: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}

function promptOf({ id }: Rule): string {
  return `[${id}] Say hello in a few words.`;
}

export type Script = (rule: Rule) => Upstream;

/** The emulator, answering each rule by its own script, so that rules can be tried side by side. */
export function scriptOf(kiro: KiroEmulator): Script {
  const plans = new Map<string, Scenario[]>();
  kiro.otherwise((request) => {
    const rule = /\[([A-Z]-\d+)\]/.exec(JSON.stringify(request.body))?.[1] ?? "";
    const scenario: Scenario = plans.get(rule)?.shift() ?? scenarios.text;
    return typeof scenario === "function" ? scenario(request) : scenario;
  });
  return ({ id }) => {
    const leftBefore = kiro.connections.left;
    const ours = () => kiro.chats().filter(({ body }) => JSON.stringify(body).includes(`[${id}]`));
    return {
      answers: (...answers) => void plans.set(id, answers),
      requests: () => ours().map(({ body }) => chatRequestOf(body)),
      violations: () => ours().flatMap(({ violations }) => violations),
      left: () => kiro.connections.left - leftBefore,
      ownCredential: () => ({
        "x-kiro-credentials": JSON.stringify(kiro.accounts.credential("social")),
      }),
    };
  };
}
