import { Hono } from "hono";
import type { CredentialOverview } from "../gateway/overview.ts";
import type { Result } from "../result.ts";
import type { Secret } from "../secret.ts";
import type { HttpEnv } from "./env.ts";

export type AdminDeps = {
  /** `adminApiKey`, or else `apiKey`. Without either the admin API is closed. */
  key: Secret | undefined;
  /** Both outcomes are sentences for the operator. */
  reloadCredentials: () => Promise<Result<string, string>>;
  credentials: () => Promise<CredentialOverview[]>;
};

/** The operator's API, to be mounted at `/api/admin`. Its errors are `{"error": "…"}`, as the Go build's launcher knows them. */
export function adminRoutes({ key, reloadCredentials, credentials }: AdminDeps): Hono<HttpEnv> {
  const admin = new Hono<HttpEnv>();

  admin.use(async (c, next) => {
    if (key === undefined) {
      return c.json({ error: "The admin API needs adminApiKey or apiKey in config.json." }, 403);
    }
    const bearer = /^bearer\s+(.*)$/is.exec(c.req.header("authorization") ?? "")?.[1];
    const given = c.req.header("x-api-key")?.trim() || bearer?.trim();
    if (!given || !key.equals(given)) return c.json({ error: "Invalid admin key." }, 401);
    return await next();
  });

  admin.post("/reload-credentials", async (c) => {
    const reloaded = await reloadCredentials();
    return reloaded.ok
      ? c.json({ success: true, message: reloaded.value })
      : c.json({ error: reloaded.failure }, 400);
  });

  admin.get("/credentials", async (c) => c.json({ credentials: await credentials() }));

  return admin;
}
