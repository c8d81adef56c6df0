import type { Config } from "../../config/schema.ts";
import type { Runtime } from "../../runtime.ts";
import { bounded } from "../bounded.ts";
import { localUrl } from "../gateway-address.ts";
import { failure, fine, type Finding } from "./finding.ts";

const LIMIT_MS = 3_000;

/** Whether the gateway could listen, or who does. */
export async function checkPort(
  config: Pick<Config, "host" | "port" | "tls">,
  runtime: Pick<Runtime, "fetch" | "timer">,
): Promise<Finding> {
  const check = "port";
  const { host, port } = config;
  if (port === 0) return fine(check, "any free one");
  const code = tryToListen(host, port);
  if (code === undefined) return fine(check, `${host}:${port} is free; no gateway runs there`);
  const why = "The gateway can't listen there.";
  switch (code) {
    case "EADDRINUSE":
      return (await isGateway(localUrl(config), runtime))
        ? fine(check, `a kiro-proxy answers on ${localUrl(config)}`)
        : failure(
            check,
            `another program has ${host}:${port}`,
            why,
            `find it: ss -ltnp 'sport = :${port}'; or choose another port`,
          );
    case "EACCES":
      return failure(
        check,
        `${host}:${port} is not allowed (EACCES)`,
        why,
        "ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or another port",
      );
    default:
      return failure(
        check,
        `${host}:${port}: ${code}`,
        why,
        "is `host` an address of this machine? 127.0.0.1 and 0.0.0.0 always are",
      );
  }
}

/** The code of what went wrong. */
function tryToListen(hostname: string, port: number): string | undefined {
  try {
    Bun.listen({ hostname, port, exclusive: true, socket: { data() {} } }).stop(true);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}

async function isGateway(url: string, runtime: Pick<Runtime, "fetch" | "timer">): Promise<boolean> {
  try {
    return await bounded(runtime, LIMIT_MS, async (late) => {
      const response = await runtime.fetch(`${url}/readyz`, {
        signal: late,
        proxy: false,
        tls: { rejectUnauthorized: false },
      });
      const body: unknown = await response.json();
      return typeof body === "object" && body !== null && "credentials" in body && "ledger" in body;
    });
  } catch {
    // Whatever it is, it does not speak as we do.
    return false;
  }
}
