#!/usr/bin/env python3
"""Writes sample.log: the access log of an invented shop, with everything that makes reports go wrong.

In:  nothing but the seed below. Out: the log on stdout, or in the file given as argument.

Same seed, same bytes, on any Python 3: only Random.random() is drawn from, the one method whose
sequence Python promises to keep. Addresses are those reserved for documentation (RFC 5737, RFC
3849), the site's name is reserved (RFC 2606).
"""

import datetime
import random
import sys

SEED = 20250310
SITE = "http://kites.example"
DAYS = 4
START = datetime.datetime(2025, 3, 10)
BROWSING_VISITORS = 123

PAGES = [
    "/", "/kites/", "/kites/delta", "/kites/parafoil", "/kites/stunt.html", "/lines-and-reels",
    "/workshop.php", "/blog", "/blog/first-flight", "/blog/wind-over-the-dunes.html", "/about",
    "/contact.aspx", "/basket.jsp", "/help/returns.HTM", "/k%C3%A4stchen", "/blog/tags/north%20sea",
]
ASSETS = [
    "/style/main.css", "/js/shop.js", "/img/delta.png", "/favicon.ico", "/fonts/inter.woff2",
    "/img/banner.webp?v=3", "/catalogue.pdf",
]
QUERIES = [
    "?page=2", "?utm_source=newsletter&utm_medium=email&utm_campaign=spring", "?q=delta+kite",
    "?gclid=EAIaIQob", "?utm_source=forum&utm_medium=social&utm_campaign=meet%20up", "?a=1?b=2/x.png",
]
REFERRERS = [
    "-", "-", "-", "https://www.google.com/", "https://duckduckgo.com/", "https://www.bing.com/search?q=kites",
    "https://t.co/x1", "https://www.facebook.com/", "https://forum.wind.example/t/42", "",
]
BROWSERS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36 Edg/133.0.0.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:136.0) Gecko/20100101 Firefox/136.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 13; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
    "Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18",
]
CRAWLERS = [
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)",
    # Only the device family of uap-core tells this one.
    "Mozilla/5.0 (compatible; BeetleBot; )",
    "-",
]
FIREFOX, CHROME = BROWSERS[3], BROWSERS[0]

# In none of these is one request in Common or Combined Log Format.
BROKEN = [
    b"",
    b"   ",
    b"192.0.2.61 - - [11/Mar/2025:08:00:01 +0000] \"GET /kites/ HT",
    b"192.0.2.61 - - [11/Mar/2025:08:00:02 +0000] GET /kites/ HTTP/1.1 200 512",
    b"192.0.2.61 - - 11/Mar/2025:08:00:03 +0000 \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [31/Feb/2025:08:00:04 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mrz/2025:08:00:05 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:25:00:06 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:07] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:08 +0000] \"GET / HTTP/1.1\" abc 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:09 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"never closed",
    b"192.0.2.61 - - [11/Mar/2025:08:00:10 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"closed too late\\\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:11 +0000] \"-\" 408 0 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:12 +0000] \"\\x16\\x03\\x01\\x02\" 400 226 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:13 +0000] \"GET /\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:14 +0000] \"GET /two words HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"192.0.2.61 - - [11/Mar/2025:08:00:15 +0000] \"GET kites HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"dsl-61.isp.example - - [11/Mar/2025:08:00:16 +0000] \"GET / HTTP/1.1\" 200 512 \"-\" \"-\"",
    b"Mar 11 08:00:17 www httpd[812]: server restarted",
    b"\x00\x00\x00\x00\xff\xfe\x80",
]


class Draw:
    """Random choices made from Random.random() alone."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def between(self, low, high):
        """A whole number from low to high, both included."""
        return low + int(self.rng.random() * (high - low + 1))

    def pick(self, values):
        """One of the values."""
        return values[self.between(0, len(values) - 1)]

    def chance(self, probability):
        """True as often as said."""
        return self.rng.random() < probability


def at(day, clock):
    """The UTC time of a clock reading such as "23:50:00" on a day of the log, from 0."""
    hours, minutes, seconds = map(int, clock.split(":"))
    return START + datetime.timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)


def line(time, address, target, agent, *, method="GET", status=200, referrer="-", zone=0, user="-",
         protocol="HTTP/1.1", size=None):
    """(time, bytes) of one Combined line; agent None makes it a Common one; zone in minutes."""
    local = time + datetime.timedelta(minutes=zone)
    sign, minutes = ("-" if zone < 0 else "+"), abs(zone)
    month = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()[local.month - 1]
    stamp = f"{local:%d}/{month}/{local:%Y:%H:%M:%S} {sign}{minutes // 60:02}{minutes % 60:02}"
    sent = "-" if status == 304 else (size or 900 + 7 * len(target))
    text = f'{address} - {user} [{stamp}] "{method} {target} {protocol}" {status} {sent}'
    if agent is not None:
        text += f' "{referrer}" "{agent}"'
    return time, text.encode("latin-1")


def browsing(draw):
    """Visitors who come, read and leave, with the assets that their browsers fetch."""
    for number in range(BROWSING_VISITORS):
        agent = draw.pick(BROWSERS)
        block = draw.pick(["192.0.2.{}", "198.51.100.{}", "203.0.113.{}", "2001:db8:{:x}::7"])
        address = block.format(100 + number)
        zone = draw.pick([0, 0, 0, 0, 60, -300, 330])
        for _ in range(draw.between(1, 3)):
            time = START + datetime.timedelta(seconds=draw.between(0, DAYS * 86400 - 7200))
            referrer = draw.pick(REFERRERS)
            for _ in range(draw.pick([1, 1, 1, 2, 3, 5])):
                page = draw.pick(PAGES) + (draw.pick(QUERIES) if draw.chance(0.2) else "")
                status = draw.pick([200, 200, 200, 200, 200, 200, 304, 304, 404, 301])
                yield line(time, address, page, agent, status=status, referrer=referrer, zone=zone)
                if draw.chance(0.7):
                    later = time + datetime.timedelta(seconds=draw.between(0, 2))
                    yield line(later, address, draw.pick(ASSETS), agent, referrer=SITE + page, zone=zone)
                referrer = SITE + page
                time += datetime.timedelta(seconds=draw.between(4, 2100))


def crawling(draw):
    """Robots, at any time of the day."""
    for number, agent in enumerate(CRAWLERS):
        for _ in range(draw.between(9, 16)):
            time = START + datetime.timedelta(seconds=draw.between(0, DAYS * 86400 - 1))
            target = draw.pick(PAGES + ["/robots.txt", "/sitemap.xml"])
            yield line(time, f"198.51.100.{10 + number}", target, agent, method="HEAD" if draw.chance(0.1) else "GET")


def visit(address, agent, *steps, **options):
    """Page requests at the given (day, clock, target)."""
    for day, clock, target in steps:
        yield line(at(day, clock), address, target, agent, **options)


def gaps_and_midnights():
    """Sessions at the edges of the rules: the gap, midnight, 24 hours, equal times."""
    # 30 minutes and not a second more; 29:30 joins only if the gap is not taken as 29 minutes.
    yield from visit("192.0.2.10", FIREFOX, (0, "09:00:00", "/"), (0, "09:30:00", "/kites/"), (0, "10:00:00", "/about"))
    yield from visit("192.0.2.11", FIREFOX, (0, "09:00:00", "/"), (0, "09:30:01", "/kites/"))
    yield from visit("192.0.2.12", FIREFOX, (0, "09:00:00", "/blog"), (0, "09:29:30", "/kites/"))
    yield from visit("192.0.2.13", CHROME, (1, "14:00:00", "/kites/"), (1, "14:29:59", "/basket.jsp"))
    # Across midnight UTC: one session of the first day, one visitor on each.
    yield from visit("192.0.2.14", FIREFOX, (0, "23:50:00", "/blog"), (1, "00:10:00", "/about"))
    yield from visit("192.0.2.15", FIREFOX, (0, "23:50:00", "/blog"), (1, "00:20:00", "/about"))
    yield from visit("192.0.2.16", FIREFOX, (0, "23:50:00", "/blog"), (1, "00:20:01", "/about"))
    yield from visit("192.0.2.17", FIREFOX, (1, "23:59:59", "/kites/delta"), (2, "00:00:00", "/kites/parafoil"))
    yield from visit("192.0.2.18", FIREFOX, (1, "23:45:00", "/"), (2, "00:05:00", "/blog"), (2, "00:34:00", "/about"),
                     (2, "01:04:00", "/kites/"))
    # Midnight of another zone is no midnight here.
    yield from visit("192.0.2.19", CHROME, (2, "21:50:00", "/"), (2, "22:10:00", "/kites/"), zone=120)
    yield from visit("192.0.2.20", CHROME, (2, "18:25:00", "/"), (2, "18:35:00", "/kites/"), zone=330)
    yield from visit("192.0.2.21", CHROME, (2, "23:55:00", "/"), (3, "00:05:00", "/kites/"), zone=-570)
    # A page left open that loads itself every 24 minutes: the 61st view is 24 h after the first and
    # still in its session, the 62nd opens the next one.
    for count in range(66):
        yield line(at(1, "10:00:00") + datetime.timedelta(minutes=24 * count), "203.0.113.20",
                   "/workshop.php" if count % 2 else "/blog/wind-over-the-dunes.html", CHROME)
    # One address, two browsers; one browser, two addresses; one address in two spellings.
    yield from visit("203.0.113.21", FIREFOX, (0, "12:00:00", "/"), (0, "12:10:00", "/about"))
    yield from visit("203.0.113.21", CHROME, (0, "12:05:00", "/kites/"), (0, "12:15:00", "/contact.aspx"))
    yield from visit("203.0.113.22", CHROME, (0, "12:06:00", "/kites/"))
    yield from visit("2001:db8::21", FIREFOX, (2, "12:00:00", "/"))
    yield from visit("2001:0DB8:0:0::21", FIREFOX, (2, "12:10:00", "/about"))
    # Back on the same day: two sessions, one visitor.
    yield from visit("203.0.113.23", FIREFOX, (3, "08:00:00", "/"), (3, "08:01:00", "/kites/"), (3, "17:00:00", "/"))
    # In the same second the order of the file decides which page is entry and which is exit.
    yield from visit("203.0.113.24", FIREFOX, (3, "09:00:00", "/zenith"), (3, "09:00:00", "/apex"), (3, "09:00:00", "/middle"))


def odd_requests():
    """Targets, user agents and fields that are right but easily read wrong."""
    targets = [
        "//kites//delta/", "/kites/../about", "/kites/./delta", "/kites/%2e%2E/blog", "/kites\\\\delta",
        "/caf\\xc3\\xa9", "/kites/\\\"big\\\"", "/kites/it's|here", "/kites/<b>{x}`", "/kites;jsessionid=1F/delta",
        SITE + "/kites/delta?utm_source=partner&utm_medium=cpc", "HTTP://KITES.EXAMPLE", SITE + "?x=1",
        "/search?q=%22a%22&next=/x.png", "/about#team.pdf", "/PRICES.HTML", "/index.xhtml", "/old.asp",
    ]
    for count, target in enumerate(targets):
        yield line(at(2, "15:00:00") + datetime.timedelta(seconds=70 * count), "203.0.113.30", target, FIREFOX)
    for count, target in enumerate(["/.htaccess", "/archive.", "/download/v1.2", "/feed.xml", "/img.d/", "/x.html/y.png"]):
        yield line(at(2, "16:00:00") + datetime.timedelta(seconds=70 * count), "203.0.113.31", target, FIREFOX)
    agents = [
        "Kite \\\"Loft\\\" Browser/1.0", "Kite\\\\Loft Browser/1.0", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) \\x22Gecko\\x22 Firefox/128.0",
        "Navigateur fran\xe7ais/1.0", "K\xc3\xa4stchen/2.0", "[bracket] \\\" \\\" 200 1 \\\"-\\\"", "Kite\\tBrowser/1.0",
    ]
    for count, agent in enumerate(agents):
        yield from visit("203.0.113.32", agent, (3, f"11:{count:02}:00", "/"), (3, f"11:{count:02}:30", "/about"),
                         referrer="https://search.example/?q=\\\"kites\\\"")
    yield from visit("203.0.113.33", CHROME, (1, "11:00:00", "/account"), (1, "11:01:00", "/basket.jsp"), user="alice")
    yield from visit("203.0.113.34", CHROME, (1, "11:00:00", "/kites/"), protocol="HTTP/2.0", referrer="")
    # Common Log Format has no user agent, and without one nobody can be told from a robot.
    yield from visit("203.0.113.35", None, (1, "12:00:00", "/"), (1, "12:01:00", "/kites/"), (1, "12:02:00", "/js/shop.js"))
    yield from visit("203.0.113.36", "", (1, "12:00:00", "/"))


def not_counted():
    """One request for each reason to skip it, and for each that two reasons would fit."""
    requests = [
        ("POST", "/basket.jsp", 200), ("POST", "/basket.jsp", 302), ("HEAD", "/", 200), ("PUT", "/x.png", 404),
        ("OPTIONS", "*", 200), ("DELETE", "/about", 405), ("get", "/", 200), ("PROPFIND", "/", 207),
        ("GET", "/nothing", 404), ("GET", "/moved", 301), ("GET", "/img/nothing.png", 404), ("GET", "/wp-login.php", 403),
        ("GET", "/workshop.php", 500), ("GET", "/kites", 307), ("GET", "/slow", 499), ("GET", "/early", 103),
        ("GET", "/img/delta.png", 304), ("GET", "/robots.txt", 200),
        # These two are counted: any 2xx, and 304.
        ("GET", "/partial.html", 206), ("GET", "/about", 304),
    ]
    for count, (method, target, status) in enumerate(requests):
        yield line(at(0, "20:00:00") + datetime.timedelta(seconds=37 * count), "203.0.113.40", target, FIREFOX,
                   method=method, status=status)


def shuffled(draw, lines):
    """Servers write a line when its answer is done, so lines are out of order by seconds, some by hours."""
    placed = []
    for order, (time, text) in enumerate(lines):
        delay = draw.between(0, 90)
        if draw.chance(0.03):
            delay += draw.between(3600, 2 * 86400)
        placed.append((time + datetime.timedelta(seconds=delay), order, text))
    # Equal times keep their order in the file: nothing else says which came first.
    return [text for _, _, text in sorted(placed)]


def make_log():
    """The bytes of the log."""
    draw = Draw(SEED)
    fixed = [*gaps_and_midnights(), *odd_requests(), *not_counted()]
    texts = shuffled(draw, [*browsing(draw), *crawling(draw), *fixed])
    for number, broken in enumerate(BROKEN):
        texts.insert((number + 1) * len(texts) // (len(BROKEN) + 1), broken)
    return b"".join(text + b"\n" for text in texts)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with open(sys.argv[1], "wb") as output:
            output.write(make_log())
    else:
        sys.stdout.buffer.write(make_log())
