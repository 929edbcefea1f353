#!/usr/bin/env bash
# Runs what `make build` built: every service, the embedded warehouse, and demo visits.
#
#   scripts/run.sh DATA_DIR
#
# This script becomes Meridian, so signals and the exit code are Meridian's.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
command=("${CARGO_TARGET_DIR:-$root/target}/debug/meridian" dev --demo --data "$1"
    --http 127.0.0.1:8080 --api 127.0.0.1:8081 --grpc 127.0.0.1:9090 --admin 127.0.0.1:9091)

# At a Ctrl-C, make dies of the signal whatever its child does ("Interrupt", exit code 130). In a process group of its own,
# in the terminal's foreground, Meridian alone gets it, drains, and make passes on its exit code. Ctrl-Z is ignored there:
# make would not notice that its child has stopped, and nobody would have the terminal.
# shellcheck disable=SC2016 # Perl's variables
foreground='
    use POSIX qw(setpgid tcgetpgrp tcsetpgrp);
    if (tcgetpgrp(0) == getpgrp()) {
        $SIG{TTOU} = $SIG{TSTP} = "IGNORE";
        setpgid(0, 0);
        tcsetpgrp(0, getpgrp());
        $SIG{TTOU} = "DEFAULT";
    }
    exec { $ARGV[0] } @ARGV or die "run.sh: cannot run $ARGV[0]: $!\n";
'
if [ -t 0 ] && perl -MPOSIX -e 1 2>/dev/null; then
    exec perl -e "$foreground" "${command[@]}"
fi
exec "${command[@]}"
