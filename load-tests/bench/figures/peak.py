"""The peak with the edge on one core and the generator on the other, and the latency at half of it.

The edge (one accept thread, as it starts on a machine of one core) has core 0. On core 1 are the generator and the hub,
which acknowledges both lanes; loader, warehouse and api stand still (SIGSTOP) meanwhile. A rate is borne when all that was
due was acknowledged, p99 is at most 50 ms, and the hits that wait for processing do not grow: work put off is not left out.
"""

import time

from .. import machine
from ..load import NotMeasured, batched, single

EDGE_CORES = [0]
OTHER_CORES = [1]
P99_MS = 50.0
# The search ends when what was borne and what was not lie this close.
PRECISION = 1.05
# The first step, and the largest: each further one in the same direction is larger.
STEP, LARGEST_STEP = 1.2, 2.0
MOST_TRIALS = 14
SAMPLE_S = 0.2
# Hits that wait for processing may grow by this part of the rate: what a burst at the end of a trial leaves behind.
GROWTH = 0.05
FIRST_GUESS = {1: 25_000, 20: 40_000}


def measure(bench, system):
    """Peaks of one and of twenty hits per request, and the latency at half of the first."""
    results = bench.results
    with results.expect("peak_hits_per_second_1", "peak_hits_per_second_20"):
        arrange(system)
        for hits, load in ((1, single), (20, batched)):
            name = f"peak_hits_per_second_{hits}"
            cost_us = results.last(f"edge_us_per_hit_{hits}")
            guess = results.last(name) or (1e6 / cost_us if cost_us else FIRST_GUESS[hits])
            peak = search(lambda rate, load=load: trial(bench, system, load, rate), guess)
            system.check_paused()
            results.add(name, peak)
    names = ("accept_p50_ms", "accept_p99_ms", "accept_generator_late_p99_ms")
    with results.expect("gather_ms", *names):
        results.add("gather_ms", system.edge_number("wal", "gather_us") / 1000)
        rate = bench.results.needed("peak_hits_per_second_1") / 2
        system.drain_edge()
        load = single(rate, bench.seconds, precise=True, warm_up_s=2)
        result = system.send(load, bench.thousand, cores=OTHER_CORES)
        results.add("accept_p50_ms", result["latency_ms"]["p50"])
        results.add("accept_p99_ms", result["latency_ms"]["p99"])
        results.add("accept_generator_late_p99_ms", result["generator_late_ms"]["p99"])


def arrange(system):
    """The edge on its core, warm; everything else off it or still."""
    if system.edge_number("collect", "threads") != 1:
        system.restart_edge(collect__threads=1)
    if not system.is_warm:
        system.send(batched(20_000, 5), system.bench.thousand)
    system.settle()
    system.pause("loader", "warehouse", "api")
    machine.pin(system.pids["edge"], EDGE_CORES)
    machine.pin(system.pids["hub"], OTHER_CORES)
    machine.pin(system.process.pid, OTHER_CORES)


def search(is_borne, guess):
    """The highest rate that is borne: steps from the guess until one is and one is not, then between them."""
    borne, refused, rate, step = None, None, guess, STEP
    for _ in range(MOST_TRIALS):
        if is_borne(rate):
            borne = rate
        else:
            refused = rate
        if borne and refused and refused / borne <= PRECISION:
            return borne
        if borne and refused:
            rate = (borne * refused) ** 0.5
        else:
            rate = borne * step if borne else refused / step
            step = min(step * step, LARGEST_STEP)
    if borne is None:
        raise NotMeasured(f"no rate down to {refused:.0f} hits/s is borne")
    raise NotMeasured(f"{borne:.0f} hits/s are borne, and no higher rate that was tried was not")


def trial(bench, system, load, rate):
    """Whether a rate is borne."""
    system.drain_edge()
    running = system.bench.generator.start(
        system.collect, load(rate, bench.trial_seconds, warm_up_s=1, precise=True), bench.thousand, cores=OTHER_CORES
    )
    samples = []
    begun = time.monotonic()
    while not running.is_over():
        samples.append((time.monotonic() - begun, system.edge_queue("unprocessed_hits")))
        time.sleep(SAMPLE_S)
    result = running.result()
    obstacle = obstacle_of(result, rate, growth([at for at in samples if at[0] >= 1.5]))
    bench.results.say(f"  {rate:.0f} hits/s: {obstacle or 'borne'}")
    return obstacle is None


def obstacle_of(result, rate, growing):
    """What keeps a rate from being borne; None: nothing."""
    p99, late = result["latency_ms"]["p99"], result["generator_late_ms"]["p99"]
    if result["requests_acknowledged"] < result["requests_due"]:
        return f"{result['requests_due'] - result['requests_acknowledged']} requests were not acknowledged"
    if p99 > P99_MS:
        limit = "; the generator is the limit" if late > P99_MS / 2 else ""
        return f"p99 is {p99:.0f} ms, the generator's own lateness {late:.0f} ms{limit}"
    if growing > GROWTH * rate:
        return f"hits that wait for processing grow by {growing:.0f} a second"
    return None


def growth(samples):
    """Slope of (time, value) by least squares; 0 for too few."""
    if len(samples) < 3:
        return 0.0
    mean_time = sum(at for at, _ in samples) / len(samples)
    mean_value = sum(value for _, value in samples) / len(samples)
    spread = sum((at - mean_time) ** 2 for at, _ in samples)
    return sum((at - mean_time) * (value - mean_value) for at, value in samples) / spread
