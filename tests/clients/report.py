"""What the drivers for Python share: the scenario, the arguments, and the lines they print.

A driver is run as `python FILE BASE_URL ID [SECRET]`. It prints one JSON line for each step and
exits 1 when the client reported a failure; what the server made of the hits is not its business.
"""

import importlib.metadata
import json
import pathlib
import sys

SCENARIO = json.loads(pathlib.Path(__file__).with_name("scenario.json").read_text())


def arguments():
    """The base URL, the id, and the secret or None."""
    given = sys.argv[1:]
    if len(given) not in (2, 3):
        sys.exit(f"usage: python {sys.argv[0]} BASE_URL ID [SECRET]")
    return (*given, None)[:3]


class Reporter:
    def __init__(self, client):
        self.client = client
        self.version = importlib.metadata.version(client)
        self.exit_code = 0

    def step(self, name, send):
        """Prints what `send` returned; that it raised is the client's word for a failure."""
        line = {"client": self.client, "version": self.version, "step": name, "delivered": True}
        try:
            line["answer"] = short(send())
        except Exception as error:
            line["delivered"] = False
            line["answer"] = short(f"{type(error).__name__}: {error}")
            self.exit_code = 1
        print(json.dumps(line), flush=True)


def short(answer):
    return answer if answer is None or isinstance(answer, (bool, int)) else str(answer)[:200]
