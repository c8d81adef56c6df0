import { describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import type { Operation } from "../../../src/http/admin/openapi.ts";
import { fail, ok } from "../../../src/result.ts";
import { adminWorld, KEY } from "./world.ts";

describe("the key", () => {
  test.each([
    { name: "x-api-key", headers: { "x-api-key": KEY } },
    { name: "a bearer token", headers: { authorization: `Bearer ${KEY}` } },
  ])("as $name opens the API", async ({ headers }) => {
    const { call } = await adminWorld();
    expect((await call("GET", "/credentials", undefined, headers)).body).toEqual({
      credentials: [],
    });
  });

  test.each([
    { name: "no key", headers: {} },
    { name: "an empty key", headers: { "x-api-key": " " } },
    { name: "a wrong key", headers: { "x-api-key": `${KEY}x` } },
    { name: "a key in another scheme", headers: { authorization: `Basic ${KEY}` } },
    { name: "the key under another name", headers: { "x-key": KEY } },
  ])("$name does nothing, whatever is called", async ({ headers }) => {
    const { call, memory } = await adminWorld([{ kiroApiKey: "ksk_1", id: "a" }]);
    for (const [method, path] of [
      ["DELETE", "/credentials/a"],
      ["GET", "/credentials"],
      ["PUT", "/credentials/a"],
      ["GET", "/nothing"],
      ["OPTIONS", "/credentials"],
    ] as const) {
      const { status, body } = await call(method, path, undefined, headers);
      expect([status, body]).toEqual([401, { error: "Invalid admin key." }]);
    }
    expect(memory.records()).toHaveLength(1);
  });

  test("wrong ones are told to wait when too many came from an address, the right one passes", async () => {
    const { call } = await adminWorld([], { failed: () => 1_200 });
    const wrong = await call("GET", "/credentials", undefined, { "x-api-key": "x" });
    expect([wrong.status, wrong.headers.get("retry-after")]).toEqual([429, "2"]);
    expect((await call("GET", "/credentials")).status).toBe(200);
  });

  test("without one configured the API is closed, also to one who sends none", async () => {
    const { call } = await adminWorld([], { key: undefined });
    const { status, body } = await call("POST", "/reload-credentials", undefined, {});
    expect(status).toBe(403);
    expect(body).toEqual({ error: expect.stringContaining("adminApiKey") });
  });
});

describe("every answer", () => {
  test("may not be kept, and is in the envelope, also where there is no such call", async () => {
    const { call } = await adminWorld();
    for (const path of ["/server", "/nothing", "/", "/credentials/x/y"]) {
      const { status, headers, body } = await call("GET", path);
      expect(headers.get("cache-control")).toBe("no-store");
      if (path !== "/server") {
        expect([status, body]).toEqual([404, { error: expect.stringContaining("/docs") }]);
      }
    }
  });

  test("to a wrong method names the right ones", async () => {
    const { call } = await adminWorld();
    const { status, headers, body } = await call("PUT", "/credentials/a");
    expect([status, headers.get("allow")]).toEqual([405, "GET, PATCH, DELETE, HEAD"]);
    expect(body.error).toContain("not PUT");
    expect((await call("OPTIONS", "/reload-credentials")).headers.get("allow")).toBe("POST");
  });

  test("to a body that can't be understood says what is wrong with it", async () => {
    const { call } = await adminWorld([{ kiroApiKey: "ksk_1", id: "a" }]);
    const cases = [
      { body: "", status: 400, says: "not valid JSON" },
      { body: "{", status: 400, says: "line 1" },
      { body: "[".repeat(5_000), status: 400, says: "JSON" },
      { body: "null", status: 400, says: "body: " },
      { body: "[]", status: 400, says: "body: " },
      { body: "{}", status: 400, says: "priority: " },
      { body: { priority: "1" }, status: 400, says: "priority: Invalid input: expected number" },
      { body: { priority: 1e9 }, status: 400, says: "priority: Too big" },
      { body: { priority: 1, disabled: true }, status: 400, says: "known are priority" },
      { body: '{"priority":1,"__proto__":{"a":1}}', status: 400, says: "__proto__" },
      { body: " ".repeat(1024 * 1024 + 1), status: 413, says: "1 MB" },
    ];
    for (const { body, status, says } of cases) {
      const answer = await call("PATCH", "/credentials/a", body);
      expect([answer.status, answer.body]).toEqual([
        status,
        { error: expect.stringContaining(says) },
      ]);
    }
    expect(Object.prototype).not.toHaveProperty("a");
  });

  test("to what is a fault of ours tells nothing of it", async () => {
    const { call, lines } = await adminWorld([], {
      server: {
        reload: async () => ok(""),
        info() {
          throw new Error("CANARY");
        },
      },
    });
    const { status, text } = await call("GET", "/server");
    expect([status, text]).toEqual([500, '{"error":"Internal error."}']);
    expect(lines).toMatchObject([{ event: "bug", detail: expect.stringContaining("CANARY") }]);
  });
});

describe("the server", () => {
  test("shows its configuration without a secret", async () => {
    const { call } = await adminWorld();
    const { body, text } = await call("GET", "/server");
    expect(body).toMatchObject({ version: "1.2.3", config: { apiKey: "[secret]", port: 13_000 } });
    expect(text).not.toContain("CANARY");
  });

  test("reloads, and tells why it could not", async () => {
    const { call } = await adminWorld();
    expect((await call("POST", "/reload-credentials")).text).toBe(
      '{"success":true,"message":"2 credentials"}',
    );
    const other = await adminWorld([], {
      server: {
        reload: async () => fail("/x/credentials.json, line 3, column 1: a comma is expected"),
        info: () => expect.unreachable(),
      },
    });
    const { status, body } = await other.call("POST", "/reload-credentials");
    expect([status, body]).toEqual([
      400,
      { error: "/x/credentials.json, line 3, column 1: a comma is expected" },
    ]);
  });
});

describe("the document", () => {
  test("is valid OpenAPI 3.1, and needs no key, since it says nothing of the server", async () => {
    const { call } = await adminWorld();
    const { status, body } = await call("GET", "/openapi.json", undefined, {});
    expect(status).toBe(200);
    const validator = new Validator();
    expect(await validator.validate(body)).toEqual({ valid: true });
    expect(validator.version).toBe("3.1");
  });

  test("has every call once, with the parameters of its path", async () => {
    const { call } = await adminWorld();
    const { body } = await call("GET", "/openapi.json");
    const ids: string[] = [];
    for (const [path, methods] of Object.entries<Record<string, Operation>>(body.paths)) {
      for (const operation of Object.values(methods)) {
        ids.push(operation.operationId);
        const named = operation.parameters.filter((one) => one.in === "path");
        expect(named.map((one) => `{${one.name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
      }
    }
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain("postCredentialsIdTest");
  });

  test("as a page needs no key, runs no script and loads nothing", async () => {
    const { call } = await adminWorld();
    const { status, headers, text } = await call("GET", "/docs", undefined, {});
    expect(status).toBe(200);
    expect(headers.get("content-type")).toStartWith("text/html");
    const policy = headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    const [, style = ""] = /<style>([^]*?)<\/style>/.exec(text) ?? [];
    const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
    expect(policy).toContain(`'sha256-${hash}'`);
    expect(text).not.toMatch(/<script|<link|<img|<iframe| on\w+=| style=|src=|url\(/i);
    const { body } = await call("GET", "/openapi.json");
    for (const path of Object.keys(body.paths)) expect(text).toContain(`/api/admin${path}</code>`);
  });
});
