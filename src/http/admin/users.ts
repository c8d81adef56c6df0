import { z } from "zod";
import { limitsRecord, type User, userOf } from "../../auth/user-record.ts";
import type { Users } from "../../auth/users.ts";
import type { CredentialContext } from "../../credentials/credential.ts";
import type { JsonRecord } from "../../credentials/record.ts";
import { ok, type Result } from "../../result.ts";
import type { Runtime } from "../../runtime.ts";
import {
  type AdminFault,
  count,
  members,
  ofUsers,
  refused,
  route,
  type Route,
  unknown,
} from "./route.ts";

export type UserDeps = {
  users: Users;
  context: CredentialContext;
  runtime: Pick<Runtime, "now">;
  /** Nobody can guess them. */
  randomBytes: (length: number) => Uint8Array;
};

const limit = z.number().min(0).optional();
const whole = z.int().min(0).optional();
const Limits = members({
  requests_per_minute: whole,
  concurrent_requests: whole,
  tokens_per_day: whole,
  credits_per_day: limit,
  credits_per_month: limit,
  models: z
    .array(z.string().min(1))
    .max(100)
    .optional()
    .describe("By any of their names; empty for all."),
}).describe("One that is absent is the default of all users, 0 is no limit.");

const ExpiresDate = z.iso
  .date("must be a day such as 2026-12-31, or null")
  .nullable()
  .describe("The last day (UTC) on which the code is good; null for no end.");
export const Name = z
  .string()
  .regex(/^[^\p{C}]{0,200}$/u, "must be up to 200 characters, without control characters");
const Shown = z.object({
  id: z.string().describe("In logs and usage; it outlives a change of the code."),
  name: z.string(),
  code_hint: z.string().describe("The end of the code."),
  disabled: z.boolean(),
  expires_date: z.string().nullable(),
  expired: z.boolean(),
  limits: z.object(Limits.shape),
  has_credentials: z.boolean().describe("The user has a log-in of their own."),
  created_at: z.string().nullable(),
  updated_at: z.string().nullable(),
  problem: z.string().nullable().describe("What is wrong with the record; the user can't get in."),
});
const WithCode = z.object({
  code: z.string().describe("Shown this once."),
  user: Shown,
});

const one = z.object({
  params: members({ user: z.string().describe("The id, or the code in any spelling.") }),
});
const changes = {
  name: Name.optional(),
  disabled: z.boolean().optional(),
  expires_date: ExpiresDate.optional(),
  limits: Limits.nullable().optional().describe("All of them: what is not sent is taken away."),
};

const BATCH_MAX = 1_000;

export function userRoutes({ users, runtime, randomBytes }: UserDeps): Route[] {
  const nowText = (): string => new Date(runtime.now()).toISOString();

  const known = (user: string): Result<User, AdminFault> => {
    const found = users.byId(user) ?? users.find(user);
    return found === undefined ? unknown("There is no such user.") : ok(found);
  };

  const shown = (user: User) => {
    const { id, name, disabled, expiresAt, expiresDate, limits, hasCredentials, fault } = user;
    return {
      id,
      name,
      code_hint: hintOf(user),
      disabled,
      expires_date: expiresDate,
      expired: expiresAt !== undefined && expiresAt <= runtime.now(),
      limits: limitsRecord(limits),
      has_credentials: hasCredentials,
      created_at: user.createdAt,
      updated_at: user.updatedAt,
      problem: fault ?? null,
    };
  };

  /** Writes new members into the records of all of these users, or of none. */
  const change = async (
    chosen: readonly User[],
    news: JsonRecord,
    newCode?: string,
  ): Promise<Result<undefined, AdminFault>> => {
    const codes = chosen.map(({ code }) => code.reveal());
    const changed = await users.change(codes, (before) => {
      if (before === undefined) return unknown("There is no such user any more.");
      const given = Object.entries({ ...before, ...news, updated_at: nowText() });
      const record = Object.fromEntries(given.filter(([, value]) => value !== undefined));
      const { fault } = userOf("", record);
      if (fault !== undefined) return refused(fault);
      return ok({ record, ...(newCode !== undefined && { code: newCode }) });
    });
    return changed.ok ? changed : ofUsers(changed.failure);
  };

  const after = (code: string): Result<ReturnType<typeof shown>, AdminFault> => {
    const found = known(code);
    return found.ok ? ok(shown(found.value)) : found;
  };

  return [
    route({
      method: "get",
      path: "/users",
      tag: "users",
      summary: "Search users",
      input: z.object({
        query: members({
          q: z.string().default("").describe("A part of the name, the id or the code."),
          limit: count(1, 500, 50),
          offset: count(0, 1_000_000, 0),
        }),
      }),
      answer: z.object({ users: z.array(Shown), total: z.int().describe("Of those that fit.") }),
      handle({ query: { q, limit: most, offset } }) {
        const sought = q.trim().toLowerCase();
        const found = users
          .list()
          .filter(({ id, name, code }) =>
            [id, name, code.reveal()].some((part) => part.toLowerCase().includes(sought)),
          );
        return ok({
          users: found.slice(offset, offset + most).map(shown),
          total: found.length,
        });
      },
    }),
    route({
      method: "post",
      path: "/users",
      tag: "users",
      summary: "Make a user with a new code",
      example: { name: "Ada", expires_date: "2026-12-31", limits: { credits_per_month: 50 } },
      input: z.object({ body: members({ ...changes, name: Name.min(1, "must not be empty") }) }),
      answer: WithCode,
      async handle({ body: { name, expires_date: date, limits, disabled } }) {
        const code = makeCode(randomBytes);
        const now = nowText();
        const record: JsonRecord = {
          activation_code: code,
          user_name: name,
          credentials: {},
          ...(date && { expires_date: date }),
          ...(limits && { limits }),
          ...(disabled && { disabled }),
          created_at: now,
          updated_at: now,
        };
        const added = await users.change<never>([code], () => ok({ record }));
        if (!added.ok) return ofUsers(added.failure);
        const user = after(code);
        return user.ok ? ok({ code, user: user.value }) : user;
      },
    }),
    route({
      method: "post",
      path: "/users/expiry",
      tag: "users",
      summary: "Set the last day of many users",
      description: "All in one step, or none where one of them does not exist.",
      example: { users: ["user-0123456789"], expires_date: "2026-12-31" },
      input: z.object({
        body: members({
          users: z.array(z.string()).min(1).max(BATCH_MAX).describe("Their ids or codes."),
          expires_date: ExpiresDate,
        }),
      }),
      answer: z.object({ changed: z.int() }),
      async handle({ body }) {
        const chosen = new Set<User>();
        const missing: string[] = [];
        for (const [at, user] of body.users.entries()) {
          const found = known(user);
          if (found.ok) chosen.add(found.value);
          else missing.push(`users[${at}]`);
        }
        if (missing.length > 0) {
          return unknown(
            `There is no such user: ${missing.slice(0, 20).join(", ")}. Nothing was changed.`,
          );
        }
        const changed = await change([...chosen], { expires_date: body.expires_date ?? undefined });
        return changed.ok ? ok({ changed: chosen.size }) : changed;
      },
    }),
    route({
      method: "get",
      path: "/users/{user}",
      tag: "users",
      summary: "One user",
      input: one,
      answer: Shown,
      handle: ({ params }) => after(params.user),
    }),
    route({
      method: "patch",
      path: "/users/{user}",
      tag: "users",
      summary: "Change name, limits or last day; disable and enable",
      description: "What is not sent stays as it is.",
      example: { limits: { credits_per_day: 10, requests_per_minute: 30 } },
      input: one.extend({
        body: members(changes).refine(
          (body) => Object.keys(body).length > 0,
          `is empty; known are ${Object.keys(changes).join(", ")}`,
        ),
      }),
      answer: Shown,
      async handle({ params, body }) {
        const user = known(params.user);
        if (!user.ok) return user;
        const changed = await change([user.value], {
          ...(body.name !== undefined && { user_name: body.name }),
          ...("disabled" in body && { disabled: body.disabled || undefined }),
          ...("expires_date" in body && { expires_date: body.expires_date ?? undefined }),
          ...("limits" in body && { limits: body.limits ?? undefined }),
        });
        return changed.ok ? after(user.value.code.reveal()) : changed;
      },
    }),
    route({
      method: "delete",
      path: "/users/{user}",
      tag: "users",
      summary: "Remove a user, and the log-in of their own with it",
      input: one,
      answer: z.object({ removed: z.string() }),
      async handle({ params }) {
        const user = known(params.user);
        if (!user.ok) return user;
        const removed = await users.change([user.value.code.reveal()], (before) =>
          before === undefined ? unknown("There is no such user any more.") : ok({ record: null }),
        );
        return removed.ok ? ok({ removed: user.value.id }) : ofUsers(removed.failure);
      },
    }),
    route({
      method: "post",
      path: "/users/{user}/rotate",
      tag: "users",
      summary: "Give a user another code",
      description: "The old one is worth nothing from then on. Limits, usage and the id stay.",
      input: one,
      answer: WithCode,
      async handle({ params }) {
        const user = known(params.user);
        if (!user.ok) return user;
        const code = makeCode(randomBytes);
        // Else the id would be another one with the next code.
        const news = { activation_code: code, user_id: user.value.id };
        const changed = await change([user.value], news, code);
        if (!changed.ok) return changed;
        const now = after(code);
        return now.ok ? ok({ code, user: now.value }) : now;
      },
    }),
  ];
}

/** Codes are compared without regard to case; what looks like 0 or 1 is not among these. */
const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** Of five bits each: 140 together. */
const CHARACTERS = 28;

function makeCode(randomBytes: UserDeps["randomBytes"]): string {
  const text = Array.from(randomBytes(CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join(
    "",
  );
  return `act-${text.replaceAll(/.{4}(?=.)/g, "$&-")}`;
}

/** Enough to recognise a code that somebody reads out, too little to use it. */
function hintOf({ code }: User): string {
  const text = code.reveal();
  return text.length < 16 ? "…" : `…${text.slice(-4)}`;
}
