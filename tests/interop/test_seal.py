"""What decant sealed, into Azurite: the SDK reads it, which also checks the order of the nonces; and decant reads it back."""

import gzip
import json
import os
import subprocess

from cryptography.hazmat.primitives import serialization
from harness import Case, DECANT, MIB, Result, content, key

SIZES = (0, 1, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 64 * MIB + 1)


class Sealing(Case):
    """decant seal, with the public half of the usual key."""

    def seal(self, files, **output):
        source = self.temporary("/dev/shm")
        for name, plaintext in files.items():
            os.makedirs(os.path.dirname(os.path.join(source, name)), exist_ok=True)
            with open(os.path.join(source, name), "wb") as file:
                file.write(plaintext)
        public = key().pair.public_key().public_bytes(serialization.Encoding.PEM,
                                                      serialization.PublicFormat.SubjectPublicKeyInfo)
        job = {"outputs": [{"from": source, "to": self.url("out/"), "key": key().kid,
                            "key_file": self.file("public.pem", public), "sas_env": "STORAGE_SAS", **output}],
               "volume": {"path": self.volume}}
        if self.azurite.ca_file:
            job["network"] = {"ca_file": self.azurite.ca_file}
        environment = {"PATH": "/usr/bin:/bin", "STORAGE_SAS": self.sas("rlcwd"), "ASAN_OPTIONS": "exitcode=99"}
        done = subprocess.run([DECANT, "seal", "-c", self.file("seal.json", json.dumps(job).encode())], env=environment,
                              capture_output=True, text=True, timeout=120, check=False)
        result = Result(done.returncode, done.stdout, done.stderr)
        for secret in self.secrets:
            self.assertNotIn(secret, result.out + result.err)
        return result

    def sealed(self, files, **output):
        result = self.seal(files, **output)
        self.assertEqual(result.code, 0, result)
        return json.loads(result.out)["outputs"][0]

    def sdk_reads(self, name):
        return self.blob(name, key()).download_blob().readall()


class Seal(Sealing):
    def test_sizes(self):
        files = {f"sizes/{size}": content(size) for size in SIZES}
        told = self.sealed(files, manifest=True)
        for name, plaintext in files.items():
            self.assertTrue(self.sdk_reads("out/" + name) == plaintext, name)
        self.assertEqual(told["manifest"], self.url("out.manifest.json"))
        pinned = {"from": told["manifest"], "sha256": told["manifest_sha256"]}
        self.good(self.job({"from": self.url("out/"), "manifest": pinned}), files, self.sas())

    def test_a_range_inside(self):
        self.sealed({"a": content(10 * MIB + 7)})
        part = self.blob("out/a", key()).download_blob(offset=4 * MIB - 5, length=100).readall()
        self.assertEqual(part, content(10 * MIB + 7)[4 * MIB - 5:4 * MIB + 95])

    def test_compressed(self):
        files = {"zeros": bytes(9 * MIB), "noise": content(5 * MIB), "empty": b""}
        self.sealed(files, compress="gzip")
        for name, plaintext in files.items():
            self.assertTrue(gzip.decompress(self.sdk_reads("out/" + name)) == plaintext, name)
        self.good(self.job({"from": self.url("out/"), "decompress": "gzip"}), files, self.sas())

    def test_odd_names(self):
        files = {name: name.encode() for name in ("wein 🍷/ä", "a?b#c%d&e=f", "+ plus", "..a", "%2e%2e")}
        self.sealed(files)
        self.assertEqual({each.name for each in self.client().get_container_client(self.container).list_blobs()},
                         {"out/" + name for name in files})
        for name, plaintext in files.items():
            self.assertEqual(self.sdk_reads("out/" + name), plaintext)
        self.good(self.job(self.url("out/")), files, self.sas())

    def test_what_is_there_stays(self):
        self.put("out/b", b"older", key())
        files = {"a": b"a", "b": b"newer"}
        result = self.seal(files)
        self.assertEqual(result.code, 42, result)
        self.assertEqual([each.name for each in self.client().get_container_client(self.container).list_blobs()], ["out/b"])
        self.assertEqual(self.sdk_reads("out/b"), b"older")
        self.sealed(files, overwrite=True)
        self.assertEqual([self.sdk_reads("out/a"), self.sdk_reads("out/b")], [b"a", b"newer"])


class SealOverTls(Seal):
    tls = True
