/** One tool in each protocol's form. */
export const TOOL = {
  name: "read_file",
  description: "Read a file.",
  input_schema: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
};

export const CHAT_TOOL = {
  type: "function",
  function: { name: TOOL.name, description: TOOL.description, parameters: TOOL.input_schema },
};

export const RESPONSES_TOOL = { ...CHAT_TOOL.function, type: "function" };

/** A PNG of one pixel. */
export const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

export const IMAGE = {
  type: "image",
  source: { type: "base64", media_type: "image/png", data: PNG },
};

export function use(id: string, input: unknown = { path: "notes.txt" }) {
  return { type: "tool_use", id, name: TOOL.name, input };
}

export function result(id: string, more: object = { content: "milk" }) {
  return { type: "tool_result", tool_use_id: id, ...more };
}

export function user(...content: unknown[]) {
  return { role: "user", content };
}

export function assistant(...content: unknown[]) {
  return { role: "assistant", content };
}
