#!/usr/bin/env bash
# `make fuzz`: lets libFuzzer look for bytes that make a parser panic: a target for each path of the collect port, and for what comes in otherwise.
#
#   scripts/fuzz.sh [SECONDS [TARGET…]]     default: 60 seconds for every target
#
# The stable compiler counts coverage when asked to by these flags; no nightly toolchain is needed. What was found is kept in
# target/fuzz/corpus/ for the next run, and bytes that broke something in target/fuzz/found/.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || targets=(/v1/collect /v1/pixel.gif /g/collect /mp/collect /collect /batch /api/event /api/send /api/batch
    /matomo.php /v1/batch /v1/track /com.snowplowanalytics.snowplow/tp2 /i client-hints rules-file url)

folder=$PWD/target/fuzz
export CARGO_TARGET_DIR=$folder/build
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares" \
    cargo build --locked --release --manifest-path fuzz/Cargo.toml --target x86_64-unknown-linux-gnu

failed=()
for target in "${targets[@]}"; do
    name=${target//\//_}
    mkdir -p "$folder/corpus/$name" "$folder/found"
    printf '%s: %s s\n' "$target" "$seconds"
    log=$folder/$name.log
    if FUZZ_TARGET=$target "$CARGO_TARGET_DIR/x86_64-unknown-linux-gnu/release/fuzz" "$folder/corpus/$name" fuzz/seeds \
        -max_total_time="$seconds" -max_len=4096 -timeout=5 -artifact_prefix="$folder/found/$name-" >"$log" 2>&1; then
        tail -1 "$log"
    else
        failed+=("$target")
        tail -20 "$log"
    fi
done
[ "${#failed[@]}" = 0 ] || {
    printf 'fuzz.sh: broken by what lies in target/fuzz/found: %s\n' "${failed[*]}" >&2
    exit 1
}
