const VARIABLE = "BUN_CONFIG_MAX_HTTP_REQUESTS";

/**
 * Bun's `fetch` runs 256 requests at a time unless this variable is set when the process starts, so 257 streams would
 * wait for each other. The process replaces itself once with the variable set; it keeps its pid.
 *
 * @returns undefined in the process that may go on, else the exit code of the one that ran in its place
 */
export async function withManyConnections(): Promise<number | undefined> {
  if (process.env[VARIABLE] !== undefined) return undefined;
  const isCompiled = Bun.main.startsWith("/$bunfs/") || Bun.main.includes("~BUN");
  const args = [...(isCompiled ? [] : [Bun.main]), ...process.argv.slice(2)];
  const env = { ...process.env, [VARIABLE]: "65535" };
  if (process.execve !== undefined && process.platform !== "win32") {
    process.execve(process.execPath, [process.execPath, ...args], env);
  }
  const child = Bun.spawn([process.execPath, ...args], {
    env,
    stdio: ["inherit", "inherit", "inherit"],
  });
  return await child.exited;
}
