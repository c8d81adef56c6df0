#!/bin/sh
# shellcheck disable=SC2086,SC2016 # options of ssh are words; some things are for the shell of the server
# Builds kiro-proxy for a server and installs it there: ./deploy.sh --help
set -eu

usage() {
  cat <<'END'
Builds kiro-proxy for a server, copies it there and installs or upgrades it with install.sh:
the checksum is compared on the server, the new binary is tried there, and the service goes
back to the old one if it does not come up again.

Usage: ./deploy.sh [flags] [USER@]HOST [flags of install.sh]

  -o OPTION      for ssh and scp, such as -o Port=2222; once for each
  --target NAME  such as linux-arm64; without it the server is asked
  --from DIR     take the binary from there, with its SHA256SUMS, instead of building it
  --dry-run      only print what would be done

Examples: ./deploy.sh root@proxy.example          ./deploy.sh me@proxy.example --user
END
}

die() {
  printf 'deploy.sh: %s\n' "$*" >&2
  exit 1
}

# Runs a command, or only prints it.
run() {
  if [ $dry = yes ]; then printf '+ %s\n' "$*"; else "$@"; fi
}

main() {
  options='' target='' from='' dry=no
  while [ $# -gt 0 ]; do
    case $1 in
      -o | --target | --from)
        case ${2:-} in "" | -*) die "$1 needs a value; see --help" ;; esac
        case $1 in -o) options="$options -o $2" ;; --target) target=$2 ;; --from) from=$2 ;; esac
        shift
        ;;
      --dry-run) dry=yes ;;
      --help | -h)
        usage
        exit
        ;;
      -*) die "unknown flag $1; see --help" ;;
      *) break ;;
    esac
    shift
  done
  [ $# -gt 0 ] || die "say where to: ./deploy.sh root@HOST; see --help"
  host=$1
  shift

  here=$(cd "$(dirname -- "$0")" && pwd)
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM

  if [ -z "$target" ]; then
    target=$(ssh $options "$host" 'sh -s -- --print-platform' <"$here/install.sh") || die "can't ask $host for its platform"
  fi
  if [ -z "$from" ]; then
    from=$work
    bun=bun
    command -v bun >/dev/null 2>&1 || bun='npx -y bun@1.4.5'
    (cd "$here" && run $bun install --frozen-lockfile --silent && run $bun build.ts --outdir "$from" "$target")
  fi
  binary=$from/kiro-proxy-$target
  if [ $dry = no ] && [ ! -f "$binary" ]; then die "there is no $binary"; fi

  away=/tmp/kiro-proxy-deploy
  if [ $dry = no ]; then away=$(ssh $options "$host" 'mktemp -d') || die "can't make a folder on $host"; fi
  run scp -q $options "$here/install.sh" "$binary" "$from/SHA256SUMS" "$host:$away/" || die "can't copy to $host"
  # Only what is for that user alone needs no root.
  as='as=; [ "$(id -u)" = 0 ] || as=sudo'
  flags=''
  for flag in "$@"; do
    flags="$flags '$flag'"
    [ "$flag" != --user ] || as='as='
  done
  run ssh $options "$host" "$as; \$as sh $away/install.sh --from $away$flags; status=\$?; rm -rf $away; exit \$status"
}

main "$@"
