"""plausible-events: a client for programs that speaks Plausible's protocol.

It asks a service on the internet for its own address; here it is told one. It tries a failed hit
again every five seconds without an end, and its thread never ends.
"""

import os
import queue
import urllib.parse

from plausible_events import PlausibleEvents

from report import SCENARIO, Reporter, arguments

TIMEOUT_SECONDS = 15

base_url, domain, _ = arguments()
report = Reporter("plausible-events")
event = SCENARIO["event"]
page = urllib.parse.urlsplit(SCENARIO["url"])
utm = {"source": dict(urllib.parse.parse_qsl(page.query))["utm_source"]}

client = PlausibleEvents(
    domain, api=f"{base_url}/api/event", headers={"User-Agent": SCENARIO["user_agent"]}
)
client._get_ip = lambda: "203.0.113.7"
# What became of a hit is only said in its debugging messages.
messages = queue.Queue()
client.print = client.worker.print = messages.put


def delivered(send):
    send()
    while True:
        message = messages.get(timeout=TIMEOUT_SECONDS)
        if message.startswith("event:"):
            return message
        if message.startswith("worker: exception"):
            raise RuntimeError(message)


report.step("page_view", lambda: delivered(lambda: client.pageview(page.path, utm=utm)))
report.step(
    "event",
    lambda: delivered(lambda: client.event(event["name"], event["parameters"], page.path, utm=utm)),
)
os._exit(report.exit_code)
