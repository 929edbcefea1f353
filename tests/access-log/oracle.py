#!/usr/bin/env python3
"""What reports on an access log must say, worked out without Meridian.

In:  an access log (Common or Combined Log Format, plain or gzip) and the crawler list of the
     package crawler-user-agents, as a file.
Out: one JSON object on stdout: lines by fate, hits by class, figures per day, pages.

Uses the standard library and ua-parser, and shares no code with Meridian: the test compares the
two, so a mistake would have to be made twice, in two languages. README.md has the definitions.
"""

import argparse
import collections
import dataclasses
import datetime
import functools
import gzip
import ipaddress
import json
import pathlib
import re
import sys

import ua_parser

# Data, not code: what a crawler is by definition.
RULES = pathlib.Path(__file__).parents[2] / "crates/processing/src/enrich/user_agent/crawlers.txt"

PAGE_EXTENSIONS = {"html", "htm", "xhtml", "php", "asp", "aspx", "jsp"}
SESSION_MAX = datetime.timedelta(hours=24)
TOP_PAGES = 20
MONTHS = {
    name: number
    for number, name in enumerate(
        "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), start=1
    )
}

QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(
    r"(\S+) \S+ \S+ "
    r"\[([0-9]{2})/([A-Z][a-z]{2})/([0-9]{4}):([0-9]{2}):([0-9]{2}):([0-9]{2}) "
    r"([+-])([0-9]{2})([0-9]{2})\] "
    + QUOTED
    + r" ([0-9]{3}) (?:[0-9]+|-)"
    + rf"(?: {QUOTED} {QUOTED})?"
)
REQUEST = re.compile(r"(\S+) (\S+) HTTP/[0-9](?:\.[0-9])?")
ABSOLUTE_FORM = re.compile(r"https?://[^/\\?#]*", re.IGNORECASE)

# Apache writes bytes that are not printable, quotes and backslashes like this; nginx only \xHH.
ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
ESCAPED_BYTES = {
    b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b'"': b'"', b"\\": b"\\",
}

# The path percent-encode set of the WHATWG URL standard, for what is printable ASCII.
PATH_ENCODE_SET = set(' "#<>?^`{}')


@dataclasses.dataclass(frozen=True)
class Hit:
    """One page request that is sent."""

    time: datetime.datetime
    address: str
    user_agent: str
    path: str

    @property
    def visitor(self):
        """Who it is as long as the date does not change."""
        return (self.address, self.user_agent)


class MalformedLine(ValueError):
    """The line is not one request in Common or Combined Log Format."""


def read_lines(path):
    """The lines of a log, plain or gzip; bytes that are not UTF-8 become U+FFFD."""
    with open(path, "rb") as file:
        data = file.read()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return [line.removesuffix(b"\r").decode("utf-8", errors="replace") for line in lines]


def unescape(field):
    """A quoted field as the client sent it; an escape that no server writes stays as it is."""

    def replacement(match):
        if match[1] is not None:
            return bytes([int(match[1], 16)])
        return ESCAPED_BYTES.get(match[2], match[0])

    return ESCAPE.sub(replacement, field.encode()).decode("utf-8", errors="replace")


def instant(day, month, year, hour, minute, second, sign, offset_hours, offset_minutes):
    """The UTC time of a log's time stamp."""
    offset = datetime.timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
    try:
        local = datetime.datetime(
            int(year), MONTHS[month], int(day), int(hour), int(minute), int(second)
        )
        return local - offset if sign == "+" else local + offset
    except (KeyError, ValueError, OverflowError) as error:
        raise MalformedLine("no such time") from error


def page_path(target):
    """The path that the WHATWG URL parser gives for "http://host" + target, or for an absolute target."""
    absolute = ABSOLUTE_FORM.match(target)
    if absolute:
        target = target[absolute.end():]
    elif not target.startswith("/"):
        raise MalformedLine("the request target is neither a path nor an http(s) URL")
    path = target.split("#")[0].split("?")[0]
    path = re.sub(r"[\t\n\r]", "", path).replace("\\", "/")
    done = []
    segments = path.removeprefix("/").split("/")
    for index, segment in enumerate(segments):
        dots = re.sub("%2e", ".", segment, flags=re.IGNORECASE)
        if dots == "..":
            del done[-1:]
        elif dots != ".":
            done.append(percent_encode(segment))
        if dots in (".", "..") and index == len(segments) - 1:
            done.append("")
    return "/" + "/".join(done)


def percent_encode(segment):
    """Encodes what the URL standard encodes in a path; what is encoded already stays so."""
    return "".join(
        char
        if "!" <= char <= "~" and char not in PATH_ENCODE_SET
        else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in segment
    )


def is_page(path):
    """Whether the last segment has no dot in it, or ends in the extension of a page."""
    segment = path.rsplit("/", 1)[1]
    return "." not in segment or segment.rsplit(".", 1)[1].lower() in PAGE_EXTENSIONS


def classify_line(line):
    """(reason, None) for a line that is skipped, (None, hit) for one that is sent."""
    match = LINE.fullmatch(line)
    if not match:
        raise MalformedLine("not Common or Combined Log Format")
    address, *stamp = match.groups()[:10]
    raw_request, status, _referrer, user_agent = match.groups()[10:]
    try:
        address = str(ipaddress.ip_address(address))
    except ValueError as error:
        raise MalformedLine("the client is not an IP address") from error
    time = instant(*stamp)
    request = REQUEST.fullmatch(raw_request)
    if not request:
        raise MalformedLine("no HTTP request")
    if request[1] != "GET":
        return "method", None
    if status[0] != "2" and status != "304":
        return "status", None
    path = page_path(unescape(request[2]))
    if not is_page(path):
        return "asset", None
    return None, Hit(time, address, unescape(user_agent or ""), path)


def read_rules(path):
    """Patterns by heading."""
    rules = collections.defaultdict(list)
    heading = None
    with open(path, encoding="utf-8") as file:
        for line in map(str.strip, file):
            if re.fullmatch(r"\[[a-z ]+\]", line):
                heading = line[1:-1]
            elif line and not line.startswith("# "):
                rules[heading].append(line)
    return rules


class Crawlers:
    """Tells humans, bots and automation apart by the user agent alone."""

    def __init__(self, path, rules_path):
        rules = read_rules(rules_path)
        left_out = set(rules.pop("left out"))
        own = functools.partial(re.compile, flags=re.IGNORECASE | re.ASCII)
        self.browsers = [own(pattern) for pattern in rules.pop("browser")]
        self.driven = [own(pattern) for pattern in rules.pop("drives a browser")]
        with open(path, encoding="utf-8") as file:
            listed = [entry["pattern"] for entry in json.load(file)]
        self.patterns = [re.compile(pattern) for pattern in listed if pattern not in left_out]
        self.patterns += [own(pattern) for patterns in rules.values() for pattern in patterns]
        self.known = {}

    def class_of(self, user_agent):
        """A bot has no user agent, a crawler's, one of no browser, or a device that ua-parser calls "Spider"."""
        if user_agent not in self.known:
            self.known[user_agent] = self._decide(user_agent)
        return self.known[user_agent]

    def _decide(self, user_agent):
        if user_agent in ("", "-"):
            return "bot"
        if any(pattern.search(user_agent) for pattern in self.patterns):
            return "bot"
        device = ua_parser.parse_device(user_agent)
        if device is not None and device.family == "Spider":
            return "bot"
        if not any(pattern.search(user_agent) for pattern in self.browsers):
            return "bot"
        return "automation" if any(pattern.search(user_agent) for pattern in self.driven) else "human"


def sessions_of(hits, gap):
    """Cuts hits in order of time into sessions: lists of hits of one address and user agent."""
    sessions = []
    open_sessions = {}
    for hit in hits:
        session = open_sessions.get(hit.visitor)
        if (
            session is None
            or hit.time - session[-1].time > gap
            or hit.time - session[0].time > SESSION_MAX
        ):
            session = open_sessions[hit.visitor] = []
            sessions.append(session)
        session.append(hit)
    return sessions


def figures_by_day(hits, sessions):
    """Views and visitors by the date of the hit, all else by the date of the session's first hit."""
    views, visitors = collections.Counter(), collections.defaultdict(set)
    for hit in hits:
        day = hit.time.date().isoformat()
        views[day] += 1
        visitors[day].add(hit.visitor)
    by_day = collections.defaultdict(list)
    for session in sessions:
        by_day[session[0].time.date().isoformat()].append(session)
    days = {}
    for day in sorted(views):
        opened = by_day[day]
        bounces = sum(len(session) == 1 for session in opened)
        seconds = sum((session[-1].time - session[0].time).total_seconds() for session in opened)
        days[day] = {
            "page_views": views[day],
            "visitors": len(visitors[day]),
            "sessions": len(opened),
            "bounces": bounces,
            "bounce_rate": bounces / len(opened) if opened else None,
            "session_duration": seconds / len(opened) if opened else None,
        }
    return days


def families(hits, parse):
    """Page views by what ua-parser calls the user agent or the operating system."""
    counts = collections.Counter()
    for user_agent, views in collections.Counter(hit.user_agent for hit in hits).items():
        parsed = parse(user_agent)
        counts[parsed.family if parsed else "Other"] += views
    return counts


def take_nth(hits, number, option):
    """The hit with that number, from 1."""
    if not 1 <= number <= len(hits):
        sys.exit(f"oracle.py: {option} {number}: the log has {len(hits)} of them; use 1 to {len(hits)}.")
    return hits[number - 1]


def report(lines, crawlers, gap, leave_out_hit=None, let_bot_through=None):
    """The whole answer for the lines of a log."""
    malformed, skipped, sent = 0, collections.Counter(), []
    for line in lines:
        try:
            reason, hit = classify_line(line)
        except MalformedLine:
            malformed += 1
            continue
        if reason is None:
            sent.append(hit)
        else:
            skipped[reason] += 1
    sent.sort(key=lambda hit: hit.time)  # stable: the order of the file decides among equals
    classes = {id(hit): crawlers.class_of(hit.user_agent) for hit in sent}
    if let_bot_through is not None:
        bots = [hit for hit in sent if classes[id(hit)] == "bot"]
        classes[id(take_nth(bots, let_bot_through, "--let-bot-through"))] = "human"
    humans = [hit for hit in sent if classes[id(hit)] == "human"]
    counts = collections.Counter(classes.values())
    others = {name: counts[name] for name in ("bot", "automation") if name == "bot" or counts[name]}
    if leave_out_hit is not None:
        take_nth(humans, leave_out_hit, "--leave-out-hit")
        del humans[leave_out_hit - 1]
    sessions = sessions_of(humans, gap)
    views = collections.Counter(hit.path for hit in humans)
    return {
        "lines": len(lines),
        "sent": len(sent),
        "malformed": malformed,
        "skipped": {reason: skipped[reason] for reason in ("method", "status", "asset")},
        "hits_by_class": {"human": len(humans), **others},
        "days": figures_by_day(humans, sessions),
        "entry_pages": collections.Counter(session[0].path for session in sessions),
        "exit_pages": collections.Counter(session[-1].path for session in sessions),
        "top_pages": sorted(views.items(), key=lambda page: (-page[1], page[0]))[:TOP_PAGES],
        "browsers": families(humans, ua_parser.parse_user_agent),
        "operating_systems": families(humans, ua_parser.parse_os),
    }


def main(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("log", help="access log, plain or gzip")
    parser.add_argument("--crawlers", required=True, help="crawler-user-agents.json")
    parser.add_argument("--rules", default=RULES, help="what else is a crawler (default: Meridian's rules)")
    parser.add_argument("--gap-minutes", type=float, default=30, help="longest gap within a session (default 30)")
    parser.add_argument(
        "--leave-out-hit", type=int, metavar="N", help="do not count the N-th human hit by time, from 1"
    )
    parser.add_argument(
        "--let-bot-through", type=int, metavar="N", help="count the N-th bot hit by time as human, from 1"
    )
    parser.add_argument("--format", choices=["json"], default="json")
    options = parser.parse_args(arguments)
    answer = report(
        read_lines(options.log),
        Crawlers(options.crawlers, options.rules),
        datetime.timedelta(minutes=options.gap_minutes),
        options.leave_out_hit,
        options.let_bot_through,
    )
    json.dump(answer, sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
