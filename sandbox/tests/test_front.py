"""The way in that looks like the Internet: proxy, TLS, routing by name."""

import http.client
import socket
import ssl
import unittest
from urllib.parse import urlsplit

from common import SandboxTest, bearer, control, storage_headers


class Front(SandboxTest):
    def call(self, host, method, path, headers=None, port=443, versions=None):
        proxy = urlsplit(self.world.addresses["proxy"])
        context = ssl.create_default_context(cafile=self.world.path("ca.pem"))
        if versions:
            context.minimum_version, context.maximum_version = versions
        connection = http.client.HTTPSConnection(proxy.hostname, proxy.port, context=context, timeout=10)
        connection.set_tunnel(host, port)
        try:
            connection.request(method, path, None, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def test_routes(self):
        control("key", name="front", host="contoso.vault.azure.net")
        control("key", name="front", host="contoso.managedhsm.azure.net")
        control("blob", account="contoso", container="data", name="b", text="hello")
        for host, method, path, headers, status, part in (
            (
                "contoso.vault.azure.net",
                "GET",
                "/keys/front?api-version=7.4",
                bearer(),
                200,
                b"https://contoso.vault.azure.net/keys/front/",
            ),
            (
                "contoso.managedhsm.azure.net",
                "GET",
                "/keys/front?api-version=7.4",
                bearer("https://managedhsm.azure.net"),
                200,
                b"kid",
            ),
            ("contoso.managedhsm.azure.net", "GET", "/keys/front?api-version=7.4", bearer(), 401, b"audience"),
            ("other.vault.azure.net", "GET", "/keys/front?api-version=7.4", bearer(), 404, b"KeyNotFound"),
            (
                "contoso.vault.usgovcloudapi.net",
                "GET",
                "/keys/front?api-version=7.4",
                bearer("https://vault.usgovcloudapi.net"),
                404,
                b"KeyNotFound",
            ),
            ("contoso.blob.core.windows.net", "GET", "/data/b", storage_headers(), 200, b"hello"),
            ("other.blob.core.windows.net", "GET", "/data/b", storage_headers(), 404, b"ContainerNotFound"),
            (
                "sharedneu.neu.attest.azure.net",
                "GET",
                "/.well-known/openid-configuration",
                {},
                200,
                b"https://sharedneu.neu.attest.azure.net/certs",
            ),
            ("login.microsoftonline.com", "GET", "/x/oauth2/v2.0/token", {}, 400, b"AADSTS900561"),
            ("kdsintf.amd.com", "GET", "/vcek/v1/Milan/cert_chain", {}, 200, b"BEGIN CERTIFICATE"),
            ("localhost", "GET", "/", {}, 421, b"does not play"),
        ):
            found = self.call(host, method, path, headers)
            self.assertEqual(found[0], status, (host, found))
            self.assertIn(part, found[1])

    def test_unknown_host_has_no_certificate(self):
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.call("evil.example", "GET", "/")

    def test_other_ports(self):
        with self.assertRaises(OSError):
            self.call("contoso.vault.azure.net", "GET", "/", port=80)

    def test_tls_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(
                self.call("kdsintf.amd.com", "GET", "/vcek/v1/Milan/cert_chain", versions=(version, version))[0], 200
            )

    def test_proxy_log_and_fault(self):
        self.call("kdsintf.amd.com", "GET", "/vcek/v1/Milan/cert_chain")
        self.assertEqual(
            [each["path"] for each in control("log") if each["service"] == "proxy"], ["kdsintf.amd.com:443"]
        )
        control("fault", service="proxy", action={"status": 407})
        with self.assertRaises(OSError):
            self.call("kdsintf.amd.com", "GET", "/")

    def test_proxy_speaks_only_connect(self):
        proxy = urlsplit(self.world.addresses["proxy"])
        with socket.create_connection((proxy.hostname, proxy.port), 10) as connection:
            connection.sendall(b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n")
            self.assertIn(b" 403 ", connection.recv(100))


if __name__ == "__main__":
    unittest.main()
