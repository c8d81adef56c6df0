#!/bin/sh
# shellcheck disable=SC2086 # what stands without quotes is a yes, a no or a name without spaces
# Installs, upgrades and removes kiro-proxy: sh install.sh --help
# The braces make the shell read all of it before it runs any of it, so a download that breaks off does nothing.
{
set -eu

NAME=kiro-proxy
UNIT_MARK="# Written by install.sh of kiro-proxy, which replaces it at every upgrade; your changes: systemctl edit kiro-proxy"

usage() {
  cat <<'END'
Installs kiro-proxy, or upgrades it in place.

Usage: sh install.sh [flags]       curl -fsSL URL/install.sh | sh -s -- --from URL

  --from DIR|URL   folder with the binaries and their SHA256SUMS; without it, the folder
                   of this script or $KIRO_PROXY_RELEASES
  --version X      this version: from vX below --from where there is that
  --user           for this user in ~/.local; without it root installs to /opt/kiro-proxy
  --root DIR       install below DIR, as if it were /
  --no-service     no systemd service
  --print-unit     print the systemd unit and do nothing else; --print-platform likewise
  --uninstall      remove the program and its service; the data stay
  --purge          with --uninstall: the data as well
  --help           this

Configuration and credentials that are there are never changed. A new binary that does not
work is replaced by the one that was there.
END
}

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# The last lines of the new binary's output, for a message.
excerpt() { tail -n 5 "$1" 2>/dev/null | sed 's/^/  /'; }

# ---------------------------------------------------------------- what and where

detect_platform() {
  case $(uname -s) in
    Linux) os=linux ;;
    Darwin) os=darwin ;;
    *) die "there is no binary for $(uname -s); Linux and macOS have one (on Windows, download $NAME-windows-x64.exe)" ;;
  esac
  machine=$(uname -m)
  # A shell under Rosetta says x86_64 on an ARM machine.
  if [ $os = darwin ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then machine=arm64; fi
  case $machine in
    x86_64 | amd64) arch=x64 ;;
    aarch64 | arm64) arch=arm64 ;;
    *) die "there is no binary for $machine; x86-64 and ARM64 have one" ;;
  esac
  if [ "$(getconf LONG_BIT 2>/dev/null)" = 32 ]; then die "there is no binary for 32-bit systems"; fi
  platform=$os-$arch
  if [ $os = linux ] && is_musl; then platform=$platform-musl; fi
}

print_platform() {
  detect_platform
  say $platform
}

is_musl() {
  if has ldd; then
    # musl's ldd knows no --version and fails, after its name.
    case $(ldd --version 2>&1 || true) in *musl*) return 0 ;; *) return 1 ;; esac
  fi
  for loader in /lib/ld-musl-*; do
    [ -e "$loader" ] && return 0
  done
  return 1
}

# Sets the paths: `dir` of the data, `bin`, `link` on the PATH, `unit`.
choose_paths() {
  if [ $user = yes ]; then
    [ -n "${HOME:-}" ] || die "HOME is not set"
    dir=$root$HOME/.kiro-proxy
    bin=$root$HOME/.local/bin/$NAME
    link=
    unit=$root${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/$NAME.service
    systemd=$root${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/systemd
  else
    dir=$root/opt/$NAME
    bin=$dir/$NAME
    link=$root/usr/local/bin/$NAME
    unit=$root/etc/systemd/system/$NAME.service
    systemd=$root/run/systemd/system
  fi
  own_unit=yes
  if [ $service = yes ] && { [ ! -d "$systemd" ] || ! has systemctl; }; then
    service=no
    say "systemd does not run here, so no service is set up"
  fi
  for place in "$unit" "$root/usr/lib/systemd/system/$NAME.service" "$root/lib/systemd/system/$NAME.service"; do
    if [ -f "$place" ] && ! grep -qF "$UNIT_MARK" "$place"; then
      # Somebody's own, such as the Go build's: it stays, and the binary that it starts is the one to replace.
      own_unit=no
      unit=$place
      started=$(sed -n 's/^ExecStart=[-@:+!]*\([^ ]*\).*/\1/p' "$place" | head -n 1)
      case $started in /*) bin=$root$started ;; esac
      break
    fi
  done
}

control() {
  if [ $user = yes ]; then systemctl --user "$@"; else systemctl "$@"; fi
}

print_unit() {
  # Paths as the service sees them.
  if [ $user = yes ]; then at=%h/.kiro-proxy run=%h/.local/bin/$NAME; else at=/opt/$NAME run=/opt/$NAME/$NAME; fi
  cat <<END
$UNIT_MARK
[Unit]
Description=kiro-proxy, a gateway to the models of Kiro
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=all
ExecStart=$run -config $at/config.json -credentials $at/credentials.json
ExecReload=/bin/kill -HUP \$MAINPID
WorkingDirectory=$at
Restart=always
RestartSec=1
RestartSteps=6
RestartMaxDelaySec=60
WatchdogSec=60
TimeoutStartSec=60
# Longer than shutdownGraceMs.
TimeoutStopSec=60
LimitNOFILE=65536
UMask=0077
# Secrets in files that only root can read, each named as the variable that it stands for:
# LoadCredential=KIRO_PROXY_API_KEY:/etc/kiro-proxy/api-key
END
  [ $user = yes ] || cat <<END
User=$NAME
Group=$NAME
ReadWritePaths=$at
ReadOnlyPaths=$run
ProtectSystem=strict
ProtectHome=true
ProtectProc=invisible
ProtectClock=true
ProtectHostname=true
ProtectKernelLogs=true
ProtectKernelModules=true
ProtectKernelTunables=true
ProtectControlGroups=true
PrivateTmp=true
PrivateDevices=true
PrivateUsers=true
NoNewPrivileges=true
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
LockPersonality=true
RemoveIPC=true
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=true
RestrictRealtime=true
RestrictSUIDSGID=true
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# No MemoryDenyWriteExecute: the runtime compiles JavaScript to machine code.
END
  target=multi-user.target
  [ $user = no ] || target=default.target
  cat <<END

[Install]
WantedBy=$target
END
}

# ---------------------------------------------------------------- the new binary

# fetch NAME FILE
fetch() {
  case $from in
    http://* | https://*)
      if has curl; then
        curl -fsSL --retry 2 -o "$2" "$from/$1"
      elif has wget; then
        wget -q -O "$2" "$from/$1"
      else
        die "downloading needs curl or wget"
      fi
      ;;
    *) cp "$from/$1" "$2" ;;
  esac
}

checksum() {
  if has sha256sum; then
    sha256sum <"$1" | cut -d' ' -f1
  elif has shasum; then
    shasum -a 256 <"$1" | cut -d' ' -f1
  elif has openssl; then
    openssl dgst -sha256 <"$1" | sed 's/.*= *//'
  else
    die "checking the download needs sha256sum, shasum or openssl"
  fi
}

choose_source() {
  if [ -z "$from" ]; then
    here=$(dirname -- "$0")
    for place in "$here" "$here/dist"; do
      if [ -f "$0" ] && [ -f "$place/SHA256SUMS" ]; then from=$place && break; fi
    done
  fi
  from=${from:-${KIRO_PROXY_RELEASES:-}}
  from=${from%/}
  case $from in
    "") die "say where the release is: --from DIR|URL" ;;
    http://127.0.0.1[:/]* | http://localhost[:/]* | https://*) remote=yes ;;
    http://*) die "$from is not https, so anybody on the way could replace the binary and its checksum" ;;
    *) remote=no ;;
  esac
  if [ -n "$version" ] && { [ $remote = yes ] || [ -d "$from/v$version" ]; }; then from=$from/v$version; fi
  if [ $remote = no ] && [ ! -d "$from" ]; then die "there is no folder $from"; fi
}

# Sets `sum`, what the binary for this platform has to hash to.
read_checksum() {
  fetch SHA256SUMS "$work/SHA256SUMS" || die "can't get $from/SHA256SUMS; nothing was changed"
  sum=$(awk -v name="$NAME-$platform" '$2 == name || $2 == "*" name { print $1; exit }' "$work/SHA256SUMS")
  if [ -z "$sum" ]; then
    die "$from has no $NAME-$platform, which this machine needs, but: $(awk '{ printf "%s ", $2 }' "$work/SHA256SUMS")"
  fi
}

# The new binary under a name of its own beside the old one, checked; nothing has been replaced yet.
stage() {
  say "Taking $NAME-$platform from $from"
  fetch "$NAME-$platform" "$staged" || die "can't get $from/$NAME-$platform (is the disk full?); nothing was changed"
  got=$(checksum "$staged")
  [ "$got" = "$sum" ] || die "$NAME-$platform is damaged or was tampered with: its checksum is $got, SHA256SUMS says $sum; nothing was changed"
  chmod 755 "$staged"
  try_binary
}

# Runs the new binary on a port of its own, without the files and credentials of this machine.
try_binary() {
  log=$work/log
  mkdir -p "$work/home"
  if ! told=$(HOME=$work/home "$staged" version 2>"$log"); then
    excerpt "$log" >&2
    die "the new binary does not run on this machine; nothing was changed"
  fi
  if [ -n "$version" ] && [ "${told#"$NAME $version "}" = "$told" ]; then
    die "this is $told, not version $version; nothing was changed"
  fi
  (
    cd "$work/home"
    exec env -i PATH="$PATH" HOME="$work/home" TMPDIR="$work/home" "$staged" -config "$work/config.json" --demo
  ) >"$log" 2>&1 &
  trial=$!
  tries=0
  works=no
  while [ $tries -lt 150 ] && kill -0 $trial 2>/dev/null; do
    url=$(sed -n 's/.*"event":"listening","url":"\([^"]*\)".*/\1/p' "$log")
    if [ -n "$url" ] && "$staged" health "$url" >/dev/null 2>&1; then works=yes && break; fi
    tries=$((tries + 1))
    sleep 0.2
  done
  kill $trial 2>/dev/null || true
  wait $trial 2>/dev/null || true
  trial=
  if [ $works = no ]; then
    excerpt "$log" >&2
    die "the new binary starts, but does not answer; nothing was changed"
  fi
}

# ---------------------------------------------------------------- the service

first_config() {
  [ -e "$dir/config.json" ] || "$bin" init -config "$dir/config.json" || die "there is no $dir/config.json, and none could be written"
}

# The service's own user, and what it owns: the folder and the data in it, not the program.
service_user() {
  [ $user = no ] && [ "$(id -u)" = 0 ] && [ -f "$root/etc/passwd" ] || return 0
  if ! grep -q "^$NAME:" "$root/etc/passwd"; then
    if has useradd; then
      useradd ${root:+--prefix "$root"} --system --user-group --no-create-home --home-dir "/opt/$NAME" --shell /usr/sbin/nologin $NAME
    else
      addgroup -S $NAME 2>/dev/null || true
      adduser -S -D -H -h "/opt/$NAME" -s /sbin/nologin -G $NAME $NAME
    fi
  fi
  owner=$(awk -F: -v name=$NAME '$1 == name { print $3 ":" $4 }' "$root/etc/passwd")
  for file in "$dir" "$dir"/*.json "$dir"/.*.json* "$dir"/*.db* "$dir"/*.sqlite*; do
    if [ -e "$file" ]; then chown -h "$owner" "$file"; fi
  done
}

write_unit() {
  [ $own_unit = yes ] || return 0
  mkdir -p "$(dirname "$unit")"
  print_unit >"$work/unit"
  if [ -f "$unit" ]; then cp -p "$unit" "$work/unit.before"; fi
  if cmp -s "$work/unit" "$unit"; then return 0; fi
  cp "$work/unit" "$unit"
  chmod 644 "$unit"
  changed=yes
}

# ask_service PROGRAM [-ready]: asks the service, which listens where the flags of its unit and its environment say.
ask_service() (
  pid=$(control show --property=MainPID --value $NAME)
  if [ -r "/proc/$pid/environ" ]; then
    for pair in $(tr '\0' '\n' <"/proc/$pid/environ" | grep -E '^KIRO_PROXY_(HOST|PORT|TLS_CERT|TLS_KEY)='); do
      export "${pair?}"
    done
  fi
  flags=$(sed -n 's/^ExecStart=[^ ]* *//p' "$unit" | head -n 1 | sed "s|%h|${HOME:-}|g; s|\\([ =]\\)/|\\1$root/|g")
  "$1" health $flags ${2:-}
)

# Whether the service runs and answers, within half a minute.
service_works() {
  tries=0
  while [ $tries -lt 60 ]; do
    # `activating` may be a start that takes its time, or the pause between two that fail.
    if control is-active --quiet $NAME && ask_service "$bin" $ready >"$work/health" 2>&1; then return 0; fi
    if [ "$(control is-failed $NAME 2>/dev/null)" = failed ]; then break; fi
    tries=$((tries + 1))
    sleep 0.5
  done
  excerpt "$work/health" >&2
  return 1
}

start_service() {
  before=$(control is-active $NAME 2>/dev/null || true)
  control daemon-reload
  if [ $fresh = yes ]; then control enable --quiet $NAME; fi
  # A service that somebody has stopped stays so.
  if [ $fresh = no ] && [ "$before" = inactive ]; then
    say "The service is stopped and stays so: systemctl start $NAME"
    return 0
  fi
  if [ $changed = no ] && [ "$before" = active ]; then return 0; fi
  if control restart $NAME && service_works; then return 0; fi
  roll_back
}

roll_back() {
  warn "The service does not work with the new binary; going back. Its log: journalctl -u $NAME"
  if [ -f "$bin.previous" ]; then mv -f "$bin.previous" "$bin"; else rm -f "$bin"; fi
  if [ $own_unit = yes ]; then
    if [ -f "$work/unit.before" ]; then
      cp -p "$work/unit.before" "$unit"
    else
      control disable --quiet --now $NAME || true
      rm -f "$unit"
    fi
  fi
  control daemon-reload
  if [ -f "$bin" ]; then
    control restart $NAME || die "the old binary is back, but the service does not start with it either"
    die "the old binary is back, and the service runs with it"
  fi
  [ -z "$link" ] || rm -f "$link"
  die "the program is removed again; the data stay in $dir"
}

# ---------------------------------------------------------------- the two ways

install() {
  detect_platform
  choose_source
  choose_paths
  mkdir -p "$dir" "$(dirname "$bin")" || die "can't write to $(dirname "$dir"): run this as root, or with --user"
  # On the disk of the program, so that the last step is a rename.
  work=$(dirname "$bin")/.$NAME-install.$$
  staged=$work/$NAME
  mkdir -m 700 "$work" || die "can't write to $(dirname "$work"): run this as root, or with --user"
  printf '{"host": "127.0.0.1", "port": 0, "logFormat": "json"}\n' >"$work/config.json" || die "can't write to $work (is the disk full?)"

  read_checksum
  fresh=no
  changed=no
  # One that had credentials to serve with has to be as far again.
  ready=
  if [ -f "$bin" ] && [ "$(checksum "$bin")" = "$sum" ]; then
    say "$bin is up to date"
  else
    stage
    if [ $service = yes ] && [ -f "$unit" ] && ask_service "$staged" -ready >/dev/null 2>&1; then ready=-ready; fi
    if [ -f "$bin" ]; then
      cp -p "$bin" "$work/previous" || die "can't keep the old binary (is the disk full?); nothing was changed"
      mv -f "$work/previous" "$bin.previous"
    fi
    mv -f "$staged" "$bin"
    changed=yes
    say "Installed $told as $bin"
  fi
  if [ -n "$link" ] && [ "$(readlink "$link" 2>/dev/null)" != "${bin#"$root"}" ]; then
    mkdir -p "$(dirname "$link")"
    if [ -e "$link" ] && [ ! -L "$link" ]; then warn "$link is another program and stays"; else ln -sf "${bin#"$root"}" "$link"; fi
  fi
  if [ $service = yes ]; then
    [ -f "$unit" ] || fresh=yes
    if [ $own_unit = yes ]; then
      first_config
      service_user
      write_unit
    else
      say "$unit is your own and stays; without it, install.sh writes one with a user of its own and a sandbox"
    fi
    start_service
    say "The service is $(control is-active $NAME 2>/dev/null || true)"
  fi
  if [ $user = yes ]; then
    case :$PATH: in *":$(dirname "$bin"):"*) ;; *) say "Add $(dirname "$bin") to your PATH" ;; esac
    if [ $service = yes ]; then say "To have it run while you are not logged in: loginctl enable-linger"; fi
  fi
  say "Next: $NAME login   (or import; $NAME help tells more)"
}

uninstall() {
  choose_paths >/dev/null
  if [ -d "$systemd" ] && has systemctl && [ -f "$unit" ]; then
    control disable --quiet --now $NAME || warn "the service could not be stopped"
    if [ $own_unit = yes ]; then rm -f "$unit"; else warn "$unit is your own and stays"; fi
    control daemon-reload
  elif [ -f "$unit" ] && [ $own_unit = yes ]; then
    rm -f "$unit"
  fi
  if [ -n "$link" ] && [ "$(readlink "$link" 2>/dev/null)" = "${bin#"$root"}" ]; then rm -f "$link"; fi
  rm -f "$bin" "$bin.previous"
  if [ $purge = yes ]; then
    rm -rf "$dir"
    if [ $user = no ] && [ "$(id -u)" = 0 ] && grep -qs "^$NAME:" "$root/etc/passwd"; then
      if has userdel; then userdel ${root:+--prefix "$root"} $NAME || true; else deluser $NAME || true; fi
    fi
    say "Removed $NAME and its data"
  else
    rmdir "$dir" 2>/dev/null || say "The data stay in $dir; --uninstall --purge removes them, too"
    say "Removed $NAME"
  fi
}

clean_up() {
  if [ -n "${trial:-}" ]; then kill "$trial" 2>/dev/null || true; fi
  if [ -n "${work:-}" ]; then
    rm -rf "$work"
    rmdir "$dir" 2>/dev/null || true
  fi
}

main() {
  from='' root='' version='' service=yes action=install purge=no user=no
  [ "$(id -u)" = 0 ] || user=yes
  while [ $# -gt 0 ]; do
    case $1 in
      --from | --root | --version)
        case ${2:-} in "" | --*) die "$1 needs a value; see --help" ;; esac
        case $1 in --from) from=$2 ;; --root) root=$2 ;; --version) version=${2#v} ;; esac
        shift
        ;;
      --from=*) from=${1#*=} ;;
      --root=*) root=${1#*=} ;;
      --version=*) version=${1#*=} version=${version#v} ;;
      --user) user=yes ;;
      --no-service) service=no ;;
      --uninstall) action=uninstall ;;
      --purge) purge=yes ;;
      --print-unit) action=print_unit ;;
      --print-platform) action=print_platform ;;
      --help | -h) action=usage ;;
      *) die "unknown flag $1; see --help" ;;
    esac
    shift
  done
  if [ $purge = yes ] && [ $action != uninstall ]; then die "--purge goes with --uninstall"; fi
  if [ -n "$root" ]; then
    [ -d "$root" ] || die "there is no folder $root"
    root=$(cd "$root" && pwd)
    [ "$root" != / ] || root=
  fi
  trap clean_up EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  $action
}

main "$@"; }
