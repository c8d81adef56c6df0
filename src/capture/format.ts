import { z } from "zod";
import { jsonFault } from "../json-fault.ts";
import { fail, ok, type Result } from "../result.ts";

/**
 * One attempt as a file: what was asked, the raw bytes that came back, and all that the decoder needs to read them the
 * same way again. Documented in `docs/capture.md`.
 */
const Capture = z.object({
  format: z.literal("kiro-proxy capture 1"),
  capturedAt: z.iso.datetime(),
  gateway: z.string(),
  credential: z.string(),
  caller: z.string(),
  /** Which attempt of its request it was, from 1. */
  attempt: z.int(),
  request: z.object({
    model: z.string(),
    /** The JSON that was sent, without the profile ARN; null where it did not fit. */
    body: z.unknown(),
  }),
  response: z.object({
    /** Null where no answer came. */
    status: z.int().min(200).max(599).nullable(),
    headers: z.record(z.string(), z.string()),
    /** Base64, one for each chunk as it came from the network. */
    chunks: z.array(z.base64()),
    /** `whole`: it ended properly. `broken`: the connection or a time limit did. `left`: the gateway stopped to read. */
    ending: z.enum(["whole", "broken", "left"]),
    /** More came than the capture had room for. */
    cut: z.boolean(),
  }),
  reading: z.object({
    tagThinking: z.boolean(),
    showThinking: z.boolean(),
    window: z.number(),
    promptTokens: z.number(),
    json: z.boolean(),
    maxTokens: z.number().exactOptional(),
    stopSequences: z.array(z.string()),
    parallelToolCalls: z.boolean(),
    /** What clients call the tools whose names were changed for the service. */
    toolNames: z.record(z.string(), z.string()),
  }),
  fault: z
    .object({
      kind: z.string(),
      message: z.string(),
      status: z.int().exactOptional(),
      reason: z.string().exactOptional(),
    })
    .nullable(),
});

export type Capture = z.infer<typeof Capture>;

/** Reads the text of a capture. A failure is a sentence that names what is wrong. */
export function parseCapture(text: string): Result<Capture, string> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const { line, column, message } = jsonFault(text);
    return fail(`is not valid JSON at line ${line}, column ${column}: ${message}`);
  }
  const parsed = Capture.safeParse(value);
  if (parsed.success) return ok(parsed.data);
  const [issue] = parsed.error.issues;
  return fail(`is not a capture: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}
