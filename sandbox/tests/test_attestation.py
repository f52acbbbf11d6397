"""The attestation service: what it accepts, and that it accepts nothing else."""

import base64
import hashlib
import json
import os
import time
import unittest

from common import FIXTURES, SandboxTest, attest, call, control, evidence, needs_fixtures, offer

from cryptography import x509
from sandbox import attestation, jose, pki


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class Accepts(SandboxTest):
    def claims(self, body):
        reply = attest(body)
        self.assertEqual(reply.status, 200, reply.body)
        return jose.verify(reply.json["token"], self.world.attestation.public)

    def test_claims(self):
        _, runtime = offer()
        claims = self.claims(evidence(runtime))
        chip = self.world.chip
        expected = {
            "iss": self.world.addresses["attestation"],
            "nonce": "123",
            "x-ms-attestation-type": "sevsnpvm",
            "x-ms-compliance-status": "azure-compliant-uvm",
            "x-ms-runtime": json.loads(runtime),
            "x-ms-sevsnpvm-hostdata": chip.host_data.hex(),
            "x-ms-sevsnpvm-is-debuggable": False,
            "x-ms-sevsnpvm-microcode-svn": 219,
            "x-ms-sevsnpvm-vmpl": 0,
        }
        self.assertEqual({name: claims[name] for name in expected}, expected)
        self.assertEqual(claims["exp"] - claims["iat"], 28800)

    def test_without_endorsement_no_compliance(self):
        self.assertNotIn("x-ms-compliance-status", self.claims(evidence(offer()[1], cose=None)))

    def test_padded_base64url(self):
        body = evidence(offer()[1])
        body["report"] += "=" * (-len(body["report"]) % 4)
        self.claims(body)

    def test_debug_is_told(self):
        control("platform", debug=True)
        self.assertIs(self.claims(evidence(offer()[1]))["x-ms-sevsnpvm-is-debuggable"], True)

    def test_masked_chip(self):
        control("platform", masked=True)
        self.claims(evidence(offer()[1]))

    def test_keys(self):
        base = self.world.addresses["attestation"]
        configuration = call("GET", base + "/.well-known/openid-configuration").json
        keys = {key["kid"]: key for key in call("GET", configuration["jwks_uri"]).json["keys"]}
        token = attest(evidence(offer()[1])).json["token"]
        header = jose.read(token)[0]
        der = base64.b64decode(keys[header["kid"]]["x5c"][0])
        public = x509.load_der_x509_certificate(der).public_key()
        jose.verify(token, {header["kid"]: public})
        self.assertEqual(header["jku"], base + "/certs")


class Refuses(SandboxTest):
    def refused(self, body, part):
        reply = attest(body)
        self.assertEqual((reply.status, reply.error["code"]), (400, "InvalidParameter"), part)
        self.assertIn(part, reply.error["message"])

    def test_reports(self):
        _, runtime = offer()
        good = self.world.chip.report(hashlib.sha256(runtime).digest())
        for report, part in (
            (flipped(good, 200), "signature"),
            (flipped(good, 700), "signature"),
            (flipped(good, 391), "TCB"),
            (flipped(good, 416), "chip"),
            (good[:-1], "1184"),
            (flipped(good, 52), "algorithm"),
            (b"\x01" + good[1:], "version"),
            (self.world.chip.report(bytes(32)), "report data"),
            (self.world.chip.report(hashlib.sha256(runtime).digest() + b"\x01"), "report data"),
        ):
            self.refused(evidence(runtime, report=report), part)

    def test_chains(self):
        chip = self.world.chip
        vcek, ask, ark = chip.vceks["now"], chip.ask, chip.ark
        stale = chip.vceks["stale"]
        key = pki.new_key("rsa2048")
        fake = pki.with_pss(pki.certificate(ark.subject, key.public_key(), ark.subject, key, ca=True), key)
        fake_ask = pki.with_pss(pki.certificate(ask.subject, key.public_key(), ark.subject, key, ca=True), key)
        own = pki.new_key("p384")
        forged = pki.with_pss(
            pki.certificate(
                vcek.subject,
                own.public_key(),
                ask.subject,
                key,
                extensions=[
                    (e.oid.dotted_string, e.value.value)
                    for e in vcek.extensions
                    if e.oid.dotted_string.startswith("1.3.6.1.4.1.3704")
                ],
            ),
            key,
        )
        for chain, part in (
            (pki.pem(stale, ask, ark), "TCB"),
            (pki.pem(vcek, ask), "three"),
            (b"none", "three"),
            (pki.pem(ask, vcek, ark), "not verify"),
            (pki.pem(forged, ask, ark), "not verify"),
            (pki.pem(forged, fake_ask, fake), "not trusted"),
        ):
            self.refused(evidence(offer()[1], chain=chain), part)

    def test_endorsements(self):
        chip = self.world.chip
        cose = chip.reference_info()
        self.refused(evidence(offer()[1], cose=flipped(cose, len(cose) - 1)), "signature")
        self.refused(evidence(offer()[1], cose=b"\x00"), "COSE")
        self.refused(evidence(offer()[1], cose=chip.endorser.endorse(bytes(48))), "another launch measurement")
        control("platform", other_measurement=True)
        self.refused(evidence(offer()[1]), "another launch measurement")

    def test_bodies(self):
        good = evidence(offer()[1])
        for changes, part in (
            ({"nonce": 5}, "nonce"),
            ({"report": "+/+/"}, "base64url"),
            ({"report": None}, "report"),
            ({"report": jose.b64u(b"{")}, "JSON"),
            ({"runtimeData": None}, "runtimeData"),
            ({"runtimeData": {**good["runtimeData"], "dataType": "Text"}}, "dataType"),
            ({"initTimeData": {"data": jose.b64u(b"x"), "dataType": "Binary"}}, "host data"),
        ):
            self.refused({**good, **changes}, part)

    def test_requests(self):
        base = self.world.addresses["attestation"] + "/attest/SevSnpVm"
        body = json.dumps(evidence(offer()[1])).encode()
        kind = {"Content-Type": "application/json"}
        for method, query, data, headers, status in (
            ("POST", "", body, kind, 400),
            ("POST", "?api-version=1999-01-01", body, kind, 400),
            ("POST", "?api-version=2022-08-01", body, {"Content-Type": "text/plain"}, 415),
            ("POST", "?api-version=2022-08-01", b"{", kind, 400),
            ("GET", "?api-version=2022-08-01", None, kind, 405),
            ("POST", "?api-version=2022-08-01", body, kind, 200),
        ):
            self.assertEqual(call(method, base + query, data, headers).status, status, (method, query, headers))

    @needs_fixtures
    def test_genuine_evidence_is_sound_but_of_a_foreign_root(self):
        with open(os.path.join(FIXTURES, "maa_request_derived.json"), encoding="ascii") as file:
            body = json.load(file)
        self.refused({**body, "nonce": "1"}, "not trusted")


class Lies(SandboxTest):
    def test_every_lie_shows(self):
        _, runtime = offer()
        for what in attestation.LIES:
            control("tamper", service="attestation", what=what, times=1)
            token = attest(evidence(runtime)).json["token"]
            try:
                claims = jose.verify(token, self.world.attestation.public)
            except ValueError:
                continue
            honest = (
                claims.get("nonce") == "123"
                and claims.get("exp", 0) > claims.get("iat", 0) > 1.7e9
                and claims.get("x-ms-runtime") == json.loads(runtime)
                and claims["iss"].startswith("http://127")
            )
            self.assertFalse(honest and claims["exp"] > time.time(), what)


if __name__ == "__main__":
    unittest.main()
