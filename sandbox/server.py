"""HTTP/1.1 for the services: requests in, answers out, faults in between, everything logged.

A service is an object with a `name`, `handle(request) -> Answer`, and `refusal(error) -> Answer`, which gives an error
the form that the real service gives it. A service refuses by raising Refusal.
"""

import gzip
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time
import traceback
import uuid
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.faults import REPLACES, without_secrets

PIECE = 1 << 20
MAX_JSON = 1 << 20


class Refusal(Exception):
    """The service says no."""

    def __init__(self, status, code, message="", headers=None, inner=None):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.inner = headers or {}, inner


class Content:
    """Bytes that can be read in pieces: in memory here; files and slices are made the same way."""

    def __init__(self, data):
        self.data, self.size = memoryview(bytes(data)), len(data)

    def read(self, at, count):
        return self.data[at : at + count]

    def file(self):
        """(file object, offset) if the bytes are in a file."""
        return None


class Slice(Content):
    """COUNT bytes of another content."""

    def __init__(self, content, at, count):
        self.content, self.at, self.size = content, at, count

    def read(self, at, count):
        return self.content.read(self.at + at, min(count, self.size - at))

    def file(self):
        below = self.content.file()
        return below and (below[0], below[1] + self.at)


class Answer:
    """Status, headers and a body: bytes, text, a JSON value or a Content."""

    def __init__(self, status=200, headers=None, body=b"", json_body=None):
        self.status, self.headers = status, dict(headers or {})
        if json_body is not None:
            body = json.dumps(json_body)
            self.headers.setdefault("Content-Type", "application/json; charset=utf-8")
        if isinstance(body, str):
            body = body.encode()
        self.body = body if isinstance(body, Content) else Content(body)


class Request:
    """What a service sees of a request."""

    def __init__(self, method, target, headers, *, host=None, scheme="http", stream=None, size=0):
        self.method, self.target, self.headers = method, target, headers
        self.host = (host or headers.get("Host") or "").lower()
        self.scheme, self.stream, self.size, self.unread = scheme, stream, size, size
        parts = urlsplit("http://h" + (target if target.startswith("/") else "/" + target))
        self.path, self.query_text = parts.path, parts.query
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))

    @property
    def base(self):
        return f"{self.scheme}://{self.host}"

    @property
    def hostname(self):
        return self.host.rsplit(":", 1)[0]

    def header(self, name, default=None):
        return self.headers.get(name, default)

    def read(self, count):
        piece = self.stream.read(min(count, self.unread)) if self.unread else b""
        if self.unread and not piece:
            raise ConnectionError("the request ended too early")
        self.unread -= len(piece)
        return piece

    def body(self, limit=MAX_JSON):
        if self.size > limit:
            raise Refusal(413, "RequestBodyTooLarge", "The request body is too large.")
        pieces = []
        while self.unread:
            pieces.append(self.read(PIECE))
        return b"".join(pieces)

    def json(self):
        """The body as a JSON object."""
        try:
            value = json.loads(self.body())
        except ValueError:
            raise Refusal(400, "BadParameter", "The request body is not valid JSON.") from None
        if not isinstance(value, dict):
            raise Refusal(400, "BadParameter", "The request body is not a JSON object.")
        return value

    def drain(self):
        while self.unread:
            self.read(PIECE)

    def segments(self):
        return [unquote(part) for part in self.path.split("/")[1:]]


class Service:
    """What the JSON services have in common."""

    name = "?"

    def handle(self, request):
        raise NotImplementedError

    def refusal(self, error):
        body = {"code": error.code, "message": error.message}
        if error.inner:
            body["innererror"] = {"code": error.inner}
        return Answer(error.status, error.headers, json_body={"error": body})


def replaced(service, action):
    """The answer that a fault gives in the place of the service."""
    if "redirect" in action:
        return Answer(302, {"Location": action["redirect"]})
    status = action.get("status", 200)
    if status >= 400 and not {"body", "body_bytes", "not_json"} & set(action):
        return service.refusal(
            Refusal(status, action.get("code", "SandboxFault"), action.get("message", "This error was ordered."))
        )
    if "body_bytes" in action:
        return Answer(status, {"Content-Type": "application/json"}, b"x" * int(action["body_bytes"]))
    text = action.get("body", "Routine answer of something that does not speak JSON")
    return Answer(status, {"Content-Type": "application/json" if "body" in action else "text/plain"}, text)


def shift_range(headers, by):
    for name in ("x-ms-range", "Range"):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get(name, ""))
        if match:
            del headers[name]
            end = str(int(match[2]) + by) if match[2] else ""
            headers[name] = f"bytes={int(match[1]) + by}-{end}"


def before(request, action):
    """Faults that change what the service is asked."""
    if action.get("ignore_range"):
        for name in ("x-ms-range", "Range"):
            del request.headers[name]
    if action.get("wrong_range") in (True, "bytes"):
        shift_range(request.headers, 1)


def after(answer, action):
    """Faults that change what the service answered."""
    span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
    if span and "wrong_range" in action:
        first, last, total = map(int, span.groups())
        how = action["wrong_range"]
        changed = {
            "header": (first + 1, last + 1, total),
            "bytes": (first - 1, last - 1, total),
            "total": (first, last, total + 1),
        }.get(how, (first, last, total))
        answer.headers["Content-Range"] = "bytes {}-{}/{}".format(*changed)
    if "etag" in action:
        answer.headers["ETag"] = action["etag"]
    if "retry_after" in action:
        answer.headers["Retry-After"] = str(action["retry_after"])
    if "flip_byte" in action and answer.body.size:
        data = bytearray(answer.body.read(0, answer.body.size))
        data[int(action["flip_byte"]) % len(data)] ^= 1
        answer.body = Content(data)
    if action.get("gzip"):
        answer.body = Content(gzip.compress(bytes(answer.body.read(0, answer.body.size))))
        answer.headers["Content-Encoding"] = "gzip"
    for name, value in action.get("headers", {}).items():
        for old in [each for each in answer.headers if each.lower() == name.lower()]:
            del answer.headers[old]
        if value is not None:
            answer.headers[name] = str(value)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 16
    scheme = "http"

    def log_message(self, *_):
        pass

    def serve(self):
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            return self.send_error(411)
        size = self.headers.get("Content-Length", "0")
        if not size.isdigit():
            self.close_connection = True
            return self.send_error(400)
        request = Request(
            self.command, self.path, self.headers, scheme=self.scheme, stream=self.rfile, size=int(size)
        )
        request.arrived = time.time()
        service = self.server.route(request)
        action = self.server.world.faults.take(service.name, request.method, request.target)
        if "delay_ms" in action:
            time.sleep(action["delay_ms"] / 1000)
        if action.get("drop") or action.get("reset"):
            self.entry(service, request, 0)
            self.close_connection = True
            if action.get("reset"):
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        answer = self.answer(service, request, action)
        self.entry(service, request, answer.status)
        if action.get("drop_answer"):
            self.close_connection = True
            return None
        return self.send(request, answer, action)

    def answer(self, service, request, action):
        try:
            if set(action) & set(REPLACES):
                answer = replaced(service, action)
            else:
                before(request, action)
                answer = service.handle(request)
        except Refusal as error:
            answer = service.refusal(error)
        except (ConnectionError, TimeoutError):
            raise
        except Exception:  # a bug of the sandbox: say so on both ends
            traceback.print_exc()
            answer = service.refusal(Refusal(500, "SandboxBug", "The sandbox stumbled; see its standard error."))
            self.close_connection = True
        if request.unread:
            if request.unread > 16 * PIECE:
                self.close_connection = True
            else:
                request.drain()
        after(answer, action)
        return answer

    def entry(self, service, request, status):
        span = request.header("x-ms-range") or request.header("Range")
        self.server.world.log.add(
            service=service.name,
            method=request.method,
            path=without_secrets(request.target),
            status=status,
            range=span,
            host=request.host,
            time=request.arrived,
        )

    def send(self, request, answer, action):
        size = answer.body.size
        headers = {
            "Server": "decant-sandbox",
            "Date": self.date_time_string(),
            "x-ms-request-id": str(uuid.uuid4()),
            **answer.headers,
        }
        if answer.status not in (204, 304):
            headers.setdefault("Content-Length", str(size))
        if {"cut_after", "cut_head_after"} & set(action) or self.close_connection:
            headers["Connection"] = "close"
            self.close_connection = True
        text = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        reason = self.responses.get(answer.status, ("Status",))[0]
        head = f"HTTP/1.1 {answer.status} {reason}\r\n{text}\r\n".encode("latin-1", "replace")
        if "cut_head_after" in action:
            self.connection.sendall(head[: action["cut_head_after"]])
            return
        if "slow_head_bps" in action:
            self.trickle(Content(head), len(head), action["slow_head_bps"])
            head = b""
        if request.method == "HEAD" or answer.status in (204, 304):
            self.connection.sendall(head)
            return
        self.send_body(head, answer.body, min(size, action.get("cut_after", size)), action.get("slow_bps"))

    def send_body(self, head, body, count, slow_bps):
        """The head and COUNT bytes of BODY; from a file without a copy where that is possible."""
        file = body.file()
        if file and not slow_bps:
            self.connection.sendall(head)
            if count:
                self.connection.sendfile(file[0], file[1], count)
            return
        if count <= PIECE and not slow_bps:
            self.connection.sendall(head + bytes(body.read(0, count)))
            return
        self.connection.sendall(head)
        self.trickle(body, count, slow_bps)

    def trickle(self, body, count, slow_bps):
        """COUNT bytes of BODY, at a rate if one is given."""
        step = max(1, min(PIECE, int(slow_bps) // 10)) if slow_bps else PIECE
        for at in range(0, count, step):
            piece = body.read(at, min(step, count - at))
            self.connection.sendall(piece)
            if slow_bps:
                time.sleep(len(piece) / slow_bps)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = serve


class Listener(socketserver.ThreadingTCPServer):
    """A port; ROUTE says which service a request is for."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, world, route, address=("127.0.0.1", 0), handler=Handler):
        super().__init__(address, handler)
        self.world = world
        self.route = route if callable(route) else lambda request: route
        self.port = self.server_address[1]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that goes away is no news; anything else is a bug of the sandbox."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, socket.timeout, OSError)):
            super().handle_error(request, client_address)
