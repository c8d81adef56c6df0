import type { Image } from "../conversation/conversation.ts";
import type { Failure } from "../conversation/failure.ts";
import { fail, ok, type Result } from "../result.ts";
import type { ImageLookup } from "../wire/wire.ts";
import { fetchImage, type ImageFetchDeps } from "./image-fetch.ts";

export type RemoteImages = {
  /** The image at each URL, or what is wrong with it. Those that a departed client would have waited for are missing. */
  fetch(urls: Set<string>, signal: AbortSignal): Promise<Map<string, Result<Image, string>>>;
};

const PARALLEL_MAX = 4;
const COUNT_MAX = 10;
const CACHE_MAX_AGE_MS = 600_000;
const CACHE_MAX_BYTES = 64 * 1024 ** 2;

/**
 * Fetches images, four at a time for a request. They are kept for ten minutes, because a conversation names its images
 * anew with every turn, and a prompt is cheaper where it begins with the same bytes as before.
 */
export function createRemoteImages(deps: ImageFetchDeps): RemoteImages {
  const cache = new ImageCache(() => deps.runtime.monotonic());

  async function imageAt(url: string, signal: AbortSignal): Promise<Result<Image, string>> {
    const cached = cache.get(url);
    if (cached !== undefined) return ok(cached);
    const image = await fetchImage(url, signal, deps);
    if (image.ok) cache.set(url, image.value);
    return image;
  }

  return {
    async fetch(urls, signal) {
      const found = new Map<string, Result<Image, string>>();
      // One iterator for all of them: each takes what is next.
      const next = urls.values();
      const worker = async (): Promise<void> => {
        for (const url of next) {
          if (signal.aborted) return;
          found.set(url, await imageAt(url, signal));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL_MAX }, worker));
      return found;
    },
  };
}

/**
 * Parses a request, fetching its remote images if there is something to fetch them with. Parsing is pure, so it is done
 * twice: once to see which images there are and that nothing else is wrong, and once with the images.
 */
export function parseWithImages<T>(
  parse: (images?: ImageLookup) => Result<T, Failure>,
  images: RemoteImages | undefined,
  signal: AbortSignal,
): Result<T, Failure> | Promise<Result<T, Failure>> {
  if (images === undefined) return parse();
  const urls: string[] = [];
  const blank: Image = { type: "image", format: "png", base64: "" };
  const first = parse((url) => {
    if (urls.push(url) <= COUNT_MAX) return ok(blank);
    return fail(`At most ${COUNT_MAX} images are fetched for one request; send others as base64`);
  });
  if (!first.ok || urls.length === 0) return first;
  return images.fetch(new Set(urls), signal).then((found) =>
    parse((url) => {
      const image = found.get(url) ?? fail("it was not fetched");
      // Claude Code takes the images out of its history when it reads these words.
      return image.ok ? image : fail(`Could not process image: ${image.failure}`);
    }),
  );
}

type Entry = { image: Image; bytes: number; expiresAt: number };

/** Images by URL. Where there are too many bytes of them, those go that were not asked for the longest. */
class ImageCache {
  readonly #entries = new Map<string, Entry>();
  readonly #monotonic: () => number;
  #bytes = 0;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  get(url: string): Image | undefined {
    const entry = this.#take(url);
    if (entry === undefined || entry.expiresAt <= this.#monotonic()) return undefined;
    this.#put(url, entry);
    return entry.image;
  }

  set(url: string, image: Image): void {
    this.#take(url);
    const bytes = url.length + image.base64.length;
    this.#put(url, { image, bytes, expiresAt: this.#monotonic() + CACHE_MAX_AGE_MS });
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= CACHE_MAX_BYTES) return;
      this.#take(oldest);
    }
  }

  #put(url: string, entry: Entry): void {
    this.#entries.set(url, entry);
    this.#bytes += entry.bytes;
  }

  #take(url: string): Entry | undefined {
    const entry = this.#entries.get(url);
    if (this.#entries.delete(url)) this.#bytes -= entry?.bytes ?? 0;
    return entry;
  }
}
