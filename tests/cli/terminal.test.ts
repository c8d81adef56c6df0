import { expect, test } from "bun:test";
import { hasBrowser } from "../../src/cli/terminal.ts";

test.each([
  { platform: "darwin", env: {}, tty: true, has: true },
  { platform: "win32", env: {}, tty: true, has: true },
  { platform: "linux", env: { DISPLAY: ":0" }, tty: true, has: true },
  { platform: "linux", env: { WAYLAND_DISPLAY: "wayland-0" }, tty: true, has: true },
  { platform: "linux", env: {}, tty: true, has: false },
  { platform: "linux", env: { DISPLAY: ":0" }, tty: false, has: false },
  { platform: "darwin", env: { SSH_CONNECTION: "10.0.0.1 1 10.0.0.2 22" }, tty: true, has: false },
  {
    platform: "linux",
    env: { DISPLAY: "localhost:10.0", SSH_TTY: "/dev/pts/0" },
    tty: true,
    has: false,
  },
])("a browser on $platform with $env and terminal $tty: $has", ({ platform, env, tty, has }) => {
  expect(hasBrowser(env, platform, tty)).toBe(has);
});
