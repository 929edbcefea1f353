"""From the call of a change to the moment every edge takes hits by it: an alias that no edge knew, asked for at all of them meanwhile."""

import http.client
import json
import statistics
import threading
import time
import urllib.parse
import urllib.request

from .. import properties
from ..load import NotMeasured

CHANGES = 50
# Between two hits at an edge: the figure is that coarse.
ASK_AGAIN_S = 0.002
WITHIN_S = 60
DROPPED = "x-meridian-dropped"
HEADERS = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/142.0"}


class Edge:
    """One edge, asked over one connection until it takes a hit of an id."""

    def __init__(self, url):
        self.address = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=WITHIN_S)

    def takes(self, alias):
        """Sends a page view; whether it was taken: Google's clients are answered with success either way."""
        path = f"/g/collect?v=2&tid={alias}&cid=1.2&en=page_view&dl=https%3A%2F%2Fshop-0.example%2F"
        self.connection.request("GET", path, headers=HEADERS)
        answer = self.connection.getresponse()
        answer.read()
        if answer.status != 204:
            raise NotMeasured(f"the edge {self.address} answers {answer.status} to a page view")
        return answer.headers.get(DROPPED) is None

    def taken_at(self, alias, deadline):
        """When it took the first hit."""
        while not self.takes(alias):
            if time.monotonic() > deadline:
                raise NotMeasured(f"the edge {self.address} does not know a change after {WITHIN_S} s")
            time.sleep(ASK_AGAIN_S)
        return time.monotonic()


def measure(system, name):
    """Medians of some changes: milliseconds until the last edge takes hits by it, and until the call is answered."""
    edges = [Edge(url) for url in system.collects()]
    spread, answered = [], []
    for number in range(CHANGES):
        of_spread, of_answer = one_change(system, edges, f"G-{name}{number}")
        spread.append(of_spread)
        answered.append(of_answer)
    return statistics.median(spread), statistics.median(answered)


def one_change(system, edges, alias):
    """Milliseconds from the call to the last edge's first hit, and to the answer."""
    if any(edge.takes(alias) for edge in edges):
        raise NotMeasured(f"an edge knows {alias} before the change")
    results = [None] * len(edges)
    deadline = time.monotonic() + WITHIN_S

    def ask(at):
        try:
            results[at] = edges[at].taken_at(alias, deadline)
        except (NotMeasured, OSError, http.client.HTTPException) as error:
            results[at] = error

    asking = [threading.Thread(target=ask, args=(at,), daemon=True) for at in range(len(edges))]
    for thread in asking:
        thread.start()
    body = {"property_id": properties.ids(0)[0], "protocol": "ga4", "id": alias}
    headers = {"Authorization": f"Bearer {system.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(system.api + "/v1/aliases", json.dumps(body).encode(), headers)
    begun = time.monotonic()
    with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
        answer.read()
    answered = time.monotonic()
    for thread in asking:
        thread.join()
    return last_after(begun, results), (answered - begun) * 1000


def last_after(begun, results):
    """Milliseconds from a time to the last of the edges; what one of them could not do is what all could not."""
    for result in results:
        if isinstance(result, Exception):
            raise NotMeasured(str(result))
    return (max(results) - begun) * 1000
