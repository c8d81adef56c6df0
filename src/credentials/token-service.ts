import { z } from "zod";
import { proxyOption } from "../proxy.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { Secret } from "../secret.ts";
import { ProfileArn, TokenText } from "./record.ts";

/** What is to be known of the services that give tokens. In the templates, values in braces are filled in per call. */
export type ServiceSettings = {
  hosts: { oidc: string; social: string };
  headers: { socialRefresh: Record<string, string>; oidcToken: Record<string, string> };
  versions: { kiro: string; oidcSdk: string; system: string; node: string };
};

export type Call = { url: string; headers: Record<string, string>; body: string };

/** `body` is what its text is as JSON, undefined where it is none. */
export type ServiceAnswer = { status: number; headers: Headers; body: unknown };

/** The whole exchange may take this long. */
const LIMIT_MS = 20_000;
/** One call, with the whole answer. Fails with half a sentence for people, such as "it could not be reached (…)". */
export async function post(
  { url, headers, body }: Call,
  deps: { runtime: Runtime; proxyUrl: Secret | undefined; signal?: AbortSignal | undefined },
): Promise<Result<ServiceAnswer, string>> {
  const { runtime, proxyUrl, signal } = deps;
  const limit = new AbortController();
  const timer = runtime.timer(LIMIT_MS, () => limit.abort());
  try {
    const response = await runtime.fetch(url, {
      method: "POST",
      headers,
      body,
      // A redirect would carry the tokens to a host that nobody has checked.
      redirect: "manual",
      signal: signal === undefined ? limit.signal : AbortSignal.any([limit.signal, signal]),
      ...proxyOption(proxyUrl),
    });
    const text = await response.text();
    return ok({ status: response.status, headers: response.headers, body: jsonOf(text) });
  } catch (error) {
    return fail(
      limit.signal.aborted
        ? `it did not answer within ${LIMIT_MS / 1000} s`
        : `it could not be reached (${errorCode(error)})`,
    );
  } finally {
    timer.cancel();
  }
}

/** Where a reply does not say how long its token lives. */
export const DEFAULT_LIFETIME_S = 3_600;

// What is optional and malformed counts as absent: the access token is what matters. A year is beyond any lifetime.
export const OptionalToken = TokenText.optional().catch(undefined);
export const Lifetime = z
  .union([z.number(), z.string()])
  .transform(Number)
  .pipe(z.number().positive().max(31_536_000))
  .optional()
  .catch(undefined);

/** Both services of Kiro's answer alike. */
export const CamelReply = z
  .object({
    accessToken: TokenText,
    refreshToken: OptionalToken,
    expiresIn: Lifetime,
    profileArn: ProfileArn.optional().catch(undefined),
  })
  .transform(({ expiresIn, ...rest }) => ({ ...rest, lifetimeS: expiresIn }));

/** Templates with their `{names}` filled in. */
export function filled(
  templates: Record<string, string>,
  values: Record<string, string>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(templates).map(([name, template]) => [name, fill(template, values)]),
  );
}

/** A template with its `{names}` filled in and without a slash at its end. */
export function fill(template: string, values: Record<string, string>): string {
  return template
    .replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole)
    .replace(/\/+$/, "");
}

const ErrorBody = z.object({ error: z.string() });

/** The error code of an answer, OAuth's or AWS's; undefined where it names none that could be logged. */
export function codeOf({ body, headers }: ServiceAnswer): string | undefined {
  const written = ErrorBody.safeParse(body).data?.error ?? headers.get("x-amzn-errortype");
  // The header may be `com.amazon#InvalidGrantException:http://…`.
  const code = written?.split("#").at(-1)?.split(":")[0];
  return code !== undefined && /^\w{1,50}$/.test(code) ? code : undefined;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A page of a proxy; the status says enough.
    return undefined;
  }
}

function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    return error.code;
  }
  return error instanceof Error ? error.name : "unknown";
}
