"""SQL over the warehouse's HTTP interface, for what no report says: rows and bytes by table."""

import urllib.error
import urllib.parse
import urllib.request

from .load import NotMeasured

HOURLY = ("hit_hourly", "session_hourly", "total_hourly", "value_hourly", "item_hourly", "refusal_hourly")
TIMEOUT_S = 300

# The same facts, one row per hit: what a store without aggregation would keep. Rows of a minute with n events become n rows;
# each gets one of the row's visitors. No id of the hit, no address: a real one would be larger.
ONE_ROW_PER_HIT = """
CREATE TABLE one_row_per_hit ENGINE = MergeTree
PARTITION BY toYYYYMM(local_date) ORDER BY (property, generation, traffic_class, time)
SETTINGS default_compression_codec = '{codec}' AS
SELECT property, generation, traffic_class, local_date, minute + toIntervalSecond(rand(number) % 60) AS time, utc_offset_s,
    page_path, event_name, source, medium, campaign, country, device, browser, operating_system,
    hostname, region, city, browser_version, operating_system_version, device_brand, traffic_reason, visitor_type, first_source,
    currency, page_title, intDiv(revenue_micros, events) AS revenue_micros, key_events >= events AS is_key_event,
    visitors[1 + number % length(visitors)] AS visitor, has(new_visitors, visitor) AS is_new,
    intDiv(engagement_ms, events) AS engagement_ms
FROM hit_rollup ARRAY JOIN range(events) AS number
"""


class Warehouse:
    """The embedded engine of a running system."""

    def __init__(self, url):
        self.url = url

    def query(self, sql):
        """Rows of a statement, each a list of texts."""
        parameters = urllib.parse.urlencode({"database": "meridian", "default_format": "TabSeparated"})
        request = urllib.request.Request(f"{self.url}/?{parameters}", data=sql.encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise NotMeasured(f"the warehouse refused: {error.read().decode()[:300]}") from error
        return [line.split("\t") for line in text.splitlines()]

    def numbers(self, sql):
        """The first row as integers."""
        return [int(value) for value in self.query(sql)[0]]

    def minute_tables(self):
        """Rows and sums of the minute tables of hits and sessions; rows of values and items are counted with those of hits."""
        rows, events, opened = self.numbers("SELECT count(), sum(events), sum(sessions) FROM hit_rollup")
        rows += sum(self.numbers(f"SELECT count() FROM {table}")[0] for table in ("value_rollup", "item_rollup"))
        session_rows, closed = self.numbers("SELECT count(), sum(sessions) FROM session_rollup")
        return {"hit_rows": rows, "events": events, "opened": opened, "session_rows": session_rows, "closed": closed}

    def bytes_after_merges(self, *tables):
        """Bytes on disk of tables, all their parts merged."""
        for table in tables:
            self.query(f"OPTIMIZE TABLE {table} FINAL")
        names = ", ".join(f"'{table}'" for table in tables)
        return self.numbers(
            f"SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'meridian' AND table IN ({names})"
        )[0]

    def bytes_of_one_row_per_hit(self, codec="LZ4"):
        """Bytes on disk of the same hits as rows of their own, and their number; the table is dropped again. The engine's
        own choice of codec is LZ4."""
        self.query(ONE_ROW_PER_HIT.format(codec=codec))
        taken = self.bytes_after_merges("one_row_per_hit")
        rows = self.numbers("SELECT count() FROM one_row_per_hit")[0]
        self.query("DROP TABLE one_row_per_hit SYNC")
        return taken, rows
