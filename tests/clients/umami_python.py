"""umami-analytics: a client for servers that speaks Umami's protocol."""

import sys
import urllib.parse

import umami

from report import SCENARIO, Reporter, arguments

base_url, website, _ = arguments()
report = Reporter("umami-analytics")
event, purchase = SCENARIO["event"], SCENARIO["purchase"]

page = urllib.parse.urlsplit(SCENARIO["url"])
about = {
    "url": f"{page.path}?{page.query}",
    "referrer": SCENARIO["referrer"],
    "language": SCENARIO["language"],
}
umami.set_url_base(base_url)
umami.set_website_id(website)
umami.set_hostname(page.hostname)


def signup(**more):
    return umami.new_event(event["name"], title=SCENARIO["title"], custom_data=event["parameters"], **about, **more)


report.step("page_view", lambda: umami.new_page_view(SCENARIO["title"], ua=SCENARIO["user_agent"], **about))
report.step("event", signup)
report.step(
    "purchase",
    lambda: umami.new_revenue_event(
        revenue=purchase["revenue"],
        currency=purchase["currency"],
        event_name="purchase",
        custom_data={"order": purchase["order"]},
        **about,
    ),
)
report.step("event", lambda: signup(distinct_id=SCENARIO["user"]))
sys.exit(report.exit_code)
