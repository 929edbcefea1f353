"""snowplow-tracker: Snowplow's tracker for servers. ID is the application's id.

Sends its JSON without base64, and the last page view with GET.
"""

import logging
import os
import sys
import warnings

from snowplow_tracker import (
    Emitter, PageView, SelfDescribing, SelfDescribingJson, StructuredEvent, Subject, Tracker,
)

from report import SCENARIO, Reporter, arguments

logging.disable(logging.INFO)
warnings.simplefilter("ignore", DeprecationWarning)
base_url, app, _ = arguments()
report = Reporter("snowplow-tracker")
event, purchase = SCENARIO["event"], SCENARIO["purchase"]
item = purchase["item"]

subject = Subject()
subject.set_domain_user_id(SCENARIO["visitor"]["uuid"])
subject.set_useragent(SCENARIO["user_agent"])
subject.set_lang(SCENARIO["language"])
outcome = []


def sender(method):
    emitter = Emitter(
        base_url,
        protocol=base_url.partition("://")[0],
        method=method,
        batch_size=1,
        on_success=lambda hits: outcome.append(hits),
        on_failure=lambda count, hits: outcome.append(None),
    )
    return emitter, Tracker("shop", emitter, subject, app_id=app, encode_base64=False)


emitter, tracker = sender("post")
_, pixel = sender("get")


def delivered(send):
    outcome.clear()
    send()
    if not outcome:
        raise RuntimeError("held back until the hits before it are accepted")
    if None in outcome:
        raise RuntimeError("the emitter reported a failure")
    return ", ".join(hit["eid"] for hits in outcome for hit in hits)


def page_view():
    return PageView(SCENARIO["url"], SCENARIO["title"], SCENARIO["referrer"])


def signup():
    schema = "iglu:com.example/signup/jsonschema/1-0-0"
    return SelfDescribing(SelfDescribingJson(schema, event["parameters"]))


def step(name, send):
    report.step(name, lambda: delivered(send))


def identify():
    subject.set_user_id(SCENARIO["user"])
    tracker.track(
        StructuredEvent("account", event["name"], event["parameters"]["plan"], None, event["parameters"]["seats"])
    )


step("page_view", lambda: tracker.track(page_view()))
step("event", lambda: tracker.track(signup()))
step(
    "purchase",
    lambda: tracker.track_ecommerce_transaction(
        order_id=purchase["order"],
        total_value=purchase["revenue"],
        currency=purchase["currency"],
        items=[
            {"sku": item["sku"], "name": item["name"], "price": item["price"],
             "quantity": item["quantity"], "currency": purchase["currency"]}
        ],
    ),
)
step("identify", identify)
step("event", lambda: tracker.track(signup()))
# The emitter is handed the hit that it has just sent, message id and all.
sent = [hit for hits in outcome for hit in hits or []]
if sent:
    step("repeat", lambda: emitter.input(sent[0]))
step("get", lambda: pixel.track(page_view()))
sys.stdout.flush()
# Timers of hits to be tried again would keep the process alive.
os._exit(report.exit_code)
