import { type Context, Hono } from "hono";
import type { Failure } from "../../conversation/failure.ts";
import type { Runtime } from "../../runtime.ts";
import type { Secret } from "../../secret.ts";
import type { Log } from "../../telemetry/log.ts";
import { readJson } from "../body.ts";
import type { Exchange, HttpEnv } from "../env.ts";
import { canonicalPath } from "../paths.ts";
import { type CredentialDeps, credentialRoutes } from "./credentials.ts";
import { type Document, documentOf } from "./openapi.ts";
import { CONTENT_SECURITY_POLICY, pageOf } from "./page.ts";
import type { Route } from "./route.ts";
import { type ServerDeps, serverRoutes } from "./server.ts";
import { type UsageDeps, usageRoutes } from "./usage.ts";
import { userCredentialRoutes } from "./user-credentials.ts";
import { type UserDeps, userRoutes } from "./users.ts";

export type AdminDeps = {
  /** `adminApiKey`, or else `apiKey`. Without either the admin API is closed. */
  key: Secret | undefined;
  /** Counts a wrong key; gives for how many milliseconds its address has to wait if it was one too many. */
  failed(exchange: Omit<Exchange, "id">): number | undefined;
  bodyTimeoutMs: number;
  runtime: Pick<Runtime, "timer">;
  log: Pick<Log, "error">;
  server: ServerDeps;
  credentials: CredentialDeps;
  users: UserDeps;
  usage: UsageDeps;
};

/** What an operator sends is small. */
const BODY_MAX_BYTES = 1024 * 1024;

/** The operator's API at its place, as an app that another one hands requests on to. */
export function adminApp(deps: AdminDeps): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>({ getPath: (request) => canonicalPath(request.url) });
  app.use(async (c, next) => {
    const { outer } = c.env;
    c.set("requestId", outer?.requestId ?? "");
    await next();
    outer?.route(c.get("route") ?? "/api/admin");
  });
  return app.route("/api/admin", adminRoutes(deps));
}

/** The operator's API, to be mounted at `/api/admin`. Its errors are `{"error": "…"}`, as the Go build's launcher knows them. */
export function adminRoutes(deps: AdminDeps): Hono<HttpEnv> {
  const { key, log } = deps;
  const admin = new Hono<HttpEnv>();
  const routes = [
    ...serverRoutes(deps.server),
    ...credentialRoutes(deps.credentials),
    ...userRoutes(deps.users),
    ...usageRoutes(deps.usage),
    ...userCredentialRoutes(deps.users),
  ];
  let document: Document | undefined;
  let page: ReturnType<typeof pageOf> | undefined;

  admin.use(async (c, next) => {
    c.set("route", "/api/admin");
    c.header("cache-control", "no-store");
    await next();
  });
  admin.onError((error, c) => {
    log.error("bug", { request: c.get("requestId"), detail: error.stack ?? error.message });
    return c.json({ error: "Internal error." }, 500);
  });

  // Without the key: a browser can't send one with a page, and neither says anything of this server.
  admin.get("/openapi.json", (c) => c.json((document ??= documentOf(routes))));
  admin.get("/docs", (c) => {
    c.header("content-security-policy", CONTENT_SECURITY_POLICY);
    c.header("referrer-policy", "no-referrer");
    return c.html((page ??= pageOf(documentOf(routes))));
  });

  admin.use(async (c, next) => {
    if (key === undefined) {
      return c.json({ error: "The admin API needs adminApiKey or apiKey in config.json." }, 403);
    }
    const bearer = /^bearer\s+(.*)$/is.exec(c.req.header("authorization") ?? "")?.[1];
    const given = c.req.header("x-api-key")?.trim() || bearer?.trim();
    if (given && key.equals(given)) return await next();
    const waitMs = deps.failed({ request: c.req.raw, server: c.env.server });
    if (waitMs === undefined) return c.json({ error: "Invalid admin key." }, 401);
    c.header("retry-after", String(Math.max(1, Math.ceil(waitMs / 1000))));
    return c.json({ error: "Too many wrong keys came from this address: try again later." }, 429);
  });

  for (const route of routes) admin.on(route.method.toUpperCase(), pattern(route), answer(route));
  for (const [path, same] of Map.groupBy(routes, pattern)) {
    const allowed = same.map(({ method }) => method.toUpperCase());
    const allow = [...allowed, ...(allowed.includes("GET") ? ["HEAD"] : [])].join(", ");
    admin.all(path, (c) => {
      c.header("allow", allow);
      return c.json({ error: `This takes ${allow}, not ${c.req.method.slice(0, 20)}.` }, 405);
    });
  }
  admin.all("*", (c) =>
    c.json({ error: "No such call: /api/admin/docs has those that there are." }, 404),
  );

  function answer(route: Route) {
    return async (c: Context<HttpEnv>): Promise<Response> => {
      // The path itself may hold an activation code.
      c.set("route", `/api/admin${route.path}`);
      const given: Record<string, unknown> = { params: c.req.param(), query: queryOf(c.req.url) };
      if ("body" in route.input.shape) {
        const limits = { maxBytes: BODY_MAX_BYTES, withinMs: deps.bodyTimeoutMs };
        const body = await readJson(c.req.raw, limits, deps.runtime);
        if (!body.ok) {
          return c.json({ error: body.failure.message }, statusOf(body.failure));
        }
        given["body"] = body.value;
      }
      const answered = await route.run(given);
      return answered.ok
        ? c.json(answered.value)
        : c.json({ error: answered.failure.error }, answered.failure.status);
    };
  }

  return admin;
}

/** `{name}` as Hono writes it. */
function pattern({ path }: Route): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** A member that is given twice is a list, which nothing takes. */
function queryOf(url: string): Record<string, string | string[]> {
  const given = Map.groupBy(new URL(url).searchParams, ([name]) => name);
  return Object.fromEntries(
    Array.from(given, ([name, pairs]) => {
      const [first = "", ...others] = pairs.map(([, value]) => value);
      return [name, others.length === 0 ? first : [first, ...others]];
    }),
  );
}

function statusOf({ kind }: Failure): 400 | 408 | 413 {
  if (kind === "too-large") return 413;
  return kind === "request-timeout" ? 408 : 400;
}
