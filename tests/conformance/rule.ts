import type { ChatRequest } from "../emulator/request.ts";
import type { Scenario } from "../emulator/scenarios.ts";
import type { Client } from "./client.ts";

export type Protocol = "messages" | "chat" | "responses";

/** The stand-in for the service behind the gateway, as far as one rule is concerned. */
export type Upstream = {
  /** The rule's next requests are answered with these, one each; further ones with a greeting. */
  answers(...answers: Scenario[]): void;
  /** What the gateway has sent for this rule so far. */
  requests(): ChatRequest[];
  /** Why the service would have called one of them improperly formed. */
  violations(): string[];
  /** How many answers the gateway did not wait for. */
  left(): number;
  /** Headers by which a client brings a credential of its own, for answers that use one up. */
  ownCredential(): Record<string, string>;
};

export type Rule = {
  /** `A-…` Anthropic Messages, `B-…` OpenAI chat, `C-…` Responses, `D-…` models, `F-…` transport, `K-…` what Kiro accepts. */
  id: string;
  /** One sentence. */
  title: string;
  protocols: readonly Protocol[];
} & (
  | { kind: "black-box"; run(client: Client): Promise<void> }
  /** Only where the service behind the gateway can be scripted. */
  | { kind: "scripted"; run(client: Client, upstream: Upstream): Promise<void> }
);

const PROTOCOL_OF: Record<string, readonly Protocol[]> = {
  A: ["messages"],
  B: ["chat"],
  C: ["responses"],
};

function about(id: string): Pick<Rule, "id" | "protocols"> {
  const protocols = PROTOCOL_OF[id.charAt(0)] ?? ["messages", "chat", "responses"];
  return { id, protocols };
}

/** A rule that any gateway can be asked about. */
export function rule(id: string, title: string, run: (client: Client) => Promise<void>): Rule {
  return { ...about(id), title, kind: "black-box", run };
}

/** A rule that needs to say what the service answers, or to see what it was asked. */
export function scripted(
  id: string,
  title: string,
  run: (client: Client, upstream: Upstream) => Promise<void>,
): Rule {
  return { ...about(id), title, kind: "scripted", run };
}
