import { isIP } from "../../address.ts";
import { unlessAborted } from "../../credentials/tokens.ts";
import { proxyOption } from "../../proxy.ts";
import { fail, ok, type Result } from "../../result.ts";
import { lookupAddresses, type Runtime } from "../../runtime.ts";
import type { Secret } from "../../secret.ts";
import { bounded } from "../bounded.ts";
import { failure, fine, type Finding, warning } from "./finding.ts";

/** A host of the service with the way to it, and what goes there. */
export type Route = { url: string; proxyUrl: Secret | undefined; uses: string[] };

/** `aheadMs`: how far this machine's clock is ahead of the host's. */
export type Reached = { finding: Finding; aheadMs?: number };

const LOOKUP_MS = 3_000;
const LIMIT_MS = 6_000;

/** Asks the host for nothing, without a token: any answer shows that the way is open. */
export async function checkRoute(
  { url, proxyUrl, uses }: Route,
  runtime: Runtime,
  env: Record<string, string | undefined>,
): Promise<Reached> {
  const { host, hostname, origin } = new URL(url);
  const way = wayOf(proxyUrl, origin, env);
  const check = "network";
  const what = `${host}${way} (${uses.join(", ")})`;
  const why = "Requests to Kiro, or renewals of tokens, go there.";
  const fault = (text: string, next: string): Reached => ({
    finding: failure(check, `${what}: ${text}`, why, next),
  });
  if (way === "" && isIP(hostname.replaceAll(/[[\]]/g, "")) === 0) {
    const isKnown = await knows(hostname, runtime);
    if (!isKnown) {
      return fault("its name can't be resolved", `check the name server: getent hosts ${hostname}`);
    }
  }
  const startedAt = runtime.now();
  const answer = await head(origin, proxyUrl, runtime);
  const endedAt = runtime.now();
  if (!answer.ok) return fault(sentenceFor(answer.failure), nextFor(answer.failure, way));
  const { status, headers } = answer.value;
  if (status === 407)
    return fault("the proxy refuses (407)", "check user and password in proxyUrl");
  const finding = fine(check, `${what} answers in ${endedAt - startedAt} ms`);
  const date = Date.parse(headers.get("date") ?? "");
  // The header has whole seconds: half of one is the best guess for the rest.
  return Number.isNaN(date)
    ? { finding }
    : { finding, aheadMs: (startedAt + endedAt) / 2 - (date + 500) };
}

async function knows(hostname: string, runtime: Pick<Runtime, "timer">): Promise<boolean> {
  try {
    await bounded(runtime, LOOKUP_MS, async (late) => {
      await unlessAborted(lookupAddresses(hostname), late);
    });
    return true;
  } catch {
    // No such name, or nobody who says.
    return false;
  }
}

/** The head of whatever is answered, else a code of what went wrong. */
async function head(
  url: string,
  proxyUrl: Secret | undefined,
  runtime: Runtime,
): Promise<Result<Response, string>> {
  return await bounded(runtime, LIMIT_MS, async (late) => {
    try {
      const proxy = proxyOption(proxyUrl);
      const init = { method: "HEAD", redirect: "manual", signal: late, ...proxy } as const;
      return ok(await runtime.fetch(url, init));
    } catch (error) {
      return fail(late.aborted ? "timeout" : codeOf(error));
    }
  });
}

/** From the first answer that had a date. */
export function checkClock(reached: readonly Reached[]): Finding {
  const check = "clock";
  const aheadMs = reached.find((one) => one.aheadMs !== undefined)?.aheadMs;
  const why = "Tokens end by the service's clock: renewals come too late or all the time.";
  if (aheadMs === undefined) {
    const found = "unknown: no host told the time";
    return reached.some(({ finding }) => finding.status === "ok")
      ? fine(check, found)
      : warning(check, found, why, "get the network to work first");
  }
  const seconds = Math.round(Math.abs(aheadMs) / 1_000);
  const found = `${seconds} s ${aheadMs < 0 ? "behind" : "ahead of"} the service's`;
  if (seconds < 60) return fine(check, seconds < 3 ? "right" : found);
  const next = "timedatectl set-ntp true";
  return seconds < 240 ? warning(check, found, why, next) : failure(check, found, why, next);
}

/** Whether any answer comes from the server that knows activation codes; it is told none. */
export async function checkActivation(url: string, runtime: Runtime): Promise<Finding> {
  const check = "activation";
  const why = "New activation codes can't be checked.";
  const next = `start that server, or correct activationServerUrl: curl -i ${url}`;
  const answer = await head(url, undefined, runtime);
  if (!answer.ok) return failure(check, `${url}: ${sentenceFor(answer.failure)}`, why, next);
  const found = `${url} answers (${answer.value.status})`;
  return answer.value.status < 500 ? fine(check, found) : failure(check, found, why, next);
}

function wayOf(
  proxyUrl: Secret | undefined,
  origin: string,
  env: Record<string, string | undefined>,
): string {
  const name = origin.startsWith("https:") ? "HTTPS_PROXY" : "HTTP_PROXY";
  const text = proxyUrl?.reveal() ?? env[name.toLowerCase()] ?? env[name];
  if (!text || text === "direct") return "";
  // Without its user and password.
  return ` through ${URL.parse(text)?.host ?? "a proxy"}`;
}

function sentenceFor(code: string): string {
  if (code === "timeout") return `no answer within ${LIMIT_MS / 1_000} s`;
  return isTls(code) ? `its certificate is not accepted (${code})` : `can't be reached (${code})`;
}

function nextFor(code: string, way: string): string {
  if (isTls(code)) {
    return "is there a proxy that opens TLS? Give its certificate by NODE_EXTRA_CA_CERTS=FILE";
  }
  return way === ""
    ? "check the firewall; behind a proxy set proxyUrl or HTTPS_PROXY"
    : "check that the proxy runs and may go there";
}

function isTls(code: string): boolean {
  return /CERT|SIGNATURE|TLS|SSL|ISSUER/i.test(code);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
