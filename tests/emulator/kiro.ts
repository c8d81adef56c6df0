import { validateKiroBody } from "../support/kiro-validator.ts";
import { Accounts } from "./accounts.ts";
import type { TokenKind } from "./accounts.ts";
import type { Answer } from "./answers.ts";
import { refusal } from "./answers.ts";
import { Logins } from "./logins.ts";
import { Management } from "./management.ts";
import { mcpFaults, searches } from "./mcp.ts";
import type { RecordedRequest } from "./request.ts";
import { bearerOf, chatRequestOf, members, record } from "./request.ts";
import { scenarios } from "./scenarios.ts";
import type { Scenario } from "./scenarios.ts";

export type KiroEmulator = {
  /** The base address; the three hosts are prefixes below it. */
  url: string;
  /** What `upstream` in a gateway's config must be. */
  upstream: { apiUrl: string; authUrl: string; oidcUrl: string; portalUrl: string };
  accounts: Accounts;
  logins: Logins;
  /** What is said of accounts: quota, models, profiles. */
  management: Management;
  /** Everything that came in, oldest first. */
  requests: RecordedRequest[];
  connections: {
    /** Answers that are not finished now. */ open: number;
    /** Answers that the client did not wait for. */ left: number;
    /** The most that were open at one time. */ peak: number;
  };
  /** The next chat requests get these, one each. */
  script(...answers: Scenario[]): void;
  /** What a chat request gets when nothing is scripted. At the start: a greeting. */
  otherwise(answer: Scenario): void;
  /** The next web searches get these, one each; further ones find one page. */
  scriptSearch(...answers: Answer[]): void;
  /** The next refreshes get these instead of tokens, one each. */
  scriptRefresh(...answers: Answer[]): void;
  /** The chat requests among `requests`. */
  chats(): RecordedRequest[];
  /** The web searches among `requests`. */
  searches(): RecordedRequest[];
  /** What was wrong with the requests so far, each with its number. */
  violations(): string[];
  stop(): Promise<void>;
};

/** Kiro on a loopback port of its own: chat, web search, both token services, limits and models. */
export function startKiro(): KiroEmulator {
  const accounts = new Accounts();
  const logins = new Logins(accounts);
  const management = new Management();
  const requests: RecordedRequest[] = [];
  const connections = { open: 0, left: 0, peak: 0 };
  const scripted: Scenario[] = [];
  const scriptedRefreshes: Answer[] = [];
  const scriptedSearches: Answer[] = [];
  const stopping = new AbortController();
  let fallback: Scenario = scenarios.text;

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    // Silence is a scenario; the emulator itself must never be the one who hangs up.
    idleTimeout: 0,
    async fetch(request) {
      const recorded = await record(request);
      if (recorded === undefined) return new Response(null, { status: 404 });
      requests.push(recorded);
      return await play(answerTo(recorded), request.signal);
    },
  });

  function answerTo(request: RecordedRequest): Answer {
    const login = logins.answer(request);
    if (login !== undefined) return login;
    const route = `${request.method} ${request.host} ${request.path.split("?")[0]}`;
    switch (route) {
      case "POST auth /refreshToken":
      case "POST oidc /token":
        return scriptedRefreshes.shift() ?? refresh(request, accounts);
      case "POST api /generateAssistantResponse":
      case "POST api /mcp":
      case "GET api /getUsageLimits":
      case "GET api /ListAvailableModels":
      case "POST api /": {
        const kind = accounts.kindOf(bearerOf(request), request.headers["tokentype"]);
        if (kind === undefined) return scenarios["token refused"];
        const said = management.answer(request);
        if (said !== undefined) return said;
        if (request.path === "/") break;
        if (!management.knows(request)) return scenarios["token refused"];
        if (request.path === "/mcp") return mcp(request, kind);
        return chat(request, kind);
      }
    }
    return refusal(404, { __type: "UnknownOperationException" });
  }

  function chat(request: RecordedRequest, kind: TokenKind): Answer {
    request.violations.push(...validateKiroBody(request.body), ...profileArnFaults(request, kind));
    // A request that breaks the rules takes nothing from the script: the test that meant a right one fails loudly.
    if (request.violations.length > 0) return scenarios["improperly formed"];
    const scenario = scripted.shift() ?? fallback;
    return typeof scenario === "function" ? scenario(chatRequestOf(request.body)) : scenario;
  }

  function mcp(request: RecordedRequest, kind: TokenKind): Answer {
    request.violations.push(...mcpFaults(request, kind));
    if (request.violations.length > 0) return scenarios["improperly formed"];
    return scriptedSearches.shift() ?? searches["one hit"];
  }

  async function play(answer: Answer, client: AbortSignal): Promise<Response> {
    connections.open += 1;
    connections.peak = Math.max(connections.peak, connections.open);
    let counted = true;
    const finish = (left: boolean): void => {
      if (!counted) return;
      counted = false;
      connections.open -= 1;
      if (left) connections.left += 1;
    };
    const gone = AbortSignal.any([client, stopping.signal]);
    gone.addEventListener("abort", () => finish(client.aborted), { once: true });

    for (const step of answer.before) await pause(step.type === "wait" ? step.ms : undefined, gone);
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        for (const step of answer.steps) {
          if (gone.aborted) return;
          switch (step.type) {
            case "bytes":
              controller.enqueue(step.bytes);
              break;
            case "wait":
              await pause(step.ms, gone);
              break;
            case "silence":
              await pause(undefined, gone);
              break;
            case "repeat":
              while (!gone.aborted) {
                controller.enqueue(step.bytes);
                await pause(step.everyMs, gone);
              }
              break;
            case "cut":
              finish(false);
              // An error without a reason resets the connection, and Bun prints nothing about it.
              controller.error();
              return;
            default:
              step satisfies never;
          }
        }
        if (gone.aborted) return;
        finish(false);
        controller.close();
      },
    });
    return new Response(body, { status: answer.status, headers: answer.headers });
  }

  return {
    url: server.url.origin,
    upstream: {
      apiUrl: `${server.url.origin}/api/{region}`,
      authUrl: `${server.url.origin}/auth/{region}`,
      oidcUrl: `${server.url.origin}/oidc/{region}`,
      portalUrl: `${server.url.origin}/portal/global`,
    },
    accounts,
    logins,
    management,
    requests,
    connections,
    script: (...answers) => void scripted.push(...answers),
    otherwise: (answer) => void (fallback = answer),
    scriptSearch: (...answers) => void scriptedSearches.push(...answers),
    scriptRefresh: (...answers) => void scriptedRefreshes.push(...answers),
    searches: () => requests.filter(({ path }) => path === "/mcp"),
    chats: () => requests.filter(({ path }) => path === "/generateAssistantResponse"),
    violations: () =>
      requests.flatMap(({ violations }, index) => violations.map((what) => `#${index}: ${what}`)),
    async stop() {
      stopping.abort();
      await server.stop(true);
    },
  };
}

/** Over after `ms` (never, without), or as soon as nobody waits for the answer any more. */
async function pause(ms: number | undefined, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
  const onGone = (): void => resolve();
  gone.addEventListener("abort", onGone);
  await promise;
  clearTimeout(timer);
  gone.removeEventListener("abort", onGone);
}

/** An account of a log-in has a profile, a key has none; each the other way round is refused. */
function profileArnFaults(request: RecordedRequest, kind: TokenKind): string[] {
  const { profileArn } = members(request.body);
  if (kind === "api-key") return profileArn === undefined ? [] : ["profileArn with an API key"];
  return typeof profileArn === "string" ? [] : ["profileArn is required for this request"];
}

function refresh(request: RecordedRequest, accounts: Accounts): Answer {
  const { refreshToken, clientId, clientSecret, grantType } = members(request.body);
  const tokens =
    request.host === "auth"
      ? accounts.exchange(refreshToken, { kind: "social" })
      : grantType === "refresh_token"
        ? accounts.exchange(refreshToken, {
            kind: "idc",
            clientId: String(clientId),
            clientSecret: String(clientSecret),
          })
        : undefined;
  if (tokens !== undefined) return refusal(200, tokens);
  return refusal(400, {
    error: "invalid_grant",
    error_description: "Invalid refresh token provided",
  });
}
