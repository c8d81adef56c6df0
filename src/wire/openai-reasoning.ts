import type { Reasoning, RedactedReasoning } from "../conversation/conversation.ts";
import { parsedJson } from "./blocks.ts";
import { isObject, stringOf, textOf } from "./json.ts";

/**
 * The `encrypted_content` of Responses' reasoning items, which clients hand back unread: `kiro-proxy.reasoning:` and the base64 of
 * a JSON object, `{"text", "signature"}` or `{"redacted"}`. The text is in it although the summary may say it too: a
 * signature holds for just that text, and clients may hide, cut or leave out the summary. Nothing in it is secret.
 */
const MARK = "kiro-proxy.reasoning:";

/** Undefined for thinking that has no signature: the summary says all there is. */
export function sealedReasoning(part: Reasoning | RedactedReasoning): string | undefined {
  if (part.type === "redacted-reasoning") return seal({ redacted: part.data });
  const { text, signature } = part;
  return signature === undefined ? undefined : seal({ text, signature });
}

/** Undefined for what did not come from here, as the items of other services. */
export function openedReasoning(sealed: string): Reasoning | RedactedReasoning | undefined {
  if (!sealed.startsWith(MARK)) return undefined;
  const content = parsedJson(Buffer.from(sealed.slice(MARK.length), "base64").toString());
  if (!isObject(content)) return undefined;
  const data = textOf(content["redacted"]);
  if (data !== undefined) return { type: "redacted-reasoning", data };
  const signature = textOf(content["signature"]);
  if (signature === undefined) return undefined;
  return { type: "reasoning", text: stringOf(content["text"]), signature };
}

function seal(content: Record<string, string>): string {
  return MARK + Buffer.from(JSON.stringify(content)).toString("base64");
}
