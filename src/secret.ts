const SHOWN = "[secret]";
/** `inspect.custom` of `node:util`, which need not be loaded for it. */
const INSPECT = Symbol.for("nodejs.util.inspect.custom");

/** A token, key or password. Every way of printing it gives `[secret]`; `reveal()` is the only way out and easy to grep. */
export class Secret {
  readonly #text: string;
  #digest: Buffer | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  /** Compares in constant time, whatever the lengths. */
  equals(other: string): boolean {
    this.#digest ??= sha256(this.#text);
    return crypto.timingSafeEqual(this.#digest, sha256(other));
  }

  toString(): string {
    return SHOWN;
  }

  toJSON(): string {
    return SHOWN;
  }

  [INSPECT](): string {
    return SHOWN;
  }
}

function sha256(text: string): Buffer {
  const digest = Buffer.alloc(Bun.SHA256.byteLength);
  Bun.SHA256.hash(text, digest);
  return digest;
}
