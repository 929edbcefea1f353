"""Memory per open session and per property without traffic, as growth of the edge's anonymous memory between known counts."""

import json
import statistics
import time
import urllib.request

from .. import machine, properties
from ..load import NotMeasured, batched

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
CHANGES = 50
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
    """A million properties more, as they come to a running edge; then a start with them. Gives them; they stay."""
    names = ("bytes_per_property", "config_seconds_1m", "edge_start_s_1m", "edge_idle_cores_1m", "config_change_ms_1m")
    # Behind those of the other loads.
    first, listing = bench.few_count, bench.directory / "million.jsonl"
    with bench.results.expect(*names):
        less = settled_bytes(system)
        begun = time.monotonic()
        properties.seed(bench.binaries, system.data / "store", listing, first, count)
        while system.config_version("edge") < system.config_version("api"):
            time.sleep(LOOK_EVERY_S)
        bench.results.add("config_seconds_1m", time.monotonic() - begun)
        started_s = system.restart_edge()
        bench.results.add("edge_start_s_1m", started_s)
        cpu, begun = machine.cpu_seconds(system.pids["edge"]), time.monotonic()
        most = settled_bytes(system)
        idle = (machine.cpu_seconds(system.pids["edge"]) - cpu) / (time.monotonic() - begun)
        bench.results.add("edge_idle_cores_1m", idle)
        bench.results.add("bytes_per_property", (most - less) / count)
        bench.results.add("config_change_ms_1m", change_ms(system))
    return properties.Slice(listing, first, count)


def change_ms(system):
    """Median time until a change is answered, which is when the edge has it in force: new rules of one property among a million."""
    times = []
    path = f"/v1/properties/{properties.ids(0)[0]}/rules"
    for timeout in range(CHANGES):
        body = json.dumps({"rules": f"session_timeout_s = {1000 + timeout}"}).encode()
        headers = {"Authorization": f"Bearer {system.key}", "Content-Type": "application/json"}
        request = urllib.request.Request(system.api + path, body, headers, method="PUT")
        begun = time.monotonic()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        times.append((time.monotonic() - begun) * 1000)
    return statistics.median(times)
