#!/usr/bin/env bash
# Rules that no other tool checks, over all files that are tracked or could be. Prints each breach; exits 1 if there is one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
max_lines=600
max_main_lines=60
breaches=0

breach() {
    printf '%s\n' "$*" >&2
    breaches=$((breaches + 1))
}

# Files that were deleted and not yet committed are listed too.
mapfile -t files < <(git ls-files --cached --others --exclude-standard | while IFS= read -r file; do
    [ ! -f "$file" ] || printf '%s\n' "$file"
done)
[ "${#files[@]}" -gt 0 ] || breach "check-tree.sh: git lists no file here; run it in a clone."

for file in "${files[@]}"; do
    case $file in *.rs) ;; *) continue ;; esac
    lines=$(wc -l <"$file")
    limit=$max_lines
    case ${file##*/} in
        main.rs) case $file in */tests/*) ;; *) limit=$max_main_lines ;; esac ;;
        mod.rs) breach "$file: modules are NAME.rs beside the folder NAME, not mod.rs" ;;
    esac
    [ "$lines" -le "$limit" ] || breach "$file: $lines lines, at most $limit; split it by what its parts are for"
    IFS= read -r first <"$file" || first=
    case $first in
        '//!'*) ;;
        *) breach "$file: the first line must open the //! that says what the file is for" ;;
    esac
done

# Prints the lines of files named by the remaining arguments in which the pattern is found.
refuse() {
    local pattern=$1 why=$2 line
    shift 2
    while IFS= read -r line; do
        breach "$line  <- $why"
    done < <(printf '%s\0' "$@" | xargs -0 grep -nIE "$pattern" /dev/null || true)
}

mapfile -t rust < <(printf '%s\n' "${files[@]}" | grep '\.rs$')
# In brackets, so that this line is not a breach.
refuse '(TO[D]O|FIX[M]E)' "finish it, or write down in the documentation what is missing" "${files[@]}"
refuse '#\[(ignore|should_panic)' "a test runs always and returns what it expects" "${rust[@]}"
refuse '"resolved":' "the lock must not name a registry; see third-party/README.md" third-party/package-lock.json tests/clients/package-lock.json \
    tests/user-agents/package-lock.json tracker/package-lock.json tests/tracker/package-lock.json

[ "$breaches" = 0 ]
