"""Goals, medians, the printed table and the JSON."""

import collections
import contextlib
import json
import statistics
import sys
import time

from .figures import parse, stages
from .load import NotMeasured

# A goal is None (it says how the machine is, or explains another figure), or a bound with its direction; `accept` is computed.
Figure = collections.namedtuple("Figure", "name goal unit")


def accept_goal(results):
    """Gather time and four syncs of this run's disk."""
    gather, sync = results.median("gather_ms"), results.median("fsync_p99_ms")
    return None if gather is None or sync is None else f"<= {gather + 4 * sync:.2f}"


FIGURES = [
    Figure("fsync_p50_ms", None, "ms"),
    Figure("fsync_p99_ms", None, "ms"),
    Figure("nginx_us_per_204", None, "µs"),
    *(Figure(name, None, "µs") for name in parse.NAMES + stages.NAMES),
    Figure("single_hits_per_second", None, "hits/s"),
    Figure("edge_us_per_hit_1", None, "µs"),
    Figure("edge_1_to_nginx", "<= 1.6", "ratio"),
    Figure("edge_us_per_hit_20", None, "µs"),
    Figure("edge_20_to_nginx", "<= 0.6", "ratio"),
    Figure("edge_us_per_hit_1_one_thread", None, "µs"),
    Figure("two_threads_to_one", "<= 1.1", "ratio"),
    Figure("peak_hits_per_second_1", ">= 50000", "hits/s"),
    Figure("peak_hits_per_second_20", ">= 50000", "hits/s"),
    Figure("gather_ms", None, "ms"),
    Figure("accept_p50_ms", None, "ms"),
    Figure("accept_p99_ms", accept_goal, "ms"),
    Figure("accept_generator_late_p99_ms", None, "ms"),
    Figure("accept_beside_all_p50_ms", None, "ms"),
    Figure("accept_beside_all_p99_ms", None, "ms"),
    Figure("hub_us_per_hit", "<= 1", "µs"),
    Figure("loader_us_per_hit", None, "µs"),
    Figure("warehouse_us_per_hit", None, "µs"),
    Figure("rollup_wire_bytes_per_hit", "<= 25", "bytes"),
    Figure("raw_wire_bytes_per_hit", "<= 60", "bytes"),
    Figure("rollup_wire_bytes_per_hit_1m", "<= 45", "bytes"),
    Figure("raw_wire_bytes_per_hit_1m", "<= 90", "bytes"),
    Figure("hit_rows_per_hit_100", None, "rows"),
    Figure("session_rows_per_hit_100", None, "rows"),
    Figure("rows_per_hit_100", None, "rows"),
    Figure("hit_rows_per_hit_10k", None, "rows"),
    Figure("session_rows_per_hit_10k", None, "rows"),
    Figure("rows_per_hit_10k", None, "rows"),
    Figure("hit_rows_per_hit_1m", None, "rows"),
    Figure("session_rows_per_hit_1m", None, "rows"),
    Figure("rows_per_hit_1m", "<= 1.4", "rows"),
    Figure("bytes_per_open_session", "<= 160", "bytes"),
    Figure("bytes_per_property", "<= 300", "bytes"),
    Figure("config_seconds_1m", None, "s"),
    Figure("config_change_ms_1m", "<= 5000", "ms"),
    Figure("config_change_1m_to_few", None, "ratio"),
    Figure("config_answer_ms_1m", None, "ms"),
    Figure("edge_start_s_1m", "<= 5", "s"),
    Figure("edge_start_1m_to_few", None, "ratio"),
    Figure("edge_idle_cores_1m", None, "cores"),
    Figure("loader_hits_per_second", ">= 80000", "hits/s"),
    Figure("loader_rows_per_second", None, "rows/s"),
    Figure("hits_per_visitor_and_hour", None, "hits"),
    Figure("hourly_bytes_per_hit", None, "bytes"),
    Figure("hourly_to_one_row_per_hit", "<= 0.5", "ratio"),
    Figure("hourly_to_one_row_same_codec", None, "ratio"),
    Figure("report_p50_s", "<= 8", "s"),
    Figure("report_p99_s", "<= 15", "s"),
    Figure("mesh_hits_per_second", ">= 25000", "hits/s"),
    Figure("mesh_pending_growth_per_second", "<= 250", "hits/s"),
    Figure("mesh_settled_s", None, "s"),
    Figure("generator_hits_per_second", ">= 200000", "hits/s"),
]


class Results:
    """Values of all runs, and why some are missing."""

    def __init__(self):
        self.begun = time.monotonic()
        self.values = collections.defaultdict(list)
        self.this_run = {}
        self.missing = collections.defaultdict(list)

    def say(self, text):
        """A line of progress, with the seconds since the beginning."""
        print(f"{time.monotonic() - self.begun:5.0f} s  {text}", file=sys.stderr, flush=True)

    def add(self, name, value):
        """One run's value."""
        self.values[name].append(float(value))
        self.this_run[name] = float(value)
        self.say(f"  {name}: {short(value)}")

    def begin_run(self, text):
        """What follows is another run: ratios are formed within it."""
        self.this_run = {}
        self.say(text)

    def last(self, name):
        """The value of the latest run that has one: where to begin a search."""
        return self.values[name][-1] if self.values[name] else None

    def needed(self, name):
        """A figure of this run that another is made of."""
        if name not in self.this_run:
            raise NotMeasured(f"{name} is missing")
        return self.this_run[name]

    def median(self, name):
        """The median of all runs; None when there is no value, or a run has none: it may have been the worst."""
        return statistics.median(self.values[name]) if self.values[name] and not self.missing[name] else None

    @contextlib.contextmanager
    def expect(self, *names):
        """What the body gives; what it could not give is noted with the reason, and the others are measured."""
        before = {name: len(self.values[name]) for name in names}
        self.say(f"{names[0]} …")
        try:
            yield
        except NotMeasured as error:
            for name in names:
                if len(self.values[name]) == before[name]:
                    self.missing[name].append(str(error))
            self.say(f"  NOT MEASURED: {error}")

    def rows(self):
        """One object per figure that was asked for."""
        for figure in FIGURES:
            if self.values[figure.name] or self.missing[figure.name]:
                goal = figure.goal(self) if callable(figure.goal) else figure.goal
                value = self.median(figure.name)
                row = {"figure": figure.name, "goal": goal, "value": value, "unit": figure.unit}
                row["runs"] = self.values[figure.name]
                if self.missing[figure.name]:
                    row["missing"] = self.missing[figure.name]
                yield row


def meets(value, goal):
    """Whether a value meets its goal, as the table shows it: a figure that is missing does not."""
    if goal is None:
        return ""
    if value is None:
        return "NO"
    direction, bound = goal.split()
    return "yes" if (value <= float(bound) if direction == "<=" else value >= float(bound)) else "NO"


def show(results, out):
    """Prints the table and writes the JSON; gives whether every figure that was asked for has a value."""
    rows = list(results.rows())
    print(f"{'figure':33} {'goal':>9} {'median':>9} {'least':>9} {'most':>9}  {'unit':6} met")
    for row in rows:
        runs = row["runs"]
        shown = [row["value"], min(runs, default=None), max(runs, default=None)]
        shown = " ".join(f"{'—' if value is None else short(value):>9}" for value in shown)
        print(f"{row['figure']:33} {row['goal'] or '':>9} {shown}  {row['unit']:6} {meets(row['value'], row['goal'])}")
    for row in rows:
        for why in dict.fromkeys(row.get("missing", [])):
            print(f"not measured: {row['figure']}: {why}")
    with open(out, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")
    return all(row["value"] is not None for row in rows)


def short(value):
    """Three or four digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
