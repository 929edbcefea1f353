#!/usr/bin/env bash
# `make bench`: what a hit costs, measured on release binaries; prints a table and writes target/bench.json.
#
#   scripts/bench.sh [--runs N] [--only KIND[,KIND]] [--quick] [--rate N] [--rate-batched N] [--fresh-rate N] [--mesh-seconds S]
#
# The work is in load-tests/bench; docs/load-tests.md says how each figure is measured.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
target=${CARGO_TARGET_DIR:-target}

scripts/setup.sh bench
cargo build --release --workspace --locked
cargo build --release --package protocol --example parse_cost --locked
cargo build --release --package processing --example stage_cost --example classify_cost --locked
export PYTHONPATH=load-tests
exec python3 -B -m bench --bin "$target/release" --assets third-party/node_modules --out "$target/bench.json" "$@"
