import type { Runtime } from "../runtime.ts";
import { createFetchTransport } from "./by-fetch.ts";
import { createSocketTransport } from "./by-sockets.ts";
import type { Call, Transport } from "./transport.ts";

/** With one of these in the environment, `fetch` knows which calls go through a proxy. */
const PROXY_VARIABLES = ["http_proxy", "https_proxy", "all_proxy"].flatMap((name) => [
  name,
  name.toUpperCase(),
]);

/** Headers by which the connection or the form of the body is agreed on: a wire profile that has one gets a client that keeps to it. */
const NEGOTIATED = [
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "host",
  "te",
  "transfer-encoding",
  "upgrade",
];

/** Sockets for all that they can do, which is nearly everything; else `fetch`. */
export function chooseTransport(
  runtime: Pick<Runtime, "fetch" | "monotonic">,
  environment: Readonly<Record<string, string | undefined>>,
): Transport {
  const byFetch = createFetchTransport(runtime);
  const bySockets = createSocketTransport(runtime, byFetch);
  const isProxied = PROXY_VARIABLES.some((name) => Boolean(environment[name]));
  const isPlain = ({ proxyUrl, headers, own }: Call): boolean => {
    const goesDirect = proxyUrl === undefined ? !isProxied : proxyUrl.reveal() === "direct";
    return goesDirect && !NEGOTIATED.some((name) => (headers[name] ?? own?.[name]) !== undefined);
  };
  return (call) => (isPlain(call) ? bySockets(call) : byFetch(call));
}
