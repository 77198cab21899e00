#!/usr/bin/env bash
# The tests with their full numbers, in release: what takes too long for every push.
#
#   scripts/test-long.sh
#
# 500 kills under load, five swaps with genuine Kafka, 100,000 losses of power, 200,000 records through an exactly-once
# chain of each client, 150,000 lines through each Kafka Streams application that is killed, five minutes of mangled
# requests and of each kind of mangled file, a million random steps of each coordinator, all property tests longer.
# Each number is the default of a variable below, which the environment can set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export KAFKARS_KILL_ROUNDS=${KAFKARS_KILL_ROUNDS:-500}
export KAFKARS_POWER_CUTS=${KAFKARS_POWER_CUTS:-100000}
export KAFKARS_SWAP_TURNS=${KAFKARS_SWAP_TURNS:-5}
export KAFKARS_CHAIN_RECORDS=${KAFKARS_CHAIN_RECORDS:-200000}
export KAFKARS_STREAMS_LINES=${KAFKARS_STREAMS_LINES:-50000}
export KAFKARS_FUZZ_SECONDS=${KAFKARS_FUZZ_SECONDS:-300}
export KAFKARS_FUZZ_SEED=${KAFKARS_FUZZ_SEED:-random}
export PROPTEST_CASES=${PROPTEST_CASES:-4096}
export KAFKARS_STEPS=${KAFKARS_STEPS:-1000000}

cargo test --release --workspace --lib
# One file after the other, with their figures: they measure memory and time.
for test in crashes exactly_once streams bad_input fuzz_files full_disk swap fixtures lock; do
  cargo test --release --test "$test" -- --nocapture --test-threads 1
done
