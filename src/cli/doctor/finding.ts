/** What one check has found. None holds a secret. */
export type Finding = {
  /** What was looked at, in a word or two. */
  check: string;
  status: "ok" | "warning" | "failure";
  found: string;
  /** Why it matters, where something is wrong. */
  why?: string;
  /** What to type or do next. */
  next?: string;
};

export function fine(check: string, found: string): Finding {
  return { check, status: "ok", found };
}

export function warning(check: string, found: string, why: string, next: string): Finding {
  return { check, status: "warning", found, why, next };
}

export function failure(check: string, found: string, why: string, next: string): Finding {
  return { check, status: "failure", found, why, next };
}
