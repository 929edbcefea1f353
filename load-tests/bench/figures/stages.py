"""What each stage of processing costs per hit: the stages alone, on one thread."""

import json
import subprocess

NAMES = (
    "stage_deduplicate_us",
    "stage_enrich_us",
    "stage_fold_us",
    "stage_sessionize_us",
    "stage_aggregate_us",
    "stage_seal_us",
)


def measure(bench):
    """Runs the example of crates/processing, which prints one object."""
    with bench.results.expect(*NAMES):
        program = bench.binaries / "examples" / "stage_cost"
        output = subprocess.run([program, bench.assets], check=True, capture_output=True, text=True).stdout
        for name, value in json.loads(output).items():
            bench.results.add(name, value)
