/** A row of the server's `codes.json`, and what its clock says. */
export type ActivationCode = {
  code: string;
  active?: boolean;
  machineId?: string;
  activatedAt?: string;
  tunnelDays?: number;
};

export type ActivationServer = {
  url: string;
  codes: ActivationCode[];
  /** What came in, oldest first. */
  checks: { code: string; machineId: string }[];
  /** Answers like this instead of by its codes; undefined ends that. */
  otherwise(answer: (() => Response | Promise<Response>) | undefined): void;
  stop(): Promise<void>;
};

const DAY_MS = 86_400_000;

/** The Go build's activation server on a loopback port of its own. It always answers with 200. */
export function startActivationServer(codes: ActivationCode[]): ActivationServer {
  const checks: ActivationServer["checks"] = [];
  let instead: (() => Response | Promise<Response>) | undefined;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const body: unknown = await request.json();
      const { code = "", machineId = "" } = Object(body);
      checks.push({ code, machineId });
      if (instead !== undefined) return await instead();
      if (request.method !== "POST" || new URL(request.url).pathname !== "/api/tunnel/check") {
        return new Response("not found", { status: 404 });
      }
      return Response.json(judge(codes, code, machineId));
    },
  });
  return {
    url: server.url.origin,
    codes,
    checks,
    otherwise: (answer) => void (instead = answer),
    stop: async () => await server.stop(true),
  };
}

function judge(codes: ActivationCode[], code: string, machineId: string): object {
  if (code === "") return refused("missing parameters");
  const row = codes.find((one) => one.code === code);
  if (row === undefined) return refused("activation code does not exist");
  const { active = true, machineId: bound, activatedAt, tunnelDays = 30 } = row;
  if (!active || (bound !== undefined && bound !== machineId)) {
    return refused("activation code is not activated or belongs to another device");
  }
  if (tunnelDays <= 0) return refused("activation code has no days left");
  const end = Date.parse(activatedAt ?? new Date().toISOString()) + tunnelDays * DAY_MS;
  if (end < Date.now()) return refused("activation code has expired");
  return { success: true, message: "ok", tunnelDays, expiresAt: new Date(end).toISOString() };
}

function refused(message: string): object {
  return { success: false, message };
}
