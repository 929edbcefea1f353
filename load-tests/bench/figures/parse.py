"""What it costs to parse a hit of each protocol, and to know its browser: the code alone, on one thread."""

import json
import subprocess

NAMES = (
    "parse_meridian_us",
    "parse_ga4_us",
    "parse_measurement_us",
    "parse_universal_us",
    "parse_plausible_us",
    "parse_umami_us",
    "parse_matomo_us",
    "parse_segment_us",
    "parse_snowplow_us",
    "classify_seen_us",
    "classify_seen_with_hints_us",
    "classify_new_us",
    "classify_new_hints_us",
)


def measure(bench):
    """Runs the examples of crates/protocol and crates/processing, which print one object each."""
    examples = bench.binaries / "examples"
    with bench.results.expect(*NAMES):
        for command in ([examples / "parse_cost"], [examples / "classify_cost", bench.assets]):
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            for name, value in json.loads(output).items():
                bench.results.add(name, value)
