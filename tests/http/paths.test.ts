import { expect, test } from "bun:test";
import { canonicalPath } from "../../src/http/paths.ts";

test.each([
  ["http://h/v1/messages", "/v1/messages"],
  ["http://h/messages", "/v1/messages"],
  ["http://h/v1/v1/messages", "/v1/messages"],
  ["http://h//v1//messages/", "/v1/messages"],
  ["http://h/v1/messages?beta=true", "/v1/messages"],
  ["http://h/v1/messages/count_tokens?beta=true", "/v1/messages/count_tokens"],
  ["http://h/messages/count_tokens", "/v1/messages/count_tokens"],
  ["http://h/models/claude-opus-4-6", "/v1/models/claude-opus-4-6"],
  ["http://h/v1/models?limit=1000", "/v1/models"],
  ["http://h/v1/v1/chat/completions", "/v1/chat/completions"],
  ["http://h/responses/", "/v1/responses"],
  ["http://h/", "/"],
  ["http://h", "/"],
  ["http://h?x=1", "/"],
  ["http://h/v1", "/v1"],
  ["http://h/v1/files", "/v1/files"],
  ["http://h/api/hello", "/api/hello"],
  ["http://h/messagesX", "/messagesX"],
  ["http://[::1]:13000/v1/models", "/v1/models"],
])("%s is %s", (url, path) => {
  expect(canonicalPath(url)).toBe(path);
});
