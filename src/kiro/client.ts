import type { ReplyEvent } from "../conversation/reply.ts";
import type { Secret } from "../secret.ts";
import type { KiroFault } from "./failure.ts";

/** What one attempt needs to know of the credential it spends. */
export type Access = {
  token: Secret;
  /** Value of the `tokentype` header; absent for tokens of social and AWS log-ins. */
  tokenType?: "API_KEY" | "EXTERNAL_IDP";
  /** Already validated. */
  apiRegion: string;
  profileArn?: string;
  machineId: string;
};

/**
 * What one chunk from the network gave. A `fault` is the end. Without a fault, the last event of the last batch is
 * `stop`. Batches keep the number of writes to the client at one per upstream chunk.
 */
export type Batch = { events: ReplyEvent[]; fault?: KiroFault };
