/** One call to the service that a request has made. */
export type AttemptAccount = {
  credential: string;
  /** Absent where it gave the answer. */
  fault?: string;
  /** Until the fault, or until the last byte of the answer was read. */
  ms: number;
  /** What the service has charged for a call that failed. */
  credits?: number;
};

/** All that is told of one request: its log line, its row in the ledger and the metrics read it. No prompt, no secret. */
export type RequestAccount = {
  requestId: string;
  /** When it came, in milliseconds since the epoch. */
  at: number;
  wire: string;
  /** Who asked, by name; undefined where that was never found out. */
  caller?: string;
  /** The id of a user of the gateway. */
  user?: string;
  /** As the client wrote it, shortened. */
  model?: string;
  /** As the service was asked for it, shortened. */
  upstreamModel?: string;
  /** The model if it is one that we know: what the client makes up is not among them. */
  knownModel?: string;
  credential?: string;
  stream?: boolean;
  /** What the client has got; 499 if it left. */
  status: number;
  outcome: "complete" | "failed" | "cancelled";
  failure?: string;
  attempts: AttemptAccount[];
  /** Codes of what was added, moved, left out or marked, each once. From a closed list. */
  notices?: string[];
  usage: {
    inputTokens?: number;
    outputTokens?: number;
    cacheReadTokens?: number;
    cacheWriteTokens?: number;
  };
  /** What the service has charged; undefined where it did not say. */
  credits?: number;
  /** What counts against the user's limits where the service said nothing. */
  estimate?: { credits?: number; tokens?: number };
  /** From the request to the first event of the reply. */
  firstEventMs?: number;
  durationMs: number;
};

/** How long the request was in the hands of the service. */
export function upstreamMs({ attempts }: RequestAccount): number {
  return attempts.reduce((sum, { ms }) => sum + ms, 0);
}
