"""A venue of canned answers on loopback: what it is asked is counted, what it says is given."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

TIME = "/v5/market/time"
NOW_MS = 1_700_000_000_000


class Answers:
    """``says[path]`` is a result, or a function of the query; a `Raw` is sent as it stands."""

    def __init__(self):
        self.says = {TIME: {"timeSecond": str(NOW_MS // 1_000)}}
        self.asked = []
        self.headers = []

    def result(self, path, query):
        self.asked.append((path, query))
        found = self.says.get(path, Refusal(10017, "Route not found."))
        return found(query) if callable(found) else found

    def count(self, path):
        return sum(one == path for one, _ in self.asked)


class Refusal:
    def __init__(self, code, message):
        self.code, self.message = code, message


class Raw:
    def __init__(self, status, body, **headers):
        self.status, self.body = status, body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def handler(answers):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            parts = urlsplit(self.path)
            self.answer(parts.path, dict(parse_qsl(parts.query)))

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            self.answer(urlsplit(self.path).path, json.loads(body))

        def answer(self, path, query):
            answers.headers.append(dict(self.headers))
            found = answers.result(path, query)
            match found:
                case Raw(status=status, body=body, headers=headers):
                    self.say(status, body.encode(), headers)
                case Refusal(code=code, message=message):
                    self.say(200, json.dumps({"retCode": code, "retMsg": message}).encode())
                case _:
                    says = {"retCode": 0, "retMsg": "OK", "result": found, "time": NOW_MS}
                    self.say(200, json.dumps(says).encode())

        def say(self, status, body, headers=()):
            self.send_response(status)
            for name in headers:
                self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    return Handler


@contextlib.contextmanager
def answering():
    """Serve until the block ends; yield the `Answers` and the URL."""
    answers = Answers()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(answers)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield answers, f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
