import { z } from "zod";
import type { EditFault, StoreFault } from "../../credentials/store.ts";
import { describeStoreFault } from "../../credentials/describe.ts";
import { fail, ok, type Result } from "../../result.ts";

/** Why a call was not done, in a sentence for the operator. */
export type AdminFault = { status: 400 | 404 | 409 | 500 | 502 | 503; error: string };

export const TAGS = {
  server: "The server itself.",
  credentials: "The accounts of Kiro that the gateway spends.",
  users: "Those who may use the gateway with an activation code.",
  usage: "What was spent, and what became of single requests.",
  "user-credentials": "The calls of the Go build, for the programs that know them.",
} as const;

type Head = {
  method: "get" | "post" | "patch" | "delete";
  /** Below `/api/admin`, with parameters in braces. */
  path: string;
  tag: keyof typeof TAGS;
  summary: string;
  description?: string;
  /** A body that works, for the page. */
  example?: unknown;
};

/** A call of the admin API. The document, the checks and the page are all made from it. */
export type Route = Head & {
  /** Any of `params`, `query` and `body`. */
  input: z.ZodObject;
  answer: z.ZodType;
  run(given: Record<string, unknown>): Promise<Result<unknown, AdminFault>>;
};

export function route<Input extends z.ZodObject, Answer extends z.ZodType>(
  call: Head & {
    input: Input;
    answer: Answer;
    handle(
      input: z.output<Input>,
    ): Result<z.input<Answer>, AdminFault> | Promise<Result<z.input<Answer>, AdminFault>>;
  },
): Route {
  return {
    ...call,
    async run(given) {
      const input = call.input.safeParse(given);
      if (!input.success) return refused(sentenceOf(input.error));
      const answer = await call.handle(input.data);
      // Nothing gets out but what the document says.
      return answer.ok ? ok(call.answer.parse(answer.value)) : answer;
    },
  };
}

/** An object with these members and no others; whoever sends another is told which there are. */
export function members<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code, keys }) =>
      code === "unrecognized_keys"
        ? `has no ${(keys ?? []).map((key) => JSON.stringify(key.slice(0, 40))).join(", ")}; known are ${Object.keys(shape).join(", ")}`
        : undefined,
  });
}

/** A number from the query. */
export function count(least: number, most: number, otherwise: number) {
  const error = `must be a whole number from ${least} to ${most}`;
  return z.coerce
    .number<string>(error)
    .int(error)
    .min(least, error)
    .max(most, error)
    .default(otherwise);
}

export function refused(error: string): Result<never, AdminFault> {
  return fail({ status: 400, error });
}

export function unknown(error: string): Result<never, AdminFault> {
  return fail({ status: 404, error });
}

export function ofStore(fault: StoreFault | EditFault): Result<never, AdminFault> {
  const error = describeStoreFault(fault);
  switch (fault.kind) {
    case "gone":
      return unknown(error);
    case "read-only":
      return fail({ status: 409, error });
    case "unusable":
      return refused(error);
    case "broken":
    case "io":
      return fail({ status: 500, error });
    default:
      return fault satisfies never;
  }
}

export function ofUsers(fault: StoreFault | AdminFault): Result<never, AdminFault> {
  return "kind" in fault ? ofStore(fault) : fail(fault);
}

const TOLD_MAX = 5;

/** Which fields are wrong and what is expected of them; never what they hold. */
function sentenceOf({ issues }: z.ZodError): string {
  const told = issues.slice(0, TOLD_MAX).map(({ path, message }) => {
    const [part, ...field] = path.map(String);
    return `${field.length === 0 ? part : field.join(".")}: ${message}`;
  });
  if (issues.length > TOLD_MAX) told.push(`and ${issues.length - TOLD_MAX} more`);
  return told.join("; ");
}
