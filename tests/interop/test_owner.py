"""The other way round: what sandbox/owner.py writes, the SDK reads; so the sandbox's blobs are what Azure's would be."""

from harness import Case, MIB, content, key, owner

from azure.core.exceptions import HttpResponseError

NONCES = ("python", "java", "net")


class Owner(Case):
    def write(self, name, plaintext, kek=None, **details):
        kek = kek or key()
        data, metadata = owner.encrypt_bytes(plaintext, kek.for_owner, kek.kid, algorithm=kek.algorithm, **details)
        self.store(name, data, metadata)
        return data, metadata

    def read(self, name, kek=None):
        return self.blob(name, kek or key()).download_blob().readall()

    def check(self, plaintext, kek=None, **details):
        with self.subTest(size=len(plaintext), **details):
            self.write("blob", plaintext, kek, **details)
            self.assertTrue(self.read("blob", kek) == plaintext)

    def test_version_2(self):
        for nonce in NONCES:
            for size in (0, 1, 15, 16, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 10 * MIB + 7):
                self.check(content(size), nonce=nonce)

    def test_version_2_1(self):
        for nonce in NONCES:
            for region, size in ((16, 0), (16, 16), (16, 5000), (1000, 300_001), (MIB, 3 * MIB),
                                 (8 * MIB, 10 * MIB + 7)):
                self.check(content(size), version="2.1", nonce=nonce, region=region)

    def test_version_1(self):
        for size in (0, 1, 15, 16, 4 * MIB + 1):
            self.check(content(size), version="1.0")

    def test_wrappings(self):
        for algorithm in ("RSA", "RSA-OAEP-256", "A256KW"):
            for version in ("1.0", "2.0", "2.1"):
                self.check(content(100_000), key(algorithm), version=version)

    def test_the_sdk_looks_at_the_order(self):
        """Or else the tests above would say nothing about nonces."""
        data, metadata = self.write("blob", content(10 * MIB + 7))
        step = 4 * MIB + 28
        self.store("blob", data[step:2 * step] + data[:step] + data[2 * step:], metadata)
        with self.assertRaises((HttpResponseError, ValueError)):
            self.read("blob")

    def test_decant_reads_them_too(self):
        files = {}
        for nonce in NONCES:
            for version in ("2.0", "2.1"):
                name = f"{version} {nonce}"
                files[name] = content(10 * MIB + 7)
                self.write("set/" + name, files[name], version=version, nonce=nonce)
        self.good(self.job(self.url("set/")), files, self.sas())
