"""What the kernel knows about processes and the disk: CPU time, memory, cores, fsync; and nginx to compare with."""

import contextlib
import os
import pathlib
import socket
import subprocess
import time

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
START_WITHIN_S = 30
SYNCS = 400

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


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu_seconds(pid):
    """CPU time of a process so far, user and system, all threads, those that ended included."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def age_seconds(pid):
    """Time since a process was started."""
    uptime = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    return uptime - int(stat_fields(pid)[19]) / TICKS_PER_SECOND


def resident_bytes(pid):
    """Anonymous memory of a process: what it allocated and touched, without mapped files."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/{pid}/status names no RssAnon")


def pin(pid, cores):
    """Keeps all threads of a process, and those they start, on these cores."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cores)


def fsync_ms(directory):
    """p50 and p99 of syncing 4 KiB appends, milliseconds."""
    times = []
    with open(directory / "fsync", "wb", buffering=0) as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fsync(file.fileno())
            times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


@contextlib.contextmanager
def nginx(directory):
    """One worker that answers 204 and writes a buffered access log; gives its address and the worker's pid."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(dir=directory, port=port))
    master = subprocess.Popen(["/usr/sbin/nginx", "-c", config], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_WITHIN_S
        children = pathlib.Path(f"/proc/{master.pid}/task/{master.pid}/children")
        while not children.read_text().split():
            if time.monotonic() > deadline or master.poll() is not None:
                raise RuntimeError(f"nginx did not start; see {directory}/nginx.error")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", int(children.read_text().split()[0])
    finally:
        master.terminate()
        master.wait()
