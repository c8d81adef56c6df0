import { z } from "zod";
import { parseProxyUrl } from "../proxy.ts";
import { Secret } from "../secret.ts";

/** What a key's value is, for people and for what may come from the environment (the first three). */
export type KeyType = "text" | "number" | "yes/no" | "list" | "object";

type KeyNote = {
  type: KeyType;
  /** Ends the sentence "expected …". */
  expected: string;
  description: string;
  /** What happens without the key, where there is no plain default. */
  otherwise?: string;
  secret?: boolean;
};

export const notes = z.registry<KeyNote>();

const MAX_MS = 86_400_000;
export const MAX_COUNT = 100_000;

export function text(pattern: RegExp): z.ZodString {
  return z.string().regex(pattern);
}

export function secret(): z.ZodType<Secret, string> {
  return z
    .string()
    .trim()
    .regex(/^(?!act-|creds-)[\x21-\x7e]+$/)
    .transform((value) => new Secret(value));
}

export function proxy(): z.ZodType<Secret, string> {
  return z.string().transform((written, context) => {
    const proxyUrl = parseProxyUrl(written);
    if (proxyUrl === undefined) context.issues.push({ code: "custom", input: written });
    return proxyUrl ?? z.NEVER;
  });
}

export function baseUrl(): z.ZodType<string, string> {
  return z
    .string()
    .refine(isBaseUrl)
    .transform((url) => url.replace(/\/+$/, ""));
}

function isBaseUrl(template: string): boolean {
  const url = URL.parse(template.replaceAll("{region}", "region"));
  if (!url || !["http:", "https:"].includes(url.protocol)) return false;
  return !/[{}?#\s]/.test(template.replaceAll("{region}", "")) && !url.username && !url.password;
}

export function isOrigin(origin: string): boolean {
  return origin === "*" || (/^https?:/.test(origin) && URL.parse(origin)?.origin === origin);
}

export function wait(fallback: number, description: string, atLeast = 1) {
  return z
    .int()
    .min(atLeast)
    .max(MAX_MS)
    .default(fallback)
    .register(notes, {
      type: "number",
      expected: `milliseconds, a whole number from ${atLeast} to ${MAX_MS}`,
      description,
    });
}

export function count(fallback: number, description: string) {
  return z
    .int()
    .min(0)
    .max(MAX_COUNT)
    .default(fallback)
    .register(notes, {
      type: "number",
      expected: `a whole number from 0 to ${MAX_COUNT}`,
      description,
    });
}

export const SECRET_EXPECTED =
  "a text of printable ASCII without spaces that does not begin with act- or creds-";
export const URL_EXPECTED =
  "an http or https URL without user name, query or fragment; {region} may stand in it";
const VERSION_EXPECTED = "a text of printable ASCII without spaces";

export function version(description: string) {
  return text(/^[\x21-\x7e]+$/)
    .exactOptional()
    .register(notes, {
      type: "text",
      expected: VERSION_EXPECTED,
      description,
      otherwise: "built in",
    });
}

export function upstreamUrl(description: string, otherwise: string) {
  return baseUrl()
    .exactOptional()
    .register(notes, { type: "text", expected: URL_EXPECTED, description, otherwise });
}

export function path(description: string) {
  return z.string().min(1).register(notes, { type: "text", expected: "a path", description });
}

export function everyone(description: string) {
  return z.array(z.string().min(1)).default([]).register(notes, {
    type: "list",
    expected: 'a list of names, or ["*"] for all',
    description,
  });
}

export function bytes(fallback: number, description: string) {
  return z
    .int()
    .min(1024)
    .max(10 * 1024 ** 3)
    .default(fallback)
    .register(notes, {
      type: "number",
      expected: "bytes, a whole number from 1024 to 10737418240",
      description,
    });
}

/** Of every user that has none of its own. */
export function userLimit(number: z.ZodNumber, what: string, description: string) {
  return number
    .min(0)
    .exactOptional()
    .register(notes, {
      type: "number",
      expected: `${what} from 0 on, where 0 is no limit`,
      description,
      otherwise: "no limit",
    });
}
