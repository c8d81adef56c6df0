import type { ConfigFlags } from "../config/load.ts";
import { ok, type Result } from "../result.ts";
import { USAGE_GROUPS, type UsageFilter } from "../usage/queries.ts";
import {
  type Command,
  type CommandSpec,
  files,
  filesOf,
  type Flag,
  type Given,
  isOn,
  unexpected,
  unknown,
  usage,
  type UsageFault,
} from "./command-spec.ts";
import { operatorCommands } from "./operator-commands.ts";
import { PROTOCOLS } from "./replay.ts";
import { instantOf, USAGE_FORMATS } from "./usage.ts";

const LEVELS = ["debug", "info", "warn", "error"];

const server: Record<string, Flag> = {
  ...files,
  host: { value: "ADDRESS", help: "address to listen on" },
  port: { value: "NUMBER", help: "port to listen on" },
  "log-level": { value: "LEVEL", help: "debug, info, warn or error", choices: LEVELS },
};

function serverOf(given: Given): ConfigFlags {
  return {
    ...filesOf(given),
    host: given.get("host"),
    port: given.get("port"),
    logLevel: given.get("log-level"),
  };
}

const serve: CommandSpec = {
  help: "answer clients (what happens without a command)",
  flags: { ...server, demo: { help: "answer from a built-in demo instead of Kiro" } },
  build: (given) => ok({ type: "serve", flags: serverOf(given), demo: isOn(given, "demo") }),
};

const health: CommandSpec = {
  help: "ask a running gateway whether it lives",
  words: "[URL]",
  flags: { ...server, ready: { help: "ask whether it can serve as well" } },
  examples: ["kiro-proxy health -config /opt/kiro-proxy/config.json   exit code 0 if so"],
  build: (given, [url, extra]) =>
    extra === undefined
      ? ok({ type: "health", flags: serverOf(given), url, ready: isOn(given, "ready") })
      : unexpected(extra),
};

const login: CommandSpec = {
  help: "log in to Kiro and save the credential",
  flags: {
    social: {
      value: "NAME",
      help: "with google or github instead of a Builder ID",
      choices: ["google", "github"],
    },
    idc: { help: "with a company's account (IAM Identity Center)" },
    "start-url": { value: "URL", help: "where that company signs in" },
    region: { value: "REGION", help: "where its directory is" },
    profile: { value: "ARN", help: "Kiro profile to use" },
    id: { value: "ID", help: "credential whose log-in is replaced" },
    browser: { help: "a browser on this machine; =false for a code instead" },
    ...files,
  },
  examples: [
    "kiro-proxy login",
    "kiro-proxy login -social github",
    "kiro-proxy login -idc -start-url https://my-company.awsapps.com/start \\",
    "                 -region eu-central-1",
  ],
  build(given) {
    return ok({
      type: "login",
      flags: filesOf(given),
      social: given.get("social"),
      idc: isOn(given, "idc"),
      startUrl: given.get("start-url"),
      region: given.get("region"),
      profileArn: given.get("profile"),
      id: given.get("id"),
      browser: given.has("browser") ? isOn(given, "browser") : undefined,
    });
  },
};

const importCommand: CommandSpec = {
  help: "take over log-ins of other programs",
  words: "[FILE]",
  choices: ["FILE"],
  flags: {
    "kiro-ide": { help: "from the Kiro IDE" },
    "kiro-cli": { help: "from kiro-cli or the Amazon Q CLI" },
    link: { help: "use the log-in where it is, do not copy it" },
    "dry-run": { help: "only say what would happen" },
    ...files,
  },
  examples: [
    "kiro-proxy import                  whatever is on this machine",
    "kiro-proxy import -kiro-ide -link  share the log-in of the IDE",
    "kiro-proxy import accounts.json    of Kiro Account Manager, kiro2api, the IDE,",
    "                                   kiro-cli, or another credentials.json",
  ],
  build(given, [file, extra]) {
    if (extra !== undefined) return unexpected(extra);
    return ok({
      type: "import",
      flags: filesOf(given),
      file,
      kiroIde: isOn(given, "kiro-ide"),
      kiroCli: isOn(given, "kiro-cli"),
      link: isOn(given, "link"),
      dryRun: isOn(given, "dry-run"),
    });
  },
};

const ACTIONS = ["list", "show", "test", "quota", "enable", "disable", "remove"] as const;

const credentials: CommandSpec = {
  help: "list, show, test, enable, disable, remove; quota",
  words: "[ACTION] [ID]",
  choices: ACTIONS,
  flags: { json: { help: "as JSON" }, ...files },
  examples: [
    "kiro-proxy credentials list           which there are; also without an action",
    "kiro-proxy credentials show ID        all about one but its secrets",
    "kiro-proxy credentials test [ID]      whether it works, and what to do if not",
    "kiro-proxy credentials quota [ID]     what is left of its plan",
    "kiro-proxy credentials disable ID     keep it, but do not use it; enable ID",
    "kiro-proxy credentials remove ID",
  ],
  build(given, [action = "list", id, extra]) {
    if (extra !== undefined) return unexpected(extra);
    const options = { flags: filesOf(given), json: isOn(given, "json") };
    const type = ACTIONS.find((one) => one === action);
    switch (type) {
      case undefined:
        return unknown("action", action, [...ACTIONS]);
      case "list":
        return id === undefined
          ? ok({ type: "credentials", ...options, action: { type } })
          : unexpected(id);
      case "test":
      case "quota":
        return ok({ type: "credentials", ...options, action: { type, id } });
      case "show":
      case "enable":
      case "disable":
      case "remove":
        return id === undefined
          ? usage(`credentials ${type} needs an id: kiro-proxy credentials list shows them`)
          : ok({ type: "credentials", ...options, action: { type, id } });
      default:
        return type satisfies never;
    }
  },
};

const GROUPS = [...USAGE_GROUPS, "request"] as const;

const usageCommand: CommandSpec = {
  help: "show or export what was spent",
  flags: {
    by: { value: "WHAT", help: `${GROUPS.join(", ")}; day is the default`, choices: GROUPS },
    since: { value: "TIME", help: "from a day (UTC) or a time on" },
    until: { value: "TIME", help: "up to a day, that day included, or a time" },
    user: { value: "ID", help: "of one user" },
    format: { value: "FORMAT", help: "table, csv or json", choices: USAGE_FORMATS },
    ...files,
  },
  examples: [
    "kiro-proxy usage                              sums by day",
    "kiro-proxy usage -by user -since 2026-01-01",
    "kiro-proxy usage -by request -format csv > requests.csv",
  ],
  build(given) {
    const by = GROUPS.find((one) => one === (given.get("by") ?? "day"));
    if (by === undefined) return unknown("value of -by", given.get("by") ?? "", [...GROUPS]);
    const format = USAGE_FORMATS.find((one) => one === (given.get("format") ?? "table"));
    if (format === undefined) {
      return unknown("format", given.get("format") ?? "", [...USAGE_FORMATS]);
    }
    const filter: UsageFilter = {};
    for (const name of ["since", "until"] as const) {
      const text = given.get(name);
      if (text === undefined) continue;
      const instant = instantOf(text, name === "until");
      if (!instant.ok) return usage(`-${name}: ${instant.failure}`);
      filter[name] = instant.value;
    }
    const user = given.get("user");
    if (user !== undefined) filter.user = user;
    return ok({ type: "usage", flags: filesOf(given), by, format, filter });
  },
};

const replay: CommandSpec = {
  help: "show what a client saw of a captured failure",
  words: "FILE",
  choices: ["FILE"],
  flags: {
    protocol: { value: "NAME", help: "messages, chat or responses", choices: PROTOCOLS },
    json: { help: "the answer as it is without streaming" },
  },
  examples: [
    "kiro-proxy replay captures/2026-01-31T12-00-00.000Z-1f0c2d3e.capture.json",
    "kiro-proxy replay FILE -protocol chat -json",
  ],
  build(given, [file, extra]) {
    if (file === undefined) return usage("replay needs a file: kiro-proxy replay FILE");
    if (extra !== undefined) return unexpected(extra);
    const name = given.get("protocol") ?? "messages";
    const protocol = PROTOCOLS.find((one) => one === name);
    if (protocol === undefined) return unknown("protocol", name, [...PROTOCOLS]);
    return ok({ type: "replay", file, protocol, json: isOn(given, "json") });
  },
};

const explain: CommandSpec = {
  help: "show what a client's request becomes at Kiro",
  words: "FILE",
  choices: ["FILE"],
  flags: {
    protocol: { value: "NAME", help: "messages, chat or responses", choices: PROTOCOLS },
    json: { help: "as JSON" },
    ...files,
  },
  examples: [
    "kiro-proxy explain request.json        - reads standard input",
    "kiro-proxy explain request.json -protocol chat -json",
  ],
  build(given, [file, extra]) {
    if (extra !== undefined) return unexpected(extra);
    if (file === undefined) return usage("explain needs a file: kiro-proxy explain request.json");
    const name = given.get("protocol");
    const protocol = PROTOCOLS.find((one) => one === name);
    if (name !== undefined && protocol === undefined) return unknown("protocol", name, PROTOCOLS);
    const json = isOn(given, "json");
    return ok({ type: "explain", flags: filesOf(given), file, protocol, json });
  },
};

export const commands: Record<string, CommandSpec> = {
  serve,
  login,
  import: importCommand,
  credentials,
  usage: usageCommand,
  health,
  explain,
  replay,
  ...operatorCommands,
  version: { help: "print the version", flags: {}, build: () => ok({ type: "version" }) },
  help: {
    help: "print this; help COMMAND tells more about one",
    words: "[COMMAND]",
    flags: {},
    build: (_, [command, extra]) => (extra === undefined ? helpOn(command) : unexpected(extra)),
  },
};

/** Help on one command, or on all. */
export function helpOn(command: string | undefined): Result<Command, UsageFault> {
  if (command === undefined) return ok({ type: "help" });
  return Object.hasOwn(commands, command)
    ? ok({ type: "help", command })
    : unknown("command", command, Object.keys(commands));
}
