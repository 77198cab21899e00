#!/usr/bin/env bash
# Links Kafka's tool names to kafkars: kafka-topics.sh and kafka-topics, connect-standalone.sh, ...
#   scripts/link-tools.sh DIR [KAFKARS]     KAFKARS: the binary (default: the newest one built here, else the one on PATH)
# With DIR first in PATH, scripts written for Apache Kafka run on kafkars unchanged.
set -euo pipefail

if [ $# -lt 1 ] || [ "$1" = --help ]; then
  sed -n '2,4s/^# //p' "${BASH_SOURCE[0]}" >&2
  exit 1
fi
dir=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kafkars=${2:-}
if [ -z "$kafkars" ]; then
  for found in "$root/target/release/kafkars" "$root/target/debug/kafkars" "$(command -v kafkars || true)"; do
    [ -x "$found" ] || continue
    if [ -z "$kafkars" ] || [ "$found" -nt "$kafkars" ]; then kafkars=$found; fi
  done
fi
[ -x "$kafkars" ] || { echo "link-tools: no kafkars binary: build it (cargo build --release) or name it" >&2; exit 1; }
kafkars=$(cd "$(dirname "$kafkars")" && pwd)/$(basename "$kafkars")

mkdir -p "$dir"
count=0
while read -r script; do
  ln -sfn "$kafkars" "$dir/$script"
  ln -sfn "$kafkars" "$dir/$script.sh"
  count=$((count + 2))
done < <("$kafkars" --list-scripts)
ln -sfn "$kafkars" "$dir/kafkars"
echo "$count links to $kafkars in $dir"
