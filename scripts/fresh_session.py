"""A newcomer's first session with a clone, for scripts/test-fresh.sh.

Runs `make run` in a terminal until the first report stands, sends a hit and finds it in a report, presses Ctrl-C, runs
`make run` again and finds the hit still there, presses Ctrl-C, and runs `make test`. Ends with 0 only if all of that went as
README.md says. Python's standard library only: nothing else is installed.
"""

import argparse
import json
import os
import pty
import queue
import re
import secrets
import socket
import subprocess
import sys
import threading
import time
import urllib.request

PORTS = (8080, 8081, 9090, 9091)
BUILD_TIMEOUT_S = 3600
START_TIMEOUT_S = 120
# Promised: the first report stands within a minute of the build's end.
FIRST_REPORT_LIMIT_S = 60
HIT_LIMIT_S = 60
STOP_TIMEOUT_S = 60
POLL_S = 0.5
CTRL_C = b"\x03"

BUILD_END = re.compile(r"^\s*Finished `dev` profile")
REPORT_HEAD = re.compile(r"^\W*page_path\W+visitors\W")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"


class Failed(Exception):
    """The session did not go as promised."""


class Terminal:
    """A command in a terminal of its own; every line of its output comes with the time it was read."""

    def __init__(self, command):
        self.lines = queue.Queue()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        rest = b""
        while True:
            try:
                data = os.read(self.terminal, 65536)
            except OSError:  # nobody has the other end any more
                data = b""
            if not data:
                break
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            *complete, rest = (rest + data).split(b"\n")
            for line in complete:
                self.lines.put((time.monotonic(), line.decode(errors="replace").rstrip("\r")))
        self.lines.put(None)

    def wait_for(self, what, is_it, timeout_s):
        """The first line that is_it takes, and its time."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failed(f"no {what} within {timeout_s} s") from None
            if line is None:
                raise Failed(f"make run ended before {what}")
            if is_it(line[1]):
                return line

    def stop(self):
        """Ctrl-C; the exit code must be 0."""
        os.write(self.terminal, CTRL_C)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                raise Failed(f"make run had not stopped {STOP_TIMEOUT_S} s after Ctrl-C")
            time.sleep(POLL_S)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise Failed(f"make run ended with {code} after Ctrl-C, not with 0")
        say("Ctrl-C: stopped with exit code 0")


def say(text):
    print(f"fresh session: {text}", file=sys.stderr, flush=True)


def check_ports():
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise Failed(f"port {port}, which make run needs, is not free: {error.strerror}; stop what has it") from None


def start():
    """`make run` until it is ready: the terminal, what the ready line says, when the build ended."""
    terminal = Terminal(["make", "run"])
    built_at, _ = terminal.wait_for("end of the build", BUILD_END.match, BUILD_TIMEOUT_S)
    is_ready = lambda line: line.startswith('{"event":"ready"')
    _, line = terminal.wait_for("ready line", is_ready, START_TIMEOUT_S)
    return terminal, json.loads(line), built_at


def send_hit(collect, measurement_id, path):
    hit = {"event": "page_view", "url": f"https://shop.example{path}", "id": secrets.token_hex(16)}
    body = json.dumps({"measurement_id": measurement_id, "hits": [hit]}).encode()
    headers = {"content-type": "application/json", "user-agent": BROWSER}
    request = urllib.request.Request(f"{collect}/v1/collect", body, headers)
    # Meridian is on loopback, whatever proxy is set.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        if answer.status != 204:
            raise Failed(f"the hit was answered with {answer.status}, not with 204")


def page_views(property_id):
    """Page views by path."""
    command = ["target/debug/meridian", "report", "--property", property_id, "--from", "yesterday", "--to", "today",
               "--metrics", "page_views", "--dimensions", "page_path", "--format", "json"]
    answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return {row["page_path"]: row["page_views"] for row in json.loads(answer.stdout)["rows"]}


def wait_for_page(property_id, path):
    sent_at = time.monotonic()
    while True:
        views = page_views(property_id)
        waited_s = time.monotonic() - sent_at
        if path in views:
            say(f"the hit was in a report after {waited_s:.1f} s")
            return views
        if waited_s > HIT_LIMIT_S:
            raise Failed(f"a hit was in no report {HIT_LIMIT_S} s after it was acknowledged")
        time.sleep(POLL_S)


def first_run():
    """Leaves the property, the path of the hit that was sent, and what a report said before Ctrl-C."""
    terminal, ready, built_at = start()
    report_at, _ = terminal.wait_for("first report", REPORT_HEAD.match, START_TIMEOUT_S)
    first_report_s = report_at - built_at
    say(f"the first report stood {first_report_s:.1f} s after the build's end (at most {FIRST_REPORT_LIMIT_S} s)")
    if first_report_s > FIRST_REPORT_LIMIT_S:
        raise Failed("the first report came too late")
    with open(".meridian/demo.json", encoding="utf-8") as file:
        demo = json.load(file)
    path = f"/fresh-{secrets.token_hex(4)}"
    send_hit(ready["collect"], demo["measurement_id"], path)
    views = wait_for_page(demo["property_id"], path)
    terminal.stop()
    return demo["property_id"], path, views


def second_run(property_id, path, before):
    terminal, _, _ = start()
    views = page_views(property_id)
    if views.get(path) != 1:
        raise Failed(f"after the second start, {path} has {views.get(path, 0)} page views instead of 1")
    lost = {page: (count, views.get(page, 0)) for page, count in before.items() if views.get(page, 0) < count}
    if lost:
        raise Failed(f"after the second start, pages have fewer views than before it: {lost}")
    say(f"the second start carries on: {sum(before.values())} page views before it, {sum(views.values())} after")
    terminal.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--skip-tests", action="store_true", help="leave out `make test`")
    arguments = parser.parse_args()
    os.environ.update(CARGO_TERM_COLOR="never", CARGO_TERM_PROGRESS_WHEN="never")
    try:
        check_ports()
        second_run(*first_run())
        if not arguments.skip_tests and subprocess.run(["make", "test"], check=False).returncode != 0:
            raise Failed("make test failed")
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"fresh session: FAILED: {error}")


if __name__ == "__main__":
    main()
