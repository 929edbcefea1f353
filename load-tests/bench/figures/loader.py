"""The loader by itself: segments wait in the store, nothing else has anything to do, then it is let go. And what the hourly
tables take on disk afterwards."""

import time

from ..load import NotMeasured, batched
from ..warehouse import HOURLY

FILL_RATE = 50_000
# Five hits to a visitor, and nobody comes back: the traffic that the goal of the hourly tables names.
FIVE_HITS = "hits_per_visit = 5\nreturning = 0\nlate = 0"
# Then a trickle elsewhere, until the sessions are over: the loader gets their rows too, as it does all day.
TRICKLE = batched(20, 5, hits=1)
MOST_TRICKLES = 12
LEFT_OPEN = 0.01


def rate(bench, system):
    """Hits per second through plan, inserts and all views."""
    with bench.results.expect("loader_hits_per_second", "loader_rows_per_second"):
        system.settle()
        loaded, before = system.loaded(), system.warehouse.minute_tables()
        system.pause("loader")
        try:
            load = batched(FILL_RATE, bench.fill_seconds, hits=100, traffic=FIVE_HITS)
            system.send(load, bench.short_sessions)
            end_sessions(bench, system)
            begun = time.monotonic()
        finally:
            system.resume("loader")
        system.settle()
        taken = time.monotonic() - begun
        hits, after = system.loaded() - loaded, system.warehouse.minute_tables()
        rows = sum(after[name] - before[name] for name in ("hit_rows", "session_rows"))
        system.is_warm = True
        bench.results.add("loader_hits_per_second", hits / taken)
        bench.results.add("loader_rows_per_second", rows / taken)


def end_sessions(bench, system):
    """Lets time pass for the edge until nearly all sessions are over and their rows at the hub."""
    system.drain_edge()
    most = system.open_sessions() * LEFT_OPEN
    for _ in range(MOST_TRICKLES):
        # The trickle opens sessions of its own.
        most += system.send(TRICKLE, bench.hundred)["hits_acknowledged"]
        system.drain_edge()
        if system.open_sessions() <= most:
            return
    raise NotMeasured(f"{system.open_sessions()} sessions are still open after the load")


def hourly(bench, system):
    """Bytes per hit in all hourly tables, merged, against one row per hit in the same engine, merged."""
    names = (
        "hits_per_visitor_and_hour",
        "hourly_bytes_per_hit",
        "hourly_to_one_row_per_hit",
        "hourly_to_one_row_same_codec",
    )
    with bench.results.expect(*names):
        warehouse = system.warehouse
        events, visitor_hours = warehouse.numbers(
            "SELECT sum(hits), count() FROM (SELECT property, visitor, toStartOfHour(minute), sum(events) AS hits FROM hit_rollup"
            " ARRAY JOIN visitors AS visitor WHERE length(visitors) = 1 GROUP BY ALL)"
        )
        if visitor_hours == 0:
            raise NotMeasured("the loader has loaded nothing")
        bench.results.add("hits_per_visitor_and_hour", events / visitor_hours)
        hits = warehouse.minute_tables()["events"]
        taken = warehouse.bytes_after_merges(*HOURLY)
        plain, rows = warehouse.bytes_of_one_row_per_hit()
        bench.results.add("hourly_bytes_per_hit", taken / hits)
        bench.results.add("hourly_to_one_row_per_hit", (taken / hits) / (plain / rows))
        packed, rows = warehouse.bytes_of_one_row_per_hit("ZSTD(1)")
        bench.results.add("hourly_to_one_row_same_codec", (taken / hits) / (packed / rows))
