import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import type { Failure } from "../conversation/failure.ts";
import { fail, ok, type Result } from "../result.ts";
import { messages, parseCountTokens } from "../wire/anthropic/messages.ts";
import { chat } from "../wire/chat/chat-completions.ts";
import { errorObject } from "../wire/openai-errors.ts";
import { responses } from "../wire/responses/responses.ts";
import type { WireError } from "../wire/wire.ts";
import type { AdminDeps } from "./admin/admin.ts";
import { readJson } from "./body.ts";
import { callerOf } from "./caller.ts";
import { answerHeaders, type CompletionDeps, completions } from "./completions.ts";
import type { Exchange, HttpEnv } from "./env.ts";
import { type HealthDeps, healthRoutes } from "./health.ts";
import { modelList, modelObject, type ModelEntry } from "./models.ts";
import { canonicalPath, pathOf } from "./paths.ts";
import { parseWithImages } from "./remote-images.ts";

export type AppDeps = Omit<CompletionDeps, "stopping"> & {
  admin?: AdminDeps;
  health: HealthDeps;
  /** The models to list, newest first, and the one an id or alias means. */
  models: { list(): ModelEntry[]; find(id: string): ModelEntry | undefined };
  /** Origins whose pages may call; `*` for all. */
  corsOrigins: string[];
  /** No key protects the gateway, so only programs of this machine may call, not any page open in its browser. */
  keyless: boolean;
};

/** What clients and monitors ask for all the time. */
const PROBES = new Set(["/", "/api/hello", "/healthz", "/readyz", "/metrics"]);

/** The HTTP surface. A request goes in, a `Response` comes out; no socket is needed to try it. */
export function createApp(deps: AppDeps): Hono<HttpEnv> {
  const { runtime, log } = deps;
  const newId = (): string => `req_${runtime.randomUUID().replaceAll("-", "")}`;
  const app = new Hono<HttpEnv>({ getPath: (request) => canonicalPath(request.url) });

  app.use(async (c, next) => {
    const id = newId();
    c.set("requestId", id);
    const startedAt = runtime.monotonic();
    await next();
    if (c.get("logged") !== true) {
      const isProbe = PROBES.has(c.req.path) || c.req.method === "OPTIONS";
      log[isProbe ? "debug" : "info"]("request", {
        request: id,
        method: c.req.method,
        // A path that is no route of ours is only somebody's text.
        path: c.get("route") ?? (c.res.status === 404 ? undefined : c.req.path.slice(0, 200)),
        status: c.res.status,
        durationMs: Math.round(runtime.monotonic() - startedAt),
      });
    }
    // The rest of such a body can't be told from the next request.
    if (c.res.status === 408 || deps.health.stopping()) c.res.headers.set("connection", "close");
    for (const [name, value] of Object.entries(answerHeaders(id))) c.res.headers.set(name, value);
  });
  const withCors = cors({
    origin: deps.corsOrigins.includes("*") ? "*" : deps.corsOrigins,
    allowMethods: ["GET", "POST", "PUT", "DELETE", "OPTIONS"],
    exposeHeaders: ["request-id", "x-request-id", "retry-after", "x-kiro-proxy-notice"],
  });
  // No page of another host has any business with the operator's API.
  app.use(async (c, next) =>
    /^\/api\/admin(\/|$)/.test(c.req.path) ? await next() : await withCors(c, next),
  );

  if (deps.keyless) {
    app.use("/v1/*", async (c, next) => {
      const origin = c.req.header("origin");
      if (origin === undefined || isLocal(origin)) return await next();
      const message =
        "This gateway has no apiKey, so web pages of other hosts may not use it. Set apiKey in its config.json.";
      return errorResponse(sharedError({ kind: "permission", message }, c.get("requestId")));
    });
  }

  app.on(["GET", "HEAD"], ["/", "/api/hello"], (c) => c.text("kiro-proxy\n"));
  app.route("/", healthRoutes(deps.health));

  if (deps.admin !== undefined) app.all("/api/admin/*", adminHandler(deps.admin));

  const served = { ...deps, stopping: () => deps.health.stopping() };
  const direct = new Map([
    ["/v1/messages", completions(messages, served)],
    ["/v1/chat/completions", completions(chat, served)],
    ["/v1/responses", completions(responses, served)],
  ]);
  for (const [path, answer] of direct) {
    app.post(path, async (c) => {
      c.set("logged", true);
      return await answer(exchangeOf(c));
    });
  }
  app.post("/v1/messages/count_tokens", async (c) => {
    const counted = await countTokens(exchangeOf(c), deps);
    return counted.ok
      ? Response.json({ input_tokens: counted.value })
      : errorResponse(messages.failure(counted.failure, c.get("requestId")));
  });

  app.get("/v1/models", async (c) => {
    const caller = await callerOf(exchangeOf(c), deps);
    if (!caller.ok)
      return errorResponse(callersError(c.req.raw, caller.failure, c.get("requestId")));
    return Response.json(modelList(deps.models.list()));
  });
  app.get("/v1/models/:id{.+}", async (c) => {
    const caller = await callerOf(exchangeOf(c), deps);
    if (!caller.ok)
      return errorResponse(callersError(c.req.raw, caller.failure, c.get("requestId")));
    const id = c.req.param("id");
    const found = deps.models.find(id);
    if (found !== undefined) return Response.json(modelObject(found));
    const failure: Failure = { kind: "model-not-found", message: `model: ${id.slice(0, 200)}` };
    return errorResponse(callersError(c.req.raw, failure, c.get("requestId")));
  });

  app.notFound((c) => {
    const message = `No such endpoint: ${c.req.method} ${c.req.path.slice(0, 200)}`;
    return errorResponse(sharedError({ kind: "not-found", message }, c.get("requestId")));
  });
  app.onError((error, c) => {
    log.error("bug", { request: c.get("requestId"), detail: error.stack ?? error.message });
    const failure: Failure = { kind: "internal", message: "Internal error" };
    return errorResponse(sharedError(failure, c.get("requestId")));
  });

  // What agents ask for all the time goes past the router and its middlewares, which cost as much as all else on the way in.
  const routed = app.fetch;
  app.fetch = (request, env = {}, context) => {
    const answer =
      request.method === "POST" && !request.headers.has("origin")
        ? direct.get(pathOf(request.url))
        : undefined;
    if (answer === undefined) return routed(request, env, context);
    return answer({ request, id: newId(), server: "server" in env ? env.server : undefined });
  };
  return app;
}

/** A page or a desktop program's window on this machine. `null`, which any page can become in a frame, is not one. */
function isLocal(origin: string): boolean {
  const host = URL.parse(origin)?.hostname ?? "";
  return /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(host);
}

/** The routes are loaded when first asked for: with their schemas they take some 10 ms of a start, all other routes 4. */
function adminHandler(deps: AdminDeps) {
  let loading: Promise<Hono<HttpEnv>> | undefined;
  return async (c: Context<HttpEnv>): Promise<Response> => {
    loading ??= import("./admin/admin.ts")
      .then(({ adminApp }) => adminApp(deps))
      .catch((error: unknown) => {
        // The next one may find the files again.
        loading = undefined;
        throw error;
      });
    const admin = await loading;
    const route = (name: string): void => c.set("route", name);
    return await admin.fetch(c.req.raw, {
      ...c.env,
      outer: { requestId: c.get("requestId"), route },
    });
  };
}

function exchangeOf(c: Context<HttpEnv>): Exchange {
  return { request: c.req.raw, id: c.get("requestId"), server: c.env.server };
}

async function countTokens(exchange: Exchange, deps: AppDeps): Promise<Result<number, Failure>> {
  const caller = await callerOf(exchange, deps);
  if (!caller.ok) return caller;
  const { request } = exchange;
  const body = await readJson(request, deps.body, deps.runtime);
  if (!body.ok) return body;
  const conversation = await parseWithImages(
    (images) => parseCountTokens(body.value, request.headers, images),
    deps.remoteImages,
    request.signal,
  );
  if (!conversation.ok) return fail(conversation.failure);
  return ok(await deps.counter.exact(conversation.value));
}

/** An error in the envelope of who is calling: all of Anthropic's clients name an API version, OpenAI's have none. */
function callersError({ headers }: Request, failure: Failure, requestId: string): WireError {
  const wire = headers.has("anthropic-version") ? messages : chat;
  return wire.failure(failure, requestId);
}

/**
 * An error body that both vendors' clients read, for routes which don't say whose client is calling: Anthropic's
 * envelope with OpenAI's `param` and `code` in it.
 */
function sharedError(failure: Failure, requestId: string): WireError {
  const error = messages.failure(failure, requestId);
  return { ...error, body: withOpenAiFields(error.body, failure) };
}

function withOpenAiFields(body: unknown, failure: Failure): unknown {
  if (typeof body !== "object" || body === null || !("error" in body)) return body;
  const { error } = body;
  if (typeof error !== "object" || error === null) return body;
  const { param, code } = errorObject(failure, "messages");
  return { ...body, error: { ...error, param, code } };
}

function errorResponse(error: WireError): Response {
  return Response.json(error.body, { status: error.status, headers: error.headers });
}
