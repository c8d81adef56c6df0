import { proxyOption } from "../proxy.ts";
import type { Runtime } from "../runtime.ts";
import type { BodyEnd, Call, Exchange, Head, TakeBytes, Transport } from "./transport.ts";

/** By `fetch`, which knows proxies. */
export function createFetchTransport(runtime: Pick<Runtime, "fetch">): Transport {
  return (call) => new FetchExchange(runtime, call);
}

class FetchExchange implements Exchange {
  readonly head: Promise<Head>;
  readonly #abort = new AbortController();
  #reader: { read(): Promise<{ value?: Uint8Array | undefined }> } | undefined;

  constructor(runtime: Pick<Runtime, "fetch">, call: Call) {
    this.head = this.#open(runtime, call);
  }

  async forEach(take: TakeBytes): Promise<BodyEnd> {
    for (;;) {
      let bytes: Uint8Array | undefined;
      try {
        bytes = (await this.#reader?.read())?.value;
      } catch {
        return "broken";
      }
      if (bytes === undefined) return "end";
      const goesOn = take(bytes);
      if (!(goesOn instanceof Promise ? await goesOn : goesOn)) return "stopped";
    }
  }

  /** `return()` on a body does not close its socket; only the abort does. */
  close(): void {
    this.#abort.abort();
  }

  async #open(
    runtime: Pick<Runtime, "fetch">,
    { url, headers, own, body, proxyUrl }: Call,
  ): Promise<Head> {
    const response = await runtime.fetch(url, {
      method: "POST",
      headers: { ...headers, ...own },
      body,
      signal: this.#abort.signal,
      redirect: "manual",
      // The limits are the caller's; Bun's own idle limit would cut a long silence first.
      timeout: false,
      ...proxyOption(proxyUrl),
    });
    this.#reader = response.body?.getReader();
    return response;
  }
}
