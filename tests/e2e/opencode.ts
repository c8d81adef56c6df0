/**
 * The real opencode, headless, through the compiled gateway to the emulator, once for each protocol that it speaks: it is
 * told to write a file, calls its tool for that, and reports. Not part of `bun test`, because it downloads that program
 * (some 350 MB unpacked).
 *
 *     bun tests/e2e/opencode.ts [--version 1.18.33] [--opencode PATH]
 *
 * `--opencode` takes an installed one instead. All traffic of the run itself stays on loopback.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { calls, says } from "../emulator/scenarios.ts";
import { onBench } from "./bench.ts";

const REPORT = "The file is written.";
const PROTOCOLS = {
  chat: "@ai-sdk/openai-compatible",
  responses: "@ai-sdk/openai",
  messages: "@ai-sdk/anthropic",
};

const { values: options } = parseArgs({
  options: { version: { type: "string", default: "1.18.33" }, opencode: { type: "string" } },
});

await onBench({}, async ({ kiro, gateway, project, install, run, check }) => {
  const opencode =
    options.opencode ?? (await install(`opencode-ai@${options.version}`, ".bin/opencode"));
  console.log(`opencode    ${(await run([opencode, "--version"])).stdout.trim()}`);

  for (const [protocol, npm] of Object.entries(PROTOCOLS)) {
    const file = join(project, `${protocol}.txt`);
    kiro.otherwise(({ toolResults, tools }) => {
      // It asks for a title as well, without tools.
      if (tools.length === 0) return says("A file");
      return toolResults.length > 0
        ? says(REPORT)
        : calls("write", { filePath: file, content: protocol });
    });
    const before = gateway.logs.length;
    const config = {
      autoupdate: false,
      share: "disabled",
      permission: "allow",
      provider: {
        gateway: {
          npm,
          options: { baseURL: `${gateway.url}/v1`, apiKey: gateway.apiKey },
          models: { "claude-sonnet-4-5": {} },
        },
      },
    };
    const command = [opencode, "run", "-m", "gateway/claude-sonnet-4-5", `Write ${file}`];
    const ended = await run(command, {
      OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
      OPENCODE_DISABLE_AUTOUPDATE: "1",
      OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
      OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
      OPENCODE_DISABLE_MODELS_FETCH: "1",
    });
    check(`${protocol}: opencode ends without an error`, ended.code === 0, ended);
    check(`${protocol}: its last words are the model's`, ended.stdout.includes(REPORT), ended);
    const written = Bun.file(file);
    check(
      `${protocol}: the file is there`,
      (await written.exists()) && (await written.text()) === protocol,
    );
    const lines = gateway.logs.slice(before).filter(({ event }) => event === "request");
    check(
      `${protocol}: every request was of this protocol and went well`,
      lines.length > 1 && lines.every(({ wire, status }) => wire === protocol && status === 200),
      lines,
    );
  }
});
