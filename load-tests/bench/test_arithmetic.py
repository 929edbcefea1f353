"""What can be tested of the bench without running it: searches, slopes, goals, configuration, what is refused."""

import http.server
import re
import tempfile
import threading
import time
import unittest

from . import properties, table
from .figures import change, peak
from .load import NotMeasured, check_taken
from .system import field_of

EDGE = """data_dir = "/d"
cache_bytes = 5

[collect]
threads = 0
proxies = [
    "127.0.0.0/8",
]
cache_bytes = 1

[process]
cache_bytes = 2

[process.limits]
cache_bytes = 3
"""


def result(due, acknowledged, seconds, refused=0, p99=5.0, late=0.1):
    """As much of a load's result as is looked at."""
    return {
        "requests_due": due,
        "requests_acknowledged": acknowledged,
        "refused": refused,
        "unanswered": 0,
        "not_sent": due - acknowledged - refused,
        "seconds": seconds,
        "scenario": {"load": {"phases": [{"seconds": 10}]}},
        "latency_ms": {"p99": p99},
        "generator_late_ms": {"p99": late},
    }


class Arithmetic(unittest.TestCase):
    """Facts about each."""

    def test_the_peak_is_found_from_guesses_far_off(self):
        for guess in (5_000, 49_000, 50_000, 51_000, 600_000):
            trials = []
            found = peak.search(lambda rate, trials=trials: trials.append(rate) or rate <= 50_000, guess)
            self.assertTrue(50_000 / peak.PRECISION <= found <= 50_000, (guess, found))
            self.assertLessEqual(len(trials), peak.MOST_TRIALS)

    def test_a_search_without_an_end_gives_no_peak(self):
        for is_borne in (True, False):
            with self.assertRaises(NotMeasured):
                peak.search(lambda rate, is_borne=is_borne: is_borne, 1_000)

    def test_a_rate_is_not_borne_when_work_piles_up(self):
        good = result(100, 100, 10)
        self.assertIsNone(peak.obstacle_of(good, 20_000, 900))
        self.assertIn("grow by 1100", peak.obstacle_of(good, 20_000, 1_100))
        self.assertIn("1 requests were not", peak.obstacle_of(result(100, 99, 10), 20_000, 0))
        self.assertIn("p99 is 60 ms", peak.obstacle_of(result(100, 100, 10, p99=60.0), 20_000, 0))
        self.assertIn("generator is the limit", peak.obstacle_of(result(100, 100, 10, p99=60.0, late=50.0), 1, 0))

    def test_growth_is_the_slope(self):
        self.assertAlmostEqual(peak.growth([(at, 7 + 250 * at) for at in range(5)]), 250)
        self.assertEqual(peak.growth([(0, 1), (1, 2)]), 0.0)

    def test_what_came_too_late_or_not_at_all_is_no_measurement(self):
        check_taken(result(100, 100, 10.2), 5)
        for wrong in (result(100, 99, 10), result(100, 100, 12), result(100, 90, 10, refused=10)):
            with self.assertRaises(NotMeasured):
                check_taken(wrong, 5)

    def test_a_field_is_changed_in_its_table_alone(self):
        for name, at in (("", 0), ("collect", 1), ("process", 2), ("process.limits", 3)):
            changed = re.sub(field_of(name, "cache_bytes"), lambda found: found[1] + "9", EDGE, count=1, flags=re.M)
            values = re.findall(r"cache_bytes = (\d)", changed)
            self.assertEqual((values[at], values.count("9")), ("9", 1), name)
        self.assertIsNone(re.search(field_of("process", "threads"), EDGE, re.M))

    def test_goals_are_met_or_not(self):
        for value, goal, met in ((1.6, "<= 1.6", "yes"), (1.61, "<= 1.6", "NO"), (5e4, ">= 50000", "yes"), (49_999, ">= 50000", "NO")):
            self.assertEqual(table.meets(value, goal), met)
        self.assertEqual((table.meets(None, "<= 1"), table.meets(3, None)), ("NO", ""))

    def test_a_run_without_a_value_leaves_no_median(self):
        results = table.Results()
        results.say = lambda text: None
        for value in (1, 3, 2):
            with results.expect("fsync_p99_ms"):
                results.add("fsync_p99_ms", value)
        results.add("gather_ms", 3)
        self.assertEqual((results.median("fsync_p99_ms"), table.accept_goal(results)), (2, "<= 11.00"))
        with results.expect("fsync_p99_ms", "fsync_p50_ms"):
            results.add("fsync_p50_ms", 4)
            raise NotMeasured("the disk is gone")
        self.assertIsNone(results.median("fsync_p99_ms"))
        rows = {row["figure"]: row for row in results.rows()}
        self.assertEqual(rows["fsync_p99_ms"]["missing"], ["the disk is gone"])
        self.assertNotIn("missing", rows["fsync_p50_ms"])

    def test_ratios_are_formed_within_a_run(self):
        results = table.Results()
        results.say = lambda text: None
        results.add("nginx_us_per_204", 7)
        self.assertEqual(results.needed("nginx_us_per_204"), 7)
        results.begin_run("another")
        self.assertEqual(results.last("nginx_us_per_204"), 7)
        with self.assertRaises(NotMeasured):
            results.needed("nginx_us_per_204")

    def test_a_change_is_everywhere_when_the_last_edge_takes_a_hit(self):
        self.assertAlmostEqual(change.last_after(10.0, [10.1, 10.5, 10.2]), 500)
        with self.assertRaises(NotMeasured):
            change.last_after(10.0, [10.1, NotMeasured("an edge is gone")])

    def test_a_hit_is_taken_when_the_edge_says_that_it_dropped_none(self):
        # (status, what was dropped) of one answer after the other.
        answers = [(204, "1 unknown_site"), (204, "1 unknown_site"), (204, None), (503, None)]

        class Answers(http.server.BaseHTTPRequestHandler):
            """An edge as far as it is asked here."""

            protocol_version = "HTTP/1.1"

            def do_GET(self):
                """The next answer."""
                status, dropped = answers.pop(0)
                self.send_response(status)
                if dropped:
                    self.send_header(change.DROPPED, dropped)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments):
                """Nothing."""

        with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            edge = change.Edge(f"http://127.0.0.1:{server.server_port}")
            self.assertFalse(edge.takes("G-1"))
            begun = time.monotonic()
            self.assertGreater(edge.taken_at("G-1", begun + 60), begun)
            self.assertEqual(len(answers), 1)
            with self.assertRaises(NotMeasured):
                edge.takes("G-1")
            edge.connection.close()
            server.shutdown()

    def test_property_ids_have_their_form_and_differ(self):
        self.assertEqual(properties.ids(31), ("p_aaaaaaaaaaa7", "M-AAAAAAAAA7"))
        self.assertEqual(properties.ids(32), ("p_aaaaaaaaaaba", "M-AAAAAAAABA"))


if __name__ == "__main__":
    unittest.main()
