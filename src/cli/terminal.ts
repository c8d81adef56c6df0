import { homedir } from "node:os";
import type { Surroundings } from "./settings.ts";

/** Where a command that talks to a person runs: a terminal, or whatever stands in for one. */
export type Terminal = Surroundings & {
  /** One line on standard output. */
  print(line: string): void;
  /** One line on standard error. */
  complain(line: string): void;
  /** What is typed or piped in, line by line, until that ends. */
  lines(): AsyncIterable<string>;
  /** Whether a person sits here, at a machine that can show a web page. */
  hasBrowser: boolean;
  /** Tries to; nothing says whether it worked. */
  openBrowser(url: string): void;
  /** Aborts when the person interrupts the program. */
  interrupted: AbortSignal;
};

/** Says why a command failed. Gives its exit code. */
export function complain(terminal: Terminal, ...lines: string[]): number {
  for (const line of lines) terminal.complain(line);
  return 1;
}

/** The process's own. From now on an interruption only aborts the signal. */
export function processTerminal(): Terminal {
  const interruption = new AbortController();
  process.once("SIGINT", () => interruption.abort());
  process.once("SIGTERM", () => interruption.abort());
  const { env, platform } = process;
  return {
    env,
    platform,
    home: homedir(),
    print: (line) => console.log(line),
    complain: (line) => console.error(line),
    lines: () => console,
    hasBrowser: hasBrowser(env, platform, process.stdin.isTTY && process.stdout.isTTY),
    openBrowser(url) {
      const [command, ...args] = opener(platform);
      try {
        const child = Bun.spawn([command, ...args, url], { stdio: ["ignore", "ignore", "ignore"] });
        child.unref();
      } catch {
        // There is no such program; the address is on the screen.
      }
    },
    interrupted: interruption.signal,
  };
}

/** A desktop, and not a shell on another machine. */
export function hasBrowser(
  env: Record<string, string | undefined>,
  platform: string,
  isTty: boolean,
): boolean {
  if (!isTty || env["SSH_CONNECTION"] || env["SSH_TTY"]) return false;
  if (platform === "darwin" || platform === "win32") return true;
  return Boolean(env["DISPLAY"] || env["WAYLAND_DISPLAY"]);
}

/** What shows a web page; not through a shell, which would read the `&` in an address. */
function opener(platform: string): [string, ...string[]] {
  switch (platform) {
    case "darwin":
      return ["open"];
    case "win32":
      return ["rundll32", "url.dll,FileProtocolHandler"];
    default:
      return ["xdg-open"];
  }
}
