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
