import { expect, test } from "bun:test";
import { firstSteps } from "../../src/cli/first-steps.ts";

const at = { url: "http://127.0.0.1:13000", credentialsPath: "/home/me/credentials.json" };

test("without credentials the text says where to put which, and offers the demo", () => {
  const text = firstSteps({ ...at, demo: false });
  for (const part of [at.url, at.credentialsPath, "ksk_", "--demo"]) expect(text).toContain(part);
});

test("the demo says what it is and how to try it", () => {
  const text = firstSteps({ ...at, demo: true });
  for (const part of ["DEMO", "made up", `curl -N ${at.url}`, `ANTHROPIC_BASE_URL=${at.url}`]) {
    expect(text).toContain(part);
  }
});
