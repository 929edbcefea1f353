"""Meridian as processes: started, configured, paused, measured, stopped."""

import collections
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request

from . import machine
from .load import NotMeasured, check_taken
from .warehouse import Warehouse

READY_WITHIN_S = 180
# A batch waits for company at most 10 s; then hub, plan and INSERT. What takes longer had piled up.
KEEPS_UP_WITHIN_S = 20
SERVICES = ("edge", "hub", "loader", "warehouse", "api")
# As `meridian dev` calls them; what is said of "edge" is of the first, which alone is restarted and sent loads.
EDGES = ("edge", "edge-2", "edge-3")
POLL_S = 0.1

Cost = collections.namedtuple("Cost", "result hits us counted settled_s")


class System:
    """All services, each a process, on a data directory that is removed in the end. Use it in a `with`."""

    def __init__(self, bench, store, edges=1):
        self.bench = bench
        self.edges = EDGES[:edges]
        self.data = pathlib.Path(tempfile.mkdtemp(dir=bench.directory, prefix="system-"))
        shutil.copytree(store, self.data / "store")
        self.log = bench.directory / "meridian.log"
        self.events = queue.Queue()
        self.paused = set()
        self.is_warm = False

    def __enter__(self):
        any_port = [part for name in ("--http", "--grpc", "--api", "--admin") for part in (name, "127.0.0.1:0")]
        command = [self.bench.binaries / "meridian", "dev", "--processes", "--data", self.data]
        command += ["--assets", self.bench.assets, "--log-level", "warn", *any_port]
        command += ["--edges", str(len(self.edges))]
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        threading.Thread(target=self._read_events, daemon=True).start()
        try:
            ready = self._event("ready")
            self.collect, self.grpc, self.api, self.admin = (ready[name] for name in ("collect", "grpc", "api", "admin"))
            services = dict.fromkeys((*SERVICES, *self.edges))
            self.pids = {service: ready["pids"][service] for service in services}
            self.key_file = ready["admin_key_file"]
            self.key = pathlib.Path(self.key_file).read_text().strip()
            self.admins = {service: "http://" + self.configured(service, "admin_listen") for service in services}
            self.warehouse = Warehouse("http://" + self.configured("warehouse", "listen"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        """Ends all processes at once: nobody needs the data, and a drain would take as long as the backlog."""
        self.process.kill()
        self.process.wait()
        for pid in getattr(self, "pids", {}).values():
            with_the_parent = time.monotonic() + 10
            while os.path.exists(f"/proc/{pid}") and time.monotonic() < with_the_parent:
                time.sleep(0.05)
        shutil.rmtree(self.data, ignore_errors=True)

    def _read_events(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def check_alive(self):
        """A service that died and was started again by `meridian dev` spoils what is measured meanwhile."""
        while not self.events.empty():
            event = self.events.get()
            said = " ".join(self.log.read_text().split())[-600:]
            what = f"{event['service']} died and was started again" if event else "meridian ended"
            raise NotMeasured(f"{what}: {said}")

    def _event(self, wanted):
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                event = self.events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise NotMeasured(f"no {wanted!r} from meridian within {READY_WITHIN_S} s") from None
            if event is None:
                raise NotMeasured(f"meridian ended: {self.log.read_text()[-600:]}")
            if event["event"] == wanted:
                return event

    # Configuration

    def configured(self, service, field):
        """A text field before the first table of a service's configuration file."""
        text = (self.data / "config" / f"{service}.toml").read_text()
        return re.search(rf'^{field} = "(.*)"', text, re.M)[1]

    def collects(self):
        """Where each edge takes hits."""
        texts = ((self.data / "config" / f"{edge}.toml").read_text() for edge in self.edges)
        return ["http://" + json.loads(re.search(field_of("collect", "listen"), text, re.M)[2]) for text in texts]

    def edge_number(self, table, field):
        """A number of the edge's configuration."""
        return int(re.search(field_of(table, field), self._edge_file().read_text(), re.M)[2])

    def config_version(self, service):
        """Version of the configuration that a service has in force."""
        with urllib.request.urlopen(self.admins[service] + "/status", timeout=60) as answer:
            return json.load(answer)["services"][0]["config_version"]

    def _edge_file(self):
        return self.data / "config" / "edge.toml"

    def restart_edge(self, **changes):
        """Changes fields of the edge's configuration (`collect__threads=1`) and restarts it; gives how long its start took."""
        text = self._edge_file().read_text()
        for name, value in changes.items():
            table, _, field = name.rpartition("__")
            pattern = field_of(table.replace("__", "."), field)
            if not re.search(pattern, text, re.M):
                raise NotMeasured(f"the edge's configuration has no {name.replace('__', '.')}")
            text = re.sub(pattern, lambda found, value=value: found[1] + json.dumps(value), text, count=1, flags=re.M)
        self._edge_file().write_text(text)
        os.kill(self.pids["edge"], signal.SIGTERM)
        event = self._event("restarted")
        if event["service"] != "edge":
            raise NotMeasured(f"{event['service']} died while the edge was restarted")
        self.pids["edge"] = event["pid"]
        self.is_warm = False
        return machine.age_seconds(event["pid"])

    def pause(self, *services):
        """Stops processes (SIGSTOP)."""
        for service in services:
            os.kill(self.pids[service], signal.SIGSTOP)
            self.paused.add(service)

    def resume(self, *services):
        """Lets them go on, if they stood still until now: anyone may wake a process."""
        self.check_paused()
        for service in services:
            os.kill(self.pids[service], signal.SIGCONT)
            self.paused.discard(service)

    def check_paused(self):
        """What was stopped still is."""
        for service in self.paused:
            if machine.stat_fields(self.pids[service])[0] != "T":
                raise NotMeasured(f"{service} was to stand still and somebody woke it")

    # What it says about itself

    def report(self, service):
        """`/status` of one service."""
        return json.loads(self._get(service, "/status"))

    def _get(self, service, path):
        try:
            with urllib.request.urlopen(self.admins[service] + path, timeout=30) as answer:
                return answer.read().decode()
        except OSError as error:
            raise NotMeasured(f"{service} does not answer {path}: {error}") from error

    def edge_queue(self, name):
        """Length of a queue of the edge."""
        return self.report("edge")["services"][0]["queues"][name]["length"]

    def pending(self):
        """Hits acknowledged less hits loaded, as `meridian status` subtracts them."""
        loaded = {(at["edge"], at["epoch"]): at.get("loaded") or 0 for at in self.report("loader")["positions"]}
        edge = self.report("edge")["positions"]
        return sum(max(0, at["acknowledged"] - loaded.get((at["edge"], at["epoch"]), 0)) for at in edge)

    def loaded(self):
        """Hits that the loader has put into the warehouse."""
        return sum(at.get("loaded") or 0 for at in self.report("loader")["positions"])

    def settle(self, within_s=300):
        """Waits until nothing is pending; gives how long that took."""
        return self._wait(self.pending, within_s, "acknowledged hits are still pending")

    def drain_edge(self, within_s=300):
        """Waits until the edge has processed and handed over all it took."""

        def left():
            queues = self.report("edge")["services"][0]["queues"]
            return sum(queues[name]["length"] for name in ("unprocessed_hits", "queued_hits", "outbox_rollup", "outbox_raw"))

        return self._wait(left, within_s, "hits and batches are still at the edge")

    def _wait(self, left, within_s, what):
        begun = time.monotonic()
        while True:
            self.check_alive()
            count = left()
            taken = time.monotonic() - begun
            if count == 0:
                return taken
            if taken > within_s:
                raise NotMeasured(f"{count} {what} after {within_s} s")
            time.sleep(POLL_S)

    def counters(self, *services):
        """All counters of services by name and labels; `NAME:sum` adds up over labels."""
        found = collections.Counter()
        for service in services:
            for line in self._get(service, "/metrics").splitlines():
                if line and not line.startswith("#"):
                    name, value = re.match(r"([^ {]+(?:\{.*\})?) (\S+)", line).groups()
                    found[name] += float(value)
                    found[name.split("{")[0] + ":sum"] += float(value)
        return found

    def open_sessions(self):
        """As the edge counts them."""
        return int(self.counters("edge")["edge_process_open_sessions"])

    # Load

    def keys(self):
        """Arguments that let the generator read reports."""
        return ("--key", self.key, "--grpc", self.grpc, "--admin", self.admin)

    def send(self, load, properties, **more):
        """Sends a load to the edge."""
        return self.bench.generator.run(self.collect, load, properties, **more)

    def cost(self, load, properties):
        """Costs per acknowledged hit until nothing is pending; refuses to give any when the system did not keep up."""
        cpu = {service: machine.cpu_seconds(self.pids[service]) for service in SERVICES}
        counted = self.counters("edge")
        result = self.send(load, properties)
        settled_s = self.settle()
        self.is_warm = True
        check_taken(result, load.rate)
        if settled_s > KEEPS_UP_WITHIN_S:
            raise NotMeasured(f"{load.rate} hits/s are too much: hits were pending for {settled_s:.0f} s after the last one")
        hits = result["hits_acknowledged"]
        us = {name: (machine.cpu_seconds(self.pids[name]) - cpu[name]) * 1e6 / hits for name in SERVICES}
        now = self.counters("edge")
        now.subtract(counted)
        return Cost(result, hits, us, now, settled_s)


def field_of(table, field):
    """A pattern for a field's value within its table of a TOML file; the empty name is what stands before the first table."""
    begin = rf"^\[{re.escape(table)}\]\n" if table else r"\A"
    return rf"({begin}(?:[^\[\n].*\n)*?{field} = )(.*)$"
