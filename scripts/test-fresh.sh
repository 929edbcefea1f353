#!/usr/bin/env bash
# `make test-fresh`: what README.md promises, on a clean machine. Makes a Debian in a folder that has what README.md asks for
# (make, a Rust toolchain, Node with npm, Python) and nothing else, clones the committed HEAD into it, and runs
# scripts/fresh_session.py there: `make run` twice, a hit in between, Ctrl-C, then `make test`.
#
# Needs root on Debian, and the ports of `make run`. Package mirror, proxies and certificates are those of this machine.
#
#   KEEP=1                            leave the folder there, and say where it is
#   MERIDIAN_TEST_FRESH_SKIP_TESTS=1  leave out `make test`
#   TMPDIR                            where the folder is made (else /var/tmp)
#
# shellcheck disable=SC2016 # apt fills in its own $(…), and the inner shell its own $@
set -euo pipefail

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
script=$source_dir/scripts/test-fresh.sh
# Build folder, npm packages and the root itself.
needed_gib=16

main() {
    check_machine
    local base session
    base=$(mktemp -d "${TMPDIR:-/var/tmp}/meridian-fresh.XXXXXX")
    # Mounts and processes of the root live in namespaces of their own and go with them, however this ends.
    unshare --mount --pid --fork --kill-child "$script" --in-namespace "$base/root" &
    session=$!
    # shellcheck disable=SC2064 # both are known now
    trap "kill -KILL $session 2>/dev/null || true; wait $session 2>/dev/null || true; remove '$base'" EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    wait "$session"
}

say() { printf 'test-fresh: %s (%d s)\n' "$*" "$SECONDS" >&2; }

fail() {
    printf 'test-fresh: %s\n' "$*" >&2
    exit 1
}

remove() {
    if [ "${KEEP:-}" = 1 ]; then
        say "the root is left in $1/root"
    else
        # After a kill, the last processes of the namespace may still write for a moment.
        rm -rf --one-file-system "$1" 2>/dev/null || { sleep 1 && rm -rf --one-file-system "$1"; }
    fi
}

check_machine() {
    [ "$(id -u)" = 0 ] || fail "making a root needs root; run it as root."
    [ -f /etc/debian_version ] || fail "this is no Debian, so there is no mirror of it to take; run it on Debian or in a container of it."
    local free_gib
    free_gib=$(($(df --output=avail -k "${TMPDIR:-/var/tmp}" | tail -1) / 1024 / 1024))
    [ "$free_gib" -ge "$needed_gib" ] ||
        fail "${TMPDIR:-/var/tmp} has $free_gib GiB free and this needs $needed_gib; set TMPDIR to a folder with more."
    if ! command -v debootstrap >/dev/null; then
        say "installing debootstrap with apt-get"
        { apt-get -qq update && apt-get -qq install --yes --no-install-recommends debootstrap; } >/dev/null ||
            fail "apt-get could not install debootstrap (its message is above)."
    fi
}

in_namespace() {
    local root=$1 session=(python3 scripts/fresh_session.py)
    make_debian "$root"
    take_over_settings "$root"
    install_prerequisites "$root"
    clone "$root"
    if [ "${MERIDIAN_TEST_FRESH_SKIP_TESTS:-}" = 1 ]; then
        session+=(--skip-tests)
    fi
    say "the root is ready, $(du --summarize --one-file-system --block-size=M "$root" | cut -f1) large"
    inside "$root" "${session[@]}"
    say "passed"
}

mirror_of() {
    apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 'Origin: Debian' |
        awk -v suite="$1" '$2 == suite { print $1; exit }'
}

# The same release as this machine's, so that the copied toolchain finds the C library it is linked to.
make_debian() {
    local root=$1 suite mirror
    # shellcheck source=/dev/null
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    mirror=$(mirror_of "$suite")
    if [ -z "$mirror" ]; then
        apt-get -qq update
        mirror=$(mirror_of "$suite")
    fi
    [ -n "$mirror" ] || fail "apt knows no mirror of Debian $suite; correct /etc/apt/sources.list."
    say "making a Debian $suite"
    mkdir -p "$root"
    # Only apt knows its proxies.
    eval "$(apt-config shell http_proxy Acquire::http::Proxy https_proxy Acquire::https::Proxy)"
    export http_proxy https_proxy
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -20 "$root.log" >&2
        fail "debootstrap failed (its last lines are above)."
    }
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount --rbind /dev "$root/dev"
}

# How this machine reaches its package registries. Files with keys (credentials, auth.conf) stay where they are.
take_over_settings() {
    local root=$1 file
    apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
        sort -u >"$root/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(Check-|Retries|Force|https?::(Proxy|CaInfo|Timeout))' \
        >"$root/etc/apt/apt.conf.d/00this-machine" || true
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
        [ ! -f "$file" ] || cp -L "$file" "$root$file"
    done
    [ ! -d /usr/local/share/ca-certificates ] || cp -rL /usr/local/share/ca-certificates "$root/usr/local/share/"
    file=${CARGO_HOME:-$HOME/.cargo}/config.toml
    [ ! -f "$file" ] || install -D --mode=644 "$file" "$root/root/.cargo/config.toml"
}

install_prerequisites() {
    local root=$1 toolchain part
    say "installing make, Node with npm, and Python in it"
    inside "$root" sh -c 'apt-get -qq update && apt-get -qq install --yes --no-install-recommends make nodejs npm python3' \
        >"$root.log" 2>&1 || {
        tail -20 "$root.log" >&2
        fail "apt-get could not install the prerequisites (its last lines are above)."
    }
    toolchain=$(cd "$source_dir" && rustc --print sysroot)
    say "copying the Rust toolchain $(basename "$toolchain")"
    mkdir -p "$root/opt/rust"
    # Its share/ is the book and the manual pages.
    for part in bin lib libexec; do
        [ ! -d "$toolchain/$part" ] || cp -a "$toolchain/$part" "$root/opt/rust/"
    done
    ! inside "$root" sh -c 'command -v cc || command -v git || command -v curl' >&2 ||
        fail "the root has more than a fresh machine has."
}

clone() {
    local root=$1 changed
    changed=$(git -C "$source_dir" status --porcelain | wc -l)
    [ "$changed" = 0 ] || say "NOTE: $changed changed files are not committed, so they are not in the clone"
    git clone --quiet --no-local "$source_dir" "$root/root/meridian"
    say "cloned $(git -C "$source_dir" log -1 --format='%h %s')"
    if [ -n "${MERIDIAN_ACCESS_LOG:-}" ]; then
        cp -L "$MERIDIAN_ACCESS_LOG" "$root/root/access.log"
    fi
}

# Runs a command in the root, in the clone if it is there, with what a new shell has and this machine's network settings.
inside() {
    local root=$1 name environment=()
    shift
    while IFS= read -r name; do
        environment+=("$name=${!name}")
    done < <(compgen -e | grep -E '^(PIP_(CERT|INDEX_URL|EXTRA_INDEX_URL|PROXY|DEFAULT_TIMEOUT)|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|CARGO_(HTTP|NET|SOURCE)_.*|(https?|no|HTTPS?|NO)_(proxy|PROXY))$')
    environment+=("npm_config_registry=$(npm config get registry 2>/dev/null)")
    if [ -f "$root/root/access.log" ]; then
        environment+=(MERIDIAN_ACCESS_LOG=/root/access.log)
    fi
    mkdir -p "$root/root/meridian"
    chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM="${TERM:-dumb}" DEBIAN_FRONTEND=noninteractive \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${environment[@]}" \
        sh -c 'cd /root/meridian && exec "$@"' sh "$@"
}

if [ "${1:-}" = --in-namespace ]; then
    in_namespace "$2"
else
    main
fi
