"""One sandbox for all tests of this folder, and a small client of it."""

import atexit
import base64
import functools
import hashlib
import http.client
import json
import os
import shutil
import sys
import tempfile
import unittest
from urllib.parse import urlencode, urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: E402

from sandbox import jose, pki  # noqa: E402
from sandbox.world import World  # noqa: E402

FIXTURES = os.environ.get("TEST_FIXTURES", os.path.join(os.path.dirname(ROOT), "shared", "fixtures"))
needs_fixtures = unittest.skipUnless(os.path.isdir(FIXTURES), f"there is no {FIXTURES}; TEST_FIXTURES may name another folder")


@functools.lru_cache(None)
def world():
    folder = tempfile.mkdtemp(prefix="sandbox-test-")
    made = World(folder)
    made.start()
    atexit.register(shutil.rmtree, folder, True)
    atexit.register(made.close)
    return made


@functools.lru_cache(None)
def rsa_key(which=0):
    return rsa.generate_private_key(65537, 2048)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


def call(method, url, body=None, headers=None):
    """One exchange on a connection of its own. BODY: bytes, or what becomes JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    try:
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), body, headers)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def control(call_name, /, **wish):
    reply = call("POST", world().addresses["control"] + "/" + call_name, wish)
    if reply.status != 200:
        raise AssertionError(reply.body)
    return reply.json


def form(url, **fields):
    return call("POST", url, urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded"})


def offer(key=None):
    """(key pair, runtime data) as a program that wants a key makes them."""
    key = key or rsa_key()
    jwk = jose.public_jwk(key)
    data = {"e": jwk["e"], "key_ops": ["encrypt"], "kid": jose.thumbprint(jwk), "kty": "RSA", "n": jwk["n"]}
    return key, jose.compact({"keys": [data]})


def evidence(runtime_data, chip=None, **changes):
    """The body of an attestation request."""
    chip = chip or world().chip
    report = changes.get("report") or chip.report(hashlib.sha256(runtime_data).digest())
    chain = changes.get("chain") or pki.pem(chip.vceks["now"]) + chip.chain_pem()
    inner = {"SnpReport": jose.b64u(report), "VcekCertChain": jose.b64u(chain)}
    if changes.get("cose", True) is not None:
        cose = changes.get("cose") or chip.reference_info()
        inner["Endorsements"] = jose.b64u(jose.compact({"Uvm": [jose.b64u(cose)]}))
    return {
        "report": jose.b64u(jose.compact(inner)),
        "nonce": "123",
        "initTimeData": {"data": "", "dataType": ""},
        "runtimeData": {"data": jose.b64u(runtime_data), "dataType": "JSON"},
    }


def attest(body):
    return call("POST", world().addresses["attestation"] + "/attest/SevSnpVm?api-version=2022-08-01", body)


def token(key=None):
    """An attestation token for a pair."""
    return attest(evidence(offer(key)[1])).json["token"]


def bearer(audience="https://vault.azure.net"):
    return {"Authorization": "Bearer " + world().directory.token(audience)}


def storage_headers(**more):
    return {
        **bearer("https://storage.azure.com/"),
        "x-ms-version": "2021-12-02",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


def b64(data):
    return base64.b64encode(data).decode()


class SandboxTest(unittest.TestCase):
    def setUp(self):
        self.world = world()
        control("reset")
