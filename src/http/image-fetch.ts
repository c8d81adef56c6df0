import { isIP, isIPv6 } from "../address.ts";
import type { Image } from "../conversation/conversation.ts";
import { imageFromBase64 } from "../conversation/image.ts";
import { startDeadline } from "../gateway/deadline.ts";
import { fail, ok, type Result } from "../result.ts";
import type { Runtime } from "../runtime.ts";
import { isPublicAddress } from "./public-address.ts";

export type ImageFetchDeps = {
  runtime: Pick<Runtime, "fetch" | "timer" | "monotonic">;
  /** All addresses of a host name or an address itself. Rejects where there are none. */
  lookup: (host: string) => Promise<string[]>;
};

const TIME_MAX_MS = 10_000;
const BYTES_MAX = 10 * 1024 ** 2;
const REDIRECTS_MAX = 3;

/**
 * Fetches the image at an http(s) URL for a client who must not reach the operator's own network through it. A failure
 * says what is wrong in words that follow on "Could not process image: ". They do not tell a host with a private
 * address from one that does not exist, for the names inside a network are not the client's business either.
 */
export async function fetchImage(
  url: string,
  client: AbortSignal,
  deps: ImageFetchDeps,
): Promise<Result<Image, string>> {
  const deadline = startDeadline(deps.runtime, TIME_MAX_MS, client);
  try {
    const bytes = await Promise.race([
      download(url, deadline.signal, deps),
      timeUp(deadline.signal),
    ]);
    if (!bytes.ok) return bytes;
    const image = imageFromBase64(bytes.value.toString("base64"));
    return image === undefined ? fail("it is no PNG, JPEG, GIF or WebP") : ok(image);
  } finally {
    deadline.close();
  }
}

/** A name can't be looked up any faster, so the one who waits has to leave. */
async function timeUp(signal: AbortSignal): Promise<Result<never, string>> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (!signal.aborted) await promise;
  return fail(`it took longer than ${TIME_MAX_MS / 1000} seconds`);
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

async function download(
  url: string,
  signal: AbortSignal,
  deps: ImageFetchDeps,
): Promise<Result<Buffer, string>> {
  let target = URL.parse(url);
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    if (target === null || !isAllowed(target)) {
      return fail("its URL must be http or https on port 80 or 443, without a user name");
    }
    const response = await request(target, signal, deps);
    if (!response.ok) return response;
    const { status, headers, body } = response.value;
    const location = REDIRECTS.has(status) ? headers.get("location") : null;
    if (location === null && response.value.ok) return await read(body);
    void body?.cancel().catch(() => undefined);
    if (location === null) return fail(`its host answered with status ${status}`);
    target = URL.parse(location, target.href);
  }
  return fail(`it was redirected more than ${REDIRECTS_MAX} times`);
}

function isAllowed({ protocol, port, username, password }: URL): boolean {
  const isWeb = protocol === "https:" || protocol === "http:";
  return isWeb && ["", "80", "443"].includes(port) && username === "" && password === "";
}

/** Asks the very addresses that were checked: a name could lead somewhere else when it is looked up again. */
async function request(
  url: URL,
  signal: AbortSignal,
  { runtime, lookup }: ImageFetchDeps,
): Promise<Result<Response, string>> {
  const host = url.hostname.replaceAll(/[[\]]/g, "");
  const addresses = await lookup(host).catch((): string[] => []);
  if (addresses.length === 0 || !addresses.every(isPublicAddress)) {
    return fail("its host has no public address");
  }
  for (const address of addresses) {
    const target = new URL(url);
    target.hostname = isIPv6(address) ? `[${address}]` : address;
    try {
      const response = await runtime.fetch(target.href, {
        headers: {
          host: url.host,
          accept: "image/png, image/jpeg, image/gif, image/webp",
          "accept-encoding": "identity",
          "user-agent": "kiro-proxy",
        },
        redirect: "manual",
        decompress: false,
        // A kept connection would be found by its address and serve another name.
        keepalive: false,
        proxy: false,
        tls: { rejectUnauthorized: true, ...(isIP(host) === 0 && { serverName: host }) },
        signal,
      });
      return ok(response);
    } catch {
      if (signal.aborted) break;
    }
  }
  return fail("no connection to its host");
}

async function read(body: ReadableStream<Uint8Array> | null): Promise<Result<Buffer, string>> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.length;
      // Leaving the loop cancels the stream, which closes the connection.
      if (bytes > BYTES_MAX) return fail(`it is larger than ${BYTES_MAX / 1024 ** 2} MB`);
      chunks.push(chunk);
    }
  } catch {
    return fail("its host broke off");
  }
  return ok(Buffer.concat(chunks));
}
