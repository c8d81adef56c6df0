/**
 * The vendors' Python SDKs through the compiled gateway to the emulator: what their stream helpers add up to has to be
 * the JSON body. Not part of `bun test`, because it needs Python with its venv module, and PyPI.
 *
 *     bun tests/e2e/python-sdks.ts [--anthropic 2.12.0] [--openai 3.54.0]
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type ScenarioName, scenarios } from "../emulator/scenarios.ts";
import { onBench } from "./bench.ts";

const { values: versions } = parseArgs({
  options: {
    anthropic: { type: "string", default: "2.12.0" },
    openai: { type: "string", default: "3.54.0" },
  },
});

await onBench({}, async ({ kiro, gateway, home, run, check }) => {
  const python = join(home, "venv/bin/python");
  const specs = Object.entries(versions).map(([name, version]) => `${name}==${version}`);
  console.log(`Installing ${specs.join(" and ")} …`);
  const online = { HTTP_PROXY: "", HTTPS_PROXY: "" };
  const made = await run(["python3", "-m", "venv", join(home, "venv")], online);
  const installed = await run([python, "-m", "pip", "install", "-q", ...specs], online);
  check("the SDKs are installed", made.code + installed.code === 0, installed.stderr);

  kiro.otherwise((request) => {
    const scenario = scenarios[request.prompt as ScenarioName];
    return typeof scenario === "function" ? scenario(request) : scenario;
  });
  const ended = await run([python, join(import.meta.dir, "python_sdks.py")], {
    GATEWAY_URL: gateway.url,
    GATEWAY_KEY: gateway.apiKey,
  });
  console.log(ended.stdout.trim());
  check("all of them agree", ended.code === 0, ended.stderr);
});
