"""Memory per open session and per property without traffic, as growth of the edge's anonymous memory between known counts."""

import statistics
import time

from .. import machine, properties
from ..load import NotMeasured, batched
from . import change

# Sessions opened before the first look, and between it and the second.
SESSIONS = (200_000, 1_000_000)
# Every hit a visitor of his own; pages, agents and campaigns as in every other load.
ONE_HIT_VISITS = "hits_per_visit = 1\nreturning = 0\nlate = 0\nbots = 0\nrepeated_requests = 0\nrepeated_hits = 0"
FILL_RATE = 40_000
FILL_SECONDS = 20
MOST_FILLS = 12
# What else would grow with the hits is made so small that it is full at the first look.
SMALL = {
    "process__limits__max_open_sessions": 3 * SESSIONS[1],
    "process__limits__id_window_bytes": 1 << 20,
    "process__limits__max_known_visitors": 1,
    "process__limits__page_window_bytes": 1 << 20,
    "outbox__cache_bytes": 1 << 20,
}
LOOKS = 40
LOOK_EVERY_S = 0.25


def settled_bytes(system):
    """Median of the edge's memory over ten seconds in which nothing happens."""
    looks = []
    for _ in range(LOOKS):
        looks.append(machine.resident_bytes(system.pids["edge"]))
        time.sleep(LOOK_EVERY_S)
    return statistics.median(looks)


def per_session(bench, system):
    """A million more open sessions."""
    with bench.results.expect("bytes_per_open_session"):
        system.restart_edge(**SMALL)
        (fewer, less), (more, most) = (fill(bench, system, sessions) for sessions in SESSIONS)
        bench.results.add("bytes_per_open_session", (most - less) / (more - fewer))


def fill(bench, system, sessions):
    """Opens about so many sessions; gives how many are open then, and the edge's memory."""
    wanted = system.open_sessions() + sessions
    for _ in range(MOST_FILLS):
        missing = wanted - system.open_sessions()
        if missing <= sessions / 50:
            return system.open_sessions(), settled_bytes(system)
        # Some visitors come twice, so a load opens fewer sessions than it has hits.
        seconds = min(FILL_SECONDS, 1.3 * missing / FILL_RATE)
        system.send(batched(FILL_RATE, max(seconds, 0.5), hits=100, traffic=ONE_HIT_VISITS), bench.thousand)
        system.settle()
    raise NotMeasured(f"{system.open_sessions()} of {wanted} sessions are open after {MOST_FILLS} loads")


def per_property(bench, system, count):
    """A million properties more, as they come to running edges; then a start with them. Gives them; they stay.

    What takes time is set against the same with the few properties from before, on the same system in the same run.
    """
    names = ("bytes_per_property", "config_seconds_1m", "edge_start_s_1m", "edge_start_1m_to_few", "edge_idle_cores_1m")
    changes = ("config_change_ms_1m", "config_change_1m_to_few", "config_answer_ms_1m")
    # Behind those of the other loads.
    first, listing = bench.few_count, bench.directory / "million.jsonl"
    with bench.results.expect(*names, *changes):
        few_started_s = system.restart_edge()
        few_change_ms, _ = change.measure(system, "FEW")
        less = settled_bytes(system)
        begun = time.monotonic()
        properties.seed(bench.binaries, system.data / "store", listing, first, count)
        while any(system.config_version(edge) < system.config_version("api") for edge in system.edges):
            time.sleep(LOOK_EVERY_S)
        bench.results.add("config_seconds_1m", time.monotonic() - begun)
        started_s = system.restart_edge()
        bench.results.add("edge_start_s_1m", started_s)
        bench.results.add("edge_start_1m_to_few", started_s / few_started_s)
        cpu, begun = machine.cpu_seconds(system.pids["edge"]), time.monotonic()
        most = settled_bytes(system)
        idle = (machine.cpu_seconds(system.pids["edge"]) - cpu) / (time.monotonic() - begun)
        bench.results.add("edge_idle_cores_1m", idle)
        bench.results.add("bytes_per_property", (most - less) / count)
        change_ms, answer_ms = change.measure(system, "MILLION")
        bench.results.add("config_change_ms_1m", change_ms)
        bench.results.add("config_change_1m_to_few", change_ms / few_change_ms)
        bench.results.add("config_answer_ms_1m", answer_ms)
    return properties.Slice(listing, first, count)
