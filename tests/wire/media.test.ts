import { describe, expect, test } from "bun:test";
import type { Image } from "../../src/conversation/conversation.ts";
import { fail, ok } from "../../src/result.ts";
import { messages } from "../../src/wire/anthropic/messages.ts";
import { chat } from "../../src/wire/chat/chat-completions.ts";
import { responses } from "../../src/wire/responses/responses.ts";
import type { ImageLookup, Wire } from "../../src/wire/wire.ts";

const url = "https://img.example/a.png";
const image: Image = { type: "image", format: "gif", base64: "R0lGODlh" };
const source = { type: "url", url };
const anthropic = { type: "image", source };
const openai = { type: "image_url", image_url: { url } };

function said(...content: unknown[]) {
  return { messages: [{ role: "user", content }] };
}

/** All the places where an image may stand by its URL; `path` is where it stands. */
const places = [
  {
    name: "an image block",
    wire: "messages",
    body: said({ type: "text", text: "Look" }, anthropic),
    path: "messages.0.content.1.image.source.url",
  },
  {
    name: "a tool's result",
    wire: "messages",
    body: said({ type: "tool_result", tool_use_id: "t1", content: [anthropic] }),
    path: "messages.0.content.0.tool_result.content.0.image.source.url",
  },
  {
    name: "a document's content",
    wire: "messages",
    body: said({ type: "document", source: { type: "content", content: [anthropic] } }),
    path: "messages.0.content.0.document.source.content.0.image.source.url",
  },
  {
    name: "an OpenAI part",
    wire: "messages",
    body: said(openai),
    path: "messages.0.content.0.image_url.url",
  },
  {
    name: "an image_url part",
    wire: "chat",
    body: said(openai),
    path: "messages.0.content.0.image_url.url",
  },
  {
    name: "a bare image_url",
    wire: "chat",
    body: said({ type: "image_url", image_url: ` ${url}` }),
    path: "messages.0.content.0.image_url",
  },
  {
    name: "a tool message",
    wire: "chat",
    body: { messages: [{ role: "tool", tool_call_id: "t1", content: [openai] }] },
    path: "messages.0.content.0.image_url.url",
  },
  {
    name: "an Anthropic block",
    wire: "chat",
    body: said(anthropic),
    path: "messages.0.content.0.image.source.url",
  },
  {
    name: "an input_image",
    wire: "responses",
    body: { input: [{ role: "user", content: [{ type: "input_image", image_url: url }] }] },
    path: "input.0.content.0.image_url",
  },
  {
    name: "a call's output",
    wire: "responses",
    body: {
      input: [
        {
          type: "function_call_output",
          call_id: "t1",
          output: [{ type: "input_image", image_url: url }],
        },
      ],
    },
    path: "input.0.output.0.image_url",
  },
] as const;

function parser<Event>(wire: Wire<Event>) {
  return (body: object, images?: ImageLookup) =>
    wire.parse({ model: "m", max_tokens: 1, ...body }, new Headers(), images);
}

const parsers = { messages: parser(messages), chat: parser(chat), responses: parser(responses) };

describe.each(places)("a remote image as $name of $wire", ({ wire, body, path }) => {
  const parse = parsers[wire];

  test("stands where it was given", () => {
    const asked: string[] = [];
    const parsed = parse(body, (wanted) => {
      asked.push(wanted.trim());
      return ok(image);
    });
    expect(asked).toEqual([url]);
    expect(JSON.stringify(parsed.ok && parsed.value.conversation.turns)).toContain(
      JSON.stringify(image),
    );
  });

  test("is refused at its path for what is wrong with it", () => {
    expect(parse(body, () => fail("It is gone"))).toEqual(
      fail({ kind: "invalid-request", message: `${path}: It is gone` }),
    );
  });

  test("is refused where none are fetched", () => {
    const message = `${path}: URLs are not fetched here; send the content as base64`;
    expect(parse(body)).toEqual(fail({ kind: "invalid-request", message }));
  });
});

function neverAsked(): never {
  throw new Error("looked up");
}

describe("nothing is looked up for", () => {
  const base64 = "R0lGODlh";

  test.each([
    {
      name: "an image in base64",
      block: { type: "image", source: { type: "base64", data: base64 } },
    },
    {
      name: "an image in a data URL",
      block: { type: "image", source: { type: "url", url: `data:image/gif;base64,${base64}` } },
    },
    {
      name: "OpenAI's data URL",
      block: { type: "image_url", image_url: { url: `data:image/gif;base64,${base64}` } },
    },
    { name: "a document's URL", block: { type: "document", source }, refused: true },
    { name: "a file's URL", block: { type: "input_file", file_url: url }, refused: true },
    {
      name: "an image that is on no web",
      block: { type: "image", source: { type: "url", url: "file:///etc/passwd" } },
      refused: true,
    },
    {
      name: "OpenAI's image that is on no web",
      block: { type: "image_url", image_url: "file:///etc/passwd" },
      refused: true,
    },
  ])("$name", ({ block, refused = false }) => {
    for (const parse of [parsers.messages, parsers.chat]) {
      expect(parse(said(block), neverAsked).ok).toBe(!refused);
    }
  });
});

function png(width: number, height: number, length = 64): string {
  const bytes = Buffer.alloc(length);
  bytes.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  return bytes.toString("base64");
}

function refusal(data: string) {
  const block = { type: "image", source: { type: "base64", media_type: "image/png", data } };
  const body = { model: "m", max_tokens: 1, ...said({ type: "text", text: "Look" }, block) };
  const parsed = messages.parse(body, new Headers());
  return parsed.ok ? undefined : parsed.failure;
}

describe("an image that is over a limit of the service", () => {
  const path = "messages.0.content.1.image.source.base64.data";

  test("in bytes is refused with its place, its size and the limit", () => {
    expect(refusal(png(10, 10, 3_932_160))).toBeUndefined();
    expect(refusal(png(10, 10, 3_932_161))).toEqual({
      kind: "invalid-request",
      message: `${path}: image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes`,
    });
  });

  test("in pixels is refused with its place, its size and the limit", () => {
    expect(refusal(png(8_000, 8_000))).toBeUndefined();
    expect(refusal(png(10, 8_001))).toEqual({
      kind: "invalid-request",
      message: `${path}: At least one of the image dimensions exceed max allowed size: 8000 pixels (10 x 8001)`,
    });
  });

  test("is refused in a chat as well", () => {
    const data = `data:image/png;base64,${png(9_000, 1)}`;
    const body = said({ type: "image_url", image_url: { url: data } });
    const parsed = chat.parse({ model: "m", ...body }, new Headers());
    expect(parsed.ok ? "" : parsed.failure.message).toStartWith(
      "messages.0.content.0.image_url.url: At least one of the image dimensions",
    );
  });
});
