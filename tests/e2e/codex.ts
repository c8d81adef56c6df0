/**
 * C-22: the real Codex CLI, headless, through the compiled gateway to the emulator: it is told to write a file, does that with
 * a tool, and reports. Not part of `bun test`, because it downloads that program (some 400 MB unpacked).
 *
 *     bun tests/e2e/codex.ts [--version 0.169.0] [--codex PATH]
 *
 * `--codex` takes an installed one instead. All traffic of the run itself stays on loopback.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { reasoning, stream, toolCall, trailer } from "../emulator/answers.ts";
import { chatRequestOf } from "../emulator/request.ts";
import { calls, says, type Scenario } from "../emulator/scenarios.ts";
import { onBench } from "./bench.ts";

const REPORT = "The file is written.";
const SIGNATURE = "c2lnbmF0dXJlIGZvciBjb2RleA==";
/** A model that Codex knows: it then offers its freeform tool for patches. */
const KNOWN_MODEL = "gpt-5.5";
const PATCH = "*** Begin Patch\n*** Add File: patched.txt\n+patched\n*** End Patch";

const { values: options } = parseArgs({
  options: { version: { type: "string", default: "0.169.0" }, codex: { type: "string" } },
});

const config = { modelAliases: { [KNOWN_MODEL]: "claude-sonnet-4-5" } };
await onBench(config, async ({ kiro, gateway, home, project, install, run, check }) => {
  const codex = options.codex ?? (await install(`@openai/codex@${options.version}`, ".bin/codex"));
  console.log(`Codex       ${(await run([codex, "--version"])).stdout.trim()}`);
  await Bun.write(
    join(home, ".codex/config.toml"),
    `
      model_provider = "gateway"
      model_reasoning_effort = "medium"
      check_for_update_on_startup = false
      analytics.enabled = false
      [model_providers.gateway]
      name = "gateway"
      base_url = "${gateway.url}/v1"
      env_key = "GATEWAY_KEY"
      wire_api = "responses"
    `,
  );

  /** The results of tools in the order in which they came back, and all that was asked of Kiro. */
  async function exec(model: string, answers: Scenario[]): Promise<[string[], string]> {
    const before = kiro.chats().length;
    kiro.script(...answers);
    const flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"];
    const ended = await run([codex, "exec", ...flags, "-m", model, "Write the file."], {
      GATEWAY_KEY: gateway.apiKey,
    });
    check(`${model}: Codex ends without an error`, ended.code === 0, ended.stderr);
    check(`${model}: its last words are the model's`, ended.stdout.trim() === REPORT, ended);
    const requests = kiro.chats().slice(before);
    check(`${model}: one request for each answer`, requests.length === answers.length);
    const results = requests.flatMap(({ body }) => chatRequestOf(body).toolResults);
    return [results.map(({ text }) => text), JSON.stringify(requests)];
  }

  const [results] = await exec("claude-sonnet-4-5", [
    calls("exec_command", { cmd: "printf written > written.txt" }),
    calls("multi_agent_v1__close_agent", { target: "nobody" }),
    says(REPORT),
  ]);
  const written = Bun.file(join(project, "written.txt"));
  check("a command has run", (await written.exists()) && (await written.text()) === "written");
  check("the tool of a group was found", results[1]?.includes("nobody") === true, results);

  const [, asked] = await exec(KNOWN_MODEL, [
    stream([
      ...reasoning("A patch will do.", SIGNATURE),
      ...toolCall("tooluse_cGF0Y2g", "apply_patch", { input: PATCH }),
      ...trailer(),
    ]),
    says(REPORT),
  ]);
  const patched = Bun.file(join(project, "patched.txt"));
  check("the patch is applied", (await patched.exists()) && (await patched.text()) === "patched\n");
  check("the thinking has come back with its signature", asked.includes(SIGNATURE), asked);
});
