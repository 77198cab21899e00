#!/usr/bin/env bash
# Plays Kafka's quickstart on a throw-away directory and free ports, and checks every step:
# a server, a topic, a producer, a consumer, and Connect copying a file through a topic into another file.
#
#   scripts/quickstart.sh          builds kafkars if needed, then plays
#   KAFKARS=PATH scripts/quickstart.sh   plays with that binary
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ -t 1 ]; then bold=$'\e[1m' green=$'\e[32m' plain=$'\e[0m'; else bold='' green='' plain=''; fi
say()  { printf '\n%s# %s%s\n' "$bold" "$1" "$plain"; }
show() { printf '%s$ %s%s\n' "$bold" "$*" "$plain"; }
ok()   { printf '%s✓ %s%s\n' "$green" "$1" "$plain"; }
fail() {
  printf '\nquickstart: %s\n' "$1" >&2
  for log in "$dir"/*.log; do
    [ -s "$log" ] && { echo "--- ${log##*/}"; tail -20 "$log"; } >&2
  done
  exit 1
}

dir=$(mktemp -d "${TMPDIR:-/tmp}/kafkars-quickstart.XXXXXX")
pids=()
cleanup() {
  for pid in "${pids[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
  wait 2>/dev/null
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Waits up to 30 s for a command to succeed.
until_ok() {
  local deadline=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.05
  done
}

# A port that nobody listens on now.
free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

if [ -z "${KAFKARS:-}" ]; then
  say "Build (the first time takes a few minutes)"
  show cargo build --release
  cargo build --release
  KAFKARS=target/release/kafkars
fi
kafkars=$(cd "$(dirname "$KAFKARS")" && pwd)/$(basename "$KAFKARS")

port=$(free_port) controller=$(free_port) rest=$(free_port)
bootstrap=localhost:$port

say "Start a server: no set-up step, an empty directory is formatted on the way"
show kafkars server-start config/server.properties
"$kafkars" server-start config/server.properties \
  --override "listeners=PLAINTEXT://localhost:$port,CONTROLLER://localhost:$controller" \
  --override "advertised.listeners=PLAINTEXT://localhost:$port,CONTROLLER://localhost:$controller" \
  --override "controller.quorum.voters=1@localhost:$controller" \
  --override "log.dirs=$dir/kafka-logs" 2>"$dir/server.log" &
pids+=($!)
until_ok "$kafkars" topics --list --bootstrap-server "$bootstrap" || fail "the server does not answer"
ok "it answers on $bootstrap"

say "Create a topic"
show kafkars topics --create --topic quickstart-events --bootstrap-server "$bootstrap"
"$kafkars" topics --create --topic quickstart-events --bootstrap-server "$bootstrap" || fail "no topic"
show kafkars topics --describe --topic quickstart-events --bootstrap-server "$bootstrap"
"$kafkars" topics --describe --topic quickstart-events --bootstrap-server "$bootstrap" || fail "no topic"

say "Write some events: each line is one"
show "printf 'This is my first event\nThis is my second event\n' | kafkars console-producer --topic quickstart-events --bootstrap-server $bootstrap"
printf 'This is my first event\nThis is my second event\n' |
  "$kafkars" console-producer --topic quickstart-events --bootstrap-server "$bootstrap" || fail "not written"

say "Read them back"
show kafkars console-consumer --topic quickstart-events --from-beginning --max-messages 2 --bootstrap-server "$bootstrap"
"$kafkars" console-consumer --topic quickstart-events --from-beginning --max-messages 2 \
  --timeout-ms 30000 --bootstrap-server "$bootstrap" 2>/dev/null | tee "$dir/read" || fail "not read"
[ "$(cat "$dir/read")" = $'This is my first event\nThis is my second event' ] || fail "read something else"
ok "both events, in order"

say "Let Connect copy test.txt through the topic connect-test into test.sink.txt"
root=$PWD
printf 'foo\nbar\n' >"$dir/test.txt"
show "printf 'foo\nbar\n' > test.txt"
show kafkars connect-standalone config/connect-standalone.properties config/connect-file-source.properties config/connect-file-sink.properties
{ cat "$root/config/connect-standalone.properties"
  echo "bootstrap.servers=$bootstrap"
  echo "offset.storage.file.filename=$dir/connect.offsets"
  echo "listeners=http://localhost:$rest"
} >"$dir/connect-standalone.properties"
(cd "$dir" && exec "$kafkars" connect-standalone connect-standalone.properties \
  "$root/config/connect-file-source.properties" "$root/config/connect-file-sink.properties") 2>"$dir/connect.log" &
pids+=($!)
holds() { [ "$(cat "$dir/$1" 2>/dev/null)" = "$2" ]; }
until_ok holds test.sink.txt $'foo\nbar' || fail "test.sink.txt does not hold the lines"
ok "test.sink.txt holds both lines"

say "A running consumer sees what is appended, and so does the sink"
show kafkars console-consumer --topic connect-test --from-beginning --bootstrap-server "$bootstrap"
"$kafkars" console-consumer --topic connect-test --from-beginning --bootstrap-server "$bootstrap" \
  >"$dir/consumed" 2>/dev/null &
pids+=($!)
envelope() { printf '{"schema":{"type":"string","optional":false},"payload":"%s"}' "$1"; }
until_ok holds consumed "$(envelope foo; echo; envelope bar)" || fail "the consumer does not show the lines"
show "echo Another line >> test.txt"
echo 'Another line' >>"$dir/test.txt"
until_ok holds test.sink.txt $'foo\nbar\nAnother line' || fail "the appended line did not reach the sink"
until_ok holds consumed "$(envelope foo; echo; envelope bar; echo; envelope 'Another line')" ||
  fail "the appended line did not reach the consumer"
cat "$dir/consumed"
ok "the line is in test.sink.txt and at the consumer"

say "Done; everything is stopped and removed. By hand: Ctrl-C each, then rm -rf /tmp/kafka-logs"
