#!/usr/bin/env bash
# Find a Java that Spark runs on (17 or newer); install one where that needs no question.
set -euo pipefail

major() {
  local java="${JAVA_HOME:+$JAVA_HOME/bin/}java"
  command -v "$java" >/dev/null 2>&1 || return 1
  "$java" -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1
}

version=$(major || true)
if [ -n "$version" ] && [ "$version" -ge 17 ]; then
  exit 0
fi
found="none"
[ -z "$version" ] || found="version $version"
if [ -z "${JAVA_HOME:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Java: found $found; installing version 17 ..."
  log=$(mktemp)
  if { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
       apt-get install -y -q --no-install-recommends openjdk-17-jre-headless; } >"$log" 2>&1; then
    exit 0
  fi
  tail -n 5 "$log" >&2
fi
echo "Java: expected version 17 or 21, found $found. Install it (Debian, Ubuntu: sudo apt-get" >&2
echo "install openjdk-17-jre-headless; macOS: brew install openjdk@17), or point JAVA_HOME to one." >&2
exit 1
