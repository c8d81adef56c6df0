import OpenAI from "openai";
import type { KiroEmulator } from "../emulator/kiro.ts";
import { type ChatRequest, chatRequestOf } from "../emulator/request.ts";
import type { Gateway } from "./binary.ts";

type Options = ConstructorParameters<typeof OpenAI>[0];

/** The vendor's client, talking to the gateway. No retries unless a test is about them. */
export function openai(gateway: Gateway, options: Options = {}): OpenAI {
  return new OpenAI({
    baseURL: `${gateway.url}/v1`,
    apiKey: gateway.apiKey,
    maxRetries: 0,
    ...options,
  });
}

/** What Kiro was asked last. */
export function lastChat(kiro: KiroEmulator): ChatRequest {
  return chatRequestOf(kiro.chats().at(-1)?.body);
}

/** What a promise was rejected with; an object that says so where it was not. */
export async function rejection(promise: PromiseLike<unknown>): Promise<unknown> {
  return await promise.then(
    (resolved) => ({ resolved }),
    (error: unknown) => error,
  );
}
