"""Runs the generator: a scenario in, the JSON of its result out."""

import dataclasses
import json
import subprocess

SCENARIO = """
[load]
phases = [{{ seconds = {seconds}, hits_per_second = {rate} }}]
[connections]
count = {connections}
hits_per_request = {hits}
precise = {precise}
[traffic]
properties = {properties}
{traffic}
"""


class NotMeasured(Exception):
    """A figure cannot be given; says why."""


@dataclasses.dataclass(frozen=True)
class Load:
    """What is sent. `traffic` holds further lines of the scenario's table of that name."""

    rate: int
    hits: int
    seconds: float
    connections: int = 64
    precise: bool = False
    traffic: str = ""
    warm_up_s: int = 0


# One hit per request over the connections of the goal's definition; and servers that send many.
def single(rate, seconds, **more):
    """One hit per request over 256 connections."""
    return Load(rate=int(rate), hits=1, seconds=seconds, connections=256, **more)


def batched(rate, seconds, hits=20, **more):
    """Many hits per request over 64 connections."""
    return Load(rate=int(rate), hits=hits, seconds=seconds, **more)


class Generator:
    """`meridian-load`, with a seed of its own for each run: a hit that comes again would be a repeat, and cheaper."""

    def __init__(self, binaries, directory):
        self.binary = binaries / "meridian-load"
        self.directory = directory
        self.runs = 0
        self.running = None

    def start(self, collect, load, properties, more=(), cores=None):
        """Starts a load on the properties of a slice; the caller waits for its end."""
        self.runs += 1
        scenario = self.directory / f"scenario-{self.runs}.toml"
        scenario.write_text(
            SCENARIO.format(
                seconds=load.seconds,
                rate=load.rate,
                connections=load.connections,
                hits=load.hits,
                precise=str(load.precise).lower(),
                properties=properties.count,
                traffic=load.traffic,
            )
        )
        out = self.directory / f"load-{self.runs}.json"
        command = [self.binary, "run", scenario, "--collect", collect, "--properties", properties.listing]
        command += ["--seed", str(self.runs), "--warm-up-s", str(load.warm_up_s), "--json", out, *more]
        if cores is not None:
            command = ["taskset", "--cpu-list", ",".join(map(str, cores)), *command]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running = Running(process, out)
        return self.running

    def stop(self):
        """Ends a load that a failure or a signal left under way."""
        if self.running and not self.running.is_over():
            self.running.process.kill()
            self.running.process.communicate()

    def run(self, *arguments, **named):
        """Sends a load to its end."""
        return self.start(*arguments, **named).result()


class Running:
    """A load under way."""

    def __init__(self, process, out):
        self.process = process
        self.out = out

    def is_over(self):
        """Whether the generator has ended."""
        return self.process.poll() is not None

    def result(self):
        """Waits for the end; the result, or why there is none."""
        said, errors = self.process.communicate()
        if self.process.returncode != 0:
            raise NotMeasured(f"the load failed: {' '.join((said + errors).split())[-600:]}")
        return json.loads(self.out.read_text())


def check_taken(result, rate):
    """Everything that was due was acknowledged, and not later than the rate asks for."""
    due, taken = result["requests_due"], result["requests_acknowledged"]
    if taken < due or result["refused"] > 0:
        refused = f"{result['refused']} refused, {result['unanswered']} unanswered, {result['not_sent']} not sent"
        raise NotMeasured(f"{rate} hits/s are too much: of {due} requests {taken} were acknowledged ({refused})")
    # The last answers come milliseconds after the last request was due; seconds mean that a queue had grown.
    if result["seconds"] > result["scenario"]["load"]["phases"][0]["seconds"] + 1.0:
        raise NotMeasured(f"{rate} hits/s are too much: the last answer came after {result['seconds']:.1f} s")
