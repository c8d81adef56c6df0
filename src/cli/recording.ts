import { createRecorder, type Recorder } from "../capture/recorder.ts";
import type { Config } from "../config/schema.ts";
import type { Runtime } from "../runtime.ts";
import type { Log } from "../telemetry/log.ts";

/** Undefined where nothing is to be kept. What is kept is private, so that is said at every start. */
export function startRecorder(
  settings: Config["capture"],
  deps: { folder: string; runtime: Runtime; log: Log },
): Recorder | undefined {
  const { credentials, users, all } = settings;
  if (credentials.length === 0 && users.length === 0) return undefined;
  deps.log.warn("capture-on", {
    warning: "prompts and answers of these credentials and users are written to disk as text",
    folder: deps.folder,
    credentials: credentials.join(", "),
    users: users.join(", "),
    kept: all ? "every attempt" : "failing attempts",
  });
  return createRecorder(settings, deps);
}
