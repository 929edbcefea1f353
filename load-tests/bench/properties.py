"""Properties by the thousand, written into the configuration's log by `meridian-load seed`: a million through the API would take an hour."""

import subprocess

# Seconds after its last hit that a session is over: GA4's time-out and the default grace; and such that all sessions of a load
# are over soon after it. No visitor of a load pauses for that long, so the sessions are the same.
DEFAULT_RULES = (1800, 300)
SHORT_RULES = (20, 0)

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class Slice:
    """Properties that one load visits: the list for `meridian-load --properties`."""

    def __init__(self, listing, first, count):
        self.listing = listing
        self.first = first
        self.count = count


def ids(number):
    """Property id and measurement id of a number."""
    return "p_" + base32(number, 12), "M-" + base32(number, 10).upper()


def base32(number, digits):
    """A number in so many digits."""
    text = ""
    for _ in range(digits):
        text = BASE32[number & 31] + text
        number >>= 5
    return text


def seed(binaries, store, listing, first, count, rules=DEFAULT_RULES):
    """Writes `count` properties into a store's log, and their listing. The generator calls the site of the n-th property shop-n.example."""
    timeout, grace = rules
    command = [binaries / "meridian-load", "seed", "--store", f"file://{store}", "--listing", listing]
    command += ["--first", str(first), "--count", str(count)]
    command += ["--session-timeout-s", str(timeout), "--session-grace-s", str(grace)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Slice(listing, first, count)
