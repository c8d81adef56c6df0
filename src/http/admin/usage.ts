import { z } from "zod";
import { fail, ok, type Result } from "../../result.ts";
import type { DatabaseFault } from "../../usage/database.ts";
import type { Ledger } from "../../usage/ledger.ts";
import { USAGE_GROUPS, type UsageFilter } from "../../usage/queries.ts";
import { type AdminFault, count, members, route, type Route } from "./route.ts";

export type UsageDeps = { ledger: Pick<Ledger, "usage" | "totals" | "entries"> };

const DAY_MS = 86_400_000;
const DAY = /^\d{4}-\d\d-\d\d$/;

const Instant = z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
  error: "must be a day (2026-01-31) or an instant (2026-01-31T12:00:00Z)",
});

const period = {
  from: Instant.transform((text) => Date.parse(text))
    .optional()
    .describe("A day or an instant (UTC); the beginning of the ledger unless told."),
  to: Instant.transform((text) => Date.parse(text) + (DAY.test(text) ? DAY_MS : 0))
    .optional()
    .describe("A day, which counts as a whole, or the instant before which requests count."),
  user: z.string().min(1).optional().describe("The id of a user, or a caller such as api-key."),
};

const number = z.number().min(0);
const totals = {
  requests: number,
  failed: number,
  cancelled: number,
  input_tokens: number,
  output_tokens: number,
  cache_read_tokens: number,
  cache_write_tokens: number,
  credits: number.describe("As the service has charged them."),
  estimated_credits: number.describe("Counted against limits where the service said nothing."),
};

const text = z.string();
const Entry = z.object({
  id: z.int(),
  time: text,
  request_id: text.describe("As the client got it in x-request-id."),
  user_id: text.nullable(),
  caller: text.nullable(),
  credential: text.nullable(),
  protocol: text,
  stream: z.boolean().nullable(),
  model: text.nullable(),
  upstream_model: text.nullable(),
  status: z.int().nullable(),
  outcome: text,
  failure: text.nullable(),
  input_tokens: number.nullable(),
  output_tokens: number.nullable(),
  cache_read_tokens: number.nullable(),
  cache_write_tokens: number.nullable(),
  credits: number.nullable(),
  estimated_credits: number.nullable(),
  first_event_ms: number.nullable(),
  upstream_ms: number.nullable(),
  duration_ms: number.nullable(),
  attempts: z.int(),
  chain: z
    .array(
      z.object({
        credential: text,
        fault: text.optional(),
        ms: number,
        credits: number.optional(),
      }),
    )
    .describe("Every call to the service, in their order."),
});

export function usageRoutes({ ledger }: UsageDeps): Route[] {
  return [
    route({
      method: "get",
      path: "/usage",
      tag: "usage",
      summary: "Sums by user, model, credential or day",
      input: z.object({
        query: members({
          by: z.enum(USAGE_GROUPS).default("user").describe("What to add up by."),
          ...period,
        }),
      }),
      answer: z.object({
        by: z.enum(USAGE_GROUPS),
        total: z.object(totals),
        rows: z.array(z.object({ key: z.string(), ...totals })),
      }),
      async handle({ query: { by, ...rest } }) {
        const filter = filterOf(rest);
        const [rows, total] = await Promise.all([ledger.usage(by, filter), ledger.totals(filter)]);
        if (!rows.ok) return ofDatabase(rows.failure);
        if (!total.ok) return ofDatabase(total.failure);
        return ok({ by, total: total.value, rows: rows.value });
      },
    }),
    route({
      method: "get",
      path: "/requests",
      tag: "usage",
      summary: "Single requests, the latest first",
      description:
        "With all attempts of each, so that one sees which credential failed and why. A request is listed within a second after its end.",
      input: z.object({
        query: members({
          ...period,
          limit: count(1, 500, 50),
          before: z.coerce
            .number<string>()
            .int()
            .min(1)
            .optional()
            .describe("The `next` of the page before."),
        }),
      }),
      answer: z.object({
        entries: z.array(Entry),
        next: z.int().nullable().describe("`before` of the next page; null on the last one."),
      }),
      async handle({ query: { limit, before, ...rest } }) {
        const page = await ledger.entries({
          ...filterOf(rest),
          limit,
          ...(before !== undefined && { before }),
        });
        return page.ok ? page : ofDatabase(page.failure);
      },
    }),
  ];
}

function filterOf({
  from,
  to,
  user,
}: {
  from?: number | undefined;
  to?: number | undefined;
  user?: string | undefined;
}): UsageFilter {
  return {
    ...(from !== undefined && { since: from }),
    ...(to !== undefined && { until: to }),
    ...(user !== undefined && { user }),
  };
}

function ofDatabase({ message }: DatabaseFault): Result<never, AdminFault> {
  return fail({ status: 503, error: `The ledger can't be read just now: ${message}` });
}
