import type { EditFault, PutFault, StoreFault } from "./store.ts";

/** A field and what is wrong with it, as a line for people. */
export function sentence(fault: { path: string; message: string }): string {
  return fault.path === "" ? fault.message : `${fault.path}: ${fault.message}`;
}

/** One fault of the store as a line for people. */
export function describeStoreFault(fault: StoreFault | PutFault | EditFault): string {
  switch (fault.kind) {
    case "broken":
      return `${fault.file}, line ${fault.line}, column ${fault.column}: ${fault.message}`;
    case "io":
      return `${fault.file}: ${fault.message}`;
    case "gone":
      return "the credential is no longer there";
    case "conflict":
      return "the credential was changed by somebody else at the same time";
    case "read-only":
      return "the credential comes from the environment and can't be changed here";
    case "unusable":
      return sentence(fault.fault);
    default:
      return fault satisfies never;
  }
}
