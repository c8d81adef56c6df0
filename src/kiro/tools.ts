import type { JsonObject, Tool } from "../conversation/conversation.ts";
import { schemaText } from "../conversation/schema-text.ts";
import { BoundedMap } from "../bounded-map.ts";
import type { KiroTool } from "./body.ts";
import { isBlank } from "./document.ts";
import { fill, type UpstreamProfile } from "./profile.ts";
import { toKiroSchema } from "./schema.ts";

/** One to one, between the names that a client uses and names that the service takes. Lives for one request. */
export type ToolNames = {
  /** Names that the service would take and that differ in case only are one name. */
  toKiro: (name: string) => string;
  /** The client's own spelling; a name that was never given out is returned as it is. */
  toClient: (kiroName: string) => string;
};

const VALID = /^[a-zA-Z][a-zA-Z0-9_-]*$/;
const HASH_LENGTH = 12;

/**
 * A good name stays. Any other keeps what it can and gets a hash of all of it, so that it is the same name in every
 * request and on every machine. Good names among `declared` are claimed first: no other name can take their place.
 */
export function createToolNames(declared: string[], nameMax: number): ToolNames {
  const kiroNames = new Map<string, string>();
  const clientNames = new Map<string, string>();
  const taken = new Set<string>();

  const isValid = (name: string): boolean => name.length <= nameMax && VALID.test(name);

  const toKiro = (name: string): string => {
    const key = isValid(name) ? name.toLowerCase() : name;
    const known = kiroNames.get(key);
    if (known !== undefined) return known;
    let kiroName = name;
    for (let round = 0; !isValid(kiroName) || taken.has(kiroName.toLowerCase()); round++) {
      kiroName = shorten(name, nameMax, round);
    }
    kiroNames.set(key, kiroName);
    clientNames.set(kiroName, name);
    taken.add(kiroName.toLowerCase());
    return kiroName;
  };

  for (const name of declared) if (isValid(name)) toKiro(name);
  return { toKiro, toClient: (kiroName) => clientNames.get(kiroName) ?? kiroName };
}

function shorten(name: string, nameMax: number, round: number): string {
  const plain = name.slice(0, nameMax).replace(/[^a-zA-Z0-9_-]/g, "_");
  const start = /^[a-zA-Z]/.test(plain) ? plain : `t${plain}`;
  // UTF-16, because UTF-8 has one form for all halves of surrogate pairs.
  const hash = new Bun.CryptoHasher("sha256").update(Buffer.from(name, "utf16le"));
  if (round > 0) hash.update(String(round));
  const digits = hash.digest("hex").slice(0, HASH_LENGTH);
  return `${start.slice(0, nameMax - HASH_LENGTH - 1)}_${digits}`;
}

export type DeclaredTools = {
  tools: KiroTool[];
  /** What did not fit into descriptions, each under its heading, for the system text. */
  sections: string[];
};

/**
 * The tools of the current message: those on offer, then a stand-in for each other one that the history calls, since
 * the service wants every call's tool declared.
 *
 * @param called names in the service's spelling
 * @param reduced leaves only the plainest schemas
 */
export function declareTools(
  offered: Tool[],
  called: Iterable<string>,
  names: ToolNames,
  profile: UpstreamProfile,
  reduced: boolean,
  note: (code: string, detail: string) => void,
): DeclaredTools {
  const tools: KiroTool[] = [];
  const sections: string[] = [];
  const declared = new Set<string>();
  for (const tool of offered) {
    const name = names.toKiro(tool.name);
    if (declared.has(name)) {
      note("duplicate-tool-dropped", name);
      continue;
    }
    declared.add(name);
    if (name !== tool.name) note("tool-renamed", name);
    const { description, section } = describe(name, tool.description, profile);
    if (section !== undefined) {
      sections.push(section);
      note("tool-description-moved", name);
    }
    tools.push(specification(name, description, { json: schemaOf(tool, profile, reduced) }));
  }
  for (const name of called) {
    if (declared.has(name)) continue;
    declared.add(name);
    const json = { type: "object", properties: {} };
    tools.push(specification(name, profile.fillers.toolHistoryDescription, { json }));
  }
  return { tools, sections };
}

const SCHEMAS_MAX = 500;
const SCHEMA_LENGTH_MAX = 16 * 1024;
/** By the rules that they were made by, then by what they were made of. A client sends its tools with every request. */
const schemas = new WeakMap<UpstreamProfile["tools"], BoundedMap<string, JsonObject>>();

/** Nobody changes it: it is other requests' schema as well. */
function schemaOf(tool: Tool, { tools }: UpstreamProfile, reduced: boolean): JsonObject {
  const rules = { dropped: tools.schemaDropped, refDepth: tools.schemaRefDepth, reduced };
  const text = schemaText(tool);
  // What references bring in may be far more than what they take.
  const isKept = !reduced && text.length <= SCHEMA_LENGTH_MAX && !text.includes('"$ref"');
  if (!isKept) return toKiroSchema(tool.schema, rules);
  let known = schemas.get(tools);
  if (known === undefined) schemas.set(tools, (known = new BoundedMap(SCHEMAS_MAX)));
  let schema = known.get(text);
  if (schema === undefined) known.set(text, (schema = toKiroSchema(tool.schema, rules)));
  return schema;
}

function specification(
  name: string,
  description: string,
  inputSchema: KiroTool["toolSpecification"]["inputSchema"],
): KiroTool {
  return { toolSpecification: { name, description, inputSchema } };
}

/** A description within the limit, and the section that holds the rest of it. Together they hold all of it. */
function describe(
  name: string,
  given: string,
  { tools, fillers, prompts }: UpstreamProfile,
): { description: string; section?: string } {
  const text = given.toWellFormed();
  if (isBlank(text)) return { description: fill(fillers.toolDescription, { name }) };
  if (codePointEnd(text, tools.descriptionMax) === text.length) return { description: text };
  const heading = fill(prompts.descriptionHeading, { name });
  const pointer = fill(prompts.descriptionPointer, { heading });
  const end = codePointEnd(text, tools.descriptionMax - pointer.length);
  return {
    description: text.slice(0, end) + pointer,
    section: `# ${heading}\n${text.slice(end)}`,
  };
}

/** Where the first `count` code points of a text end. */
function codePointEnd(text: string, count: number): number {
  if (text.length <= count) return text.length;
  let end = 0;
  for (let left = count; left > 0 && end < text.length; left--) {
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return end;
}
