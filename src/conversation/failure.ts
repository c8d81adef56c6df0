/**
 * The closed list of ways in which a request fails, in terms of the client. Each wire has one table from `kind` to its
 * own status and error type. `message` is shown to the client: no token, account id, ARN, path or upstream body.
 */
export type Failure = {
  message: string;
  /** When it makes sense to try again. */ retryAfterMs?: number;
} & (
  | {
      kind:
        /** The request can't be served as it is; the client must change it. */
        | "invalid-request"
        | "authentication"
        /** The caller is known and may not (account suspended, a model that is not theirs). */
        | "permission"
        /** An activation code that is not, or no longer, good. */
        | "activation-refused"
        /** An unknown route or object. */
        | "not-found"
        | "model-not-found"
        /** The body is over the size limit. */
        | "too-large"
        /** The body did not arrive in time. */
        | "request-timeout"
        /** A feature that this gateway does not offer. */
        | "not-supported"
        /** The request goes on from an earlier reply, and none is kept. */
        | "previous-response-not-found"
        | "rate-limited"
        /** The caller has spent what the gateway's operator allows for a day or a month. */
        | "limit-reached"
        /** The plan of every usable credential is used up. */
        | "quota"
        | "overloaded"
        /** No credential can serve right now. */
        | "unavailable"
        /** The upstream failed, or broke off. */
        | "upstream"
        | "timeout"
        /** A bug of ours. */
        | "internal";
    }
  /** The prompt does not fit: `tokens` (at least `limit` + 1, an estimate) over the model's window `limit`. */
  | { kind: "context-overflow"; tokens: number; limit: number }
  /** The API's `thread` field; SDK helpers fall back to sending the whole history on this error alone. */
  | { kind: "thread-unsupported" }
);

export type FailureKind = Failure["kind"];
