import type { Secret } from "../secret.ts";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** What may stand in a line. No objects: what they grow to hold tomorrow would be logged with them. */
export type LogValue = string | number | boolean | null | undefined | Secret;
/** Undefined fields are left out. Prompt text is never a field. */
export type LogFields = { readonly [name: string]: LogValue } & {
  readonly time?: never;
  readonly level?: never;
  readonly event?: never;
};

/** One line a call. `event` is a stable phrase in kebab-case; what varies goes into the fields. */
export type Log = {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A log whose every line has these fields too. */
  child(fields: LogFields): Log;
};

export type LogOptions = {
  level: LogLevel;
  format: "json" | "text";
  /** Receives one line with its line end. */
  write(line: string): void;
  /** Milliseconds since the epoch. */
  now(): number;
};

const RANKS: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
/** A stack trace fits; what a client makes up does not fill the disk. */
const VALUE_MAX = 4096;

// What JSON leaves alone and a terminal or a log viewer obeys: C1 controls, line separators, text direction marks.
const TREACHEROUS = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const PLAIN = /^[\w./:@%+-]+$/;

export function createLog(options: LogOptions): Log {
  return new LineLog(options, {});
}

/** A class, because every request has a child. */
class LineLog implements Log {
  readonly #options: LogOptions;
  readonly #base: LogFields;

  constructor(options: LogOptions, base: LogFields) {
    this.#options = options;
    this.#base = base;
  }

  debug(event: string, fields?: LogFields): void {
    this.#write("debug", event, fields);
  }

  info(event: string, fields?: LogFields): void {
    this.#write("info", event, fields);
  }

  warn(event: string, fields?: LogFields): void {
    this.#write("warn", event, fields);
  }

  error(event: string, fields?: LogFields): void {
    this.#write("error", event, fields);
  }

  child(fields: LogFields): Log {
    return new LineLog(this.#options, { ...this.#base, ...fields });
  }

  #write(level: LogLevel, event: string, fields: LogFields | undefined): void {
    const options = this.#options;
    if (RANKS[level] < RANKS[options.level]) return;
    const render = options.format === "json" ? jsonLine : textLine;
    const time = new Date(options.now()).toISOString();
    options.write(render({ time, level, event, ...this.#base, ...fields }));
  }
}

type Line = { time: string; level: LogLevel; event: string } & Readonly<Record<string, LogValue>>;

function jsonLine(line: Line): string {
  const json = JSON.stringify(line);
  // Where all of it is short, none of it is too long.
  return `${harmless(json.length > VALUE_MAX ? JSON.stringify(shortened(line)) : json)}\n`;
}

function shortened(line: Line): Record<string, LogValue> {
  const all = Object.entries(line).map(([name, value]): [string, LogValue] => [
    name,
    typeof value === "string" ? cut(value) : value,
  ]);
  return Object.fromEntries(all);
}

function textLine({ time, level, event, ...fields }: Line): string {
  const rest = Object.entries(fields).map(([name, value]) =>
    value === undefined ? "" : ` ${bare(name)}=${bare(value)}`,
  );
  return `${time} ${level.toUpperCase().padEnd(5)} ${bare(event)}${rest.join("")}\n`;
}

function bare(value: Exclude<LogValue, undefined>): string {
  return typeof value === "string" && PLAIN.test(value) && value.length <= VALUE_MAX
    ? value
    : rendered(value);
}

function rendered(value: Exclude<LogValue, undefined>): string {
  return harmless(JSON.stringify(typeof value === "string" ? cut(value) : value));
}

function cut(text: string): string {
  return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}…` : text;
}

function harmless(json: string): string {
  if (json.search(TREACHEROUS) === -1) return json;
  return json.replaceAll(
    TREACHEROUS,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
