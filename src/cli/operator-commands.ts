import { ok } from "../result.ts";
import {
  type CommandSpec,
  configFlag,
  files,
  filesOf,
  type Flag,
  type Given,
  isOn,
  unexpected,
  unknown,
  usage,
} from "./command-spec.ts";
import { SHELLS } from "./completions.ts";
import { ENV_SHELLS } from "./env.ts";
import { CLIENTS, isClient } from "./setup/clients.ts";

const init: CommandSpec = {
  help: "write a first configuration with keys of its own",
  flags: {
    server: { help: "for other machines as well: any address, an admin key" },
    host: { value: "ADDRESS", help: "address to listen on" },
    port: { value: "NUMBER", help: "port to listen on" },
    config: configFlag,
  },
  examples: [
    "kiro-proxy init                              for this machine alone",
    "kiro-proxy init -server -config /opt/kiro-proxy/config.json",
  ],
  build: (given) =>
    ok({
      type: "init",
      config: given.get("config"),
      server: isOn(given, "server"),
      host: given.get("host"),
      port: given.get("port"),
    }),
};

const gateway: Record<string, Flag> = {
  url: { value: "URL", help: "of the gateway, if it is not on this machine" },
  key: { value: "KEY", help: "to send instead of the configuration's apiKey" },
  config: configFlag,
};

function gatewayOf(given: Given) {
  return {
    flags: { config: given.get("config") },
    url: given.get("url"),
    key: given.get("key"),
  };
}

const setup: CommandSpec = {
  help: "tell a client to use the gateway",
  words: "CLIENT",
  choices: CLIENTS,
  flags: {
    write: { help: "merge into the client's own settings; keeps a copy" },
    model: { value: "NAME", help: "model to use" },
    ...gateway,
  },
  examples: [
    "kiro-proxy setup codex                what it needs, to paste",
    "kiro-proxy setup claude-code -write",
    "kiro-proxy setup opencode -url https://kiro.example.com -key act-…",
    `clients: ${CLIENTS.join(", ")}`,
  ],
  build(given, [client, extra]) {
    if (extra !== undefined) return unexpected(extra);
    if (client === undefined) return usage(`setup needs a client: ${CLIENTS.join(", ")}`);
    if (!isClient(client)) return unknown("client", client, CLIENTS);
    const model = given.get("model");
    return ok({ type: "setup", ...gatewayOf(given), client, write: isOn(given, "write"), model });
  },
};

const env: CommandSpec = {
  help: "print the variables that clients read, for a shell",
  flags: {
    shell: { value: "SHELL", help: ENV_SHELLS.join(", "), choices: ENV_SHELLS },
    ...gateway,
  },
  examples: [
    'eval "$(kiro-proxy env)"',
    "kiro-proxy env -shell fish | source",
    "kiro-proxy env -shell powershell | Invoke-Expression",
  ],
  build(given) {
    const name = given.get("shell") ?? "sh";
    const shell = ENV_SHELLS.find((one) => one === name);
    return shell === undefined
      ? unknown("shell", name, ENV_SHELLS)
      : ok({ type: "env", ...gatewayOf(given), shell });
  },
};

const doctor: CommandSpec = {
  help: "look for what is wrong, and say what to do",
  flags: { json: { help: "as JSON" }, ...files },
  examples: ["kiro-proxy doctor -config /opt/kiro-proxy/config.json"],
  build: (given) => ok({ type: "doctor", flags: filesOf(given), json: isOn(given, "json") }),
};

const completions: CommandSpec = {
  help: "print what makes a shell complete commands",
  words: "SHELL",
  choices: SHELLS,
  flags: {},
  examples: [
    "source <(kiro-proxy completions bash)        likewise zsh, after compinit",
    "kiro-proxy completions fish > ~/.config/fish/completions/kiro-proxy.fish",
  ],
  build(_, [name, extra]) {
    if (extra !== undefined) return unexpected(extra);
    if (name === undefined) return usage(`completions needs a shell: ${SHELLS.join(", ")}`);
    const shell = SHELLS.find((one) => one === name);
    return shell === undefined
      ? unknown("shell", name, SHELLS)
      : ok({ type: "completions", shell });
  },
};

export const operatorCommands: Record<string, CommandSpec> = {
  init,
  setup,
  env,
  doctor,
  completions,
};
