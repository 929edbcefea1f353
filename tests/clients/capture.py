#!/usr/bin/env python3
"""Records what clients send, and answers as the products that they were made for do.

In:  HTTP requests to any path on 127.0.0.1.
Out: the base URL on stdout, then one JSON line for each request in the file OUT: method, path,
     query, headers in the order sent, body without its encodings, status of the answer.

--answer makes it answer otherwise, to see what a client needs and how often it tries again:
     ^/v1/batch=429,2,retry-after:1     the first two requests whose path matches get 429
     ^/api/send=200,,content-type:text/plain,ok     all of them get 200 with the body "ok"
"""

import argparse
import dataclasses
import gzip
import http.server
import json
import re
import threading
import time
import zlib

# The smallest transparent GIF: version 89a, 1x1, the first colour transparent.
GIF = bytes.fromhex(
    "474946383961010001008000000000000000002c00000000010001000002024401003b"
)
UMAMI = {"cache": "e30.e30.e30", "sessionId": "5f0c5b52-8c3e-5d0e-9d3c-2f1f5d0b6a11",
         "visitId": "0b6d2a4e-6a35-5f5e-8a56-0c9a1b2c3d4e"}
JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes = b""


@dataclasses.dataclass
class Rule:
    """An answer given in the place of the product's own, for so many requests."""

    path: re.Pattern
    left: float
    answer: Answer

    @classmethod
    def parse(cls, text):
        path, _, rest = text.partition("=")
        fields = rest.split(",")
        headers, body = {}, b""
        for field in fields[2:]:
            name, colon, value = field.partition(":")
            if colon and re.fullmatch(r"[a-z-]+", name):
                headers[name] = value
            else:
                body = field.encode()
        left = float(fields[1]) if len(fields) > 1 and fields[1] else float("inf")
        return cls(re.compile(path), left, Answer(int(fields[0]), headers, body))


def as_json(value):
    return Answer(200, {"content-type": JSON}, json.dumps(value).encode())


def gif():
    return Answer(200, {"content-type": "image/gif", "cache-control": "no-store"}, GIF)


def matomo(method, query, body):
    if method == "POST" and b'"requests"' in body:
        tracked = len(json.loads(body)["requests"])
        return as_json({"status": "success", "tracked": tracked, "invalid": 0})
    if "send_image=0" in query or b"send_image=0" in body:
        return Answer(204, {})
    return gif()


def product_answer(method, path, query, body):
    """What the product that owns this path answers to a request it accepts."""
    snowplow = {"set-cookie": "sp=4c2a4bd2-0d54-4a6e-9f4c-8f5f0a1b2c3d; Path=/"}
    if path == "/api/event":
        return Answer(202, {"content-type": TEXT}, b"ok")
    if path == "/api/send":
        return as_json(UMAMI)
    if path in ("/matomo.php", "/piwik.php"):
        return matomo(method, query, body)
    if path in ("/g/collect", "/mp/collect"):
        return Answer(204, {})
    if path == "/debug/mp/collect":
        return as_json({"validationMessages": []})
    if path in ("/collect", "/batch", "/r/collect", "/j/collect"):
        return gif()
    if path == "/com.snowplowanalytics.snowplow/tp2":
        return Answer(200, {"content-type": TEXT, **snowplow}, b"ok")
    if path in ("/i", "/ice.png"):
        answer = gif()
        answer.headers.update(snowplow)
        return answer
    if source := re.fullmatch(r"/v1/projects/([^/]+)/settings", path):
        return as_json({"integrations": {"Segment.io": {"apiKey": source[1]}}})
    if path.startswith("/v1/"):
        return as_json({"success": True})
    return Answer(404, {"content-type": TEXT}, b"not found")


def cross_origin(headers):
    """What lets a page of any origin read the answer, with cookies."""
    origin = headers.get("Origin")
    if origin is None:
        return {}
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true",
            "vary": "Origin"}


def preflight(headers):
    allowed = headers.get("Access-Control-Request-Headers", "")
    return Answer(204, {"access-control-allow-methods": "GET, POST, OPTIONS",
                        "access-control-allow-headers": allowed, "access-control-max-age": "600"})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def respond(self):
        path, _, query = self.path.partition("?")
        raw = self.read_body()
        body = decode(raw, self.headers.get("Content-Encoding", ""))
        answer = self.server.answer(self.command, path, query, body, self.headers)
        self.server.record({
            "at": round(time.time(), 3), "method": self.command, "path": path, "query": query,
            "headers": self.headers.items(), "wire_bytes": len(raw),
            "body": body.decode("utf-8", "backslashreplace"), "status": answer.status,
        })
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD" and answer.status != 204:
            self.wfile.write(answer.body)

    do_GET = do_POST = do_OPTIONS = do_HEAD = do_PUT = respond

    def read_body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def log_message(self, format, *args):
        pass


def decode(body, encoding):
    if encoding == "gzip":
        return gzip.decompress(body)
    if encoding == "deflate":
        return zlib.decompress(body)
    return body


class Server(http.server.ThreadingHTTPServer):
    def __init__(self, port, out, rules, cors):
        super().__init__(("127.0.0.1", port), Handler)
        self.out, self.rules, self.cors = out, rules, cors
        self.lock = threading.Lock()

    def answer(self, method, path, query, body, headers):
        if method == "OPTIONS":
            answer = preflight(headers)
        else:
            answer = self.ruled(path) or product_answer(method, path, query, body)
        extra = cross_origin(headers) if self.cors else {}
        return Answer(answer.status, {**extra, **answer.headers}, answer.body)

    def ruled(self, path):
        with self.lock:
            for rule in self.rules:
                if rule.left > 0 and rule.path.search(path):
                    rule.left -= 1
                    return rule.answer
        return None

    def record(self, request):
        with self.lock:
            self.out.write(json.dumps(request, ensure_ascii=False) + "\n")
            self.out.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="file to which requests are appended")
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free one")
    parser.add_argument("--answer", action="append", default=[], metavar="PATH=STATUS,TIMES,…")
    parser.add_argument("--no-cors", action="store_true", help="send no Access-Control headers")
    options = parser.parse_args()
    with open(options.out, "a", encoding="utf-8") as out:
        rules = [Rule.parse(rule) for rule in options.answer]
        server = Server(options.port, out, rules, cors=not options.no_cors)
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
