"""decant key: the key itself, and only where it was asked for."""

import json
import os
import pty
import stat
import subprocess
from base64 import urlsafe_b64decode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from harness import DECANT, TIMEOUT_S, Case, Result
from sandbox import jose


def number(jwk, name):
    return int.from_bytes(urlsafe_b64decode(jwk[name] + "=" * (-len(jwk[name]) % 4)), "big")


class Keys(Case):
    def run_key(self, kid, *arguments, job=None, environment=None, stdout=subprocess.PIPE):
        """Standard output is for the key alone: all else is held against it."""
        if job is not None:
            arguments = ("-c", self.file("job.json", json.dumps(job)), *arguments)
        done = subprocess.run([DECANT, "key", kid, *arguments], env=self.environment(**(environment or {})), stdout=stdout,
                              stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S, cwd=self.folder, check=False)
        self.assert_no_secret(done.stderr)
        return Result(done.returncode, done.stdout or "", done.stderr)

    def jwk(self, kid, *arguments, **details):
        result = self.run_key(kid, *arguments, **details)
        self.assertEqual((result.code, result.err), (0, ""), result)
        self.assertEqual(result.out.count("\n"), 1)
        jwk = json.loads(result.out)
        for name in ("d", "k", "p"):
            if name in jwk:
                self.assertNotIn(jwk[name], result.err)
        return jwk

    def assert_same(self, jwk, key):
        """All numbers, and in the form that other programs read."""
        ours, theirs = jose.private_key(jwk).private_numbers(), serialization.load_pem_private_key(key.private_pem.encode(), None)
        self.assertEqual(ours, theirs.private_numbers())

    @property
    def service(self):
        return ("--attestation", self.box["attestation"])

    def test_rsa_with_an_attestation_service_alone(self):
        jwk = self.jwk(self.key.versionless, *self.service, environment={"SSL_CERT_FILE": self.box["ca_file"]})
        self.assertEqual(set(jwk), {"kid", "kty", "n", "e", "d", "p", "q", "dp", "dq", "qi"})
        self.assert_same(jwk, self.key)
        self.assertEqual(jwk["kid"], self.key.kid)
        self.assertEqual(len(self.releases()), 1)

    def test_sizes_and_kinds(self):
        for key in (self.box.key("rsa-3072", size=3072), self.box.key("rsa-4096", size=4096), self.box.key("ec-256", kty="EC"),
                    self.box.key("ec-384", kty="EC", crv="P-384"), self.box.key("ec-521", kty="EC", crv="P-521")):
            with self.subTest(key.kid):
                self.assert_same(self.jwk(key.versionless, job=self.job(keys=[{"kid": key.versionless}])), key)

    def test_oct(self):
        key = self.box.key("oct", kty="oct", vault="hsm")
        jwk = self.jwk(key.versionless, job=self.job(keys=[{"kid": key.versionless}]))
        self.assertEqual(set(jwk), {"kid", "kty", "k"})
        self.assertEqual(urlsafe_b64decode(jwk["k"] + "=" * (-len(jwk["k"]) % 4)), key.octets)

    def test_small_numbers_keep_their_length(self):
        """EC coordinates have the curve's size (RFC 7518, 6.2.1.2); a number that starts with zeros shows it."""
        pair = ec.derive_private_key(0xABCDEF, ec.SECP256R1())
        pem = pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        jwk = self.jwk("mine", job=self.job(attestation=None, keys=[{"kid": "mine", "file": self.file("ec.pem", pem)}]))
        self.assertEqual(len(jwk["d"]), 43)
        self.assertEqual(number(jwk, "d"), 0xABCDEF)

    def test_it_can_be_read_again(self):
        """As a key file of a job, it opens what it was made for."""
        content = self.plain()
        self.put("a", content)
        path = os.path.join(self.folder, "key.json")
        self.run_key(self.key.versionless, "--out", path, job=self.job())
        keys = [{"kid": self.key.versionless, "file": path}]
        self.good(job=self.job(self.url("a"), attestation=None, keys=keys), files={"a": content})

    def test_key_without_primes(self):
        jwk = json.loads(self.run_key(self.key.versionless, job=self.job()).out)
        bare = {name: jwk[name] for name in ("kty", "n", "e", "d")}
        keys = [{"kid": "mine", "file": self.file("bare.json", json.dumps(bare))}]
        again = self.jwk("mine", job=self.job(attestation=None, keys=keys))
        self.assertEqual({**bare, "kid": "mine"}, again)

    def test_sidecar_and_file_beside_a_vault(self):
        """The others of the job's keys are not asked for, and nothing is attested for them."""
        sidecar, other = self.box.key("from-sidecar"), self.box.key("other")
        job = self.job(attestation={"sidecar": self.box["sidecar"]},
                       keys=[{"kid": self.key.versionless}, {"kid": sidecar.versionless, "source": "sidecar"},
                             {"kid": "mine", "aliases": ["my/own"], "file": self.key_file(other)}])
        self.assert_same(self.jwk("mine", job=job), other)
        self.assert_same(self.jwk("my/own", job=job), other)
        self.assertEqual(self.asked(), [])
        self.assert_same(self.jwk(sidecar.versionless, job=job), sidecar)
        self.assertEqual(self.asked(), ["sidecar"])

    def test_a_key_that_the_job_does_not_have(self):
        for kid in (self.box["vault"] + "/keys/other", "word", self.key.versionless + "x"):
            result = self.run_key(kid, job=self.job())
            self.check_failure(result, 2, "the job has no key")
        self.check_failure(self.run_key("word", *self.service), 2, "--key|kid|key id")
        self.assertEqual(self.asked(), [])

    def test_refusals(self):
        for key, code, word in ((self.box.key("disabled", enabled=False), 13, "KeyDisabled"),
                                (self.box.key("stays", exportable=False), 13, "not exportable")):
            result = self.run_key(key.versionless, job=self.job(keys=[{"kid": key.versionless}]))
            self.check_failure(result, code, word)
        self.check_failure(self.run_key(self.key.versionless, job=self.job(), environment={"DOUBLE_SEV": ""}), 10)
        self.box.control("tamper", service="vault", what="wrong_nonce")
        self.check_failure(self.run_key(self.key.versionless, job=self.job()), 14, "nonce")

    def test_out(self):
        path = os.path.join(self.folder, "key.json")
        result = self.run_key(self.key.versionless, "--out", path, job=self.job())
        self.assertEqual((result.code, result.out, result.err), (0, "", ""), result)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="ascii") as file:
            self.assert_same(json.load(file), self.key)
        self.box.fault({"status": 403}, service="vault", times=-1)
        os.unlink(path)
        self.check_failure(self.run_key(self.key.versionless, "--out", path, job=self.job()), 13)
        self.assertEqual([name for name in os.listdir(self.folder) if not name.startswith("job")], [])

    def test_readers_are_warned_of(self):
        """As age-keygen does; a file of one's own and a pipe are what it is for."""
        path = os.path.join(self.folder, "key.json")
        for mode, warned in ((0o644, True), (0o600, False)):
            with open(path, "wb") as file:
                os.fchmod(file.fileno(), mode)
                result = self.run_key(self.key.versionless, job=self.job(), stdout=file)
            self.assertEqual((result.code, "others can read" in result.err), (0, warned), result)
        ours, theirs = pty.openpty()
        result = self.run_key(self.key.versionless, job=self.job(), stdout=theirs)
        self.assertEqual((result.code, "on a terminal" in result.err), (0, True), result)
        os.close(theirs)
        os.close(ours)
