/** A model as listed. `maxOutput` and `window` are in tokens, `createdAt` is ISO 8601. */
export type ModelEntry = {
  id: string;
  displayName: string;
  createdAt: string;
  window: number;
  maxOutput: number;
};

/** One shape that the SDKs of both vendors, and clients of the Go build, read without complaint. */
export function modelObject(model: ModelEntry) {
  return {
    id: model.id,
    object: "model",
    type: "model",
    created: Math.floor(Date.parse(model.createdAt) / 1000),
    created_at: model.createdAt,
    owned_by: ownerOf(model.id),
    display_name: model.displayName,
    max_input_tokens: model.window,
    max_tokens: model.maxOutput,
  };
}

function ownerOf(id: string): string {
  if (id.startsWith("claude")) return "anthropic";
  return id.startsWith("gpt") ? "openai" : "kiro";
}

/** All models at once: `has_more` is false, so no client asks for a second page. */
export function modelList(models: ModelEntry[]) {
  return {
    object: "list",
    data: models.map(modelObject),
    has_more: false,
    first_id: models.at(0)?.id ?? null,
    last_id: models.at(-1)?.id ?? null,
  };
}
