"""Managed identity and Entra ID."""

import time
import unittest
from urllib.parse import quote

from common import SandboxTest, call, control, form

from sandbox import identity, jose

GOOD = "api-version=2018-02-01&resource=" + quote("https://vault.azure.net", safe="")


class Managed(SandboxTest):
    def ask(self, query=GOOD, headers=None):
        url = self.world.addresses["identity"] + "/metadata/identity/oauth2/token?" + query
        return call("GET", url, headers={"Metadata": "true"} if headers is None else headers)

    def test_token(self):
        reply = self.ask()
        claims = jose.verify(reply.json["access_token"], self.world.directory.public)
        self.assertEqual(claims["aud"], "https://vault.azure.net")
        self.assertEqual(reply.json["expires_in"], "86400")
        self.assertIsInstance(reply.json["expires_on"], str)

    def test_lifetime(self):
        control("identity", expires_in=7)
        reply = self.ask()
        self.assertEqual(reply.json["expires_in"], "7")
        claims = jose.read(reply.json["access_token"])[1]
        self.assertLessEqual(claims["exp"], time.time() + 7)

    def test_refusals(self):
        for query, headers, code in (
            (GOOD, {}, "bad_request_102"),
            (GOOD, {"Metadata": "false"}, "bad_request_102"),
            (GOOD, {"Metadata": "true", "X-Forwarded-For": "1.2.3.4"}, "invalid_request"),
            (GOOD.replace("2018", "1999"), None, "invalid_request"),
            ("api-version=2018-02-01", None, "invalid_request"),
            (GOOD + "&client_id=nobody", None, "invalid_request"),
            (GOOD + "%2Fmore", None, "invalid_resource"),
        ):
            reply = self.ask(query, headers)
            self.assertEqual((reply.status, reply.error), (400, code), (query, headers))

    def test_user_assigned(self):
        self.assertEqual(self.ask(GOOD + "&client_id=" + identity.CLIENT_ID).status, 200)


class Entra(SandboxTest):
    GOOD = {
        "grant_type": "client_credentials",
        "client_id": identity.CLIENT_ID,
        "scope": "https://vault.azure.net/.default",
        "client_secret": identity.CLIENT_SECRET,
    }

    def ask(self, tenant=identity.TENANT, **changes):
        fields = {name: value for name, value in {**self.GOOD, **changes}.items() if value is not None}
        return form(f"{self.world.addresses['entra']}/{tenant}/oauth2/v2.0/token", **fields)

    def assertion(self, **claims):
        control("identity", federated=claims)
        with open(self.world.path("federated-token"), encoding="ascii") as file:
            text = file.read()
        return {"client_secret": None, "client_assertion": text, "client_assertion_type": identity.ASSERTION_TYPE}

    def test_secret(self):
        reply = self.ask().json
        self.assertIsInstance(reply["expires_in"], int)
        self.assertEqual(
            jose.verify(reply["access_token"], self.world.directory.public)["aud"], "https://vault.azure.net"
        )

    def test_storage_scope_with_two_slashes(self):
        reply = self.ask(scope="https://storage.azure.com//.default").json
        self.assertEqual(jose.read(reply["access_token"])[1]["aud"], "https://storage.azure.com/")

    def test_discovery(self):
        base = self.world.addresses["entra"]
        told = call("GET", f"{base}/{identity.TENANT}/v2.0/.well-known/openid-configuration").json
        self.assertEqual(form(told["token_endpoint"], **self.GOOD).status, 200)
        self.assertEqual(
            call("GET", f"{base}/nowhere/v2.0/.well-known/openid-configuration").json["error_codes"], [90002]
        )

    def test_assertion(self):
        self.assertEqual(self.ask(**self.assertion()).status, 200)

    def test_refusals(self):
        for changes, status, number in (
            ({"client_secret": "wrong"}, 401, 7000215),
            ({"client_id": "nobody"}, 400, 700016),
            ({"tenant": "nowhere"}, 400, 90002),
            ({"client_secret": None}, 401, 7000218),
            ({"grant_type": "password"}, 400, 70003),
            ({"scope": "https://vault.azure.net"}, 400, 1002012),
            ({"scope": "https://nobody.example/.default"}, 400, 500011),
            ({"scope": None}, 400, 900144),
            (
                {"client_secret": None, "client_assertion": "x", "client_assertion_type": identity.ASSERTION_TYPE},
                400,
                50027,
            ),
        ):
            reply = self.ask(**changes)
            self.assertEqual((reply.status, reply.json["error_codes"]), (status, [number]), changes)
            self.assertIn(f"AADSTS{number}: ", reply.json["error_description"])

    def test_assertion_refusals(self):
        for claims, number in (
            ({"aud": "api://AKSIdentityBinding"}, 700212),
            ({"iss": "https://x"}, 700211),
            ({"sub": "system:serviceaccount:default:other"}, 700213),
            ({"exp": 1}, 700024),
        ):
            reply = self.ask(**self.assertion(**claims))
            self.assertEqual((reply.status, reply.json["error_codes"]), (401, [number]), claims)

    def test_forged_assertion(self):
        fields = self.assertion()
        head, _, _ = fields["client_assertion"].rpartition(".")
        reply = self.ask(**{**fields, "client_assertion": head + "." + jose.b64u(bytes(256))})
        self.assertEqual(reply.status, 401)


if __name__ == "__main__":
    unittest.main()
