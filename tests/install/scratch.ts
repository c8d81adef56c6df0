import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export const script = join(import.meta.dir, "../../install.sh");

/** What install.sh may use of the machine; downloaders are added by those who want one. */
const TOOLS =
  "sh dash bash busybox awk cat chmod cmp cp cut dirname env find grep head ldd ln mkdir mv od printf readlink rm " +
  "rmdir sed seq sha256sum tail touch tr uname getconf sysctl";

/** A machine below a folder: its root, the programs on its PATH, and a release to install from. */
export type Scratch = {
  root: string;
  release: string;
  /** Writes a file, below the root where the path is absolute; with a mode for a program. */
  write(path: string, text: string, mode?: number): void;
  read(path: string): Promise<string>;
  exists(path: string): boolean;
  /** Every file below the root that is not a stand-in's own, with its content, mode and link. */
  snapshot(): Promise<Record<string, string>>;
  /** Puts a program of the real machine on the PATH. */
  lend(...tools: string[]): void;
  /** Puts a stand-in on the PATH. */
  fake(tool: string, text: string): void;
  /** What was told to stand-ins, a line each, since the last time. */
  told(): Promise<string[]>;
  run(args?: string[], options?: RunOptions): Promise<Run>;
  remove(): void;
};

type RunOptions = {
  shell?: string[];
  /** Goes before the script in the same shell. */
  before?: string;
  /** The script comes through a pipe. */
  piped?: string;
  env?: Record<string, string>;
};
export type Run = { code: number; out: string; err: string };

/** A stand-in for systemd: a service is what the unit's program says of itself. */
const SYSTEMCTL = `#!/bin/sh
[ "$1" = --user ] && shift
state=$(cat "$SCRATCH/state" 2>/dev/null || echo inactive)
unit=$(cat "$SCRATCH"/root/etc/systemd/system/kiro-proxy.service "$SCRATCH"/root/home/me/.config/systemd/user/*.service 2>/dev/null)
case "$1" in
  is-active) [ "$2" = --quiet ] || echo $state; [ $state = active ]; exit ;;
  is-failed) echo $state; [ $state = failed ]; exit ;;
  show) echo 0; exit ;;
esac
echo "systemctl $*" >>"$SCRATCH/told"
case "$*" in
  *restart*)
    program=$(echo "$unit" | sed -n "s|^ExecStart=%h|ExecStart=/home/me|; s|^ExecStart=\\([^ ]*\\).*|\\1|p")
    if grep -q NEVER-READY "$SCRATCH/root$program"; then touch "$SCRATCH/unready"; else rm -f "$SCRATCH/unready"; fi
    if grep -q FAILS-AS-SERVICE "$SCRATCH/root$program"; then echo failed; else echo active; fi >"$SCRATCH/state" ;;
  *disable*--now* | *stop*) echo inactive >"$SCRATCH/state" ;;
esac
`;

export function createScratch(): Scratch {
  const top = mkdtempSync(join(tmpdir(), "kiro-proxy-install-"));
  const root = join(top, "root");
  const release = join(top, "release");
  const programs = join(top, "bin");
  const own = (path: string): string => (path.startsWith("/") ? join(root, path) : join(top, path));

  const scratch: Scratch = {
    root,
    release,
    write(path, text, mode = 0o644) {
      const to = own(path);
      mkdirSync(dirname(to), { recursive: true });
      rmSync(to, { force: true });
      Bun.spawnSync(["tee", to], { stdin: Buffer.from(text), stdout: "ignore" });
      chmodSync(to, mode);
    },
    read: async (path) => await Bun.file(own(path)).text(),
    exists: (path) => statSync(own(path), { throwIfNoEntry: false }) !== undefined,
    async snapshot() {
      const listed = Bun.spawnSync(["find", root, "-printf", "%P %y %m %l\n"]).stdout.toString();
      const lines = listed.split("\n").filter(Boolean).toSorted();
      const entries = lines.map(async (line): Promise<[string, string]> => {
        const [path = "", type] = line.split(" ");
        return [line, type === "f" ? await Bun.file(join(root, path)).text() : ""];
      });
      return Object.fromEntries(await Promise.all(entries));
    },
    lend(...tools) {
      for (const tool of tools) {
        const path = Bun.which(tool);
        if (path !== null && !scratch.exists(`bin/${tool}`))
          symlinkSync(path, join(programs, tool));
      }
    },
    fake: (tool, text) => scratch.write(`bin/${tool}`, text, 0o755),
    async told() {
      const file = Bun.file(join(top, "told"));
      const lines = (await file.exists()) ? (await file.text()).split("\n").slice(0, -1) : [];
      rmSync(join(top, "told"), { force: true });
      return lines;
    },
    async run(args = ["--from", release], options = {}) {
      const { shell = ["sh"], before, piped } = options;
      const given = [...args, "--root", root];
      const command =
        piped !== undefined
          ? [...shell, "-s", "--", ...given]
          : before === undefined
            ? [...shell, script, ...given]
            : [...shell, "-c", `${before}; . "$0"`, script, ...given];
      const child = Bun.spawn(command, {
        cwd: top,
        env: { PATH: programs, SCRATCH: top, HOME: "/home/me", TMPDIR: top, ...options.env },
        stdin: Buffer.from(piped ?? ""),
        stdout: "pipe",
        stderr: "pipe",
      });
      const [out, err, code] = await Promise.all([
        child.stdout.text(),
        child.stderr.text(),
        child.exited,
      ]);
      return { code, out, err };
    },
    remove: () => rmSync(top, { recursive: true, force: true }),
  };

  for (const folder of [root, release, programs]) mkdirSync(folder);
  scratch.lend(...TOOLS.split(" "));
  // The machine is a Linux on x64 with glibc, whatever runs the tests; it is root's, and nobody has to wait.
  scratch.fake("uname", '#!/bin/sh\n[ "$1" = -m ] && echo x86_64 || echo Linux\n');
  scratch.fake("ldd", "#!/bin/sh\necho 'ldd (GNU libc) 2.36'\n");
  scratch.fake("id", "#!/bin/sh\necho 0\n");
  scratch.fake("sleep", "#!/bin/sh\n");
  scratch.fake("systemctl", SYSTEMCTL);
  scratch.fake("chown", '#!/bin/sh\necho "chown $*" >>"$SCRATCH/told"\n');
  scratch.fake(
    "useradd",
    '#!/bin/sh\necho "useradd" >>"$SCRATCH/told"\necho "kiro-proxy:x:990:991::/opt/kiro-proxy:/nologin" >>"$2/etc/passwd"\n',
  );
  scratch.fake("userdel", '#!/bin/sh\necho "userdel" >>"$SCRATCH/told"\n');
  scratch.write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n");
  mkdirSync(join(root, "run/systemd/system"), { recursive: true });
  return scratch;
}

export type StandIn = {
  version?: string;
  /** How far it works: not at all, until it is to answer, until it runs as a service, as one that never gets ready, always. */
  works?: "never" | "version" | "trial" | "unready" | "always";
  /** Bytes more. */
  padding?: number;
};

/** A program that does what install.sh asks of the real one. */
export function standIn({
  version = "1.0.0",
  works = "always",
  padding = 0,
}: StandIn = {}): string {
  return `#!/bin/sh
# ${version} ${works === "trial" ? "FAILS-AS-SERVICE" : works === "unready" ? "NEVER-READY" : ""} ${"x".repeat(padding)}
${works === "never" ? "exit 127" : ""}
case $1 in
  version) echo "kiro-proxy ${version} (abc, Bun 1.4.5)" ;;
  init) echo '{"apiKey": "made-by-init"}' >"$3"; chmod 600 "$3"; echo "Keys: made-by-init" ;;
  health)
    ${works === "version" ? "exit 1" : ""}
    case "$*" in *-ready*) [ ! -e "$SCRATCH/unready" ]; exit ;; esac ;;
  *) echo '{"event":"listening","url":"http://127.0.0.1:1"}' >&2
     exec ${Bun.which("sleep")} 60 ;;
esac
`;
}

/** Fills the release with programs by platform, and the file of their checksums. */
export function publish(
  scratch: Scratch,
  programs: Record<string, string>,
  folder = "release",
): void {
  const sums = Object.entries(programs).map(([platform, text]) => {
    scratch.write(`${folder}/kiro-proxy-${platform}`, text);
    return `${new Bun.CryptoHasher("sha256").update(text).digest("hex")}  kiro-proxy-${platform}\n`;
  });
  scratch.write(`${folder}/SHA256SUMS`, sums.join(""));
}
