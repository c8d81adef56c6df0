import type { Notice } from "../conversation/conversation.ts";

/** What each code in `x-kiro-proxy-notice` means. */
const MEANINGS: Record<string, string> = {
  "attribution-line-removed":
    "the client's line on who is asking was left out of the system prompt; it is not for the model and would cost the prompt cache",
  "attribution-line-moved":
    "the client's line on who is asking went to the end of the newest message, behind what Kiro may cache",
  "block-as-text": "a block of this kind has no place at Kiro and was sent as text",
  "cleared-system-message": "a system message that was only for an earlier turn was left out",
  "document-omitted": "Kiro is not sent files of this type; a note stands in the file's place",
  "dropped-item": "an item of this kind has no place at Kiro and was left out",
  "dropped-tool": "a tool of this kind is run by the vendor's own service, so it was left out",
  "duplicate-tool": "of two tools with one name, one was left out",
  "duplicate-tool-dropped": "of two tools with one name at Kiro, the second was left out",
  "duplicate-tool-result":
    "of several results of one call the last one counts, the others were sent as text",
  "empty-block": "a block without text was left out",
  "empty-message": "a message without content was filled, so that its neighbours stay apart",
  "empty-stop-sequence": "an empty stop sequence was ignored",
  "emulated-response-format":
    "Kiro has no field for the form of the answer; it is asked for in words",
  "foreign-reasoning-dropped": "thinking that another service has sealed means nothing to Kiro",
  "ignored-effort": "this effort is not known and was ignored",
  "ignored-field": "this field is not known and was ignored",
  "ignored-include": "this addition to the answer is not offered",
  "ignored-input": "input beside messages was ignored",
  "ignored-max-uses": "a limit on uses that is no number was ignored",
  "ignored-output-format": "this output format is not known and was ignored",
  "ignored-response-format": "this response format is not known and was ignored",
  "ignored-thinking": "this kind of thinking is not known and was ignored",
  "ignored-tool-call": "a tool call that can't be read was left out",
  "ignored-tool-change": "a change of the tools that can't be applied was ignored",
  "ignored-tool-choice": "this tool choice can't be kept and was ignored",
  "ignored-user-location": "a search can't be bound to a place",
  "ignored-verbosity": "Kiro has no field for verbosity",
  "image-over-count":
    "only the newest images are sent; a note stands in the place of each other one",
  "image-over-size": "an image was too large; a note stands in its place",
  "json-output-as-instruction":
    "Kiro has no field for the form of the answer; a sentence in the system prompt asks for JSON",
  "missing-tool-result": "a call had no result; Kiro wants one, so it got an error that says so",
  "prefill-as-instruction":
    "Kiro's last message must be the user's; the begun answer went to the history, and the model is asked to go on from its end",
  "reasoning-dropped": "thinking of earlier replies was left out, because Kiro refused it",
  "redacted-reasoning-dropped":
    "a message at Kiro holds one thinking block; a further encrypted one was left out",
  "role-changed": "a message of this role was sent as the user's",
  "signed-reasoning-as-text":
    "a message at Kiro holds one thinking block; a further one was sent as text",
  "stray-tool-result": "a result without a call right before it was sent as text where it stood",
  "system-message-moved":
    "a system message among the others was sent as a note in the user's message beside it",
  "thinking-budget-clamped": "the budget for thinking was lowered below max_tokens",
  "thinking-tags-added":
    "tags at the head of the system prompt ask the model to think; Kiro has no field for it",
  "thinking-without-budget": "thinking without a budget is taken for adaptive thinking",
  "tool-call-converted-from-text": "the model wrote a tool call as text; the client got a call",
  "tool-call-left-in-text":
    "the model wrote a tool call as text; it was left so (see leakedToolCalls)",
  "tool-choice-as-instruction":
    "Kiro has no tool choice; a sentence in the system prompt asks for it",
  "tool-description-moved":
    "a description was over Kiro's limit; its end is in the system prompt, under a heading",
  "tool-input-repaired": "the input of an earlier call was no JSON object and was put into one",
  "tool-renamed":
    "the tool's name is none for Kiro; it has this one there, and its own again in the answer",
  "tool-result-without-id": "a result names no call",
  "unknown-block": "a block of this kind is not known and was left out",
  "web-search-filtered-afterwards":
    "Kiro's search knows no domains; results are filtered afterwards",
};

export function noticeInWords({ code }: Notice): string {
  const field = code.replace(/^ignored-/, "").replaceAll("-", "_");
  return Object.hasOwn(MEANINGS, code)
    ? (MEANINGS[code] ?? code)
    : `Kiro has no field for ${field}; it was ignored`;
}
