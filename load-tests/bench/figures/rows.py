"""Minute rows per hit, by table: what the edges do not add up, the warehouse pays for.

Hits are those that the tables count (repeats are not). A session is booked in a row of its own when it is over, half an hour
after the load: each that is still open counts as one row of `session_rollup`, the most that it can become.
"""

from ..load import NotMeasured, batched
from .cost import wire_bytes


def measure(bench, system, properties, suffix):
    """One load on a slice of properties that were not visited before."""
    names = [f"{name}_per_hit_{suffix}" for name in ("hit_rows", "session_rows", "rows")]
    with bench.results.expect(*names):
        before = system.warehouse.minute_tables()
        system.cost(batched(bench.batched_rate, bench.seconds), properties)
        add(bench, before, system.warehouse.minute_tables(), suffix)


def add(bench, before, after, suffix):
    """Adds what came between two looks at the minute tables."""
    more = {name: after[name] - before[name] for name in after}
    if more["events"] == 0:
        raise NotMeasured("no hit is in the minute tables")
    hit_rows = more["hit_rows"] / more["events"]
    session_rows = (more["session_rows"] + more["opened"] - more["closed"]) / more["events"]
    bench.results.add(f"hit_rows_per_hit_{suffix}", hit_rows)
    bench.results.add(f"session_rows_per_hit_{suffix}", session_rows)
    bench.results.add(f"rows_per_hit_{suffix}", hit_rows + session_rows)


def measure_million(bench, system, properties):
    """Rows and bytes on the wire with a million properties."""
    lanes = [f"{lane}_wire_bytes_per_hit_1m" for lane in ("rollup", "raw")]
    rows = [f"{name}_per_hit_1m" for name in ("hit_rows", "session_rows", "rows")]
    with bench.results.expect(*rows, *lanes):
        before = system.warehouse.minute_tables()
        cost = system.cost(batched(bench.batched_rate, bench.seconds), properties)
        add(bench, before, system.warehouse.minute_tables(), "1m")
        for lane in ("rollup", "raw"):
            bench.results.add(f"{lane}_wire_bytes_per_hit_1m", wire_bytes(cost, lane))
