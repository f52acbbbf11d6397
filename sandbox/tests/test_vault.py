"""The vault: import rules, release, refusals, lies; and the sidecar, which builds on it."""

import base64
import json
import time
import unittest

from common import SandboxTest, attest, b64, bearer, call, control, evidence, offer, rsa_key, token

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from sandbox import jose, pki, release

V = "api-version=7.4"


def ask_release(kid, key=None, headers=None, query=V, **body):
    body = {"target": token(key), "nonce": "n1", **body}
    body = {name: value for name, value in body.items() if value is not None}
    return call("POST", f"{kid}/release?{query}", body, bearer() if headers is None else headers)


def opened(reply):
    """(header, claims) of a release whose signature and chain were checked."""
    header, claims, signed, signature = jose.read(reply.json["value"])
    chain = [x509.load_der_x509_certificate(base64.b64decode(each)) for each in header["x5c"]]
    chain[0].public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    for below, above in zip(chain, chain[1:]):
        above.public_key().verify(
            below.signature, below.tbs_certificate_bytes, padding.PKCS1v15(), below.signature_hash_algorithm
        )
    return header, claims, chain


def key_of(claims, own):
    envelope = jose.read_json(claims["response"]["key"]["key"]["key_hsm"])
    return release.unwrap(jose.b64u_decode(envelope["ciphertext"]), own, envelope["header"]["enc"])


class Release(SandboxTest):
    def test_all_kinds_and_wraps(self):
        for wish, enc, expected in (
            ({"kty": "RSA"}, "CKM_RSA_AES_KEY_WRAP", "RSA-HSM"),
            ({"kty": "RSA", "size": 3072}, "RSA_AES_KEY_WRAP_256", "RSA-HSM"),
            ({"kty": "EC"}, "RSA_AES_KEY_WRAP_384", "EC-HSM"),
            ({"kty": "oct"}, "RSA_AES_KEY_WRAP_256", "oct-HSM"),
        ):
            made = control("key", name="kek-" + expected, **wish)
            _, claims, _ = opened(ask_release(made["kid"], enc=enc))
            self.assertEqual(claims["request"], {"api-version": "7.4", "enc": enc, "kid": made["kid"], "nonce": "n1"})
            self.assertEqual(claims["response"]["key"]["key"]["kty"], expected)
            raw = key_of(claims, rsa_key())
            if "raw_base64" in made:
                self.assertEqual(raw, base64.b64decode(made["raw_base64"]))
            else:
                self.assertEqual(
                    pki.key_pem(serialization.load_der_private_key(raw, None)).decode(), made["private_pem"]
                )

    def test_default_wrap_and_no_nonce(self):
        _, claims, _ = opened(ask_release(control("key", name="plain")["kid"], nonce=None))
        self.assertEqual(claims["request"]["enc"], "CKM_RSA_AES_KEY_WRAP")
        self.assertNotIn("nonce", claims["request"])

    def test_chain_is_of_this_host_and_root(self):
        header, _, chain = opened(ask_release(control("key", name="chain")["kid"]))
        with open(self.world.path("ca.pem"), "rb") as file:
            self.assertEqual(pki.pem(chain[2]), file.read())
        names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        self.assertIn("*.vault.azure.net", names.get_values_for_type(x509.DNSName))
        self.assertIn("127.0.0.1", map(str, names.get_values_for_type(x509.IPAddress)))
        self.assertEqual(header["alg"], "RS256")

    def test_versions(self):
        first, second = (control("key", name="twice") for _ in range(2))
        self.assertNotEqual(first["kid"], second["kid"])
        for kid, expected in (
            (first["kid"], first),
            (first["versionless"], second),
            (first["versionless"] + "/", second),
        ):
            _, claims, _ = opened(ask_release(kid))
            self.assertEqual(claims["request"]["kid"], expected["kid"])

    def test_big_transport_key(self):
        own = pki.new_key("rsa3072")
        _, claims, _ = opened(ask_release(control("key", name="big")["kid"], key=own))
        key_of(claims, own)

    def test_refusals(self):
        made = control("key", name="refusals")
        off = control("key", name="disabled", enabled=False)["kid"]
        kept = control("key", name="kept", exportable=False)["kid"]
        other = {
            "version": "1.0.0",
            "anyOf": [
                {
                    "authority": self.world.addresses["attestation"],
                    "allOf": [{"claim": "x-ms-sevsnpvm-hostdata", "equals": "00"}],
                }
            ],
        }
        strict = control("key", name="strict", policy=other)["kid"]
        for kid, changes, status, code in (
            (made["kid"], {"target": None}, 400, "BadParameter"),
            (made["kid"], {"target": "a.b.c"}, 403, "Forbidden"),
            (made["kid"], {"enc": "RSA_AES_KEY_WRAP_512"}, 400, "BadParameter"),
            (made["kid"], {"nonce": 5}, 400, "BadParameter"),
            (made["kid"], {"query": "api-version=1.0"}, 400, "BadParameter"),
            (made["kid"], {"query": ""}, 400, "BadParameter"),
            (made["versionless"] + "/" + "0" * 32, {}, 404, "KeyNotFound"),
            (made["versionless"] + "x", {}, 404, "KeyNotFound"),
            (off, {}, 403, "Forbidden"),
            (kept, {}, 403, "Forbidden"),
            (strict, {}, 403, "Forbidden"),
        ):
            reply = ask_release(kid, **changes)
            self.assertEqual((reply.status, reply.error["code"]), (status, code), (kid, changes))

    def test_policy_and_token_refusals_differ(self):
        made = control("key", name="differ")["kid"]
        control("platform", debug=True)
        self.assertIn("release policy requirements", ask_release(made).error["message"])
        control("reset")
        for lie in ("expired", "bad_signature", "alg_none", "wrong_issuer", "no_exp"):
            control("tamper", service="attestation", what=lie, times=1)
            self.assertIn("cannot be verified", ask_release(made).error["message"], lie)

    def test_first_suitable_key_is_taken(self):
        made = control("key", name="first")["kid"]
        sign_only = {**jose.public_jwk(pki.new_key("rsa2048")), "kid": "s", "key_ops": ["sign"]}
        keys = [sign_only, json.loads(offer()[1])["keys"][0]]
        target = attest(evidence(jose.compact({"keys": keys}))).json["token"]
        key_of(opened(ask_release(made, target=target))[1], rsa_key())
        target = attest(evidence(jose.compact({"keys": [sign_only]}))).json["token"]
        self.assertEqual(ask_release(made, target=target).status, 403)

    def test_bearer(self):
        made = control("key", name="bearer")["kid"]
        for headers in (
            {},
            {"Authorization": "Bearer x"},
            bearer("https://managedhsm.azure.net"),
            bearer("https://storage.azure.com/"),
            {"Authorization": "Basic x"},
            {"Authorization": "Bearer " + self.world.directory.token("https://vault.azure.net", -10)},
        ):
            reply = ask_release(made, headers=headers)
            self.assertEqual(reply.status, 401)
            self.assertIn('resource="https://vault.azure.net"', reply.headers["WWW-Authenticate"])

    def test_throttle(self):
        made = control("key", name="throttled")["kid"]
        control("throttle", limit=2, per_s=1)
        self.assertEqual([ask_release(made).status for _ in range(2)], [200, 200])
        reply = ask_release(made)
        self.assertEqual((reply.status, reply.error["code"]), (429, "Throttled"))
        time.sleep(int(reply.headers["Retry-After"]))
        self.assertEqual(ask_release(made).status, 200)

    def test_every_lie_shows(self):
        made = control("key", name="lies")
        for what in release.LIES:
            control("tamper", service="vault", what=what, times=1)
            reply = ask_release(made["kid"], enc="RSA_AES_KEY_WRAP_256")
            self.assertEqual(reply.status, 200, what)
            with self.assertRaises(Exception, msg=what):
                self.check_all(reply, made)
        self.check_all(ask_release(made["kid"], enc="RSA_AES_KEY_WRAP_256"), made)

    def check_all(self, reply, made):
        """What a careful client checks; any exception will do."""
        header, claims, chain = opened(reply)
        key = claims["response"]["key"]
        with open(self.world.path("ca.pem"), "rb") as file:
            assert pki.pem(chain[-1]) == file.read()
        assert len(chain) == 3 and header["alg"] == "RS256"
        leaf = chain[0].extensions
        assert chain[0].not_valid_after.timestamp() > time.time()
        assert "localhost" in leaf.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
        assert pki.SERVER_AUTH in leaf.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert claims["request"] == {
            "api-version": "7.4",
            "enc": "RSA_AES_KEY_WRAP_256",
            "kid": made["kid"],
            "nonce": "n1",
        }
        assert key["key"]["kid"] == made["kid"] and key["key"]["kty"] == "RSA-HSM" and key["attributes"]["enabled"]
        assert jose.read_json(key["key"]["key_hsm"])["header"]["enc"] == "RSA_AES_KEY_WRAP_256"
        private = serialization.load_der_private_key(key_of(claims, rsa_key()), None)
        assert jose.public_jwk(private)["n"] == key["key"]["n"]


class Import(SandboxTest):
    def put(self, name, jwk, attributes=None, policy=True, host="vault", audience="https://vault.azure.net", **more):
        body = {
            "key": jwk,
            "Hsm": True,
            "attributes": {"exportable": True} if attributes is None else attributes,
            **more,
        }
        if policy:
            body["release_policy"] = (
                {"data": jose.b64u(jose.compact(self.world.release_policy()))} if policy is True else policy
            )
        return call("PUT", f"{self.world.addresses[host]}/keys/{name}?{V}", body, bearer(audience))

    def test_import_get_release(self):
        reply = self.put("imported", jose.private_jwk(rsa_key(1)))
        self.assertEqual(reply.status, 200, reply.body)
        kid = reply.json["key"]["kid"]
        self.assertEqual(
            call("GET", kid + "?" + V, headers=bearer()).json["key"]["n"], jose.public_jwk(rsa_key(1))["n"]
        )
        raw = key_of(opened(ask_release(kid))[1], rsa_key())
        self.assertEqual(
            serialization.load_der_private_key(raw, None).private_numbers(), rsa_key(1).private_numbers()
        )

    def test_rules(self):
        jwk = jose.private_jwk(rsa_key(1))
        for name, arguments, part in (
            ("r1", {"policy": None}, "AKV.SKR.1004"),
            ("r2", {"attributes": {}}, "AKV.SKR.1005"),
            ("r3", {"Hsm": False}, "AKV.SKR.1006"),
            ("r4", {"policy": {"data": "!"}}, "release policy"),
        ):
            reply = self.put(name, jwk, **arguments)
            self.assertEqual((reply.status, reply.error["code"]), (400, "BadParameter"), name)
            self.assertIn(part, reply.error["message"])
        self.assertEqual(self.put("r5", jwk, attributes={}, policy=None).status, 200)
        self.assertIn("AKV.SKR.1003", self.put("r5", jwk).error["message"])
        self.assertEqual(self.put("r6", {"kty": "RSA"}).status, 400)

    def test_symmetric_only_in_the_hsm(self):
        jwk = {"kty": "oct-HSM", "k": jose.b64u(bytes(32))}
        self.assertEqual(self.put("sym", jwk).status, 400)
        reply = self.put("sym", jwk, host="hsm", audience="https://managedhsm.azure.net")
        self.assertEqual((reply.status, reply.json["key"]["kty"]), (200, "oct-HSM"))
        too_large = {"kty": "oct-HSM", "k": jose.b64u(bytes(65))}
        self.assertEqual(self.put("sym2", too_large, host="hsm", audience="https://managedhsm.azure.net").status, 400)

    def test_update(self):
        made = control("key", name="updated", immutable=True)
        policy = {"data": jose.b64u(jose.compact(self.world.release_policy()))}
        for kid, body, part in (
            (made["kid"], {"release_policy": policy}, "1016"),
            (made["versionless"], {"release_policy": policy}, "1020"),
            (made["kid"], {"attributes": {"exportable": False}}, "1003"),
        ):
            self.assertIn(part, call("PATCH", f"{kid}?{V}", body, bearer()).error["message"])
        self.assertFalse(
            call("PATCH", f"{made['kid']}?{V}", {"attributes": {"enabled": False}}, bearer()).json["attributes"][
                "enabled"
            ]
        )


class Sidecar(SandboxTest):
    def ask(self, path, **body):
        return call("POST", self.world.addresses["sidecar"] + path, body)

    def test_status(self):
        self.assertEqual(call("GET", self.world.addresses["sidecar"] + "/status").json, {"message": "Status OK"})

    def test_raw_and_combined(self):
        runtime = offer()[1]
        self.assertEqual(len(self.ask("/attest/raw", runtime_data=b64(runtime)).json["report"]), 2368)
        both = self.ask("/attest/combined", runtime_data=b64(runtime)).json
        decoded = {name: base64.b64decode(both[name]) for name in ("evidence", "endorsements", "uvm_endorsements")}
        reply = attest(
            evidence(
                runtime, report=decoded["evidence"], chain=decoded["endorsements"], cose=decoded["uvm_endorsements"]
            )
        )
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.ask("/attest/combined").status, 400)
        self.assertEqual(self.ask("/attest/combined", runtime_data="***").status, 400)

    def test_token_and_key(self):
        host = self.world.addresses["attestation"].split("//")[1]
        reply = self.ask("/attest/maa", maa_endpoint=host, runtime_data=b64(offer()[1]))
        jose.verify(reply.json["token"], self.world.attestation.public)
        made = control("key", name="skr", kty="EC")
        wish = {"maa_endpoint": host, "akv_endpoint": made["kid"].split("/")[2]}
        jwk = json.loads(self.ask("/key/release", kid="skr", **wish).json["key"])
        self.assertEqual(pki.key_pem(jose.private_key(jwk)).decode(), made["private_pem"])
        for changes in (
            {"kid": "absent"},
            {"kid": "skr", "access_token": "x"},
            {"kid": "skr", "maa_endpoint": "evil.example"},
        ):
            reply = self.ask("/key/release", **{**wish, **changes})
            self.assertEqual(reply.status, 403, changes)
            self.assertIsInstance(reply.error, str)


if __name__ == "__main__":
    unittest.main()
