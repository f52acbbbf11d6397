"""The Azure SDK for Java, which alone writes version 2.1 and counts nonces in its own way."""

import json
import os
import subprocess

from harness import MIB, content, key
from test_seal import SIZES, Sealing

JAVA_PEER = os.environ["JAVA_PEER"]


class Java(Sealing):
    def setUp(self):
        super().setUp()
        kek = key()
        self.peer = subprocess.Popen(
            ["java", "-cp", JAVA_PEER, "Peer", self.azurite.url, self.container, self.file("kek", kek.file_content), kek.kid],
            env={"PATH": "/usr/bin:/bin", "STORAGE_SAS": self.sas("rlcwd")}, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end)

    def end(self):
        self.peer.stdin.close()
        self.peer.wait(30)
        self.peer.stdout.close()

    def order(self, *words):
        self.peer.stdin.write("\t".join(words) + "\n")
        self.peer.stdin.flush()
        return self.peer.stdout.readline().strip()

    def java_reads(self, blob):
        path = os.path.join(self.folder, "read")
        self.assertEqual(self.order("read", blob, path), "done")
        with open(path, "rb") as file:
            return file.read()

    def java_writes(self, blob, plaintext, version="2.0", region=0):
        path = self.file("write", plaintext)
        self.assertEqual(self.order("write", version, str(region), blob, path), "done")

    def test_it_reads_what_decant_sealed(self):
        files = {str(size): content(size) for size in SIZES}
        self.sealed(files)
        for name, plaintext in files.items():
            with self.subTest(name):
                self.assertTrue(self.java_reads("out/" + name) == plaintext)

    def test_decant_reads_version_2_0(self):
        files = {str(size): content(size) for size in SIZES}
        for name, plaintext in files.items():
            self.java_writes("in/" + name, plaintext)
        ready = self.good(self.job(self.url("in/")), files, self.sas())
        self.assertEqual({each["envelope"] for each in ready.values()}, {"cse-2.0"})

    def test_decant_reads_version_2_1(self):
        files = {}
        for region, sizes in ((16, (0, 1, 16, 5000)), (1000, (300_001,)), (MIB, (3 * MIB, 3 * MIB + 1)), (8 * MIB, (10 * MIB + 7,))):
            for size in sizes:
                name = f"{region}-{size}"
                files[name] = content(size)
                self.java_writes("in/" + name, files[name], "2.1", region)
                self.assertEqual(json.loads(self.raw("in/" + name)[1])["EncryptionAgent"]["Protocol"], "2.1")
        ready = self.good(self.job(self.url("in/")), files, self.sas())
        self.assertEqual({each["envelope"] for each in ready.values()}, {"cse-2.1"})

    def test_it_refuses_another_key(self):
        """Or else the tests above would say nothing."""
        self.put("other", b"other", key(name="other"))
        self.assertRegex(self.order("read", "other", os.path.join(self.folder, "read")), "^failed ")
