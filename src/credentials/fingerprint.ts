import type { Credential } from "./credential.ts";

/** What tells the credentials that clients send apart: by their secrets, since they may claim any id. */
export function fingerprintOf({ login, accessToken }: Credential): string {
  const text = (login?.refreshToken ?? accessToken)?.reveal() ?? "";
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
