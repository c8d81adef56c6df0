import { z } from "zod";
import { fail, ok, type Result } from "../../result.ts";
import { route, type Route } from "./route.ts";

export type ServerDeps = {
  info: () => z.input<typeof Info>;
  /** Takes over what the files of credentials and users hold by now. Both outcomes are sentences for the operator. */
  reload: () => Promise<Result<string, string>>;
};

const count = z.int().min(0);

const Info = z.object({
  version: z.string(),
  commit: z.string(),
  bun: z.string(),
  platform: z.string(),
  started_at: z.iso.datetime(),
  uptime_seconds: count,
  memory_bytes: count,
  credentials: z.record(z.string(), count).describe("How many of the pool are in each state."),
  users: count,
  load: z.object({
    in_flight: count.describe("Requests that hold a credential."),
    waiting: count.describe("Requests that wait for one."),
  }),
  ledger: z.object({
    pending: count.describe("Rows that wait to be written."),
    lag_ms: z.number().min(0),
    lost: count,
    failing: z.boolean(),
  }),
  config: z
    .record(z.string(), z.unknown())
    .describe("The configuration in effect; a secret shows as [secret]."),
});

/** What both calls of the Go build that change something answer. */
const Done = z.object({ success: z.literal(true), message: z.string() });

export function serverRoutes({ info, reload }: ServerDeps): Route[] {
  return [
    route({
      method: "get",
      path: "/server",
      tag: "server",
      summary: "Version, load and configuration",
      input: z.object({}),
      answer: Info,
      handle: () => ok(info()),
    }),
    route({
      method: "post",
      path: "/reload-credentials",
      tag: "server",
      summary: "Read the files of credentials and users anew",
      description: "Edits of the files are noticed without this call, too.",
      input: z.object({}),
      answer: Done,
      async handle() {
        const reloaded = await reload();
        return reloaded.ok
          ? ok({ success: true as const, message: reloaded.value })
          : fail({ status: 400 as const, error: reloaded.failure });
      },
    }),
  ];
}
