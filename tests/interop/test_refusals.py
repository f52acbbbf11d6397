"""What must not come through, against a service that is not our own: exit codes, and SDK blobs changed in one thing."""

import json

from harness import Case, LocalKey, MIB, content, key

REGION = 4 * MIB + 28
SIZE = 10 * MIB + 7


class Absent(Case):
    def test_container(self):
        sas = self.account_sas()
        self.container = "absent"
        for name in ("a", "set/"):
            with self.subTest(name=name):
                self.bad(20, "absent", "ContainerNotFound", job=self.job(self.url(name)), sas=sas)

    def test_blob(self):
        self.bad(20, "no-such-blob", job=self.job(self.url("no-such-blob")), sas=self.sas())

    def test_nothing_below_the_prefix(self):
        self.bad(20, job=self.job(self.url("set/")), sas=self.sas())

    def test_one_of_several(self):
        self.put("here", content(17))
        self.bad(20, "not-here", job=self.job(self.url("here"), self.url("not-here")), sas=self.sas())


class WrongKey(Case):
    def test_another_key_under_the_same_name(self):
        for algorithm in ("RSA-OAEP", "RSA-OAEP-256", "A256KW"):
            with self.subTest(algorithm=algorithm):
                self.put("a", content(SIZE), key(algorithm))
                other = LocalKey(algorithm, key(algorithm).kid)
                self.bad(14, r"blob \w+/a", job=self.job(self.url("a"), keks=[other]), sas=self.sas())

    def test_a_key_that_the_job_does_not_allow(self):
        self.put("a", content(17), key(name="other"))
        self.bad(14, "local:other", job=self.job(self.url("a")), sas=self.sas())


class Tampered(Case):
    def setUp(self):
        super().setUp()
        self.put("set/good", content(SIZE))
        self.data, self.metadata = self.raw("set/good")
        self.assertEqual(len(self.data), SIZE + 3 * 28)

    def refused(self, data, metadata=None, code=30, **parts):
        self.store("set/bad", data, metadata or self.metadata)
        self.bad(code, "set/bad", job=self.job({"from": self.url("set/"), **parts}), sas=self.sas())

    def changed(self, *path, to):
        """The metadata with one member changed, or taken away (to=None)."""
        whole = json.loads(self.metadata)
        inner = whole
        for name in path[:-1]:
            inner = inner[name]
        if to is None:
            del inner[path[-1]]
        else:
            inner[path[-1]] = to
        return json.dumps(whole)

    def test_the_copy_is_good(self):
        self.store("set/bad", self.data, self.metadata)
        self.good(self.job(self.url("set/")), {"good": content(SIZE), "bad": content(SIZE)}, self.sas())

    def test_one_bit(self):
        for where in (0, 11, 12, REGION - 16, REGION - 1, REGION + 12, len(self.data) - 1):
            with self.subTest(where=where):
                data = bytearray(self.data)
                data[where] ^= 1
                self.refused(bytes(data))

    def test_regions_moved(self):
        a, b, c = self.data[:REGION], self.data[REGION:2 * REGION], self.data[2 * REGION:]
        for name, data in {"swapped": b + a + c, "first dropped": b + c, "middle dropped": a + c, "appended": a + b + a,
                           "doubled": a + a + b + c, "one over another": a + a + c}.items():
            with self.subTest(name):
                self.refused(data)

    def test_cut(self):
        for size in (len(self.data) - 1, 2 * REGION + 27, 2 * REGION + 28, REGION - 1, 27):
            with self.subTest(size=size):
                self.refused(self.data[:size])

    def test_whole_regions_cut_off(self):
        """The format cannot tell; a size in the job can."""
        self.store("set/bad", self.data[:2 * REGION], self.metadata)
        self.bad(31, "set/bad", job=self.job({"from": self.url("set/bad"), "size": SIZE}), sas=self.sas())

    def test_bytes_appended(self):
        self.refused(self.data + bytes(10))

    def test_no_metadata(self):
        self.store("set/bad", self.data)
        self.bad(30, "set/bad", "encryption", job=self.job(self.url("set/")), sas=self.sas())

    def test_single_blob_without_metadata(self):
        self.store("plain", b"plaintext")
        self.bad(30, "plain", job=self.job(self.url("plain")), sas=self.sas())

    def test_metadata(self):
        agent, info = "EncryptionAgent", "EncryptedRegionInfo"
        changes = ("{}", "not JSON", self.changed(agent, to=None), self.changed(agent, "Protocol", to="2.1"),
                   self.changed(agent, "Protocol", to="1.0"), self.changed(agent, "Protocol", to="3.0"),
                   self.changed(agent, "EncryptionAlgorithm", to="AES_CBC_256"), self.changed(info, to=None),
                   self.changed(info, "DataLength", to=2 * MIB), self.changed(info, "DataLength", to=8 * MIB),
                   self.changed(info, "DataLength", to=0), self.changed(info, "NonceLength", to=16),
                   self.changed("WrappedContentKey", "Algorithm", to="RSA1_5"))
        for number, metadata in enumerate(changes):
            with self.subTest(number=number):
                self.refused(self.data, metadata)

    def test_metadata_of_another_blob(self):
        self.put("set/other", content(SIZE))
        self.refused(self.data, self.raw("set/other")[1])


class Downgraded(Case):
    def test_version_1_unasked(self):
        self.put("a", content(100), version="1.0")
        self.bad(30, r"blob \w+/a", job=self.job(self.url("a")), sas=self.sas())

    def test_version_1_wrong_digest(self):
        """Not 31: it must look like wrong padding, or the digest would tell right from wrong padding (CVE-2022-30187)."""
        self.put("a", content(100), version="1.0")
        work = self.job({"from": self.url("a"), "format": "cse-v1", "sha256": "0" * 64})
        self.bad(30, r"blob \w+/a", job=work, sas=self.sas())

    def test_version_1_cut(self):
        self.put("a", content(100), version="1.0")
        data, metadata = self.raw("a")
        for size in (0, len(data) - 1):
            with self.subTest(size=size):
                self.store("a", data[:size], metadata)
                self.bad(30, r"blob \w+/a", job=self.job({"from": self.url("a"), "format": "cse-v1"}), sas=self.sas())
