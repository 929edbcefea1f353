"""Property files as the api writes them (crates/property), many at once: a million through the API would take an hour.

Ids are numbers in base 32, so that files of one number are the same in every run. A property's keys are hashes of nothing
that anyone knows: hits need none, and reports are read with the admin key.
"""

import hashlib
import json
import os

# Seconds after its last hit that a session is over: GA4's time-out and the default grace; and such that all sessions of a load
# are over soon after it. No visitor of a load pauses for that long, so the sessions are the same.
DEFAULT_RULES = {"session_timeout_s": 1800, "session_grace_s": 300}
SHORT_RULES = {"session_timeout_s": 20, "session_grace_s": 0}

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class Slice:
    """Properties that one load visits: their files in a directory, and the list for `meridian-load --properties`."""

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


def write(directory, listing, first, count, rules=DEFAULT_RULES):
    """Writes `count` property files and their listing. The generator calls the site of the n-th property shop-n.example."""
    os.makedirs(directory, exist_ok=True)
    rule = json.dumps({"version": 1, "time_zone": "UTC", **rules})
    with open(listing, "w", encoding="utf-8") as lines:
        for at in range(count):
            property_id, measurement_id = ids(first + at)
            lines.write(f'{{"property_id":"{property_id}","measurement_id":"{measurement_id}"}}\n')
            file = os.open(f"{directory}/{property_id}.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            os.write(file, document(property_id, measurement_id, at, rule))
            os.close(file)
    return Slice(listing, first, count)


def document(property_id, measurement_id, at, rule):
    """The file of one property. Put together by hand: there are a million."""
    key = hashlib.sha256(property_id.encode()).hexdigest()
    return (
        f'{{"property_id": "{property_id}", "measurement_id": "{measurement_id}", "name": "Shop number {at}",'
        f' "time_zone": "UTC", "currency": "EUR", "hostnames": ["shop-{at}.example"],'
        f' "created_at": "2026-01-01T00:00:00Z", "api_secret_sha256": "{key}", "report_key_sha256": "{key[::-1]}",'
        f' "visitor_key": "{key[:32]}", "rules": [{rule}]}}'
    ).encode()
