"""The whole mesh with the generator on the same cores, verified; and the generator against its own sink."""

import json
import subprocess
import time

from ..load import NotMeasured, batched
from .peak import growth

# A little above the goal, for arrivals are a Poisson process.
RATE = 25_250
SAMPLE_S = 1.0
# The part of the run in which `pending` may not grow.
LAST = 0.6

SINK_RATE = 1_500_000
SINK_SECONDS = 6


def measure(bench, system):
    """Twenty hits per request for minutes, every report compared."""
    with bench.results.expect("mesh_hits_per_second", "mesh_pending_growth_per_second", "mesh_settled_s"):
        load = batched(RATE, bench.mesh_seconds)
        more = (*system.keys(), "--verify")
        running = bench.generator.start(system.collect, load, bench.thousand, more=more)
        samples = sample(system, running, bench.mesh_seconds)
        # Fails when reports differ by a single hit.
        result = running.result()
        bench.results.add("mesh_pending_growth_per_second", growth(samples))
        bench.results.add("mesh_settled_s", result["settled_s"])
        bench.results.add("mesh_hits_per_second", result["hits_per_second"])


def sample(system, running, seconds):
    """`pending` over the last part of a load."""
    begun = time.monotonic()
    samples = []
    while not running.is_over():
        at = time.monotonic() - begun
        if (1 - LAST) * seconds <= at <= seconds:
            samples.append((at, system.pending()))
        time.sleep(SAMPLE_S)
    return samples


def generator(bench):
    """More is asked for than the sink can take; what was answered in the seconds between the first and the last."""
    with bench.results.expect("generator_hits_per_second"):
        command = [bench.binaries / "meridian-load", "sink"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sink:
            try:
                url = json.loads(sink.stdout.readline())["collect"]
                load = batched(SINK_RATE, SINK_SECONDS, hits=100, connections=16)
                result = bench.generator.run(url, load, bench.thousand)
            finally:
                sink.terminate()
                sink.communicate()
        within = [point["hits"] for point in result["by_second"][1 : SINK_SECONDS - 1]]
        if not within:
            raise NotMeasured("the sink answered nothing")
        bench.results.add("generator_hits_per_second", sum(within) / len(within))
