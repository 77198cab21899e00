#!/usr/bin/env bash
# Links Kafka's tool names to kafkars: kafka-topics.sh and kafka-topics, connect-standalone.sh, ...
#   scripts/link-tools.sh DIR [KAFKARS]     KAFKARS: the binary (default: the newest one built here, else the one on PATH)
# With DIR first in PATH, scripts written for Apache Kafka run on kafkars unchanged. The same as kafkars link-tools DIR.
set -euo pipefail

if [ $# -lt 1 ] || [ "$1" = --help ]; then
  sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2
  exit 1
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kafkars=${2:-}
if [ -z "$kafkars" ]; then
  for found in "$root/target/release/kafkars" "$root/target/debug/kafkars" "$(command -v kafkars || true)"; do
    [ -x "$found" ] || continue
    if [ -z "$kafkars" ] || [ "$found" -nt "$kafkars" ]; then kafkars=$found; fi
  done
fi
[ -x "$kafkars" ] || { echo "link-tools: no kafkars binary: build it (cargo build --release) or name it" >&2; exit 1; }
exec "$kafkars" link-tools "$1"
