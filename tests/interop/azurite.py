"""Azurite as a process, its certificates and tokens, and a relay in front of it that a test can meddle with."""

import atexit
import base64
import datetime
import http.client
import http.server
import ipaddress
import json
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

AZURITE = os.environ["AZURITE"]
ACCOUNT = "contoso"
START_S = 120
HOP_BY_HOP = ("transfer-encoding", "content-length", "connection", "keep-alive", "date", "server")
PEM = serialization.Encoding.PEM


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)
    return path


def signed(name, issuer, issuer_key, key, *extensions):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer_name=issuer, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=now - datetime.timedelta(hours=1), not_valid_after=now + datetime.timedelta(days=1))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def make_certificates(folder):
    """(CA file, certificate file, key file) for 127.0.0.1, good for a day."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worthless test CA")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worthless test server")])
    usage = x509.KeyUsage(*(which in ("crl", "cert") for which in (
        "signature", "commitment", "key", "data", "agreement", "cert", "crl", "encipher", "decipher")))
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = signed(ca_name, ca_name, ca_key, ca_key, (x509.BasicConstraints(True, None), True), (usage, True),
                (identifier, False))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = signed(name, ca_name, ca_key, key, (address, False), (x509.BasicConstraints(False, None), True),
                  (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False))
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return (write(os.path.join(folder, "ca.pem"), ca.public_bytes(PEM)),
            write(os.path.join(folder, "server.pem"), leaf.public_bytes(PEM)),
            write(os.path.join(folder, "server.key"), secret))


def make_token(seconds=3600, audience="https://storage.azure.com"):
    """An access token as Azurite wants it: it reads the claims and leaves the signature alone."""
    now = int(time.time())
    claims = {"aud": audience, "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
              "iat": now - 7200, "nbf": now - 7200, "exp": now + seconds}
    parts = [json.dumps({"alg": "RS256", "typ": "JWT"}).encode(), json.dumps(claims).encode(), b"worthless signature"]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


class Azurite:
    """One blob service on a free port of 127.0.0.1; with TLS it also takes bearer tokens."""

    def __init__(self, tls=False):
        self.folder = tempfile.mkdtemp(prefix="decant-azurite-")
        self.account_key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.ca_file = None
        command = ["node", AZURITE, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost",
                   "127.0.0.1", "--blobPort", "0", "--location", self.folder]
        if tls:
            self.ca_file, certificate, key = make_certificates(self.folder)
            command += ["--oauth", "basic", "--cert", certificate, "--key", key]
        self.log = os.path.join(self.folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env={
                **os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.account_key}"})
        atexit.register(self.stop)
        self.endpoint = self._wait_for_address()
        self.url = f"{self.endpoint}/{ACCOUNT}"

    def _wait_for_address(self):
        said, deadline = "", time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            with open(self.log, encoding="utf-8") as log:
                said = log.read()
            if found := re.search(r"successfully listens on (https?://\S+)\n", said):
                return found[1]
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"Azurite does not start: {said}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Relay:
    """Hands every request on to Azurite and notes it. A test may set `before(method, path, headers)`, which is called
    first and returns the path to ask for. A SAS is not bound to the port, so it holds here as well."""

    def __init__(self, azurite):
        relay, target = self, urlsplit(azurite.endpoint)
        self.requests, self.before = [], lambda method, path, headers: path

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def hand_on(self):
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                relay.requests.append((self.command, self.path, headers))
                path = relay.before(self.command, self.path, headers)
                connection = http.client.HTTPConnection(target.hostname, target.port)
                connection.request(self.command, path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                connection.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in HOP_BY_HOP:
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_HEAD = hand_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/{ACCOUNT}"

    def of(self, method, pattern):
        return [request for request in self.requests if request[0] == method and re.search(pattern, request[1])]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
