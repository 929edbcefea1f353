"""CPU per hit of every service, and bytes on the wire; compared with nginx at the same rate in the same run."""

from .. import machine
from ..load import batched, check_taken, single

WARM_UP_S = 5


def calibrate(bench):
    """The disk and nginx: what the machine is worth in this run."""
    results = bench.results
    with results.expect("fsync_p50_ms", "fsync_p99_ms"):
        p50, p99 = machine.fsync_ms(bench.directory)
        results.add("fsync_p50_ms", p50)
        results.add("fsync_p99_ms", p99)
    with results.expect("nginx_us_per_204"), machine.nginx(bench.directory) as (url, pid):
        begun = machine.cpu_seconds(pid)
        result = bench.generator.run(url, single(bench.rate, bench.seconds), bench.thousand)
        check_taken(result, bench.rate)
        results.add("nginx_us_per_204", (machine.cpu_seconds(pid) - begun) * 1e6 / result["requests_acknowledged"])


def warm_up(bench, system):
    """Lets the edge see every user agent once."""
    if not system.is_warm:
        system.send(batched(bench.batched_rate, WARM_UP_S), bench.thousand)
        system.settle()
        system.is_warm = True


def one_hit(bench, system):
    """One hit per request over 256 connections, everything on."""
    results = bench.results
    names = ("edge_us_per_hit_1", "edge_1_to_nginx", "accept_beside_all_p50_ms", "accept_beside_all_p99_ms")
    with results.expect("single_hits_per_second", *names):
        warm_up(bench, system)
        cost = system.cost(single(bench.rate, bench.seconds), bench.thousand)
        results.add("single_hits_per_second", cost.result["hits_per_second"])
        results.add("edge_us_per_hit_1", cost.us["edge"])
        results.add("accept_beside_all_p50_ms", cost.result["latency_ms"]["p50"])
        results.add("accept_beside_all_p99_ms", cost.result["latency_ms"]["p99"])
        results.add("edge_1_to_nginx", cost.us["edge"] / bench.results.needed("nginx_us_per_204"))


def many_hits(bench, system):
    """Twenty hits per request: per hit, against nginx per request of the load with one."""
    results = bench.results
    services = ("hub", "loader", "warehouse")
    lanes = ("rollup", "raw")
    names = [f"{name}_us_per_hit" for name in services] + [f"{lane}_wire_bytes_per_hit" for lane in lanes]
    with results.expect("edge_us_per_hit_20", "edge_20_to_nginx", *names):
        warm_up(bench, system)
        cost = system.cost(batched(bench.batched_rate, bench.seconds), bench.thousand)
        for lane in lanes:
            results.add(f"{lane}_wire_bytes_per_hit", wire_bytes(cost, lane))
        for service in services:
            results.add(f"{service}_us_per_hit", cost.us[service])
        results.add("edge_us_per_hit_20", cost.us["edge"])
        results.add("edge_20_to_nginx", cost.us["edge"] / bench.results.needed("nginx_us_per_204"))


def wire_bytes(cost, lane):
    """Payload bytes that the edge sent to the hub on a lane, per hit."""
    return cost.counted[f'edge_ship_bytes_total{{lane="{lane}"}}'] / cost.hits


def one_thread(bench, system):
    """Two accept threads (the default on two cores) against one."""
    results = bench.results
    with results.expect("edge_us_per_hit_1_one_thread", "two_threads_to_one"):
        system.restart_edge(collect__threads=1)
        warm_up(bench, system)
        cost = system.cost(single(bench.rate, bench.seconds), bench.thousand)
        results.add("edge_us_per_hit_1_one_thread", cost.us["edge"])
        results.add("two_threads_to_one", bench.results.needed("edge_us_per_hit_1") / cost.us["edge"])
