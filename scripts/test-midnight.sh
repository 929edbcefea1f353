#!/usr/bin/env bash
# The end-to-end suites across midnight: each test runs by itself, with a clock that reaches midnight some seconds after it
# began, first midnight in UTC, then midnight in Asia/Kathmandu, where it is another day before it is in UTC.
#
#   scripts/test-midnight.sh [PACKAGE…]      default: every package with tests that start services
#
# MERIDIAN_TEST_ONLY=TEXT runs the tests whose names contain it.
# Test and services have the same clock (tests/shifted-clock); the engine keeps the real one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
packages=("$@")
[ "${#packages[@]}" -gt 0 ] || packages=(cli edge-agent hub warehouse-loader api)
# What makes midnight itself has a clock of its own. The others are about the engine's clock, which must be the loader's: rows that
# the engine refuses because they are too old, and repairs because they are late.
left_out='^midnight::|::a_loader_that_slept_until_its_rows_were_too_old_is_refused$|::a_repair_that_is_late_or_of_a_plan_that_is_done_changes_nothing$'
# From the start of a test to midnight: a system is ready by then, and most tests are not over.
lead_s=6
# Seconds from midnight in UTC to the midnight in question; Nepal is UTC+5:45 all year.
midnights=("UTC 0" "Asia/Kathmandu 65700")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O1 -shared -fPIC -o "$work/shifted_clock.so" tests/shifted-clock/shifted_clock.c

# One line for each test binary: the folder that its tests run in, and the file.
binaries() {
    local arguments=() package
    for package in "${packages[@]}"; do arguments+=(--package "$package"); done
    cargo test --locked --no-run --test it --message-format json "${arguments[@]}" | python3 -c '
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("reason") == "compiler-artifact" and message.get("executable") and message["profile"]["test"]:
        print(os.path.dirname(message["manifest_path"]), message["executable"])'
}

# How far the clock must be ahead for the next midnight of this kind to be $lead_s away.
ahead_s() {
    local of_day_s=$1 now
    now=$(date +%s)
    echo $(((of_day_s - now - lead_s) % 86400 + 86400))
}

run_all() {
    local folder=$1 binary=$2 name=$3 of_day_s=$4 test log=$work/log
    while IFS= read -r test; do
        total=$((total + 1))
        if (cd "$folder" && SHIFTED_CLOCK_S=$(ahead_s "$of_day_s") LD_PRELOAD=$work/shifted_clock.so \
            "$binary" --exact "$test" --nocapture) >"$log" 2>&1 </dev/null; then
            printf 'ok      %s, midnight in %s\n' "$test" "$name"
        else
            failed+=("$test, midnight in $name")
            cat "$log"
            printf 'FAILED  %s, midnight in %s\n' "$test" "$name"
        fi
    done < <("$binary" --list --format terse | sed -n 's/: test$//p' | grep -vE "$left_out" |
        grep -F -- "${MERIDIAN_TEST_ONLY:-}")
}

total=0 failed=()
cargo build --workspace --all-targets --locked
binaries >"$work/binaries"
while read -r folder binary; do
    for midnight in "${midnights[@]}"; do
        read -r name of_day_s <<<"$midnight"
        run_all "$folder" "$binary" "$name" "$of_day_s"
    done
done <"$work/binaries"
printf '%d runs across midnight, %d failed\n' "$total" "${#failed[@]}"
[ "${#failed[@]}" = 0 ] || printf '  %s\n' "${failed[@]}"
[ "$total" -gt 0 ] && [ "${#failed[@]}" = 0 ]
