import { z } from "zod";
import { canonicalCode, idOf, type User, userOf } from "../../auth/user-record.ts";
import { isGiven, isRecord, type JsonRecord } from "../../credentials/record.ts";
import { parseCredential } from "../../credentials/credential.ts";
import { ok } from "../../result.ts";
import { members, ofUsers, refused, route, type Route, unknown } from "./route.ts";
import { Name, type UserDeps } from "./users.ts";

// Go's names, and its empty texts for what is not there.
const text = z.string();
const Code = z
  .string("is missing: must be the user's code")
  .trim()
  .regex(/^[\x21-\x7e]{1,200}$/, "must be up to 200 visible ASCII characters without spaces")
  .refine((code) => canonicalCode(code) !== "", "must have something behind act-");
const one = z.object({ params: members({ code: z.string().describe("In any spelling.") }) });
const Done = z.object({ success: z.literal(true), message: text });

/** What the Go build had, answer by answer. */
export function userCredentialRoutes({ users, context, runtime, randomBytes }: UserDeps): Route[] {
  return [
    route({
      method: "get",
      path: "/user-credentials",
      tag: "user-credentials",
      summary: "All users, with their codes",
      input: z.object({}),
      answer: z.array(
        z.object({
          activation_code: text,
          user_name: text,
          has_credentials: z.boolean(),
          expires_at: text.describe("The user's last day; empty for none."),
          created_at: text,
          updated_at: text,
        }),
      ),
      handle: () =>
        ok(
          users.list().map((user) => ({
            ...briefOf(user),
            user_name: user.name,
            created_at: user.createdAt ?? "",
            updated_at: user.updatedAt ?? "",
          })),
        ),
    }),
    route({
      method: "post",
      path: "/user-credentials",
      tag: "user-credentials",
      summary: "Make a user with a code of your own, or change one",
      description:
        "What is not sent stays as it is, and so does everything else in the user's record. Members that are not known are ignored, as the Go build does.",
      example: { activation_code: "act-user001", user_name: "Ada" },
      input: z.object({
        body: z.object({
          activation_code: Code,
          user_name: Name.nullish(),
          credentials: z
            .record(z.string(), z.unknown())
            .nullish()
            .describe("A log-in of the user's own."),
        }),
      }),
      answer: Done,
      async handle({ body: { activation_code: code, user_name: name, credentials } }) {
        const own = Object.values(credentials ?? {}).some(isGiven) ? credentials : undefined;
        const parsed = own && parseCredential(own, context);
        if (parsed?.ok === false) {
          const { path, message } = parsed.failure;
          return refused(`${["credentials", path].filter(Boolean).join(".")}: ${message}`);
        }
        const now = new Date(runtime.now()).toISOString();
        const blank = {
          activation_code: code,
          // The user who had this code before has kept the id that it stands for.
          ...(users.byId(idOf(code)) && { user_id: `user-${hexOf(randomBytes(5))}` }),
          user_name: "",
          credentials: {},
          created_at: now,
        };
        const changed = await users.change([code], (before = blank) => {
          const record: JsonRecord = {
            ...before,
            ...(typeof name === "string" && { user_name: name }),
            ...(isRecord(credentials) && { credentials }),
            updated_at: now,
          };
          const { fault } = userOf(code, record);
          return fault === undefined ? ok({ record }) : refused(fault);
        });
        if (!changed.ok) return ofUsers(changed.failure);
        return ok({ success: true as const, message: "User credentials saved" });
      },
    }),
    route({
      method: "get",
      path: "/user-credentials/stats",
      tag: "user-credentials",
      summary: "How many users there are",
      input: z.object({}),
      answer: z.object({
        total_users: z.int(),
        with_credentials: z.int(),
        disabled: z.int(),
        expired: z.int(),
      }),
      handle() {
        const all = users.list();
        const now = runtime.now();
        return ok({
          total_users: all.length,
          with_credentials: all.filter(({ hasCredentials }) => hasCredentials).length,
          disabled: all.filter(({ disabled }) => disabled).length,
          expired: all.filter(({ expiresAt = now + 1 }) => expiresAt <= now).length,
        });
      },
    }),
    route({
      method: "get",
      path: "/user-credentials/{code}",
      tag: "user-credentials",
      summary: "One user",
      input: one,
      answer: z.object({ activation_code: text, has_credentials: z.boolean(), expires_at: text }),
      handle({ params: { code } }) {
        const user = users.find(code);
        return user === undefined ? unknown("There is no user with this code.") : ok(briefOf(user));
      },
    }),
    route({
      method: "delete",
      path: "/user-credentials/{code}",
      tag: "user-credentials",
      summary: "Remove a user",
      description: "A code that nobody has is no error.",
      input: one,
      answer: Done,
      async handle({ params: { code } }) {
        const removed = await users.change<never>([code], () => ok({ record: null }));
        return removed.ok
          ? ok({ success: true as const, message: "User credentials deleted" })
          : ofUsers(removed.failure);
      },
    }),
  ];
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function briefOf({ code, hasCredentials, expiresDate }: User) {
  return {
    activation_code: code.reveal(),
    has_credentials: hasCredentials,
    expires_at: expiresDate ?? "",
  };
}
