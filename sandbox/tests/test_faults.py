"""Faults on demand."""

import gzip
import http.client
import socket
import time
import unittest

from common import SandboxTest, b64, call, control, storage_headers

DATA = bytes(range(256)) * 8


class Faults(SandboxTest):
    def setUp(self):
        super().setUp()
        control("public", container="faults")
        control("blob", container="faults", name="b", base64=b64(DATA))
        self.url = self.world.description()["storage"] + "/faults/b"

    def get(self, url=None, **headers):
        return call("GET", url or self.url, headers={"x-ms-version": "2021-12-02", **headers})

    def order(self, action, **rule):
        control("fault", service="storage", action=action, **rule)

    def test_status_in_the_services_form(self):
        self.order({"status": 503, "code": "ServerBusy", "message": "busy", "retry_after": 3})
        reply = self.get()
        self.assertEqual(
            (reply.status, reply.headers["x-ms-error-code"], reply.headers["Retry-After"]), (503, "ServerBusy", "3")
        )
        self.assertEqual(self.get().status, 200)
        control("fault", service="identity", action={"status": 410, "code": "gone"})
        reply = call("GET", self.world.addresses["identity"] + "/metadata/identity/oauth2/token")
        self.assertEqual((reply.status, reply.error), (410, "gone"))

    def test_counting_and_choosing(self):
        self.order({"status": 500}, skip=1, times=2, method="GET", path="faults/b")
        self.assertEqual([self.get().status for _ in range(4)], [200, 500, 500, 200])
        self.order({"status": 500}, times=-1, path=r"range$")
        self.order({"status": 500}, times=-1, method="PUT")
        control("fault", service="vault", times=-1, action={"status": 500})
        self.assertEqual(self.get().status, 200)

    def test_bodies(self):
        for action, status, body in (
            ({"body": "hello"}, 200, b"hello"),
            ({"body_bytes": 5, "status": 500}, 500, b"x" * 5),
            ({"redirect": "http://127.0.0.1/x"}, 302, b""),
        ):
            self.order(action)
            reply = self.get()
            self.assertEqual((reply.status, reply.body), (status, body), action)
        self.order({"not_json": True})
        self.assertFalse(self.get().body.startswith(b"{"))

    def test_lost_answer(self):
        """What was asked is done, but nobody hears of it."""
        self.order({"drop_answer": True}, method="PUT")
        new = self.url + "-new"
        with self.assertRaises((http.client.HTTPException, ConnectionError)):
            call("PUT", new, DATA, storage_headers(x_ms_blob_type="BlockBlob"))
        self.assertEqual(self.get(new).body, DATA)

    def test_headers(self):
        self.order({"headers": {"ETag": None, "X-More": "1"}})
        reply = self.get()
        self.assertEqual((reply.headers["ETag"], reply.headers["X-More"]), (None, "1"))
        self.order({"etag": '"0xother"'})
        self.assertEqual(self.get().headers["ETag"], '"0xother"')

    def test_broken_connections(self):
        self.order({"drop": True})
        with self.assertRaises((http.client.RemoteDisconnected, ConnectionError)):
            self.get()
        self.order({"cut_after": 100})
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.get()
        self.assertEqual(caught.exception.partial, DATA[:100])

    def test_reset(self):
        self.order({"reset": True})
        with self.assertRaises(ConnectionResetError):
            self.get()
        self.assertEqual(self.get().body, DATA)

    def test_cut_within_the_head(self):
        whole = self.raw()
        for count in (0, 5, 12, 60):
            self.order({"cut_head_after": count})
            self.assertEqual(len(self.raw()), count)
        self.assertTrue(whole.startswith(b"HTTP/1.1 200"))

    def raw(self):
        """Every byte of an answer."""
        host, _, path = self.url.partition("//")[2].partition("/")
        with socket.create_connection(host.split(":"), timeout=10) as connection:
            connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nx-ms-version: 2021-12-02\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))

    def test_gzip(self):
        self.order({"gzip": True})
        reply = self.get()
        self.assertEqual((reply.headers["Content-Encoding"], gzip.decompress(reply.body)), ("gzip", DATA))

    def test_time(self):
        self.order({"delay_ms": 200})
        self.order({"slow_bps": len(DATA) * 4})
        self.order({"slow_head_bps": 1000})
        for _ in range(3):
            start = time.monotonic()
            self.assertEqual(self.get().body, DATA)
            self.assertGreater(time.monotonic() - start, 0.18)

    def test_ranges(self):
        for how, content_range, body in (
            (True, "bytes 11-20/2048", DATA[11:21]),
            ("header", "bytes 11-20/2048", DATA[10:20]),
            ("bytes", "bytes 10-19/2048", DATA[11:21]),
            ("total", "bytes 10-19/2049", DATA[10:20]),
        ):
            self.order({"wrong_range": how})
            reply = self.get(**{"x-ms-range": "bytes=10-19"})
            self.assertEqual((reply.headers["Content-Range"], reply.body), (content_range, body), how)
        self.order({"ignore_range": True})
        reply = self.get(**{"x-ms-range": "bytes=10-19"})
        self.assertEqual((reply.status, reply.body), (200, DATA))

    def test_flip(self):
        self.order({"flip_byte": 3})
        self.assertEqual(self.get().body, DATA[:3] + bytes([DATA[3] ^ 1]) + DATA[4:])

    def test_refused_orders(self):
        for wish in (
            {"action": {}},
            {"action": {"explode": 1}},
            {"action": {"status": 500}, "when": "now"},
            {"action": 5},
            {"action": {"status": 500}, "path": "("},
        ):
            reply = call("POST", self.world.addresses["control"] + "/fault", wish)
            self.assertEqual(reply.status, 400, wish)
        for name, wish in (
            ("tamper", {"service": "vault", "what": "nothing"}),
            ("platform", {"debug": "yes"}),
            ("nothing", {}),
        ):
            self.assertIn(call("POST", f"{self.world.addresses['control']}/{name}", wish).status, (400, 404))

    def test_log_and_reset(self):
        self.get(**{"x-ms-range": "bytes=0-4"})
        entry = [each for each in control("log") if each["service"] == "storage"][-1]
        self.assertEqual((entry["method"], entry["status"], entry["range"]), ("GET", 206, "bytes=0-4"))
        self.order({"status": 500}, times=-1)
        control("reset")
        self.assertEqual(self.get().status, 200)
        self.assertEqual(len([each for each in control("log") if each["service"] == "storage"]), 1)

    def test_keep_alive_after_errors(self):
        host = self.url.split("/")[2]
        connection = http.client.HTTPConnection(host, timeout=10)
        ports = set()
        for _ in range(3):
            connection.request(
                "PUT", "/devaccount/none/b", b"x" * 100000, storage_headers(x_ms_blob_type="BlockBlob")
            )
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 404)
            ports.add(connection.sock.getsockname())
        connection.close()
        self.assertEqual(len(ports), 1)


if __name__ == "__main__":
    unittest.main()
