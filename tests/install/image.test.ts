import { expect, test } from "bun:test";
import { join } from "node:path";
import { YAML } from "bun";

const root = join(import.meta.dir, "../..");
const dockerfile = await Bun.file(join(root, "Dockerfile")).text();
const compose: unknown = YAML.parse(await Bun.file(join(root, "compose.yaml")).text());
const folder = /^VOLUME (\S+)$/m.exec(dockerfile)?.[1];

test("the image runs without root, and knows how to ask itself whether it lives", () => {
  expect(dockerfile.split("\n").findLast((line) => line.startsWith("FROM"))).toEndWith(":nonroot");
  expect(dockerfile).not.toMatch(/^USER/m);
  expect(dockerfile).toMatch(/^HEALTHCHECK .*"health"\]$/m);
});

test("the image builds with the Bun that the project is for", async () => {
  const { devDependencies } = await Bun.file(join(root, "package.json")).json();
  expect(dockerfile).toContain(`oven/bun:${devDependencies["@types/bun"]}-slim`);
});

test("the service writes to its one volume only, and needs a key", () => {
  expect(compose).toMatchObject({
    services: {
      "kiro-proxy": {
        read_only: true,
        cap_drop: ["ALL"],
        volumes: [`data:${folder}`],
        environment: { KIRO_PROXY_API_KEY: expect.stringContaining(":?") },
      },
    },
  });
});
