#!/usr/bin/env bash
# `make freshness`: under the demo's trickle, how long it takes from a hit's acknowledgement to the first report that contains it.
#
#   scripts/freshness.sh [HITS]    (200 unless told)
#
# Runs the binaries of `make run` on data of its own and free ports: a running `make run` is not disturbed, but is felt in
# the figures.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
hits=${1:-200}
built=${CARGO_TARGET_DIR:-target}/debug
start_timeout_s=120
meridian=
data=

stop() {
    if [ -n "$meridian" ]; then
        kill -TERM "$meridian" 2>/dev/null || true
        wait "$meridian" || true
    fi
    [ -z "$data" ] || rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

scripts/setup.sh run
cargo build --workspace --locked

data=$(mktemp -d "${TMPDIR:-/var/tmp}/meridian-freshness.XXXXXX")
mkfifo "$data/stdout"
"$built/meridian" dev --demo --data "$data" \
    --http 127.0.0.1:0 --api 127.0.0.1:0 --grpc 127.0.0.1:0 --admin 127.0.0.1:0 >"$data/stdout" &
meridian=$!
exec 3<"$data/stdout"

# The demo prints its first report when its property and the whole way work. Then nobody reads on, so the rest is swallowed.
ready=
while IFS= read -r -t "$start_timeout_s" line <&3; do
    case $line in
        '{"event":"ready"'*) ready=$line ;;
        *page_path*page_views*) case $line in 'Ask for reports'*) ;; *) break ;; esac ;;
    esac
done
if [ -z "$ready" ] || [ ! -s "$data/demo.json" ]; then
    echo "freshness.sh: Meridian printed no first report within $start_timeout_s s of its last line; its messages are above." >&2
    exit 1
fi
cat <&3 >/dev/null &

# field NAME JSON: the value of a text field.
field() { sed -n "s/.*\"$1\":\"\\([^\"]*\\)\".*/\\1/p" <<<"$2"; }

demo=$(cat "$data/demo.json")
"$built/meridian-load" freshness --hits "$hits" \
    --collect "$(field collect "$ready")" --grpc "$(field grpc "$ready")" \
    --key-file "$(field admin_key_file "$ready")" \
    --property "$(field property_id "$demo")" --measurement-id "$(field measurement_id "$demo")"
