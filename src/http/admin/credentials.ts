import { z } from "zod";
import type { Credential, CredentialContext } from "../../credentials/credential.ts";
import { describeStoreFault, sentence } from "../../credentials/describe.ts";
import { findRecords } from "../../credentials/import.ts";
import { linkOf } from "../../credentials/login-source.ts";
import type { Pool } from "../../credentials/pool.ts";
import type { Changes, JsonRecord } from "../../credentials/record.ts";
import type { Added, CredentialStore } from "../../credentials/store.ts";
import { describeAccountFault } from "../../gateway/account.ts";
import type { CredentialOverview, Overview } from "../../gateway/overview.ts";
import type { QuotaService } from "../../gateway/quota.ts";
import { fail, ok, type Result } from "../../result.ts";
import { type AdminFault, members, ofStore, refused, route, type Route, unknown } from "./route.ts";

export type CredentialDeps = {
  store: Pick<CredentialStore, "add" | "update" | "remove">;
  pool: Pick<Pool, "current" | "reload" | "reset" | "remove">;
  overview: Overview;
  quota: Pick<QuotaService, "read">;
  context: CredentialContext;
};

const instant = z.iso.datetime().nullable();
const credits = z.number();
const name = z.string().nullable();

const Overview = z.object({
  id: z.string(),
  auth_method: z.string(),
  priority: z.number().describe("Lower is used first."),
  state: z.string().describe("ready, cooling, exhausted, needs-login, suspended or disabled."),
  until: instant.describe("When a state that ends by itself does."),
  in_flight: z.int(),
  quota: z
    .object({
      plan: name,
      used: credits,
      limit: credits,
      remaining: credits,
      bonus: z.object({ used: credits, limit: credits }),
      overage: z.object({ enabled: z.boolean(), used: credits, cap: credits.nullable() }),
      reset_at: instant,
      age_seconds: z.number(),
      stale: z.boolean().describe("The last try to read it anew failed."),
    })
    .nullable()
    .describe("In credits; null where it was never read."),
  expires_at: instant.describe("When the access token ends."),
  renewable: z.boolean().describe("There is what it takes to get new tokens."),
  provider: name,
  source: name.describe("The other program whose log-in it is."),
  api_region: z.string(),
  auth_region: z.string(),
  profile_arn: name.describe("Masked."),
  proxy: name.describe("Without user name and password."),
}) satisfies z.ZodType<CredentialOverview>;

const Outcome = z.object({
  place: z.string().describe("Where it stands in what was sent; empty where it is all of it."),
  outcome: z.enum(["added", "updated", "unchanged", "refused"]),
  id: z.string().optional(),
  problem: z.string().optional(),
});

const one = z.object({ params: members({ id: z.string().min(1).describe("Of the credential.") }) });

/** The accounts of the pool. What is changed is on the disk and in effect when the answer comes. */
export function credentialRoutes(deps: CredentialDeps): Route[] {
  const { store, pool, overview, quota, context } = deps;

  const known = (id: string): Result<Credential, AdminFault> => {
    const credential = pool.current(id);
    return credential === undefined
      ? unknown(`There is no credential ${nameOf(id)}.`)
      : ok(credential);
  };

  const shown = (id: string): Result<CredentialOverview, AdminFault> => {
    const found = overview.find(id);
    return found === undefined ? unknown(`There is no credential ${nameOf(id)}.`) : ok(found);
  };

  /** What the store has by now. */
  const takeOver = async (): Promise<Result<undefined, AdminFault>> => {
    const reloaded = await pool.reload();
    if (reloaded.ok) return ok(undefined);
    return fail({ status: 500, error: `Saved, but ${describeStoreFault(reloaded.failure)}` });
  };

  const change = async (id: string, changes: Changes): Promise<Result<undefined, AdminFault>> => {
    const changed = await store.update(id, changes);
    return changed.ok ? await takeOver() : ofStore(changed.failure);
  };

  return [
    route({
      method: "get",
      path: "/credentials",
      tag: "credentials",
      summary: "All credentials with their states and quotas",
      description: "A quota that is older than five minutes is read anew.",
      input: z.object({}),
      answer: z.object({ credentials: z.array(Overview) }),
      handle: async () => ok({ credentials: await overview.list() }),
    }),
    route({
      method: "post",
      path: "/credentials",
      tag: "credentials",
      summary: "Add credentials",
      description:
        "One or several, as `kiro-proxy import` takes them from a file: records of credentials.json, or an export of Kiro Account Manager. One of an account that is there already gives it a new log-in. All are written in one step; refused ones are named.",
      example: { refreshToken: "aor…", authMethod: "social" },
      input: z.object({
        query: members({
          dry_run: z
            .enum(["true", "false"])
            .default("false")
            .transform((text) => text === "true")
            .describe("Only tell what would be done."),
        }),
        body: z.union([z.looseObject({}), z.array(z.unknown())], {
          error: "must be an object or an array of objects",
        }),
      }),
      answer: z.object({ results: z.array(Outcome) }),
      async handle({ query, body }) {
        const found = findRecords(body, context);
        if (!found.ok) return refused(`body: ${found.failure}`);
        const records = found.value.map(({ place, record }) => ({
          place,
          record: unlinked(record),
        }));
        const usable = records.flatMap(({ record }) => (record.ok ? [record.value] : []));
        const added = await store.add(usable, { dryRun: query.dry_run, keepNewer: true });
        if (!added.ok) return ofStore(added.failure);
        const outcomes = added.value.values();
        const results = records.map(({ place, record }) => {
          const outcome = record.ok ? outcomes.next().value : undefined;
          return { place, ...outcomeOf(outcome, record) };
        });
        if (results.every(({ outcome }) => outcome === "refused")) {
          return refused(
            results
              .map(({ place, problem = "" }) => [place, problem].filter(Boolean).join(": "))
              .join("; "),
          );
        }
        if (!query.dry_run) {
          const taken = await takeOver();
          if (!taken.ok) return taken;
        }
        return ok({ results });
      },
    }),
    route({
      method: "get",
      path: "/credentials/{id}",
      tag: "credentials",
      summary: "One credential",
      input: one,
      answer: Overview,
      handle: ({ params }) => shown(params.id),
    }),
    route({
      method: "patch",
      path: "/credentials/{id}",
      tag: "credentials",
      summary: "Change the priority",
      example: { priority: 1 },
      input: one.extend({
        body: members({ priority: z.int().min(-1000).max(1000).describe("Lower is used first.") }),
      }),
      answer: Overview,
      async handle({ params: { id }, body }) {
        const changed = await change(id, { priority: body.priority });
        return changed.ok ? shown(id) : changed;
      },
    }),
    route({
      method: "delete",
      path: "/credentials/{id}",
      tag: "credentials",
      summary: "Remove a credential",
      description: "Requests that run with it go on.",
      input: one,
      answer: z.object({ removed: z.string() }),
      async handle({ params: { id } }) {
        const removed = await store.remove(id);
        if (!removed.ok) return ofStore(removed.failure);
        const taken = await takeOver();
        // Where another record can't be read, the reload keeps all.
        pool.remove(id);
        return taken.ok ? ok({ removed: id }) : taken;
      },
    }),
    route({
      method: "post",
      path: "/credentials/{id}/enable",
      tag: "credentials",
      summary: "Use a credential again",
      description: "Also ends the state that the gateway has found it in.",
      input: one,
      answer: Overview,
      async handle({ params: { id } }) {
        const changed = await change(id, { disabled: undefined });
        if (!changed.ok) return changed;
        pool.reset(id);
        return shown(id);
      },
    }),
    route({
      method: "post",
      path: "/credentials/{id}/disable",
      tag: "credentials",
      summary: "Leave a credential alone",
      input: one,
      answer: Overview,
      async handle({ params: { id } }) {
        const changed = await change(id, { disabled: true });
        return changed.ok ? shown(id) : changed;
      },
    }),
    route({
      method: "post",
      path: "/credentials/{id}/reset",
      tag: "credentials",
      summary: "End the state that the gateway has found it in",
      description:
        "For an account that rests, is used up, locked or without a log-in as far as the gateway knows, when you know that this is over. The next request tries it.",
      input: one,
      answer: Overview,
      handle({ params: { id } }) {
        pool.reset(id);
        return shown(id);
      },
    }),
    route({
      method: "post",
      path: "/credentials/{id}/test",
      tag: "credentials",
      summary: "Ask the service whether a credential works",
      description:
        "Renews the token where it has to be and reads the quota, which costs nothing. At most every 30 seconds; in between the last outcome counts.",
      input: one,
      answer: z.object({
        works: z.boolean(),
        problem: z.string().nullable().describe("What is wrong, and what to do about it."),
        credential: Overview,
      }),
      async handle({ params: { id } }) {
        const credential = known(id);
        if (!credential.ok) return credential;
        const read = await quota.read(credential.value, { maxAgeMs: 0 });
        const now = shown(id);
        if (!now.ok) return now;
        const fault = read.ok ? read.value.fault : read.failure;
        return ok({
          works: fault === undefined,
          problem: fault === undefined ? null : describeAccountFault(credential.value, fault),
          credential: now.value,
        });
      },
    }),
    route({
      method: "post",
      path: "/credentials/{id}/quota",
      tag: "credentials",
      summary: "Read the quota anew",
      description: "At most every 30 seconds.",
      input: one,
      answer: Overview,
      async handle({ params: { id } }) {
        const credential = known(id);
        if (!credential.ok) return credential;
        const read = await quota.read(credential.value, { maxAgeMs: 0 });
        const fault = read.ok ? read.value.fault : read.failure;
        if (fault === undefined) return shown(id);
        return fail({ status: 502, error: describeAccountFault(credential.value, fault) });
      },
    }),
  ];
}

type Checked = Result<JsonRecord, { path: string; message: string }>;

/** Which files of the server are read is for those to say who may log in there. */
function unlinked(record: Checked): Checked {
  if (!record.ok || linkOf(record.value) === undefined) return record;
  return fail({
    path: "source",
    message: "can't be set from here; on the server, kiro-proxy import -link does that",
  });
}

function outcomeOf(added: Added | undefined, record: Checked) {
  if (!record.ok) return { outcome: "refused" as const, problem: sentence(record.failure) };
  if (added === undefined) throw new Error("the store forgot a record");
  return added.outcome === "refused"
    ? { outcome: added.outcome, problem: sentence(added.fault) }
    : { outcome: added.outcome, id: added.credential.id };
}

function nameOf(id: string): string {
  return JSON.stringify(id.slice(0, 128));
}
