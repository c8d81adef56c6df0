/** What Hono carries along with a request. `server` is absent when the app is called without one, as tests do. */
export type HttpEnv = {
  Bindings: {
    server?: {
      timeout(request: Request, seconds: number): void;
      requestIP(request: Request): { address: string } | null;
    };
  };
  Variables: {
    requestId: string;
    /** What the log names instead of the path. */
    route?: string;
    /** The route writes the log line of the request itself. */
    logged?: boolean;
  };
};
