"""Where secrets are not: a run is stopped at named points and its memory is searched for every one of them.

Needs a build with -DDECANT_TEST_HOOKS=ON (DECANT), and root: the process is closed to tracing.
"""

import base64
import json
import os
import re
import signal
import sys
import time
import unittest

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import memory  # noqa: E402
from harness import Case, preload  # noqa: E402

POINTS = ("key released", "keys no longer needed", "exit")


def content_key(metadata, private):
    wrapped = base64.b64decode(json.loads(metadata)["WrappedContentKey"]["EncryptedKey"])
    return private.decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))[-32:]


class Memory(Case):
    """One run, stopped three times."""

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root may read the memory of a process that is closed to tracing")
        super().setUp()
        private = serialization.load_pem_private_key(self.key.private_pem.encode(), None)
        self.known = {f"KEK {name}": value for name, value in memory.rsa_parts(private).items()}
        for name in ("one", "two"):
            _, metadata = self.put(name, self.plain(300000))
            self.known[f"content key of {name}"] = content_key(metadata, private)
        vault, storage = self.token("https://vault.azure.net"), self.token("https://storage.azure.com")
        query = self.sas(permissions="r")
        self.access = {"vault token": vault.rsplit(".", 1)[1].encode(), "storage token": storage.rsplit(".", 1)[1].encode(),
                       "SAS": re.search("sig=([^&]+)", query)[1].encode()}
        identity = {"type": "token", "vault_token_file": self.file("vault", vault),
                    "storage_token_file": self.file("storage", storage)}
        inputs = [{"from": self.url("one"), "to": "one"},
                  {"from": self.url("two"), "to": "two", "sas_file": self.file("sas", query)}]
        self.wanted = self.job(*inputs, identity=identity)

    def stopped(self, process, point):
        """Waits until PROCESS stops at POINT."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            pid, status = os.waitpid(process.pid, os.WUNTRACED | os.WNOHANG)
            if pid and os.WIFSTOPPED(status):
                return
            if pid:
                self.fail(f"it ended before \"{point}\": {process.stderr.read().decode()}")
            time.sleep(0.02)
        self.fail(f"it does not come to \"{point}\"")

    def snapshots(self, **variables):
        process = self.start([], self.wanted, {"LD_PRELOAD": preload("sev_device"), "DECANT_TEST_STOP": ",".join(POINTS),
                                               "DECANT_HARDENING": "on", **variables})
        taken = {}
        try:
            for point in POINTS:
                self.stopped(process, point)
                taken[point] = memory.read(process.pid)
                os.kill(process.pid, signal.SIGCONT)
        except BaseException:
            process.kill()
            raise
        result = self.finish(process)
        self.assertEqual(result.code, 0, result)
        return taken

    def secrets_of_the_run(self, alive):
        """What only the run itself knew, from its memory while the key was just released."""
        offers = set(re.findall(rb'"n":"([A-Za-z0-9_-]{342})"', alive))
        for offer in offers:
            modulus = int.from_bytes(base64.urlsafe_b64decode(offer + b"=="), "big")
            prime = memory.factor(alive, modulus)
            if prime is not None:
                other = modulus // prime
                d = pow(65537, -1, (prime - 1) * (other - 1))
                numbers = rsa.RSAPrivateNumbers(prime, other, d, rsa.rsa_crt_dmp1(d, prime),
                                                rsa.rsa_crt_dmq1(d, other), rsa.rsa_crt_iqmp(prime, other),
                                                rsa.RSAPublicNumbers(65537, modulus))
                values = {"p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
                return {f"transport key {name}": value.to_bytes(128, "big") for name, value in values.items()}
        return {}

    def attestation_tokens(self, alive):
        known = set(self.access.values())
        return {f"attestation token {i}": text for i, text in enumerate(sorted(memory.signatures(alive) - known))}

    def test_nothing_is_left(self):
        taken = self.snapshots()
        alive = taken["key released"]
        transport, tokens = self.secrets_of_the_run(alive), self.attestation_tokens(alive)
        self.assertTrue(memory.found(alive, self.known), "the search finds no living key, so it proves nothing")
        self.assertTrue(transport, "the transport key was not found while it lived")
        self.assertTrue(tokens, "the attestation token was not found while it lived")
        keys = {**self.known, **transport, **tokens}
        self.assertEqual(memory.found(taken["keys no longer needed"], keys), set())
        self.assertEqual(memory.found(taken["exit"], {**keys, **self.access}), set())

    def while_the_command_runs(self, **variables):
        """The memory of `exec` once its command is up."""
        up, go = (os.path.join(self.folder, name) for name in ("up", "go"))
        command = ["env", "-u", "LD_PRELOAD", "sh", "-c", f": > {up}; while ! test -e {go}; do sleep 0.05; done"]
        job = self.file("exec.json", json.dumps(self.wanted))
        process = self.start(["exec", "-c", job, "--", *command], environment={"LD_PRELOAD": preload("sev_device"), **variables})
        until = time.monotonic() + 60
        while not os.path.exists(up) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        taken = memory.read(process.pid) if os.path.exists(up) else b""
        self.file("go", "")
        result = self.finish(process)
        self.assertEqual(result.code, 0, result)
        os.unlink(up), os.unlink(go)
        return memory.found(taken, {**self.known, **self.access})

    def test_nothing_is_left_beside_the_command_of_exec(self):
        self.assertEqual(self.while_the_command_runs(), set())
        self.empty()
        self.assertTrue(self.while_the_command_runs(DECANT_TEST_KEEP_SECRETS="1"))

    def test_the_search_finds_what_is_not_wiped(self):
        """The same search, in a run that wipes nothing."""
        taken = self.snapshots(DECANT_TEST_KEEP_SECRETS="1")
        at_exit = memory.found(taken["exit"], {**self.known, **self.access})
        for secret in ("KEK", "content key", "vault token", "storage token", "SAS"):
            self.assertTrue([name for name in at_exit if name.startswith(secret)], f"no {secret} in {at_exit}")


if __name__ == "__main__":
    unittest.main()
