import type { Answer } from "./answers.ts";
import { refusal } from "./answers.ts";
import type { RecordedRequest } from "./request.ts";
import { bearerOf, members } from "./request.ts";
import { scenarios } from "./scenarios.ts";

const PROFILES_TARGET = "AmazonCodeWhispererService.ListAvailableProfiles";

/** What the service says of accounts, by their access tokens. Each answer may be replaced at any time. */
export class Management {
  limits: (token: string) => object = () => usageLimits();
  /** At the start none, which says nothing: a test may ask for any model. */
  models: (token: string) => object[] = () => [];
  /** The ARNs of an account's profiles by region. None for a personal account. */
  profiles: (token: string) => Record<string, string[]> = () => ({});
  /** Given instead of any of these. */
  outage: Answer | undefined;

  /** Undefined for a request that is about something else. */
  answer(request: RecordedRequest): Answer | undefined {
    const token = bearerOf(request) ?? "";
    const reply = this.#reply(request, token);
    if (reply === undefined || this.outage !== undefined) return reply && this.outage;
    // A newer editor would have to name a profile, and one on these calls is not taken, not even the right one.
    const agent = request.headers["user-agent"] ?? "";
    const inOrder = agent.includes("KiroIDE-0.9.2-") && !request.path.includes("profileArn=");
    return inOrder ? refusal(200, reply) : scenarios["improperly formed"];
  }

  /** A company's account is refused in another region than its profile's, and with a profile of somebody else. */
  knows(request: RecordedRequest): boolean {
    const profiles = this.profiles(bearerOf(request) ?? "");
    const arn = members(request.body)["profileArn"];
    return (
      Object.keys(profiles).length === 0 || profiles[request.region]?.includes(String(arn)) === true
    );
  }

  #reply(
    { method, host, path, region, headers }: RecordedRequest,
    token: string,
  ): object | undefined {
    switch (`${method} ${host} ${path.split("?")[0]}`) {
      case "GET api /getUsageLimits":
        return this.limits(token);
      case "GET api /ListAvailableModels":
        return { models: this.models(token), defaultModel: { modelId: "auto" }, nextToken: null };
      case "POST api /": {
        if (headers["x-amz-target"] !== PROFILES_TARGET) return undefined;
        const arns = this.profiles(token)[region] ?? [];
        return { profiles: arns.map((arn) => ({ arn, profileName: "Profile" })) };
      }
      default:
        return undefined;
    }
  }
}

export function offered(modelId: string, maxInputTokens: number): object {
  return {
    modelId,
    modelName: modelId,
    tokenLimits: { maxInputTokens, maxOutputTokens: null },
    supportedInputTypes: ["TEXT", "IMAGE"],
  };
}

/** An answer of GetUsageLimits; `resetAt` is in milliseconds since the epoch. */
export function usageLimits(
  options: { used?: number; limit?: number; plan?: string; resetAt?: number } = {},
): object {
  const { used = 37.42, limit = 50, plan = "KIRO PRO", resetAt } = options;
  return {
    daysUntilReset: 12,
    nextDateReset: resetAt === undefined ? null : resetAt / 1000,
    usageBreakdownList: [
      {
        resourceType: "CREDIT",
        currentUsage: Math.floor(used),
        currentUsageWithPrecision: used,
        usageLimit: Math.floor(limit),
        usageLimitWithPrecision: limit,
      },
    ],
    subscriptionInfo: { type: "Q_DEVELOPER_STANDALONE", subscriptionTitle: plan },
    userInfo: { userId: "d-0000000000", email: "user@example.com" },
  };
}
