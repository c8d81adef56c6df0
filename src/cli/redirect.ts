/** A listener on this machine for the end of a log-in in the browser. */
export type RedirectListener = {
  /** Its address, without a path. */
  base: string;
  /** Resolves with the first redirect that has this state. */
  redirect(state: string): Promise<URL>;
  /** A redirect that was brought by hand: whether it is one of this state. */
  take(pasted: string): boolean;
  stop(): Promise<void>;
};

const PATHS = ["/oauth/callback", "/signin/callback"];

const PAGE = `<!doctype html><meta charset="utf-8"><title>kiro-proxy</title>
<p style="font: 1.2em sans-serif; margin: 3em">Back to the terminal: you can close this page.</p>`;

/**
 * Listens on the first of the ports that is free; 0 is any. Undefined where none is. Only a redirect with the right state
 * counts, so that no other page can end the log-in.
 */
export function listenForRedirect(ports: readonly number[]): RedirectListener | undefined {
  let wanted: string | undefined;
  const { promise, resolve } = Promise.withResolvers<URL>();
  const offer = (url: URL): boolean => {
    const fits = wanted !== undefined && url.searchParams.get("state") === wanted;
    if (fits && PATHS.includes(url.pathname)) resolve(url);
    return fits && PATHS.includes(url.pathname);
  };
  const serve = (port: number): Bun.Server<undefined> =>
    Bun.serve({
      hostname: "127.0.0.1",
      port,
      reusePort: false,
      development: false,
      fetch(request) {
        const taken = offer(new URL(request.url));
        const headers = { "content-type": "text/html; charset=utf-8", connection: "close" };
        return taken ? new Response(PAGE, { headers }) : new Response(null, { status: 404 });
      },
    });
  for (const port of ports) {
    try {
      const server = serve(port);
      return {
        base: `http://127.0.0.1:${server.port}`,
        async redirect(state) {
          wanted = state;
          return await promise;
        },
        take(pasted) {
          const url = URL.parse(pasted.trim());
          return url !== null && offer(url);
        },
        stop: async () => await server.stop(),
      };
    } catch {
      // Taken by another program.
    }
  }
  return undefined;
}
