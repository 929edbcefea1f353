"""What it costs to parse a hit of each protocol: the parsers alone, on one thread."""

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
    "parse_snowplow_us",
)


def measure(bench):
    """Runs the example of crates/protocol, which prints one object."""
    with bench.results.expect(*NAMES):
        program = bench.binaries / "examples" / "parse_cost"
        output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        for name, value in json.loads(output).items():
            bench.results.add(name, value)
