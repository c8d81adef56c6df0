import { Secret } from "../secret.ts";

/** Who a request says it is from, before anybody has checked it. */
export type Claim =
  /** A credential of the client's own; `json` is what its JSON parsed to. */
  | { type: "inline"; json: unknown }
  /** An activation code, without `act-`, as it was given. */
  | { type: "activation"; code: string }
  | { type: "key"; key: Secret }
  /** A credential that can't be read; `from` names what it came in. */
  | { type: "malformed"; from: "X-Kiro-Credentials" | "creds-" }
  | { type: "none" };

/** Names are lower case; a name that is sent twice has its values joined by a comma. */
export type ClaimHeaders = { get(name: string): string | null };

/**
 * The first of: `X-Kiro-Credentials`, then the key of `x-api-key`, of `Authorization: Bearer` and of `api-key` (Azure's
 * OpenAI clients). Empty headers and other schemes count as absent. Keys in URLs are not read: they end up in logs.
 */
export function claimOf(headers: ClaimHeaders): Claim {
  const inline = headers.get("x-kiro-credentials")?.trim();
  if (inline) return inlineClaim(inline, "X-Kiro-Credentials");

  const key =
    headers.get("x-api-key")?.trim() ||
    bearer(headers.get("authorization")) ||
    headers.get("api-key")?.trim();
  if (!key) return { type: "none" };
  if (key.startsWith("act-")) return { type: "activation", code: key.slice("act-".length) };
  if (key.startsWith("creds-")) {
    return inlineClaim(fromBase64(key.slice("creds-".length)), "creds-");
  }
  return { type: "key", key: new Secret(key) };
}

function bearer(authorization: string | null): string | undefined {
  return authorization?.match(/^\s*bearer\s(.*)$/is)?.[1]?.trim();
}

function inlineClaim(text: string | undefined, from: "X-Kiro-Credentials" | "creds-"): Claim {
  try {
    return text === undefined
      ? { type: "malformed", from }
      : { type: "inline", json: JSON.parse(text) };
  } catch {
    return { type: "malformed", from };
  }
}

/** Standard and URL-safe alphabets, padded or not. `Buffer` skips what is in neither, so that is refused first. */
function fromBase64(base64: string): string | undefined {
  if (!/^[\w+/-]+={0,2}$/.test(base64)) return undefined;
  return Buffer.from(base64, "base64").toString("utf8");
}
