import { createUserCredentials } from "../../auth/user-credentials.ts";
import { createUsers, createUsersFile } from "../../auth/users.ts";
import { describeStoreFault, sentence } from "../../credentials/describe.ts";
import type { Runtime } from "../../runtime.ts";
import type { Settings } from "../settings.ts";
import { failure, fine, type Finding } from "./finding.ts";

const silent = { info: () => undefined, error: () => undefined };

/** Whether the file of the users can be read, and whose record can't be used. Their accounts are not asked. */
export async function checkUsers(
  path: string,
  { context }: Pick<Settings, "context">,
  runtime: Pick<Runtime, "randomUUID" | "sleep">,
): Promise<Finding[]> {
  const check = "users";
  const next = `correct ${path}`;
  const file = createUsersFile({ path, runtime });
  const users = await createUsers({ file, log: silent });
  if (!users.ok) {
    const why = "The gateway does not start with it, and one that runs goes on with what it knew.";
    return [failure(check, describeStoreFault(users.failure), why, next)];
  }
  const all = users.value.list();
  if (all.length === 0) return [];
  const own = await createUserCredentials({ file, context }).list();
  const rejected = own.ok ? own.value.rejected : [];
  return [
    fine(check, `${all.length} in ${path}`),
    ...all.flatMap(({ id, fault }) =>
      fault === undefined ? [] : [failure(check, `${id}: ${fault}`, "They are refused.", next)],
    ),
    ...rejected.map((fault) => failure(check, sentence(fault), "That log-in is left out.", next)),
  ];
}
