import { scenarios } from "../../emulator/scenarios.ts";
import { absent, at, check, ensure, list, members, positive, string, text } from "../check.ts";
import { hasStatus } from "../client.ts";
import { rule, type Rule, scripted } from "../rule.ts";

const WAIT_MS = 20;

export const transportRules: Rule[] = [
  rule("D-01", "one list of models suits the SDKs of both vendors", async (client) => {
    const { json } = hasStatus(await client.request("GET", "/v1/models"), 200);
    check(json, { object: "list", data: list, has_more: false, first_id: text, last_id: text });
    ensure(members(at(json, "data")).length > 0, "it is empty");
  }),
  rule("D-02", "a model has what both vendors' clients read", async (client) => {
    const { json } = await client.request("GET", "/v1/models");
    for (const model of members(at(json, "data"))) {
      check(model, {
        id: text,
        object: "model",
        type: "model",
        created: positive,
        created_at: text,
        owned_by: text,
        display_name: text,
        max_tokens: positive,
      });
    }
  }),
  rule("D-03", "a listed model can be looked up; an unknown one is a 404", async (client) => {
    const { json } = await client.request("GET", "/v1/models");
    const id = String(at(json, "data.0.id"));
    check((await client.request("GET", `/v1/models/${id}`)).json, { id });
    const answer = await client.request("GET", "/v1/models/no-such-model");
    check(hasStatus(answer, 404).json, { error: { message: text } });
  }),
  rule("D-05", "the list answers without a redirect, whatever is asked of it", async (client) => {
    hasStatus(await client.request("GET", "/v1/models?limit=1000"), 200);
  }),
  scripted("F-01", "who leaves in mid stream ends the call upstream", async (client, upstream) => {
    upstream.answers(scenarios.endless);
    const leave = new AbortController();
    await client.messages(
      { stream: true, max_tokens: 100_000 },
      { signal: leave.signal, until: (soFar) => soFar.includes("again") },
    );
    leave.abort();
    while (upstream.left() === 0) await Bun.sleep(WAIT_MS);
  }),
  scripted(
    "F-02",
    "who leaves before the head ends the call upstream",
    async (client, upstream) => {
      upstream.answers(scenarios["silence before the head"]);
      const leave = new AbortController();
      const asked = client.messages({}, { signal: leave.signal }).catch(() => undefined);
      while (upstream.requests().length === 0) await Bun.sleep(WAIT_MS);
      leave.abort();
      await asked;
      while (upstream.left() === 0) await Bun.sleep(WAIT_MS);
    },
  ),
  rule("F-06", "streams are not compressed and not buffered by proxies", async (client) => {
    const { headers } = await client.messages(
      { stream: true },
      { headers: { "accept-encoding": "gzip, br" } },
    );
    check(headers.get("content-encoding") ?? undefined, absent, "content-encoding");
    check(headers.get("cache-control"), /no-cache/, "cache-control");
  }),
  rule("F-07", "a request of 20 MB is accepted", async (client) => {
    const answer = await client.messages(
      { system: "x ".repeat(10 * 1024 ** 2) },
      { path: "/v1/messages/count_tokens" },
    );
    hasStatus(answer, 200);
  }),
  scripted(
    "F-09",
    "errors hold no account ids, ARNs, tokens or paths",
    async (client, upstream) => {
      upstream.answers(scenarios.suspended);
      const answer = await client.messages({}, { headers: upstream.ownCredential() });
      ensure(answer.status >= 400, "it was reported as a success");
      ensure(!/d-0000000000|arn:aws|\/home\/|Bearer/.test(answer.text), answer.text);
    },
  ),
  scripted("F-10", "no header of the service is passed on", async (client) => {
    for (const name of (await client.messages()).headers.keys()) {
      ensure(!name.startsWith("x-amz") && name !== "set-cookie", `${name} is`);
    }
  }),
  rule("F-11", "every error of a route is JSON in its own envelope", async (client) => {
    check((await client.post("/v1/messages", "[]", { auth: "x-api-key" })).json, {
      type: "error",
      error: { type: string },
    });
    for (const path of ["/v1/chat/completions", "/v1/responses"]) {
      check((await client.post(path, "[]")).json, { error: { type: string, message: text } });
    }
  }),
];
