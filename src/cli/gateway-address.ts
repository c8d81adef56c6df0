import type { ConfigFlags } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { fail, ok, type Result } from "../result.ts";
import { readConfig, type Surroundings } from "./settings.ts";

/** Which gateway a client is to use. */
export type GatewayOptions = {
  flags: ConfigFlags;
  url: string | undefined;
  key: string | undefined;
};

/** The root of the gateway's API, without a slash at its end, and what to send as the key; undefined where none is needed. */
export type GatewayAddress = { url: string; key: string | undefined };

/** What the configuration and the flags say. Fails with lines for people. */
export async function gatewayAddress(
  options: GatewayOptions,
  surroundings: Surroundings,
): Promise<Result<GatewayAddress, string[]>> {
  if (options.url !== undefined && !isRoot(options.url)) {
    return fail([`-url: expected an http or https URL such as https://kiro.example.com`]);
  }
  // A printable token, so that no settings file or shell can read more into it.
  if (options.key !== undefined && !/^[\x21-\x7e]+$/.test(options.key)) {
    return fail(["-key: expected a text of printable ASCII without spaces"]);
  }
  const loaded = await readConfig(options.flags, surroundings);
  if (!loaded.ok) return loaded;
  const { config } = loaded.value;
  const url = options.url?.replace(/\/+(v1\/*)?$/, "") ?? localUrl(config);
  return ok({ url, key: options.key ?? config.apiKey?.reveal() });
}

function isRoot(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && url.search === "" && url.hash === "";
}

/** How programs of this machine reach a server of that configuration. */
export function localUrl({ host, port, tls }: Pick<Config, "host" | "port" | "tls">): string {
  // An address that stands for all of them is one to listen on, not one to call.
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const authority = name.includes(":") ? `[${name}]` : name;
  return `${tls === undefined ? "http" : "https"}://${authority}:${port}`;
}
