"""The oracle against logs small enough to count by hand.

Every expected figure below was worked out from the definitions in README.md, not by running
oracle.py. Run from the project's root:
third-party/venv/bin/python -m unittest discover --start-directory tests/access-log
"""

import contextlib
import datetime
import gzip
import io
import json
import pathlib
import tempfile
import unittest

import make_log
import oracle

HERE = pathlib.Path(__file__).resolve().parent
REAL_CRAWLERS = HERE.parents[1] / "third-party/node_modules/crawler-user-agents/crawler-user-agents.json"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.3 Safari/605.1.15"
)
# Not on the list below, but a "Spider" by uap-core's rules.
SPIDER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def log_line(stamp, target="/", agent=FIREFOX, address="192.0.2.1", method="GET", status=200):
    """One Combined line; the stamp is "10/Mar/2025:09:00:00", in UTC unless it says otherwise."""
    zone = "" if " " in stamp else " +0000"
    return f'{address} - - [{stamp}{zone}] "{method} {target} HTTP/1.1" {status} 512 "-" "{agent}"'


def on(day, clock):
    """A stamp of March 2025."""
    return f"{day:02}/Mar/2025:{clock}"


class OracleCase(unittest.TestCase):
    """Holds a crawler list of two patterns."""

    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        cls.crawlers_file = pathlib.Path(cls.directory.name, "crawlers.json")
        cls.crawlers_file.write_text(json.dumps([{"pattern": "FeedBee\\/"}, {"pattern": "^bee$"}, {"pattern": "bee hive"}]))
        cls.rules_file = pathlib.Path(cls.directory.name, "crawlers.txt")
        cls.rules_file.write_text("# Any.\n[left out]\nbee hive\n\n[robot]\nhoney ?bot\n\n[drives a browser]\nkeeper\n\n[browser]\nmozilla/\nbee\n")
        cls.crawlers = oracle.Crawlers(cls.crawlers_file, cls.rules_file)

    def report(self, *lines, gap_minutes=30, **options):
        return oracle.report(list(lines), self.crawlers, datetime.timedelta(minutes=gap_minutes), **options)

    def hit(self, line):
        reason, hit = oracle.classify_line(line)
        self.assertIsNone(reason)
        return hit


class Lines(OracleCase):
    def test_line_has_one_fate(self):
        for line, fate in [
            (log_line(on(10, "09:00:00")), "sent"),
            (log_line(on(10, "09:00:00"), status=299), "sent"),
            (log_line(on(10, "09:00:00"), status=304), "sent"),
            (log_line(on(10, "09:00:00"), method="HEAD"), "method"),
            (log_line(on(10, "09:00:00"), method="get"), "method"),
            (log_line(on(10, "09:00:00"), "/x.png", method="POST", status=404), "method"),
            (log_line(on(10, "09:00:00"), "*", method="OPTIONS"), "method"),
            (log_line(on(10, "09:00:00"), "/x.png", status=404), "status"),
            (log_line(on(10, "09:00:00"), status=301), "status"),
            (log_line(on(10, "09:00:00"), status=199), "status"),
            (log_line(on(10, "09:00:00"), "/x.png"), "asset"),
            (log_line(on(10, "09:00:00"), "/x.png", status=304), "asset"),
        ]:
            with self.subTest(line=line):
                answer = self.report(line)
                fates = {"sent": answer["sent"], "malformed": answer["malformed"], **answer["skipped"]}
                self.assertEqual({fate: 1}, {name: count for name, count in fates.items() if count})

    def test_other_lines_are_malformed(self):
        good = log_line(on(10, "09:00:00"))
        for line in [
            "",
            "-",
            good[:-1],
            good + " 0.003",
            good.replace("[", ""),
            good.replace("Mar", "Mrz"),
            good.replace("10/Mar", "31/Apr"),
            good.replace("09:00", "24:00"),
            good.replace("+0000", "UTC"),
            good.replace(" 200 ", " 2000 "),
            good.replace("GET / HTTP/1.1", "-"),
            good.replace("GET / HTTP/1.1", "GET /"),
            good.replace("GET / HTTP/1.1", "GET /a b HTTP/1.1"),
            good.replace("GET / HTTP/1.1", "GET a HTTP/1.1"),
            good.replace("GET / HTTP/1.1", "GET ftp://kites.example/a HTTP/1.1"),
            good.replace("192.0.2.1", "kites.example"),
            good.replace('"-" "', '"-" "\\').replace('Firefox/128.0"', 'Firefox/128.0\\"'),
        ]:
            with self.subTest(line=line):
                self.assertEqual((1, 0), (self.report(line)["malformed"], self.report(line)["sent"]))

    def test_escaped_quotes_do_not_end_a_field(self):
        line = (
            '192.0.2.1 - - [10/Mar/2025:09:00:00 +0000] "GET /\\"a\\" HTTP/1.1" 200 5 '
            '"http://s.example/?q=\\"x\\" \\\\" "Kite \\"Loft\\" \\\\ \\x22K\\xc3\\xa4\\x22 \\q"'
        )
        hit = self.hit(line)
        self.assertEqual("/%22a%22", hit.path)
        self.assertEqual('Kite "Loft" \\ "K\u00e4" \\q', hit.user_agent)

    def test_common_format_has_no_user_agent(self):
        hit = self.hit('2001:DB8:0::1 - alice [10/Mar/2025:09:00:00 +0000] "GET / HTTP/1.0" 200 -')
        self.assertEqual(("2001:db8::1", ""), hit.visitor)

    def test_zone_is_taken_off_the_time(self):
        for stamp, utc in [
            ("10/Mar/2025:00:10:00 +0530", "2025-03-09T18:40:00"),
            ("10/Mar/2025:20:00:00 -0930", "2025-03-11T05:30:00"),
            ("10/Mar/2025:20:00:00 +0000", "2025-03-10T20:00:00"),
        ]:
            with self.subTest(stamp=stamp):
                self.assertEqual(utc, self.hit(log_line(stamp)).time.isoformat())

    def test_file_may_be_gzip_and_need_not_be_utf8(self):
        data = b"a\r\n\nb\xff\nlast"
        for name, content in [("plain", data), ("packed.gz", gzip.compress(data))]:
            path = pathlib.Path(self.directory.name, name)
            path.write_bytes(content)
            self.assertEqual(["a", "", "b\ufffd", "last"], oracle.read_lines(path))
        path.write_bytes(b"")
        self.assertEqual([], oracle.read_lines(path))


class Paths(OracleCase):
    def test_path_is_that_of_the_url_standard(self):
        for target, path in [
            ("/", "/"),
            ("/a?b/c.png", "/a"),
            ("/a#b?c", "/a"),
            ("/a?b#c", "/a"),
            ("//a//b/", "//a//b/"),
            ("/a/./b", "/a/b"),
            ("/a/../../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/%2E%2e/b", "/b"),
            ("/a\\b", "/a/b"),
            ("/a%20b", "/a%20b"),
            ("/\u00e9", "/%C3%A9"),
            ("/'|;=&+", "/'|;=&+"),
            ('/"<>`{}', "/%22%3C%3E%60%7B%7D"),
            ("http://kites.example/a?b", "/a"),
            ("HTTPS://kites.example:8443", "/"),
            ("http://kites.example?b", "/"),
        ]:
            with self.subTest(target=target):
                self.assertEqual(path, oracle.page_path(target))

    def test_page_has_no_extension_or_that_of_a_page(self):
        for path, page in [
            ("/", True), ("/a", True), ("/a.d/", True), ("/a.d/b", True), ("/a.html", True), ("/A.HTM", True),
            ("/a.b.php", True), ("/a.xhtml", True), ("/a.asp", True), ("/a.aspx", True), ("/a.jsp", True),
            ("/a.png", False), ("/a.html.gz", False), ("/.htaccess", False), ("/a.", False), ("/v1.2", False),
        ]:
            with self.subTest(path=path):
                self.assertEqual(page, oracle.is_page(path))


class Bots(OracleCase):
    def test_bot_is_listed_or_spider_or_nameless(self):
        for agent, name in [
            ("FeedBee/1.0", "bot"),
            ("Mozilla/5.0 (compatible; FeedBee/1.0)", "bot"),
            ("feedbee/1.0", "human"),
            ("bee", "bot"),
            ("honeybee", "human"),
            ("bee hive", "human"),
            ("Mozilla/5.0 HoneyBot", "bot"),
            ("no such thing", "bot"),
            (SPIDER, "bot"),
            ("", "bot"),
            ("-", "bot"),
            (FIREFOX, "human"),
            (SAFARI, "human"),
            ("Mozilla/5.0 BeeKeeper/2", "automation"),
            ("Mozilla/5.0 HoneyBot BeeKeeper/2", "bot"),
            ("Keeper/2", "bot"),
        ]:
            with self.subTest(agent=agent):
                self.assertEqual(name, self.crawlers.class_of(agent))

    def test_bots_are_counted_apart(self):
        answer = self.report(
            log_line(on(10, "09:00:00"), "/a"),
            log_line(on(10, "09:00:01"), "/b", agent="FeedBee/1.0"),
            log_line(on(11, "09:00:01"), "/b", agent="-"),
            log_line(on(11, "09:00:02"), "/b", agent="Mozilla/5.0 BeeKeeper/2"),
        )
        self.assertEqual({"human": 1, "bot": 2, "automation": 1}, answer["hits_by_class"])
        self.assertEqual(["2025-03-10"], list(answer["days"]))
        self.assertEqual([("/a", 1)], answer["top_pages"])
        self.assertEqual(({"Firefox": 1}, {"Linux": 1}), (answer["browsers"], answer["operating_systems"]))

    @unittest.skipUnless(REAL_CRAWLERS.exists(), "scripts/setup.sh test installs the list")
    def test_every_pattern_of_the_real_list_is_read(self):
        rules = oracle.read_rules(oracle.RULES)
        crawlers = oracle.Crawlers(REAL_CRAWLERS, oracle.RULES)
        own = sum(len(patterns) for heading, patterns in rules.items() if heading not in ("left out", "drives a browser", "browser"))
        listed = len(json.loads(REAL_CRAWLERS.read_text()))
        self.assertEqual(listed - len(rules["left out"]) + own, len(crawlers.patterns))
        self.assertEqual(len(rules["drives a browser"]), len(crawlers.driven))


class Sessions(OracleCase):
    def days(self, *lines, **options):
        """Date -> (page views, visitors, sessions, bounces, mean duration in seconds)."""
        names = ("page_views", "visitors", "sessions", "bounces", "session_duration")
        days = self.report(*lines, **options)["days"]
        return {day[-2:]: tuple(figures[name] for name in names) for day, figures in days.items()}

    def test_gap_of_thirty_minutes_joins_and_one_second_more_does_not(self):
        joined = [log_line(on(10, "09:00:00")), log_line(on(10, "09:30:00"))]
        parted = [log_line(on(10, "09:00:00")), log_line(on(10, "09:30:01"))]
        self.assertEqual({"10": (2, 1, 1, 0, 1800)}, self.days(*joined))
        self.assertEqual({"10": (2, 1, 2, 2, 0)}, self.days(*parted))
        self.assertEqual({"10": (2, 1, 2, 2, 0)}, self.days(*joined, gap_minutes=29))
        self.assertEqual({"10": (2, 1, 1, 0, 1801)}, self.days(*parted, gap_minutes=31))

    def test_session_goes_on_over_midnight_and_belongs_to_its_first_day(self):
        self.assertEqual(
            {"10": (1, 1, 1, 0, 1200), "11": (1, 1, 0, 0, None)},
            self.days(log_line(on(10, "23:50:00")), log_line(on(11, "00:10:00"))),
        )

    def test_day_is_utc_whatever_the_zone_of_the_log(self):
        self.assertEqual(
            {"10": (2, 1, 1, 0, 600)},
            self.days(log_line("11/Mar/2025:01:55:00 +0200"), log_line("11/Mar/2025:02:15:00 +0230")),
        )

    def test_session_ends_after_24_hours(self):
        # 09:00 on the 10th and then every 30 minutes: 49 views up to 09:00 on the 11th, one more.
        start = datetime.datetime(2025, 3, 10, 9)
        times = [start + datetime.timedelta(minutes=30 * count) for count in range(50)]
        lines = [log_line(time.strftime("%d/Mar/2025:%H:%M:%S")) for time in times]
        self.assertEqual({"10": (30, 1, 1, 0, 86400), "11": (20, 1, 1, 1, 0)}, self.days(*lines))

    def test_visitor_is_address_and_user_agent(self):
        lines = [
            log_line(on(10, "09:00:00")),
            log_line(on(10, "09:01:00"), agent=SAFARI),
            log_line(on(10, "09:02:00"), address="192.0.2.2"),
            log_line(on(10, "09:03:00")),
            log_line(on(10, "12:00:00")),
        ]
        # Three visitors; four sessions of 180, 0, 0 and 0 seconds.
        self.assertEqual({"10": (5, 3, 4, 3, 45)}, self.days(*lines))
        self.assertEqual(0.75, self.report(*lines)["days"]["2025-03-10"]["bounce_rate"])

    def test_lines_are_put_in_order_of_time_and_ties_keep_the_order_of_the_file(self):
        answer = self.report(
            log_line(on(10, "09:10:00"), "/z"),
            log_line(on(10, "09:00:00"), "/c"),
            log_line(on(10, "09:10:00"), "/y"),
            log_line(on(10, "09:00:00"), "/b"),
        )
        self.assertEqual(({"/c": 1}, {"/y": 1}), (answer["entry_pages"], answer["exit_pages"]))

    def test_top_pages_are_twenty_ties_by_name(self):
        lines = [log_line(on(10, "09:00:00"), f"/{letter}") for letter in "zyxwvutsrqponmlkjihgfedcba"]
        answer = self.report(*lines, log_line(on(10, "09:00:00"), "/z"))
        expected = [("/z", 2)] + [(f"/{letter}", 1) for letter in "abcdefghijklmnopqrs"]
        self.assertEqual(expected, answer["top_pages"])


class Mistakes(OracleCase):
    """What the comparison with Meridian must notice, made on purpose."""

    LINES = [
        log_line(on(10, "09:05:00"), "/second"),
        log_line(on(10, "09:00:00"), "/first"),
        log_line(on(10, "09:01:00"), "/robot", agent="FeedBee/1.0"),
    ]

    def test_hit_left_out_is_the_nth_human_by_time(self):
        answer = self.report(*self.LINES, leave_out_hit=1)
        self.assertEqual(({"/second": 1}, {"human": 1, "bot": 1}), (answer["entry_pages"], answer["hits_by_class"]))

    def test_bot_let_through_counts_as_human(self):
        answer = self.report(*self.LINES, let_bot_through=1)
        self.assertEqual({"human": 3, "bot": 0}, answer["hits_by_class"])
        self.assertEqual({"/first": 1, "/robot": 1}, answer["entry_pages"])

    def test_number_beyond_the_log_is_refused(self):
        for option in [{"leave_out_hit": 3}, {"leave_out_hit": 0}, {"let_bot_through": 2}]:
            with self.subTest(option=option), self.assertRaises(SystemExit) as exit_:
                self.report(*self.LINES, **option)
            self.assertIn("use 1 to", exit_.exception.code)


class SampleLog(OracleCase):
    def test_checked_in_log_is_what_the_script_writes(self):
        self.assertEqual(make_log.make_log(), (HERE / "sample.log").read_bytes())

    def test_broken_lines_and_no_others_are_malformed(self):
        answer = self.report(*oracle.read_lines(HERE / "sample.log"))
        self.assertEqual(len(make_log.BROKEN), answer["malformed"])
        self.assertEqual(answer["lines"], answer["malformed"] + answer["sent"] + sum(answer["skipped"].values()))
        self.assertEqual(answer["sent"], sum(answer["hits_by_class"].values()))

    def test_each_mistake_shows(self):
        lines = oracle.read_lines(HERE / "sample.log")
        right = self.report(*lines)
        for name, options in [
            ("gap", {"gap_minutes": 29}), ("hit", {"leave_out_hit": 1}), ("bot", {"let_bot_through": 1}),
        ]:
            with self.subTest(mistake=name):
                self.assertNotEqual(right["days"], self.report(*lines, **options)["days"])

    def test_command_prints_one_json_object(self):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            oracle.main([str(HERE / "sample.log"), "--crawlers", str(self.crawlers_file), "--rules", str(self.rules_file)])
        self.assertEqual(
            {"lines", "sent", "malformed", "skipped", "hits_by_class", "days", "entry_pages", "exit_pages",
             "top_pages", "browsers", "operating_systems"},
            set(json.loads(printed.getvalue())),
        )


if __name__ == "__main__":
    unittest.main()
