"""Runs the figures that were asked for; prints the table and writes the JSON. Exit code 1 when one could not be measured."""

import argparse
import os
import pathlib
import signal
import sys
import tempfile

from . import machine, properties, table
from .figures import cost, freshness, loader, memory, mesh, parse, peak, rows, stages
from .load import Generator
from .system import System

KINDS = ("calibration", "parse", "stages", "cost", "threads", "rows", "peak", "loader", "hourly", "freshness", "million", "sessions", "mesh", "generator")
# A ratio needs what it is a ratio to.
NEEDS = {
    "cost": ("calibration",),
    "threads": ("calibration", "cost"),
    "peak": ("calibration",),
    "hourly": ("loader",),
    "freshness": ("calibration", "peak"),
}
MILLION = 1_000_000


class Bench:
    """What all figures share: binaries, a directory, the generator, properties, lengths of loads, results."""

    def __init__(self, arguments, directory):
        self.binaries = pathlib.Path(arguments.bin).resolve()
        self.assets = pathlib.Path(arguments.assets).resolve()
        self.directory = directory
        self.generator = Generator(self.binaries, directory)
        self.results = table.Results()
        self.rate, self.batched_rate = arguments.rate, arguments.rate_batched
        quick = arguments.quick
        self.seconds, self.trial_seconds, self.fill_seconds = (5, 3, 6) if quick else (10, 3.5, 18)
        self.fresh_hits = 25 if quick else 75
        self.fresh_rate = arguments.fresh_rate
        self.mesh_seconds = arguments.mesh_seconds or (30 if quick else 300)
        self.few_store = directory / "few"
        # Each slice is visited by loads of its own: what an edge remembers of one does not change the rows of another.
        default, short = properties.DEFAULT_RULES, properties.SHORT_RULES
        self.thousand, self.hundred, self.ten_thousand, self.short_sessions, fresh = self._write(
            ("thousand", 1_000, default),
            ("hundred", 100, default),
            ("ten-thousand", 10_000, default),
            ("short-sessions", 1_000, short),
            ("fresh", 1, default),
        )
        self.fresh = properties.ids(fresh.first)
        self.few_count = fresh.first + fresh.count

    def _write(self, *slices):
        first = 0
        for name, count, rules in slices:
            listing = self.directory / f"{name}.jsonl"
            yield properties.seed(self.binaries, self.few_store, listing, first, count, rules)
            first += count


def one_run(bench, kinds):
    """What is measured in every run."""
    if "calibration" in kinds:
        cost.calibrate(bench)
    if "parse" in kinds:
        parse.measure(bench)
    if "stages" in kinds:
        stages.measure(bench)
    if kinds & {"cost", "threads", "rows", "peak"}:
        with System(bench, bench.few_store) as system:
            if "rows" in kinds:
                rows.measure(bench, system, bench.hundred, "100")
                rows.measure(bench, system, bench.ten_thousand, "10k")
            if "cost" in kinds:
                cost.one_hit(bench, system)
                cost.many_hits(bench, system)
            if "threads" in kinds:
                cost.one_thread(bench, system)
            if "peak" in kinds:
                peak.measure(bench, system)
    if kinds & {"loader", "hourly", "freshness"}:
        with System(bench, bench.few_store) as system:
            if "loader" in kinds:
                loader.rate(bench, system)
            if "hourly" in kinds:
                loader.hourly(bench, system)
            if "freshness" in kinds:
                freshness.measure(bench, system)
    if "generator" in kinds:
        mesh.generator(bench)


def at_last(bench, kinds, runs):
    """What takes long to prepare, or long by itself: one system for all runs."""
    if kinds & {"million", "sessions"}:
        # A change is measured until every edge has it, so there is more than one.
        with System(bench, bench.few_store, edges=3 if "million" in kinds else 1) as system:
            scale(bench, system, kinds, runs)
    if "mesh" in kinds:
        with System(bench, bench.few_store) as system:
            mesh.measure(bench, system)


def scale(bench, system, kinds, runs):
    """A million properties, and a million sessions."""
    if "million" in kinds:
        bench.results.say(f"seeding {MILLION} properties …")
        million = memory.per_property(bench, system, MILLION)
        for _ in range(runs):
            rows.measure_million(bench, system, million)
    if "sessions" in kinds:
        memory.per_session(bench, system)


def chosen(only, fresh_rate):
    """The kinds asked for, and those they need. Freshness at a given rate needs none."""
    if not only:
        return set(KINDS)
    kinds = set(only.split(","))
    if unknown := kinds - set(KINDS):
        sys.exit(f"bench: --only names {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
    alone = {"freshness"} if fresh_rate else set()
    return kinds.union(*(NEEDS.get(kind, ()) for kind in kinds - alone))


def read_arguments():
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="values of each figure (mesh and memory have one)")
    parser.add_argument("--only", default="", help=f"kinds of figures, separated by commas: {', '.join(KINDS)}")
    parser.add_argument("--quick", action="store_true", help="short loads: to try the bench, not to quote it")
    parser.add_argument("--rate", type=int, default=20_000, help="hits per second of loads with one hit per request")
    parser.add_argument("--rate-batched", type=int, default=25_000, help="the same, with 20 hits per request")
    parser.add_argument("--fresh-rate", type=int, default=0, help="load beside the freshness of reports, instead of half of the peak")
    parser.add_argument("--mesh-seconds", type=int, default=0, help="length of the mesh's run (300)")
    parser.add_argument("--bin", required=True, help="directory of the release binaries")
    parser.add_argument("--assets", required=True, help="third-party/node_modules")
    parser.add_argument("--out", required=True, help="where the JSON goes")
    return parser.parse_args()


def main():
    """See the module's text."""
    arguments = read_arguments()
    kinds = chosen(arguments.only, arguments.fresh_rate)
    # As Ctrl-C does: leaves through every `with`, so that no process stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp"), prefix="meridian-bench.") as directory:
        bench = Bench(arguments, pathlib.Path(directory))
        try:
            for run in range(arguments.runs):
                bench.results.begin_run(f"run {run + 1} of {arguments.runs}")
                one_run(bench, kinds)
            at_last(bench, kinds, arguments.runs)
        finally:
            bench.generator.stop()
        complete = table.show(bench.results, arguments.out)
    bench.results.say("done")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
