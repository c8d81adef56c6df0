import { withManyConnections } from "./cli/many-connections.ts";

const argv = process.argv.slice(2);
// Before the rest is loaded, which takes longer than all else at a start: it would be loaded twice.
const serves = argv[0] === undefined || argv[0] === "serve" || argv[0].startsWith("-");
const code = serves ? await withManyConnections() : undefined;
const { run } = await import("./cli/program.ts");
process.exit(code ?? (await run(argv)));
