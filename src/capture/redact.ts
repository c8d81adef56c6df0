import { CHECKSUM_BYTES, MIN_FRAME_BYTES } from "../eventstream/frame.ts";

/**
 * What must not be kept: ARNs and ids of accounts, mail addresses, and whatever looks like a token or a key. None
 * matches a quote or a backslash, so JSON stays JSON.
 */
const TELLING = [
  /\barn:aws[\w-]*:[\w:/.*-]+/g,
  /\bd-[0-9a-z]{10}\b/g,
  /[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g,
  /(?<=\bBearer )[\w.~+/=-]+/g,
  /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g,
  /\b(?:sk|ksk|aoa|gh[oprsu]|xox[abp]|act|creds|key)[-_][\w-]{8,}/g,
  /\baoa[A-Za-z0-9+/=:_-]{32,}/g,
  /\bA[KS]IA[0-9A-Z]{16}\b/g,
];

/** The text with an `x` for each character of what must not be kept, so that every length stays as it was. */
export function redactText(text: string, secrets: readonly string[] = []): string {
  let safe = text;
  for (const secret of secrets) safe = safe.replaceAll(secret, (found) => "x".repeat(found.length));
  for (const pattern of TELLING) safe = safe.replace(pattern, (found) => "x".repeat(found.length));
  return safe;
}

/** The same for the bytes of an event stream. Frames that were whole get a new checksum, so that they still are. */
export function redactFrames(bytes: Uint8Array, secrets: readonly string[] = []): Buffer {
  const safe = redactBytes(bytes, secrets);
  for (let at = 0; at + MIN_FRAME_BYTES <= safe.length;) {
    const length = safe.readUInt32BE(at);
    const end = at + length - CHECKSUM_BYTES;
    if (length < MIN_FRAME_BYTES || end + CHECKSUM_BYTES > safe.length) break;
    const before = Buffer.from(bytes.buffer, bytes.byteOffset + at, length);
    const wasWhole =
      Bun.hash.crc32(before.subarray(0, length - CHECKSUM_BYTES)) ===
      before.readUInt32BE(length - CHECKSUM_BYTES);
    // The lengths and their checksum are the service's own, whatever the patterns found in them.
    safe.set(before.subarray(0, 12), at);
    if (wasWhole) safe.writeUInt32BE(Bun.hash.crc32(safe.subarray(at, end)), end);
    else safe.set(before.subarray(length - CHECKSUM_BYTES), end);
    at = end + CHECKSUM_BYTES;
  }
  return safe;
}

/** A byte is a character in Latin-1, so what is found is replaced byte by byte. */
export function redactBytes(bytes: Uint8Array, secrets: readonly string[] = []): Buffer {
  return Buffer.from(redactText(Buffer.from(bytes).toString("latin1"), secrets), "latin1");
}
