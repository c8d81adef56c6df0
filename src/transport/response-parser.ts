import type { Head } from "./transport.ts";

const HEAD_BYTES_MAX = 64 * 1024;
/** Of the line with a chunk's size, and of all trailers together. */
const LINES_CHARS_MAX = 16 * 1024;
const CR = 13;
const LF = 10;
const SIZE_DIGITS_MAX = 12;
/** Strict, because a line that two readers take for different things could hide where an answer ends. */
const HEAD =
  /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?\r\n(?:[!#$%&'*+.^_`|~\w-]+:[^\r\n]*\r\n)*$/;
const NOTHING: Buffer = Buffer.alloc(0);

/** How the end of a body is known (RFC 9112, section 6.3). */
type Framing = "length" | "chunked" | "close";

/**
 * Reads one answer of HTTP/1.1 to a POST, cut anywhere. A class with little state and no callbacks: `push` gives what there is
 * of the body, the rest is in the fields.
 */
export class ResponseParser {
  /** Undefined until it is whole. Interim answers (1xx) are skipped. */
  head: Head | undefined;
  state: "head" | "body" | "ended" | "broken" = "head";
  /** Whether the connection may serve another call, once the state is `ended`. */
  reusable = false;
  #gathered = NOTHING;
  #framing: Framing = "close";
  /** Bytes that are still to come: of the body, or of the chunk. */
  #missing = 0;
  /** Where in a chunked body the next byte belongs. */
  #within: "size" | "data" | "data-end" | "trailers" = "size";
  #line = "";
  #trailersLength = 0;

  /** Writes into `bytes`: the pieces of the body in it are moved together, so that they are handed on in one step. */
  push(bytes: Buffer): Buffer | undefined {
    const rest = this.state === "head" ? this.#pushHead(bytes) : bytes;
    if (rest === undefined || rest.length === 0) return undefined;
    if (this.state !== "body") {
      // Something that nobody asked for: who knows what the next answer would be.
      this.reusable = false;
      return undefined;
    }
    return this.#framing === "chunked" ? this.#pushChunks(rest) : this.#pushPlain(rest);
  }

  /** To be called when the connection has ended, properly or not. */
  close(isProper: boolean): void {
    this.reusable = false;
    if (this.state === "body" && this.#framing === "close" && isProper) this.state = "ended";
    else if (this.state !== "ended") this.state = "broken";
  }

  /** What comes after the head, if that is whole now. */
  #pushHead(bytes: Buffer): Buffer | undefined {
    let rest = this.#gathered.length === 0 ? bytes : Buffer.concat([this.#gathered, bytes]);
    for (;;) {
      const end = rest.indexOf("\r\n\r\n");
      if (end < 0 ? rest.length > HEAD_BYTES_MAX : end > HEAD_BYTES_MAX) return this.#break();
      if (end < 0) {
        this.#gathered = rest;
        return undefined;
      }
      const text = rest.toString("latin1", 0, end + 2);
      const [, minor, status] = HEAD.exec(text) ?? [];
      if (status === undefined) return this.#break();
      rest = rest.subarray(end + 4);
      // Nothing was asked for that "switching protocols" could answer.
      if (status === "101") return this.#break();
      if (status.startsWith("1")) continue;
      this.#gathered = NOTHING;
      this.#frame(new HeadText(Number(status), text), minor === "1");
      return rest;
    }
  }

  #frame(head: HeadText, isPersistent: boolean): void {
    const { status, headers } = head;
    const coding = headers.get("transfer-encoding");
    const length = headers.get("content-length");
    const connection = headers.get("connection");
    // Nobody asked for a compressed body.
    if (!isPlain(headers.get("content-encoding"))) return this.#break();
    if (coding !== null && coding.toLowerCase() !== "chunked") return this.#break();
    if (length !== null && !/^(\d{1,15})(?:, \1)*$/.test(length)) return this.#break();
    this.head = head;
    this.state = "body";
    // Who says both may mean something else by it than the next one in the chain.
    const isClear = (coding === null) !== (length === null);
    this.reusable = isPersistent && isClear && !/\bclose\b/i.test(connection ?? "");
    const isBare = status === 204 || status === 304;
    if (coding !== null && !isBare) this.#framing = "chunked";
    else if (length !== null || isBare) {
      this.#framing = "length";
      this.#missing = isBare ? 0 : Number.parseInt(length ?? "", 10);
      if (this.#missing === 0) this.state = "ended";
    }
  }

  #pushPlain(bytes: Buffer): Buffer | undefined {
    if (this.#framing === "close") return bytes;
    const body = bytes.length > this.#missing ? bytes.subarray(0, this.#missing) : bytes;
    this.#missing -= body.length;
    if (this.#missing === 0) this.#end(bytes.length > body.length);
    return body;
  }

  #pushChunks(bytes: Buffer): Buffer | undefined {
    let from = 0;
    let to = 0;
    let at = 0;
    while (at < bytes.length && this.state === "body") {
      if (this.#within !== "data") {
        at = this.#takePlainLine(bytes, at) ?? this.#takeLine(bytes, at);
        continue;
      }
      const stop = Math.min(at + this.#missing, bytes.length);
      if (to === 0) from = at;
      else bytes.copyWithin(to, at, stop);
      to = (to === 0 ? at : to) + stop - at;
      this.#missing -= stop - at;
      at = stop;
      if (this.#missing === 0) this.#within = "data-end";
    }
    if (at < bytes.length) this.reusable = false;
    return to === 0 ? undefined : bytes.subarray(from, to);
  }

  /**
   * A line as nearly all are, whole and with a size alone or nothing in it: without a text of it, which is 3 % of a paced
   * stream. Undefined where it is not.
   */
  #takePlainLine(bytes: Buffer, from: number): number | undefined {
    if (this.#line !== "" || this.#within === "trailers") return undefined;
    let at = from;
    let size = 0;
    if (this.#within === "size") {
      for (let digit = hexDigit(bytes[at]); digit >= 0; digit = hexDigit(bytes[at])) {
        size = size * 16 + digit;
        at += 1;
      }
      if (at === from || at - from > SIZE_DIGITS_MAX) return undefined;
    }
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return undefined;
    if (this.#within === "size") this.#begin(size);
    else this.#within = "size";
    return at + 2;
  }

  /** Where the bytes after the line begin, or, where it is not whole yet, the end. */
  #takeLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LF, at);
    this.#line += bytes.toString("latin1", at, end < 0 ? bytes.length : end);
    if (this.#line.length > LINES_CHARS_MAX) this.#break();
    if (end < 0) return bytes.length;
    const line = this.#line;
    this.#line = "";
    if (!line.endsWith("\r")) this.#break();
    else if (this.#within === "size") this.#takeSize(line);
    else if (this.#within === "trailers") this.#takeTrailer(line);
    else if (line === "\r") this.#within = "size";
    else this.#break();
    return end + 1;
  }

  #takeSize(line: string): void {
    const size = /^([0-9a-f]{1,12})[ \t]*(?:;.*)?\r$/i.exec(line)?.[1];
    if (size === undefined) {
      this.#break();
      return;
    }
    this.#begin(Number.parseInt(size, 16));
  }

  /** A chunk; one of nothing is the last. */
  #begin(size: number): void {
    this.#missing = size;
    this.#within = size === 0 ? "trailers" : "data";
  }

  #takeTrailer(line: string): void {
    this.#trailersLength += line.length;
    if (line === "\r") this.#end(false);
    else if (this.#trailersLength > LINES_CHARS_MAX) this.#break();
  }

  #end(isMore: boolean): void {
    this.state = "ended";
    if (isMore) this.reusable = false;
  }

  #break(): undefined {
    this.state = "broken";
    this.reusable = false;
  }
}

/** Below 0 where it is none. */
function hexDigit(byte = 0): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

function isPlain(contentEncoding: string | null): boolean {
  return contentEncoding === null || /^(?:identity)?$/i.test(contentEncoding);
}

/** A head as its text: of all its headers only a few are ever asked for. */
class HeadText implements Head {
  readonly headers = this;
  readonly status: number;
  readonly #text: string;
  #lower: string | undefined;

  constructor(status: number, text: string) {
    this.status = status;
    this.#text = text;
  }

  /** Values of lines with the same name are joined by a comma, as everywhere. */
  get(name: string): string | null {
    this.#lower ??= this.#text.toLowerCase();
    const start = `\r\n${name.toLowerCase()}:`;
    let value: string | null = null;
    for (let at = this.#lower.indexOf(start); at >= 0; at = this.#lower.indexOf(start, at + 1)) {
      const from = at + start.length;
      const one = this.#text.slice(from, this.#text.indexOf("\r\n", from)).trim();
      value = value === null ? one : `${value}, ${one}`;
    }
    return value;
  }
}
