/** What the app asks of the server. */
export type Server = {
  timeout(request: Request, seconds: number): void;
  requestIP(request: Request): { address: string } | null;
};

/** One request on its way through the app. `server` is absent when the app is called without one, as tests do. */
export type Exchange = { request: Request; id: string; server: Server | undefined };

/** What Hono carries along with a request. */
export type HttpEnv = {
  Bindings: {
    server?: Server;
    /** Of the app that has handed a request on: the request's id, and where its route is told. */
    outer?: { requestId: string; route(name: string): void };
  };
  Variables: {
    requestId: string;
    /** What the log names instead of the path. */
    route?: string;
    /** The route writes the log line of the request itself. */
    logged?: boolean;
  };
};
