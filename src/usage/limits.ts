import { z } from "zod";

const count = z.int().min(0).exactOptional();
const credits = z.number().min(0).exactOptional();

/** What one user may spend; a limit that is absent is the default of all users, and 0 (or no models) is no limit. */
export const userLimitsSchema = z.object({
  requestsPerMinute: count,
  concurrentRequests: count,
  /** Of prompts, whatever was read from a cache, and of replies. */
  tokensPerDay: count,
  creditsPerDay: credits,
  creditsPerMonth: credits,
  /** Ids, aliases or any other names of the models that may be used. */
  models: z.array(z.string().min(1)).exactOptional(),
});

export type UserLimits = z.output<typeof userLimitsSchema>;
