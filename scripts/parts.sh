# Sourced by scripts of several parts: says which part runs, and at the end how long each took, also after a failure.
# A script that another one runs adds its parts to that one's table.
# shellcheck shell=bash

if [ -z "${MERIDIAN_PARTS:-}" ]; then
    MERIDIAN_PARTS=$(mktemp)
    export MERIDIAN_PARTS
    trap 'print_parts "$?"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
fi

# part NAME COMMAND…: a command that fails ends the script with its exit code.
part() {
    local name=$1 started=$SECONDS code=0
    shift
    printf '\n=== %s\n' "$name"
    "$@" || code=$?
    printf '%s\t%s\t%s\n' "$name" "$((SECONDS - started))" "$code" >>"$MERIDIAN_PARTS"
    [ "$code" = 0 ] || exit "$code"
}

print_parts() {
    local result=passed
    [ "$1" = 0 ] || result="failed (exit code $1)"
    printf '\n%-24s %8s\n' part seconds
    awk -F '\t' '{ printf "%-24s %8d%s\n", $1, $2, $3 == 0 ? "" : "  failed" }' "$MERIDIAN_PARTS"
    printf '%-24s %8d  %s\n' "in all" "$SECONDS" "$result"
    rm -f "$MERIDIAN_PARTS"
}
