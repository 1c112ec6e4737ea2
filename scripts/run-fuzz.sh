#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# run-fuzz.sh SECONDS PROGRAM... - run each libFuzzer program for that long.
#
# tests/fuzz/corpus/NAME holds the seeds of fuzz_NAME. What a run finds on the way stays in build/fuzz/corpus, so the
# next run goes on from there; an input that breaks it is kept in build/fuzz/found.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=$1
shift
mkdir -p build/fuzz/found
for program in "$@"; do
    name=$(basename "$program")
    name=${name#fuzz_}
    seeds=tests/fuzz/corpus/$name
    grown=build/fuzz/corpus/$name
    corpus=("$grown")
    if [[ -d $seeds ]]; then corpus+=("$seeds"); fi
    mkdir -p "$grown"
    echo "fuzzing $name for $seconds s"
    "$program" -max_total_time="$seconds" -artifact_prefix="build/fuzz/found/$name-" -print_final_stats=1 \
        -timeout=10 -rss_limit_mb=2048 "${corpus[@]}"
done
