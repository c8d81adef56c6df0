import type { BodyEnd, TakeBytes } from "./transport.ts";

/** What is kept of a body that nobody takes before its sender has to wait. */
const HELD_BYTES_MAX = 256 * 1024;

/** What holds the sender up and lets it go on. */
export type Valve = { pause(): void; resume(): void };

type Reader = {
  take: TakeBytes;
  resolve(how: BodyEnd): void;
  reject(error: unknown): void;
};

/** A body on its way from a socket to who takes it: handed on at once where that one is ready, else kept. */
export class BodyQueue {
  readonly #valve: Valve;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isPaused = false;
  #reader: Reader | undefined;
  /** The reader has not finished with the last piece. */
  #isBusy = false;
  #ended: "end" | "broken" | undefined;

  constructor(valve: Valve) {
    this.#valve = valve;
  }

  get isEnded(): boolean {
    return this.#ended !== undefined;
  }

  /** See `Exchange`. */
  forEach(take: TakeBytes): Promise<BodyEnd> {
    return new Promise((resolve, reject) => {
      this.#reader = { take, resolve, reject };
      this.#handOn();
    });
  }

  push(body: Buffer): void {
    if (this.#reader !== undefined && !this.#isBusy) {
      this.#hand(this.#reader, body);
      if (this.#ended !== undefined) this.#handOn();
      return;
    }
    this.#held.push(body);
    this.#heldBytes += body.length;
    if (this.#heldBytes <= HELD_BYTES_MAX || this.#isPaused) return;
    this.#isPaused = true;
    this.#valve.pause();
  }

  /** Nothing more comes. What is held is still handed on. */
  end(how: "end" | "broken"): void {
    this.#ended ??= how;
    this.#handOn();
  }

  /** Nobody wants what is held. */
  clear(): void {
    this.#held = [];
  }

  /** Lets the sender go on, if it was held up. */
  release(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#valve.resume();
  }

  /** What is held, and then the end. */
  #handOn(): void {
    while (this.#reader !== undefined && !this.#isBusy) {
      const body = this.#held.shift();
      if (body === undefined) break;
      this.#heldBytes -= body.length;
      this.#hand(this.#reader, body);
    }
    if (this.#held.length > 0) return;
    this.release();
    if (this.#ended !== undefined && !this.#isBusy) this.#stop(this.#ended);
  }

  #hand(reader: Reader, body: Buffer): void {
    // It may close all this before it returns.
    this.#isBusy = true;
    let goesOn: boolean | Promise<boolean>;
    try {
      goesOn = reader.take(body);
    } catch (error) {
      this.#isBusy = false;
      this.#reader = undefined;
      reader.reject(error);
      return;
    }
    if (goesOn instanceof Promise) {
      this.#wait(reader, goesOn);
      return;
    }
    this.#isBusy = false;
    if (!goesOn) this.#stop("stopped");
  }

  #wait(reader: Reader, waiting: Promise<boolean>): void {
    waiting.then(
      (goesOn) => {
        this.#isBusy = false;
        if (goesOn) this.#handOn();
        else this.#stop("stopped");
      },
      (error: unknown) => {
        this.#isBusy = false;
        this.#reader = undefined;
        reader.reject(error);
      },
    );
  }

  #stop(how: BodyEnd): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(how);
  }
}
