#!/usr/bin/env bash
# `make bench`: what a hit costs, measured on release binaries; prints a table and writes target/bench.json.
#
#   scripts/bench.sh [--runs N] [--mesh-seconds S]    (5 runs, and 300 s of the whole mesh, unless told)
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}

scripts/setup.sh bench
cargo build --release --workspace --locked
exec python3 scripts/bench.py --bin "$target/release" --assets third-party/node_modules --out "$target/bench.json" "$@"
