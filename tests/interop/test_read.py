"""What the SDK wrote, decant reads: byte for byte."""

import copy
from urllib.parse import quote

from azurite import Relay
from harness import Case, LocalKey, MIB, content, key

SIZES = (0, 1, 15, 16, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 10 * MIB + 7)
WRAPPINGS = ("RSA-OAEP", "RSA-OAEP-256", "RSA", "A256KW")
FORMATS = {"2.0": "auto", "1.0": "cse-v1"}


class Sizes(Case):
    def check_all_sizes(self, version):
        files = {str(size): content(size) for size in SIZES}
        for name, plaintext in files.items():
            self.put(f"set/{name}", plaintext, version=version)
        job = self.job({"from": self.url("set/"), "format": FORMATS[version]})
        ready = self.good(job, files, self.sas())
        for name in files:
            self.assertEqual(ready[name]["key"], key().kid)

    def test_version_2(self):
        self.check_all_sizes("2.0")

    def test_version_1(self):
        self.check_all_sizes("1.0")

    def test_single_blobs(self):
        """Without a listing: the properties come from the blob itself."""
        sizes = (0, 1, 4 * MIB, 4 * MIB + 1)
        for size in sizes:
            self.put(f"blob{size}", content(size))
        job = self.job(*(self.url(f"blob{size}") for size in sizes))
        self.good(job, {f"blob{size}": content(size) for size in sizes}, self.sas())

    def check_blocks(self, size, version):
        """The SDK uploads in blocks that do not end where regions do."""
        self.put("big", content(size), version=version, max_single_put_size=MIB, max_block_size=MIB)
        blocks, _ = self.blob("big").get_block_list()
        self.assertGreater(len(blocks), 1)
        self.good(self.job({"from": self.url("big"), "format": FORMATS[version]}), {"big": content(size)}, self.sas())

    def test_version_2_in_blocks(self):
        self.check_blocks(70 * MIB + 3, "2.0")

    def test_version_1_in_blocks(self):
        self.check_blocks(10 * MIB + 7, "1.0")

    def test_from_a_stream(self):
        """Of unknown length, in several uploads at a time."""
        pieces = (content(10 * MIB + 7)[at:at + 100_000] for at in range(0, 10 * MIB + 7, 100_000))
        blob = self.blob("stream", key(), max_single_put_size=MIB, max_block_size=2 * MIB)
        blob.upload_blob(pieces, max_concurrency=4)
        self.good(self.job(self.url("stream")), {"stream": content(10 * MIB + 7)}, self.sas())

    def test_one_connection(self):
        self.put("big", content(10 * MIB + 7))
        self.good(self.job(self.url("big"), limits={"parallel": 1}), {"big": content(10 * MIB + 7)}, self.sas())


class Wrapping(Case):
    def check_all_wrappings(self, version):
        files = {f"{name}-{size}": content(size) for name in WRAPPINGS for size in (0, 17, 4 * MIB + 1)}
        for name, plaintext in files.items():
            self.put(f"set/{name}", plaintext, key(name.rpartition("-")[0]), version)
        job = self.job({"from": self.url("set/"), "format": FORMATS[version]}, keks=[key(each) for each in WRAPPINGS])
        ready = self.good(job, files, self.sas())
        self.assertEqual({each["key"] for each in ready.values()}, {key(each).kid for each in WRAPPINGS})

    def test_version_2(self):
        self.check_all_wrappings("2.0")

    def test_version_1(self):
        self.check_all_wrappings("1.0")


    def test_longer_keys(self):
        keks = [LocalKey("RSA-OAEP-256", f"local:{bits}", bits) for bits in (3072, 4096)]
        for kek in keks:
            self.put(kek.kid, content(17), kek)
        inputs = [{"from": self.url(kek.kid), "to": kek.kid} for kek in keks]
        self.good(self.job(*inputs, keks=keks), {kek.kid: content(17) for kek in keks}, self.sas())

    def test_key_vault_key_id(self):
        """The SDK writes the id with its version, the job may leave that open."""
        named = "https://contoso.vault.azure.net/keys/dataset-kek"
        kek = copy.copy(key())
        kek.kid = f"{named}/{'0123456789abcdef' * 2}"
        self.put("a", content(17), kek)
        kek = copy.copy(kek)
        kek.kid = named
        self.good(self.job(self.url("a"), keks=[kek]), {"a": content(17)}, self.sas())

    def test_further_metadata(self):
        self.blob("a", key()).upload_blob(content(17), metadata={"Owner": "somebody", "note": "a &lt; b"})
        self.assertEqual(len(self.blob("a").get_blob_properties().metadata), 3)
        self.good(self.job(self.url()), {"a": content(17)}, self.sas())


class Names(Case):
    names = ("with space", " leading and trailing ", "ünïcödé/文字.txt", "e\u0301", "per%cent", "100%25", "plus+sign",
             "a&b<c>'\"d", "semi;colon", "hash#tag", "question?mark", "..dots..", ".hidden", "[brackets]", "~tilde",
             "deep/er/and/deeper", "\U0001f40b", "x" * 200)

    def test_below_a_prefix(self):
        files = {name: f"content of {name}".encode() for name in self.names}
        for name, plaintext in files.items():
            self.put("a set/" + name, plaintext)
        self.good(self.job(self.url("a set/")), files, self.sas())

    def test_one_by_one(self):
        for name in self.names:
            self.put(name, name.encode())
        inputs = [{"from": self.url(name), "to": f"file{i}"} for i, name in enumerate(self.names)]
        self.good(self.job(*inputs), {f"file{i}": name.encode() for i, name in enumerate(self.names)}, self.sas())


class Listing(Case):
    def setUp(self):
        super().setUp()
        self.relay = Relay(self.azurite)
        self.addCleanup(self.relay.stop)

    def test_pages(self):
        """Azurite's marker is the last name of the page, with all its odd letters."""
        names = [f"übung {i % 7}/a&b #{i:03}+%25" for i in range(70)]
        files = {name: name.encode() for name in names}
        for name, plaintext in files.items():
            self.put("set/" + name, plaintext)
        self.put("settee", b"not below the prefix")
        self.relay.before = lambda method, path, headers: path.replace("maxresults=1000", "maxresults=9")
        self.good(self.job(self.url("set/", self.relay.url)), files, self.sas())
        pages = self.relay.of("GET", "comp=list")
        self.assertEqual(len(pages), 8, [path for _, path, _ in pages])
        self.assertEqual(self.relay.of("HEAD", ""), [], "the listing has the metadata")
        self.assertEqual(len(self.relay.of("GET", "/set/")), 70)

    def test_match(self):
        for name in ("a.bin", "b.txt", "sub/c.bin"):
            self.put("set/" + name, name.encode())
        self.good(self.job({"from": self.url("set/"), "match": "*.bin"}), {"a.bin": b"a.bin"}, self.sas())

    def test_whole_container(self):
        files = {"a": b"1", "b/c": b"2"}
        for name, plaintext in files.items():
            self.put(name, plaintext)
        self.good(self.job(self.url()), files, self.sas())


class Overwritten(Case):
    def test_between_runs(self):
        job = self.job(self.url("set/"))
        etags = []
        for plaintext in (content(4 * MIB + 1), b"", content(17)):
            etag = self.put("set/a", plaintext)["etag"]
            ready = self.good(job, {"a": plaintext}, self.sas())
            self.assertEqual(ready["a"]["etag"].strip('"'), etag.strip('"'))
            etags.append(ready["a"]["etag"])
        self.assertEqual(len(set(etags)), 3)

    def meddle(self, name, number, act):
        """A job for NAME by way of a relay, which calls ACT before the ranged read of that NUMBER."""
        relay, reads = Relay(self.azurite), []
        self.addCleanup(relay.stop)

        def before(method, path, headers):
            if "/big" in path and method == "GET" and "comp=list" not in path:
                reads.append(path)
                if len(reads) == number:
                    act()
            return path

        self.put("set/big", content(20 * MIB))
        relay.before = before
        return self.job(self.url(name, relay.url), limits={"parallel": 1})

    def overwrite(self):
        """By another good one of the same size."""
        self.put("set/big", bytes(20 * MIB))

    def test_after_the_listing(self):
        self.bad(31, "set/big", "changed", job=self.meddle("set/", 1, self.overwrite), sas=self.sas())

    def test_while_a_listed_blob_is_read(self):
        job = self.meddle("set/", 2, self.overwrite)
        self.bad(31, "set/big", "changed while it was read", job=job, sas=self.sas())

    def test_while_a_single_blob_is_read(self):
        job = self.meddle("set/big", 2, self.overwrite)
        self.bad(31, "set/big", "changed while it was read", job=job, sas=self.sas())

    def test_deleted_while_it_is_read(self):
        """Azurite answers 412: nothing matches the ETag."""
        job = self.meddle("set/", 2, lambda: self.blob("set/big").delete_blob())
        self.bad(31, "set/big", "changed", job=job, sas=self.sas())

    def test_a_snapshot_stays(self):
        """With an account SAS: Azurite takes a container's for the blobs only, not for their snapshots."""
        self.put("a", content(4 * MIB + 1))
        snapshot = self.blob("a").create_snapshot()["snapshot"]
        self.put("a", content(17))
        job = self.job(f"{self.url('a')}?snapshot={quote(snapshot)}")
        self.good(job, {"a": content(4 * MIB + 1)}, self.account_sas())
