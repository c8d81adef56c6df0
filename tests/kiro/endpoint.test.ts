import { expect, test } from "bun:test";
import { chatCall, withProfileArn } from "../../src/kiro/endpoint.ts";
import { defaultProfile } from "../../src/kiro/default-profile.ts";
import { Secret } from "../../src/secret.ts";

const access = {
  token: new Secret("tok"),
  apiRegion: "eu-central-1",
  machineId: "f".repeat(64),
};
const call = { attempt: 2, maxAttempts: 9, invocationId: "inv" };

test("the region goes into the host and every template is filled", () => {
  const { url, headers, own } = chatCall(defaultProfile, access, call);
  expect(url).toBe("https://q.eu-central-1.amazonaws.com/generateAssistantResponse");
  expect(headers["authorization"]).toBe("Bearer tok");
  expect(own).toEqual({ "amz-sdk-request": "attempt=2; max=9", "amz-sdk-invocation-id": "inv" });
  expect(headers["user-agent"]).toEndWith(`KiroIDE-0.11.107-${"f".repeat(64)}`);
  expect(Object.values(headers).join()).not.toContain("{");
  expect(headers).not.toHaveProperty("tokentype");
});

test("what all calls of a credential have in common is made once, and anew for another host", () => {
  const first = chatCall(defaultProfile, access, call);
  const next = chatCall(defaultProfile, access, { ...call, attempt: 3 });
  expect(next.headers).toBe(first.headers);
  expect(next.own["amz-sdk-request"]).toBe("attempt=3; max=9");
  const moved = chatCall(defaultProfile, access, { ...call, host: "https://other.{region}" });
  expect(moved.url).toBe("https://other.eu-central-1/generateAssistantResponse");
  expect(moved.headers).toEqual(first.headers);
});

test("a host override keeps its path", () => {
  const profile = {
    ...defaultProfile,
    hosts: { ...defaultProfile.hosts, api: "http://127.0.0.1:9/api/{region}" },
  };
  const { url } = chatCall(profile, access, call);
  expect(url).toBe("http://127.0.0.1:9/api/eu-central-1/generateAssistantResponse");
});

test("an API key says what it is", () => {
  const { headers } = chatCall(defaultProfile, { ...access, tokenType: "API_KEY" }, call);
  expect(headers["tokentype"]).toBe("API_KEY");
});

test("what kind of token it is no profile can say otherwise, or twice", () => {
  const chat = { ...defaultProfile.headers.chat, tokentype: "T-{attempt}" };
  const profile = { ...defaultProfile, headers: { ...defaultProfile.headers, chat } };
  const { headers, own } = chatCall(profile, { ...access, tokenType: "API_KEY" }, call);
  expect(headers["tokentype"]).toBe("API_KEY");
  expect(own).not.toHaveProperty("tokentype");
});

test("the profile ARN stands at the body's root, the rest of the text stays", () => {
  const body = '{"conversationState":{}}';
  expect(withProfileArn(body, undefined)).toBe(body);
  expect(withProfileArn(body, 'a"b')).toBe('{"profileArn":"a\\"b","conversationState":{}}');
});
