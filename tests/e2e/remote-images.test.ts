import { afterAll, beforeAll, expect, test } from "bun:test";
import { startKiro } from "../emulator/kiro.ts";
import { scenarios } from "../emulator/scenarios.ts";
import { type Gateway, startGateway, stopGateways } from "./binary.ts";
import { ask } from "./client.ts";

const kiro = startKiro();
const asked: string[] = [];
/** Serves an image to whoever finds the way here, which is into the gateway's own network. */
const inside = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request) {
    asked.push(request.url);
    return new Response(Buffer.from("\x89PNG\r\n\x1a\nrest", "latin1"));
  },
});
let on: Gateway;
let off: Gateway;
beforeAll(async () => {
  kiro.otherwise(scenarios.text);
  on = await startGateway({ kiro, config: { remoteImages: true } });
  off = await startGateway({ kiro });
});
afterAll(stopGateways);
afterAll(async () => await Promise.all([kiro.stop(), inside.stop(true)]));

function picture(url: string): object {
  const content = [{ type: "image", source: { type: "url", url } }];
  return { model: "claude-sonnet-4-5", max_tokens: 9, messages: [{ role: "user", content }] };
}

const PATH = "messages.0.content.0.image.source.url";

function refusal(problem: string): object {
  const error = { type: "invalid_request_error", message: `${PATH}: ${problem}` };
  return { status: 400, json: { type: "error", error } };
}

test("an image's URL is refused where the configuration does not allow it", async () => {
  expect(await ask(off, picture("https://img.example/a.png"))).toMatchObject(
    refusal("URLs are not fetched here; send the content as base64"),
  );
});

test.each(["http://127.0.0.1/a.png", "http://localhost/a.png", "https://[::1]/", "http://0x7f.1/"])(
  "the gateway does not fetch from its own machine: %s",
  async (url) => {
    expect(await ask(on, picture(url))).toMatchObject(
      refusal("Could not process image: its host has no public address"),
    );
  },
);

test("the gateway does not call other ports than the web's", async () => {
  expect(await ask(on, picture(`${inside.url.origin}/a.png`))).toMatchObject(
    refusal(
      "Could not process image: its URL must be http or https on port 80 or 443, without a user name",
    ),
  );
  expect(asked).toEqual([]);
});

test("a count is refused likewise", async () => {
  const answer = await ask(on, picture("http://127.0.0.1/"), {
    path: "/v1/messages/count_tokens",
  });
  expect(answer).toMatchObject(refusal("Could not process image: its host has no public address"));
});
