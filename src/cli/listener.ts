import { readFile } from "node:fs/promises";
import type { Config } from "../config/schema.ts";
import { IDLE_SECONDS } from "../http/completions.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Log } from "../telemetry/log.ts";

/** The port that clients reach, plain or with TLS. */
export type Listener = {
  url: URL;
  /** Requests that are being answered. */
  running(): number;
  /** Listens no more. Resolves when the last answer is out; `cutOff` does not wait for that. */
  stop(cutOff?: boolean): Promise<void>;
  /** Takes over a certificate that has changed. One that can't be used changes nothing. */
  renew(): Promise<void>;
};

type Answer = (request: Request, server: Bun.Server<undefined>) => Response | Promise<Response>;
type Tls = { cert: string; key: string };

/** Fails with a sentence for the operator. */
export async function listen(
  config: Pick<Config, "host" | "port" | "tls" | "reusePort">,
  answer: Answer,
  log: Log,
): Promise<Result<Listener, string>> {
  const { host, port, reusePort, tls: files } = config;
  const first = files === undefined ? ok(undefined) : await readCertificate(files);
  if (!first.ok) return first;
  let server: Bun.Server<undefined>;
  try {
    server = open({ host, port, reusePort, tls: first.value, answer });
  } catch (error) {
    const code = codeOf(error);
    log.error("cannot-listen", { host, port, code });
    if (code === "EADDRINUSE") {
      return fail(`Port ${port} is in use: stop the other program or choose another with -port.`);
    }
    return fail(
      code.startsWith("ERR_OSSL")
        ? `tls.cert and tls.key can't be used together (${code}).`
        : `Can't listen on ${host}:${port} (${code}).`,
    );
  }
  const { url } = server;
  let shown = first.value;
  const stopping = new Set<Promise<void>>();
  return ok({
    url,
    running: () => server.pendingRequests,
    async stop(cutOff) {
      await Promise.all([server.stop(cutOff), ...(cutOff === true ? [] : stopping)]);
    },
    async renew() {
      if (files === undefined) return;
      const read = await readCertificate(files);
      if (!read.ok) {
        log.error("certificate-refused", { detail: read.failure });
        return;
      }
      if (read.value.cert === shown?.cert && read.value.key === shown.key) return;
      try {
        // Bun can't change the certificate of a server that listens; this tries the new one where nobody is.
        await open({ host, port: 0, reusePort, tls: read.value, answer }).stop();
      } catch (error) {
        log.error("certificate-refused", { detail: codeOf(error) });
        return;
      }
      shown = read.value;
      const running = server.stop().finally(() => stopping.delete(running));
      stopping.add(running);
      server = open({ host, port: Number(url.port), reusePort, tls: read.value, answer });
      log.info("certificate-renewed");
    },
  });
}

function open(deps: {
  host: string;
  port: number;
  reusePort: boolean;
  tls: Tls | undefined;
  answer: Answer;
}): Bun.Server<undefined> {
  const { tls } = deps;
  return Bun.serve({
    hostname: deps.host,
    port: deps.port,
    ...(tls && { tls }),
    fetch: (request, server) => deps.answer(request, server),
    // Between requests; the routes that stream switch it off for themselves.
    idleTimeout: IDLE_SECONDS,
    // The limit is ours, with an answer that clients can read: Bun's own is empty, and cuts some clients off.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    // Else Bun prints the source around every error and answers with a page.
    development: false,
    // Bun's own default with `development: false` would let a second gateway on the port unasked.
    reusePort: deps.reusePort,
  });
}

async function readCertificate(files: { cert: string; key: string }): Promise<Result<Tls, string>> {
  try {
    const [cert, key] = await Promise.all([
      readFile(files.cert, "utf8"),
      readFile(files.key, "utf8"),
    ]);
    return ok({ cert, key });
  } catch (error) {
    const path = error instanceof Error && "path" in error ? String(error.path) : "tls";
    return fail(`${path} can't be read (${codeOf(error)}).`);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown";
}
