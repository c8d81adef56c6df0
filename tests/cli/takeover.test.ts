import { expect, test } from "bun:test";
import { takeOver } from "../../src/cli/takeover.ts";
import { createLog } from "../../src/telemetry/log.ts";

function listen(name: string, port = 0): Bun.Server<undefined> {
  const fetch = (): Response => new Response(name, { headers: { connection: "close" } });
  return Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, development: false, fetch });
}

test.skipIf(process.platform !== "linux")(
  "new connections come to the listener that came second, and stay when the first is gone",
  async () => {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push(line);
    const log = createLog({ level: "info", format: "json", write, now: () => 0 });
    const first = listen("first");
    const port = Number(first.port);
    const second = listen("second", port);
    const answers = async (): Promise<Set<string>> => {
      const requests = Array.from({ length: 40 }, async () => await fetch(second.url));
      return new Set(await Promise.all(requests.map(async (one) => await (await one).text())));
    };
    try {
      expect(await answers()).toEqual(new Set(["first", "second"]));
      await takeOver(port, log);
      expect(await answers()).toEqual(new Set(["second"]));
      await first.stop();
      expect(await answers()).toEqual(new Set(["second"]));
      expect(lines).toEqual([]);
    } finally {
      await Promise.all([first.stop(true), second.stop(true)]);
    }
  },
);
