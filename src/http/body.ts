import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from "node:zlib";
import type { Failure } from "../conversation/failure.ts";
import { fail, ok, type Result } from "../result.ts";

const DECODERS: Record<
  string,
  (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer
> = {
  gzip: gunzipSync,
  "x-gzip": gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
  zstd: zstdDecompressSync,
};

/** The request's JSON. `maxBytes` holds for the body as sent and as decompressed. */
export async function readJson(
  request: Request,
  maxBytes: number,
): Promise<Result<unknown, Failure>> {
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes)
    return fail(tooLarge(maxBytes));
  const bytes = await readBytes(request, maxBytes);
  if (!bytes.ok) return bytes;
  try {
    // Decoding and parsing apart takes 60 % of the time of `request.json()` on 290 KB.
    const json: unknown = JSON.parse(new TextDecoder().decode(bytes.value));
    return ok(json);
  } catch (error) {
    const detail = error instanceof SyntaxError ? `: ${error.message}` : "";
    return fail({
      kind: "invalid-request",
      message: `The request body is not valid JSON${detail}`,
    });
  }
}

async function readBytes(request: Request, maxBytes: number): Promise<Result<Uint8Array, Failure>> {
  const encoding = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  const decode = DECODERS[encoding];
  const bytes = await request.bytes();
  if (bytes.length > maxBytes) return fail(tooLarge(maxBytes));
  if (encoding === "" || encoding === "identity") return ok(bytes);
  if (decode === undefined) {
    return fail({
      kind: "invalid-request",
      message: `content-encoding: '${encoding.slice(0, 40)}' is not supported; send gzip, deflate, br, zstd or none`,
    });
  }
  try {
    return ok(decode(bytes, { maxOutputLength: maxBytes }));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "ERR_BUFFER_TOO_LARGE"
      ? fail(tooLarge(maxBytes))
      : fail({
          kind: "invalid-request",
          message: `The request body is not valid ${encoding} data`,
        });
  }
}

function tooLarge(maxBytes: number): Failure {
  return {
    kind: "too-large",
    message: `Request exceeds the maximum size of ${Math.floor(maxBytes / 1024 / 1024)} MB`,
  };
}
