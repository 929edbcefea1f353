"""Acknowledgement to report while the system takes half of its peak."""

import json
import subprocess
import time

from ..load import NotMeasured, batched, check_taken
from ..system import KEEPS_UP_WITHIN_S

BEFORE_S = 5
INTERVAL_MS = 200


def measure(bench, system):
    """`meridian-load freshness` on a property of its own, beside a load of twenty hits per request."""
    with bench.results.expect("report_p50_s", "report_p99_s"):
        rate = bench.fresh_rate or bench.results.needed("peak_hits_per_second_20") / 2
        hits = bench.fresh_hits
        # The load goes on until the last of these hits is in a report.
        seconds = BEFORE_S + hits * INTERVAL_MS / 1000 + 15
        load = system.bench.generator.start(system.collect, batched(rate, seconds), bench.thousand)
        time.sleep(BEFORE_S)
        command = [bench.binaries / "meridian-load", "freshness", "--hits", str(hits), "--interval-ms", str(INTERVAL_MS)]
        command += ["--collect", system.collect, "--grpc", system.grpc, "--key-file", system.key_file]
        command += ["--property", bench.fresh[0], "--measurement-id", bench.fresh[1]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        check_taken(load.result(), int(rate))
        settled_s = system.settle()
        if done.returncode != 0:
            raise NotMeasured(f"at {rate:.0f} hits/s: {' '.join(done.stderr.split())[-300:]}")
        if settled_s > KEEPS_UP_WITHIN_S:
            raise NotMeasured(f"{rate:.0f} hits/s are too much: hits were pending for {settled_s:.0f} s after the last one")
        times = json.loads(done.stdout.splitlines()[-1])
        bench.results.add("report_p50_s", times["p50_ms"] / 1000)
        bench.results.add("report_p99_s", times["p99_ms"] / 1000)
