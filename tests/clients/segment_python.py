"""segment-analytics-python: Segment's client for servers, with a compressed body."""

import sys

from segment.analytics.client import Client

from report import SCENARIO, Reporter, arguments

base_url, write_key, _ = arguments()
report = Reporter("segment-analytics-python")
event, purchase, user = SCENARIO["event"], SCENARIO["purchase"], SCENARIO["user"]
item = purchase["item"]
page = {key: SCENARIO[key] for key in ("url", "title", "referrer")}
always = {
    "anonymous_id": SCENARIO["visitor"]["uuid"],
    "context": {
        "page": page,
        "userAgent": SCENARIO["user_agent"],
        "locale": SCENARIO["language"],
    },
}
signup = {"event": event["name"], "properties": event["parameters"]}
order = {
    "order_id": purchase["order"],
    "revenue": purchase["revenue"],
    "currency": purchase["currency"],
    "products": [{"product_id": item["sku"], **item}],
}

client = Client(write_key, host=base_url, gzip=True, sync_mode=True)


def step(step_name, call, **hit):
    def send():
        _, message = call(**always, **hit)
        return f"accepted {message['messageId']}"

    report.step(step_name, send)


step("page_view", client.page, name=SCENARIO["title"], properties=page)
step("event", client.track, **signup)
step("purchase", client.track, event="Order Completed", properties=order)
step("identify", client.identify, user_id=user, traits={"plan": "pro"})
step("event", client.track, user_id=user, message_id=SCENARIO["message"], **signup)
step("repeat", client.track, user_id=user, message_id=SCENARIO["message"], **signup)
sys.exit(report.exit_code)
