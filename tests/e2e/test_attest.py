"""decant attest: evidence, token and claims; nothing else is asked, nothing is left half-written."""

import hashlib
import json
import os
import stat
import subprocess
from base64 import b64decode, urlsafe_b64decode

from harness import DECANT, TIMEOUT_S, Case, Result


class Attest(Case):
    def attest(self, *arguments, job=None, environment=None, secret=False):
        """SECRET: what comes out is a token or, in base64, looks like one, which no other command may show."""
        if job is not None:
            arguments = (*arguments, "-c", self.file("job.json", json.dumps(job)))
        if not secret:
            return self.run_decant("attest", *arguments, environment=environment)
        done = subprocess.run([DECANT, "attest", *arguments], env=self.environment(**(environment or {})), capture_output=True,
                              text=True, timeout=TIMEOUT_S, cwd=self.folder, check=False)
        self.assert_no_secret(done.stderr)
        return Result(done.returncode, done.stdout, done.stderr)

    def printed(self, *arguments, **details):
        result = self.attest(*arguments, **details)
        self.assertEqual((result.code, result.err), (0, ""), result)
        return result.out

    @property
    def service(self):
        return ("--attestation", self.box["attestation"])

    def test_claims(self):
        for arguments in (self.service, (*self.service, "--claims")):
            text = self.printed(*arguments)
            claims = json.loads(text)
            self.assertEqual(claims["x-ms-sevsnpvm-hostdata"], self.box["host_data"])
            self.assertEqual(claims["iss"], self.box["attestation"])
            self.assertIn('\n  "iss": "', text)
        self.assertEqual(set(self.asked()), {"attestation"})

    def test_from_a_job(self):
        job = self.job(self.url("a"))
        self.assertEqual(json.loads(self.printed(job=job))["x-ms-sevsnpvm-hostdata"], self.box["host_data"])
        text = self.printed(environment={"DECANT_JOB": json.dumps(job)})
        self.assertEqual(json.loads(text)["x-ms-sevsnpvm-hostdata"], self.box["host_data"])
        self.assertEqual(self.releases(), [])

    def test_token(self):
        text = self.printed(*self.service, "--token", secret=True)
        self.assertEqual(text.count("."), 2)
        payload = text.split(".")[1]
        claims = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self.assertEqual(claims["x-ms-sevsnpvm-hostdata"], self.box["host_data"])
        policy = self.file("policy.json", json.dumps(self.box["release_policy"]))
        held = self.run_decant("policy", "--release-policy", policy, "--token", self.file("token.jwt", text))
        self.assertEqual(held.code, 0, held)

    def test_raw(self):
        """What the sidecar gives, and the data that the report is over; no service is asked."""
        raw = json.loads(self.printed("--raw", secret=True))
        self.assertEqual(set(raw), {"evidence", "endorsements", "uvm_endorsements", "endorsed_tcb", "runtime_data"})
        report, data = b64decode(raw["evidence"]), b64decode(raw["runtime_data"])
        self.assertEqual(report[80:112], hashlib.sha256(data).digest())
        self.assertIn("keys", json.loads(data))
        self.assertEqual(b64decode(raw["endorsements"]).count(b"BEGIN CERTIFICATE"), 3)
        self.assertGreater(len(b64decode(raw["uvm_endorsements"])), 100)
        self.assertEqual(self.asked(), [])
        inspected = self.run_decant("inspect", self.file("report", report), "--certificates",
                                    self.file("chain", b64decode(raw["endorsements"])))
        self.assertRegex(inspected.out, "ok +signature")

    def test_raw_by_the_sidecar(self):
        job = self.job(attestation={"evidence": "sidecar", "sidecar": self.box["sidecar"]})
        raw = json.loads(self.printed("--raw", job=job, secret=True))
        self.assertEqual(b64decode(raw["evidence"])[80:112], hashlib.sha256(b64decode(raw["runtime_data"])).digest())

    def test_out(self):
        path = os.path.join(self.folder, "claims")
        for before in (None, "old"):
            if before:
                self.file("claims", before)
            self.assertEqual(self.printed(*self.service, "--out", path), "")
            with open(path, encoding="utf-8") as file:
                self.assertIn("iss", json.load(file))
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual([name for name in os.listdir(self.folder) if "out" in name], [])

    def test_a_failure_leaves_the_file_as_it_was(self):
        path = self.file("claims", "old")
        self.box.fault({"status": 400, "code": "InvalidParameter"}, service="attestation")
        self.check_failure(self.attest(*self.service, "--out", path), 11, "InvalidParameter")
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), "old")
        self.assertEqual(os.listdir(self.folder), ["claims"])

    def test_out_where_no_file_can_be(self):
        for path, word in ((self.folder, "no file"), ("/dev/null", "no file"), (self.folder + "/no/x", "No such file"), ("", "empty")):
            with self.subTest(path):
                self.check_failure(self.attest(*self.service, "--out", path), 2, "--out", word)
        self.assertEqual(self.asked(), [])

    def test_no_evidence(self):
        for arguments in (("--raw",), self.service):
            self.check_failure(self.attest(*arguments, environment={"DOUBLE_SEV": ""}), 10, "no hardware evidence")
        self.assertEqual(self.asked(), [])

    def test_no_service(self):
        self.check_failure(self.attest("--attestation", "http://127.0.0.1:1"), 22, "no connection")

    def test_usage(self):
        cases = [((), "DECANT_JOB|job"), (("--raw", "--token"), "exclude"), ((*self.service, "--claims", "--token"), "exclude"),
                 ((*self.service, "word"), "unexpected"), (("--attestation", "ftp://x"), "--attestation"),
                 (("-c", "x", *self.service), "exclude")]
        for arguments, word in cases:
            with self.subTest(arguments):
                self.check_failure(self.attest(*arguments), 2, word)
        self.check_failure(self.attest(job=self.quick_job(self.url("a"))), 2, "attestation.provider")
