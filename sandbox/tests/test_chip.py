"""The platform: certificates, reports, endorsements, the files."""

import base64
import json
import os
import struct
import subprocess
import unittest

from common import FIXTURES, SandboxTest, call, control, needs_fixtures

from cryptography.exceptions import InvalidSignature
from sandbox import attestation, cbor, chip, pki, uvm


class Certificates(SandboxTest):
    def test_chain_verifies(self):
        for below, above in (
            (self.world.chip.vceks["now"], self.world.chip.ask),
            (self.world.chip.ask, self.world.chip.ark),
            (self.world.chip.ark, self.world.chip.ark),
        ):
            pki.signed_with_pss(below, above)
        with self.assertRaises(InvalidSignature):
            pki.signed_with_pss(self.world.chip.vceks["now"], self.world.chip.ark)

    def test_openssl_agrees(self):
        paths = [self.world.path(name) for name in ("t-vcek.pem", "t-ask.pem", "t-ark.pem")]
        for path, certificate in zip(paths, (self.world.chip.vceks["now"], self.world.chip.ask, self.world.chip.ark)):
            pki.write(path, pki.pem(certificate))
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", paths[2], "-untrusted", paths[1], paths[0]],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_large_version_number_has_two_bytes(self):
        self.assertEqual(attestation.extension(self.world.chip.vceks["now"], "3.8"), bytes.fromhex("020200db"))

    def test_product_and_chip(self):
        self.assertEqual(attestation.extension(self.world.chip.vceks["now"], "2"), b"\x16\x08Milan-B0")
        self.assertEqual(attestation.extension(self.world.chip.vceks["now"], "4"), self.world.chip.chip_id)


class Reports(SandboxTest):
    def test_layout(self):
        report = self.world.chip.report(b"\x07" * 32)
        self.assertEqual(len(report), 1184)
        self.assertEqual(report[80:144], b"\x07" * 32 + bytes(32))
        self.assertEqual(struct.unpack_from("<Q", report, 384)[0], 0xDB18000000000004)
        self.assertEqual(report[816:], bytes(1184 - 816))

    def test_device_files(self):
        with open(self.world.path("report_template.bin"), "rb") as file:
            template = file.read()
        report = self.world.chip.report(bytes(32))
        self.assertEqual(template[:672], report[:672])
        self.assertNotEqual(template[672:], report[672:])

    def test_debug_and_mask(self):
        control("platform", debug=True, masked=True)
        report = self.world.chip.report(bytes(32))
        self.assertTrue(struct.unpack_from("<Q", report, 8)[0] & 1 << 19)
        self.assertEqual(report[416:480], bytes(64))


class SecurityContext(SandboxTest):
    def read(self, name):
        with open(os.path.join(self.world.path("security-context-sandbox"), name), "rb") as file:
            return base64.b64decode(file.read(), validate=True)

    def test_three_files(self):
        chain = json.loads(self.read("host-amd-cert-base64"))
        self.assertEqual(chain["tcbm"], "db18000000000004")
        self.assertEqual(self.read("security-policy-base64"), chip.POLICY)
        info = self.world.chip.endorser.read(self.read("reference-info-base64"))
        self.assertEqual(info["x-ms-sevsnpvm-launchmeasurement"], self.world.chip.measurement.hex())

    def test_stale_missing_absent(self):
        control("platform", stale_chain=True)
        self.assertEqual(json.loads(self.read("host-amd-cert-base64"))["tcbm"], "d116000000000004")
        control("platform", missing_chain=True, absent=["reference-info-base64"])
        for name in ("host-amd-cert-base64", "reference-info-base64"):
            with self.assertRaises(FileNotFoundError):
                self.read(name)
        control("reset")
        self.read("reference-info-base64")


class CertificateServices(SandboxTest):
    PATH = "/metadata/THIM/amd/certification"

    def test_thim(self):
        url = self.world.addresses["identity"] + self.PATH
        self.assertEqual(call("GET", url).status, 400)
        self.assertEqual(call("GET", url, headers={"Metadata": "true"}).json["tcbm"], "db18000000000004")
        control("platform", thim_chain="missing")
        self.assertEqual(call("GET", url, headers={"Metadata": "true"}).status, 404)

    def test_kds(self):
        url = self.world.addresses["kds"] + "/vcek/v1/Milan/"
        good = f"{self.world.chip.chip_id.hex()}?blSPL=04&teeSPL=00&snpSPL=24&ucodeSPL=219"
        self.assertEqual(call("GET", url + good).body, pki.der(self.world.chip.vceks["now"]))
        self.assertEqual(call("GET", url + "cert_chain").body, self.world.chip.chain_pem())
        for wrong, status in (
            (good.replace("219", "220"), 404),
            (good.replace("219", "x"), 400),
            ("ab", 400),
            ("0" * 128, 404),
        ):
            self.assertEqual(call("GET", url + wrong).status, status, wrong)


class Cbor(unittest.TestCase):
    def test_round_trip(self):
        for value in (
            0,
            23,
            24,
            255,
            256,
            65536,
            1 << 40,
            -1,
            -38,
            b"",
            b"x" * 300,
            "é",
            [1, [2]],
            {1: "a", "b": [b""]},
            True,
        ):
            self.assertEqual(cbor.decode(cbor.encode(value)), value)

    def test_refuses(self):
        for data in (b"", b"\x19\x01", b"\x43ab", b"\x00\x00", b"\x9f\xff", b"\x81" * 30):
            with self.assertRaises(ValueError, msg=data):
                cbor.decode(data)

    @needs_fixtures
    def test_reads_a_genuine_endorsement(self):
        with open(os.path.join(FIXTURES, "snp/c-aci-report/body.uvm_reference_info.bin"), "rb") as file:
            item = cbor.decode(file.read())
        header = cbor.decode(item.value[0])
        self.assertEqual((item.number, header[1], header["feed"]), (18, uvm.PS384, uvm.FEED))


if __name__ == "__main__":
    unittest.main()
