"""`make bench`: what a hit costs, as one table and as JSON.

Runs release binaries on data of its own and free ports. Costs are CPU time (user and system) of all threads of a process,
from /proc, until nothing is pending, divided by the hits that were acknowledged meanwhile. Where the machine matters a
figure is a ratio to nginx (one worker, buffered access log) answering the same requests with 204, in the same run.
Each figure is the median of --runs; every run begins with a warm-up that has seen every user agent.

    bench.py [--runs N] [--mesh-seconds S] --bin DIR --assets DIR --out FILE
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
READY_WITHIN_S = 120
# The generator's load: low enough that the system keeps up on two cores with the generator beside it.
RATE_SINGLE = 12_000
RATE_BATCHED = 25_000
SECONDS = 20
WARM_UP_SECONDS = 12

SCENARIO = """
[load]
phases = [{{ seconds = {seconds}, hits_per_second = {rate} }}]
[connections]
count = {connections}
hits_per_request = {hits}
[traffic]
properties = {properties}
"""

NGINX = """
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.error;
events {{ worker_connections 2048; }}
http {{
    access_log {dir}/nginx.access combined buffer=64k flush=1s;
    client_body_temp_path {dir}/nginx.body;
    keepalive_requests 100000000;
    server {{ listen 127.0.0.1:{port}; location / {{ return 204; }} }}
}}
"""


def cpu_seconds(pid):
    """CPU time of a process so far, user and system, all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def metrics(url):
    """Counters of an admin port, by name without labels."""
    with urllib.request.urlopen(url + "/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = re.sub(r"\{[^}]*\}", "", line).split()[:2]
            found[line.split(" ")[0]] = float(value)
            found.setdefault(name + ":sum", 0.0)
            found[name + ":sum"] += float(value)
    return found


def fsync_ms(directory):
    """p50 and p99 of syncing 4 KiB appends, milliseconds."""
    times = []
    with open(directory / "fsync", "wb", buffering=0) as file:
        for _ in range(400):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


class Bench:
    """Binaries, a directory, and how load is sent."""

    def __init__(self, arguments, directory):
        self.bin = pathlib.Path(arguments.bin)
        self.assets = arguments.assets
        self.dir = directory
        self.seed = 0

    def load(self, collect, *, rate, hits, connections, seconds, properties=1000, more=()):
        """Sends a scenario; gives the JSON of its result."""
        self.seed += 1
        scenario = self.dir / "scenario.toml"
        scenario.write_text(
            SCENARIO.format(rate=rate, hits=hits, connections=connections, seconds=seconds, properties=properties)
        )
        out = self.dir / "load.json"
        out.unlink(missing_ok=True)
        command = [self.bin / "meridian-load", "run", scenario, "--collect", collect, "--seed", str(self.seed)]
        done = subprocess.run([*command, "--json", out, *more], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench.py: the load failed:\n{done.stdout}{done.stderr}")
        return json.loads(out.read_text())

    @contextlib.contextmanager
    def nginx(self):
        """A server with one worker; gives its address and the worker's pid."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = self.dir / "nginx.conf"
        config.write_text(NGINX.format(dir=self.dir, port=port))
        master = subprocess.Popen(["/usr/sbin/nginx", "-c", config], stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + READY_WITHIN_S
            children = pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children")
            while not children.read_text().split():
                if time.monotonic() > deadline:
                    sys.exit("bench.py: nginx did not start")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}", int(children.read_text().split()[0])
        finally:
            master.terminate()
            master.wait()

    @contextlib.contextmanager
    def meridian(self):
        """Every service as a process of its own; gives the ready line, with the admin key."""
        data = tempfile.mkdtemp(dir=self.dir)
        any_port = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--api", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        command = [self.bin / "meridian", "dev", "--processes", "--data", data, "--assets", self.assets, *any_port]
        with open(self.dir / "meridian.log", "a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [*command, "--log-level", "warn"], stdout=subprocess.PIPE, stderr=log, text=True
            )
            try:
                line = process.stdout.readline()
                if not line:
                    sys.exit(f"bench.py: meridian did not start:\n{(self.dir / 'meridian.log').read_text()[-2000:]}")
                ready = json.loads(line)
                ready["key"] = pathlib.Path(ready["admin_key_file"]).read_text().strip()
                configs = pathlib.Path(data) / "config"
                ready["admins"] = {
                    service: "http://" + re.search(r'^admin_listen = "(.*)"', (configs / f"{service}.toml").read_text(), re.M)[1]
                    for service in ("edge", "hub", "loader")
                }
                yield ready
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()

    def settle(self, ready):
        """Waits until nothing is pending."""
        command = [self.bin / "meridian", "status", "--wait", "--timeout", "300", "--admin", ready["admin"]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def system(self, ready, **load):
        """Costs of one load on a running system, per acknowledged hit."""
        keys = ("--key", ready["key"], "--grpc", ready["grpc"])
        warm_up = {**load, "seconds": WARM_UP_SECONDS}
        self.load(ready["collect"], more=keys, **warm_up)
        self.settle(ready)
        pids = {name: ready["pids"][name] for name in ("edge", "hub", "loader", "warehouse")}
        cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        counted = {name: metrics(url) for name, url in ready["admins"].items()}
        result = self.load(ready["collect"], more=keys, **load)
        self.settle(ready)
        hits = result["hits_acknowledged"]
        cost = {name: (cpu_seconds(pid) - cpu[name]) * 1e6 / hits for name, pid in pids.items()}
        for name, url in ready["admins"].items():
            now = metrics(url)
            counted[name] = {key: value - counted[name].get(key, 0.0) for key, value in now.items()}
        return result, cost, counted


def measure(bench, runs):
    """All figures of all runs: name → values."""
    values = {}

    def add(name, value):
        values.setdefault(name, []).append(value)
        print(f"  {name}: {value:.3g}", file=sys.stderr)

    single = {"rate": RATE_SINGLE, "hits": 1, "connections": 256, "seconds": SECONDS}
    batched = {"rate": RATE_BATCHED, "hits": 20, "connections": 64, "seconds": SECONDS}
    properties = bench.dir / "properties.jsonl"
    names = (f'{{"property_id":"p_{n}","measurement_id":"M-{n}"}}\n' for n in range(1000))
    properties.write_text("".join(names))
    for run in range(runs):
        print(f"run {run + 1} of {runs}", file=sys.stderr)
        p50, p99 = fsync_ms(bench.dir)
        add("fsync_p50_ms", p50)
        add("fsync_p99_ms", p99)
        with bench.nginx() as (url, pid):
            begun = cpu_seconds(pid)
            result = bench.load(url, more=("--properties", properties), **single)
            nginx_us = (cpu_seconds(pid) - begun) * 1e6 / result["requests_acknowledged"]
            add("nginx_us_per_204", nginx_us)
        with bench.meridian() as ready:
            result, cost, counted = bench.system(ready, **single)
            add("edge_us_per_hit_1", cost["edge"])
            add("edge_1_to_nginx", cost["edge"] / nginx_us)
            add("accept_p50_ms", result["latency_ms"]["p50"])
            add("accept_p99_ms", result["latency_ms"]["p99"])
            result, cost, counted = bench.system(ready, **batched)
            hits = result["hits_acknowledged"]
            add("edge_us_per_hit_20", cost["edge"])
            add("edge_20_to_nginx", cost["edge"] / nginx_us)
            add("hub_us_per_hit", cost["hub"])
            add("loader_us_per_hit", cost["loader"])
            add("warehouse_us_per_hit", cost["warehouse"])
            add("rows_per_hit", counted["loader"]["loader_rows_inserted_total:sum"] / hits)
            for lane in ("rollup", "raw"):
                shipped = counted["edge"][f'edge_ship_bytes_total{{lane="{lane}"}}']
                add(f"{lane}_wire_bytes_per_hit", shipped / hits)
    return values


def mesh(bench, seconds):
    """The whole mesh with the generator beside it, verified; hits per second and the time until nothing was pending."""
    with bench.meridian() as ready:
        more = ("--key", ready["key"], "--grpc", ready["grpc"], "--admin", ready["admin"], "--verify")
        result = bench.load(
            ready["collect"], rate=RATE_BATCHED, hits=20, connections=64, seconds=seconds, more=more
        )
    return result["hits_per_second"], result["settled_s"]


# Figure, goal (None: calibration), unit. A goal with "<" is an upper bound, with ">" a lower one.
FIGURES = [
    ("fsync_p50_ms", None, "ms"),
    ("fsync_p99_ms", None, "ms"),
    ("nginx_us_per_204", None, "µs"),
    ("edge_us_per_hit_1", None, "µs"),
    ("edge_1_to_nginx", "<= 1.6", "ratio"),
    ("edge_us_per_hit_20", None, "µs"),
    ("edge_20_to_nginx", "<= 0.6", "ratio"),
    ("accept_p50_ms", None, "ms"),
    ("accept_p99_ms", None, "ms"),
    ("hub_us_per_hit", "<= 1", "µs"),
    ("loader_us_per_hit", None, "µs"),
    ("warehouse_us_per_hit", None, "µs"),
    ("rows_per_hit", "<= 1.4", "rows"),
    ("rollup_wire_bytes_per_hit", "<= 25", "bytes"),
    ("raw_wire_bytes_per_hit", "<= 60", "bytes"),
    ("mesh_hits_per_second_verified", ">= 25000", "hits/s"),
    ("mesh_settled_s", None, "s"),
]


def meets(value, goal):
    """Whether a value meets its goal, as the table shows it."""
    if goal is None:
        return ""
    bound = float(goal.split()[1])
    return "yes" if (value <= bound if goal.startswith("<") else value >= bound * 0.99) else "NO"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--mesh-seconds", type=int, default=300)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--assets", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp"), prefix="meridian-bench.") as directory:
        bench = Bench(arguments, pathlib.Path(directory))
        values = measure(bench, arguments.runs)
        rate, settled = mesh(bench, arguments.mesh_seconds)
        values["mesh_hits_per_second_verified"] = [rate]
        values["mesh_settled_s"] = [settled]
    rows = []
    print(f"{'figure':34} {'goal':>10} {'median':>10} {'least':>10} {'most':>10}  unit   met")
    for name, goal, unit in FIGURES:
        runs = values[name]
        value = statistics.median(runs)
        rows.append({"figure": name, "goal": goal, "value": value, "unit": unit, "runs": runs})
        shown = f"{value:10.4g} {min(runs):10.4g} {max(runs):10.4g}"
        print(f"{name:34} {goal or '':>10} {shown}  {unit:6} {meets(value, goal)}")
    pathlib.Path(arguments.out).write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
