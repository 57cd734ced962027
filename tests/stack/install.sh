#!/usr/bin/env bash
# Installs from Debian what is missing of the system's part of a stack: tests/stack/install.sh [java] [redis] [postgres] [python].
# Says nothing when all of it is there. Needs root, or sudo without a password; fails with what apt-get said.
set -euo pipefail
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

missing=()
for wanted in "$@"; do
  case $wanted in
    java)
      command -v java >/dev/null || missing+=(openjdk-17-jre-headless)
      command -v mvn >/dev/null || missing+=(maven)
      ;;
    redis) command -v redis-server >/dev/null || missing+=(redis-server) ;;
    postgres)
      compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
      ;;
    # The S3 server of the tests comes from PyPI, into a virtual environment of its own.
    python) python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv) ;;
    *)
      echo "java, redis, postgres or python was expected, not $wanted" >&2
      exit 2
      ;;
  esac
done
if ((${#missing[@]} == 0)); then exit; fi

echo "installing ${missing[*]}" >&2
as_root=()
if (($(id -u) != 0)); then as_root=(sudo -n); fi
export DEBIAN_FRONTEND=noninteractive
apt() {
  local seconds=$1
  shift
  if ! timeout --kill-after=10 "$seconds" "${as_root[@]}" apt-get "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "${missing[*]} could not be installed: apt-get install ${missing[*]}" >&2
    exit 1
  fi
}
apt 60 update -qq
apt 300 install -y -qq --no-install-recommends "${missing[@]}"
