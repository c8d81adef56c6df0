/** Stamped by `build.ts`; absent when the source is run without building. */
declare const KIRO_PROXY_BUILD: { version: string; commit: string } | undefined;

const stamp = typeof KIRO_PROXY_BUILD === "undefined" ? undefined : KIRO_PROXY_BUILD;

/** The version in package.json at the time of the build. */
export const version: string = stamp?.version ?? "0.0.0";

/** The commit that was built, `-dirty` behind it where the tree had changes; `source` or `unknown` without one. */
export const commit: string = stamp?.commit ?? "source";
