import { proxyOption } from "../proxy.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import type { StopSignal } from "../stop-signal.ts";
import { type Access, causeOf } from "./client.ts";
import type { HttpCall } from "./endpoint.ts";
import { type Fields, parseFields } from "./events.ts";
import { type AnswerContext, faultOfNetwork, faultOfResponse, type KiroFault } from "./failure.ts";

export type JsonCall = HttpCall & {
  /** Without one it is a GET. */
  body?: string;
  access: Access;
  /** The whole call may take this long. */
  limitMs: number;
  context: AnswerContext;
  signal?: StopSignal | undefined;
};

/** One call, no retry, whose answer is a JSON object and is read whole. */
export async function callJson(
  runtime: Runtime,
  call: JsonCall,
): Promise<Result<Fields, KiroFault>> {
  const cut = new AbortController();
  let isLate = false;
  const timer = runtime.timer(call.limitMs, () => {
    isLate = true;
    cut.abort();
  });
  const leave = (): void => cut.abort();
  if (call.signal?.aborted === true) leave();
  else call.signal?.addEventListener("abort", leave, { once: true });
  try {
    const response = await runtime.fetch(call.url, {
      ...(call.body === undefined ? {} : { method: "POST", body: call.body }),
      headers: call.headers,
      redirect: "manual",
      signal: cut.signal,
      ...proxyOption(call.access.proxyUrl),
    });
    const { status, headers } = response;
    const body = await response.text();
    if (status !== 200) return fail(faultOfResponse({ status, headers, body }, call.context));
    const fields = parseFields(body);
    return fields === undefined ? fail(UNREADABLE) : ok(fields);
  } catch (error) {
    return fail(faultOfNetwork(isLate ? "headers-timeout" : causeOf(error)));
  } finally {
    timer.cancel();
    call.signal?.removeEventListener("abort", leave);
  }
}

/** An answer that is not what was asked for. */
export const UNREADABLE: KiroFault = {
  kind: "unavailable",
  failure: { kind: "upstream", message: "Kiro's answer could not be read." },
  reason: "unreadable",
};
