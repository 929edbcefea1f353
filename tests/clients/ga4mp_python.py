"""ga4mp: GA4's Measurement Protocol, sent by a server."""

import logging
import sys

from ga4mp import GtagMP

from report import SCENARIO, Reporter, arguments

base_url, measurement_id, secret = arguments()
report = Reporter("ga4mp")
purchase = SCENARIO["purchase"]
item = purchase["item"]

# It warns of parameters that an event could also have.
logging.getLogger("ga4mp.ga4mp").setLevel(logging.ERROR)
client = GtagMP(secret or "secret", measurement_id, SCENARIO["visitor"]["decimal"])
client._base_domain = f"{base_url}/mp/collect"
client._validation_domain = f"{base_url}/debug/mp/collect"
client.store.set_session_parameter("session_id", 1700000000)

PAGE = {
    "page_location": SCENARIO["url"],
    "page_title": SCENARIO["title"],
    "page_referrer": SCENARIO["referrer"],
    "language": SCENARIO["language"],
}


def hit(name, **parameters):
    event = client.create_new_event(name)
    for key, value in (PAGE | parameters).items():
        event.set_event_param(key, value)
    return event


def order():
    event = hit(
        "purchase",
        transaction_id=purchase["order"],
        value=purchase["revenue"],
        currency=purchase["currency"],
    )
    sold = event.create_new_item(item["sku"], item["name"])
    sold.set_parameter("price", item["price"])
    sold.set_parameter("quantity", item["quantity"])
    event.add_item_to_event(sold)
    return event


def login():
    client.store.set_user_property("user_id", SCENARIO["user"])
    client.store.set_user_property("plan", "pro")
    return hit("login", method="password")


def signup():
    return hit(SCENARIO["event"]["name"], **SCENARIO["event"]["parameters"])


def step(name, build, **options):
    def send():
        client.send([build()], **options)
        return "accepted"

    report.step(name, send)


step("page_view", lambda: hit("page_view"))
step("event", signup)
step("purchase", order)
step("identify", login)
step("event", signup)
step("validate", signup, validation_hit=True)
sys.exit(report.exit_code)
