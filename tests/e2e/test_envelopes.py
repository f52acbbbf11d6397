"""What blobs are wrapped in, and what happens to those that are not what they should be."""

import gzip
import json
import secrets
import zlib
from base64 import b64encode, urlsafe_b64encode

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harness import Case, Key, owner, sha256

KID = "https://owner.invalid/keys/own"
STEP = (1 << 16) + 28          # a stored region of the tests


def b64u(data):
    return urlsafe_b64encode(data).decode().rstrip("=")


def oct_key(size=32, kid=KID):
    octets = secrets.token_bytes(size)
    return Key(kid, octets=octets, jwk={"kty": "oct", "k": b64u(octets)})


def rsa_key(bits, kid=KID):
    pair = rsa.generate_private_key(65537, bits)
    pem = pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Key(kid, private_pem=pem.decode())


class GoodEnvelopes(Case):
    def test_versions_regions_nonces_sizes(self):
        files = {}
        for version in ("2.0", "2.1"):
            for region in (16, 1000, 4096, 1 << 16, 1 << 20):
                for nonce in ("python", "java", "net"):
                    for size in {0, 1, region - 1, region, region + 1, 2 * region, 3 * region + 7}:
                        name = f"{version}/{region}/{nonce}/{size}"
                        files[name] = self.plain(size)
                        self.put("v/" + name, files[name], version=version, region=region, nonce=nonce)
        self.good(job=self.quick_job(self.url("v/")), files=files)

    def test_default_region(self):
        content = self.plain(9 << 20)
        self.put("big", content, region=4 << 20)
        self.good(job=self.quick_job(self.url("big")), files={"big": content})

    def test_key_wraps(self):
        for algorithm in ("RSA-OAEP", "RSA-OAEP-256"):
            with self.subTest(algorithm=algorithm):
                content = self.plain()
                self.put("a", content, algorithm=algorithm)
                self.good(job=self.quick_job(self.url("a")), files={"a": content})

    def test_rsa_3072(self):
        key, content = rsa_key(3072), self.plain()
        self.put("a", content, key)
        self.good(job=self.quick_job(self.url("a"), key=key), files={"a": content})

    def test_aes_key_wraps(self):
        for size in (16, 24, 32):
            for version in ("2.0", "2.1"):
                with self.subTest(size=size, version=version):
                    key, content = oct_key(size), self.plain(70000)
                    self.put("a", content, key, version=version)
                    self.good(job=self.quick_job(self.url("a"), key=key), files={"a": content})

    def test_version_one_on_demand(self):
        for size in (0, 1, 15, 16, 17, 70000):
            content = self.plain(size)
            self.put(f"s/{size}", content, version="1.0")
        files = {str(size): self.plaintexts[i] for i, size in enumerate((0, 1, 15, 16, 17, 70000))}
        self.good(job=self.quick_job({"from": self.url("s/"), "format": "cse-v1"}), files=files)

    def test_plain_on_demand(self):
        content = self.plain(70000)
        self.store("s/a", content)
        self.store("s/empty", b"")
        job = self.job({"from": self.url("s/"), "format": "plain"}, keys=[], attestation=None)
        self.good(job=job, files={"a": content, "empty": b""})

    def test_aes_gcm(self):
        for size in (16, 24, 32):
            with self.subTest(size=size):
                key, content, nonce = oct_key(size), self.plain(3 << 20), secrets.token_bytes(12)
                self.store("a", nonce + AESGCM(key.octets).encrypt(nonce, content, None))
                self.good(job=self.quick_job({"from": self.url("a"), "format": "aes-gcm"}, key=key), files={"a": content})

    def test_aes_gcm_of_several_keys(self):
        one, two = oct_key(kid=KID + "1"), oct_key(kid=KID + "2")
        content, nonce = self.plain(100), bytes(12)
        self.store("a", nonce + AESGCM(two.octets).encrypt(nonce, content, None))
        keys = [{"kid": key.kid, "file": self.key_file(key)} for key in (one, two)]
        self.bad(2, "needs \"key\"", job=self.quick_job({"from": self.url("a"), "format": "aes-gcm"}, keys=keys))
        self.good(job=self.quick_job({"from": self.url("a"), "format": "aes-gcm", "key": two.kid}, keys=keys),
                  files={"a": content})


class Gzip(Case):
    def job_of(self, name="a", **more):
        return self.quick_job({"from": self.url(name), "decompress": "gzip"}, **more)

    def test_good(self):
        content = self.plain(1000000)
        self.put("a", gzip.compress(content))
        self.good(job=self.job_of(), files={"a": content})

    def test_empty_content(self):
        self.put("a", gzip.compress(b""))
        self.good(job=self.job_of(), files={"a": b""})

    def test_members(self):
        one, two, three = self.plain(1000), b"", self.plain(500000)
        self.put("a", b"".join(map(gzip.compress, (one, two, three))))
        self.good(job=self.job_of(), files={"a": one + two + three})

    def test_checks_are_on_what_comes_out(self):
        content = self.plain(5000)
        self.put("a", gzip.compress(content))
        job = self.quick_job({"from": self.url("a"), "decompress": "gzip", "sha256": sha256(content), "size": len(content)})
        self.good(job=job, files={"a": content})

    def test_what_is_not_whole_gzip(self):
        whole = gzip.compress(secrets.token_bytes(300000))
        cases = {"cut off": whole[:-20], "cut in the trailer": whole[:-1], "head only": whole[:10], "nothing": b"",
                 "no gzip": b"plain text, not gzip", "zlib": zlib.compress(b"x"), "rubbish behind": whole + b"rubbish",
                 "zeroes behind": whole + bytes(512), "cut second": whole + whole[:-5],
                 "wrong checksum": whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
                 "flipped": whole[:5000] + bytes([whole[5000] ^ 255]) + whole[5001:]}
        for case, data in cases.items():
            with self.subTest(case=case):
                self.put("a", data)
                self.bad(31, r"blob \w+/a", "decompress", "gzip", job=self.job_of())

    def test_bomb(self):
        self.put("a", gzip.compress(bytes(8 << 20)))
        self.bad(41, "more than 2 MiB", "limits.max_plaintext_mib", job=self.job_of(limits={"max_plaintext_mib": 2}))

    def test_limit_that_is_kept(self):
        content = bytes(2 << 20)
        self.put("a", gzip.compress(content))
        self.good(job=self.job_of(limits={"max_plaintext_mib": 2}), files={"a": content})


class Tampered(Case):
    """Nothing of a blob that was changed reaches the volume."""

    def setUp(self):
        super().setUp()
        self.content = self.plain(5 * (1 << 16) + 1000)
        self.stored, self.metadata = self.encrypt(self.content)

    def refused(self, stored=None, metadata=None, code=30, words=(), **details):
        self.store("a", self.stored if stored is None else stored, self.metadata if metadata is None else metadata)
        return self.bad(code, r"blob \w+/a", *words, job=self.quick_job({"from": self.url("a"), **details}))

    def test_flips(self):
        for at in (0, 11, 12, 5000, STEP - 16, STEP - 1, STEP, 3 * STEP + 100, len(self.stored) - 1):
            with self.subTest(at=at):
                data = bytearray(self.stored)
                data[at] ^= 0x40
                self.refused(bytes(data), words=("region",))

    def test_order(self):
        regions = [self.stored[at:at + STEP] for at in range(0, len(self.stored), STEP)]
        cases = {"swapped": [1, 0, 2, 3, 4, 5], "doubled": [0, 0, 1, 2, 3, 4, 5], "left out": [0, 2, 3, 4, 5],
                 "rotated": [1, 2, 3, 4, 0, 5], "first is missing": [1, 2, 3, 4, 5], "one for another": [0, 1, 1, 3, 4, 5]}
        for case, order in cases.items():
            with self.subTest(case=case):
                self.refused(b"".join(regions[i] for i in order))

    def test_order_for_each_nonce(self):
        for nonce in ("python", "java", "net"):
            with self.subTest(nonce=nonce):
                stored, metadata = self.encrypt(self.content, nonce=nonce)
                self.refused(stored[STEP:2 * STEP] + stored[:STEP] + stored[2 * STEP:], metadata)

    def test_cuts_and_additions(self):
        cases = {"a byte": self.stored[:-1], "half a region": self.stored[:-500], "less than a region's frame":
                 self.stored[:2 * STEP + 27], "an empty region's frame": self.stored[:2 * STEP + 28],
                 "one more byte": self.stored + b"x", "a second end": self.stored + self.stored[5 * STEP:],
                 "nothing but a nonce": self.stored[:12]}
        for case, data in cases.items():
            with self.subTest(case=case):
                self.refused(data)

    def test_cut_between_regions_needs_a_size(self):
        """Between regions the format cannot tell: the job can, by size, digest or manifest."""
        self.refused(self.stored[:2 * STEP], code=31, words=("131072 bytes",), size=len(self.content))
        self.refused(self.stored[:2 * STEP], code=31, words=("SHA-256",), sha256=sha256(self.content))

    def test_of_another_blob(self):
        other, other_metadata = self.encrypt(self.plain(len(self.content)))
        self.refused(self.stored, other_metadata)
        self.refused(other, self.metadata)
        self.refused(self.stored[:STEP] + other[STEP:2 * STEP] + self.stored[2 * STEP:])

    def test_metadata(self):
        good = json.loads(self.metadata)

        def changed(path, value):
            copy = json.loads(self.metadata)
            at = copy
            for name in path[:-1]:
                at = at[name]
            if value is None:
                del at[path[-1]]
            else:
                at[path[-1]] = value
            return json.dumps(copy)

        wrapped = good["WrappedContentKey"]["EncryptedKey"]
        cases = {
            "no JSON": "not JSON", "empty": "{}", "a list": "[]", "a second member": self.metadata[:-1] + ', "EncryptionAgent": {}}',
            "cut": self.metadata[:-1], "no key": changed(["WrappedContentKey"], None), "no kid":
            changed(["WrappedContentKey", "KeyId"], None), "no base64": changed(["WrappedContentKey", "EncryptedKey"], "!!!"),
            "short key": changed(["WrappedContentKey", "EncryptedKey"], wrapped[:100]),
            "other key": changed(["WrappedContentKey", "EncryptedKey"], b64encode(bytes(256)).decode()),
            "algorithm": changed(["WrappedContentKey", "Algorithm"], "ROT13"),
            "RSA1_5": changed(["WrappedContentKey", "Algorithm"], "RSA1_5"),
            "protocol": changed(["EncryptionAgent", "Protocol"], "3.0"), "no protocol": changed(["EncryptionAgent", "Protocol"], None),
            "downgrade": changed(["EncryptionAgent", "Protocol"], "1.0"),
            "other version": changed(["EncryptionAgent", "Protocol"], "2.1"),
            "cipher": changed(["EncryptionAgent", "EncryptionAlgorithm"], "AES_CBC_256"),
            "region of nothing": changed(["EncryptedRegionInfo", "DataLength"], 0),
            "negative region": changed(["EncryptedRegionInfo", "DataLength"], -1),
            "other region": changed(["EncryptedRegionInfo", "DataLength"], 1 << 15),
            "huge region": changed(["EncryptedRegionInfo", "DataLength"], 1 << 50),
            "nonce of 13": changed(["EncryptedRegionInfo", "NonceLength"], 13),
            "no regions": changed(["EncryptedRegionInfo"], None), "long": json.dumps({**good, "x": "y" * 20000})}
        for case, text in cases.items():
            with self.subTest(case=case):
                self.refused(metadata=text, code=14 if case in ("short key", "other key") else 30)

    def test_aes_gcm(self):
        key, nonce = oct_key(), secrets.token_bytes(12)
        good = nonce + AESGCM(key.octets).encrypt(nonce, self.content, None)
        for case, data in {"flip": good[:100] + bytes([good[100] ^ 1]) + good[101:], "cut": good[:-1], "tag": good[:-1] +
                           bytes([good[-1] ^ 1]), "tiny": good[:27], "nothing": b""}.items():
            with self.subTest(case=case):
                self.store("a", data)
                self.bad(30, r"blob \w+/a", job=self.quick_job({"from": self.url("a"), "format": "aes-gcm"}, key=key))

    def test_one_bad_blob_of_many_stops_all(self):
        for i in range(20):
            self.put(f"s/{i:02}", self.plain(1000))
        self.store("s/13", self.stored[:-1] + b"!", self.metadata)
        self.bad(30, r"blob \w+/s/13", job=self.quick_job(self.url("s/")))


class Refused(Case):
    def test_without_metadata(self):
        self.store("a", self.plain())
        self.bad(30, r"blob \w+/a", "not encrypted|no metadata|encryptiondata", job=self.quick_job(self.url("a")))

    def test_version_one_is_not_taken_by_itself(self):
        self.put("a", self.plain(), version="1.0")
        for details in ({}, {"format": "cse"}):
            self.bad(30, r"blob \w+/a", "cse-v1", job=self.quick_job({"from": self.url("a"), **details}))

    def test_version_two_as_version_one(self):
        self.put("a", self.plain())
        self.bad(30, r"blob \w+/a", job=self.quick_job({"from": self.url("a"), "format": "cse-v1"}))

    def test_damaged_version_one(self):
        stored, metadata = self.encrypt(self.plain(1000), version="1.0")
        for case, data in {"cut": stored[:-16], "odd": stored[:-1], "nothing": b""}.items():
            with self.subTest(case=case):
                self.store("a", data, metadata)
                self.bad(30, r"blob \w+/a", job=self.quick_job({"from": self.url("a"), "format": "cse-v1"}))

    def test_version_one_is_no_oracle(self):
        """CVE-2022-30187: wrong padding, and right padding around wrong plaintext, cannot be told apart; nor a wrong length, nor
        what is no gzip. Neither by exit code nor by sentence, and nothing is tried again."""
        content = self.plain(1000)
        stored, metadata = self.encrypt(content, version="1.0")
        self.store("a", stored, metadata)
        details = {"from": self.url("a"), "format": "cse-v1", "sha256": sha256(content), "size": len(content)}
        self.good(job=self.quick_job(details), files={"a": content})
        answers = set()
        for case, at in {"padding": len(stored) - 17, "content": 3}.items():
            for more in ({}, {"decompress": "gzip"}):
                with self.subTest(case=case, **more):
                    self.store("a", stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1:], metadata)
                    answers.add(self.bad(30, r"blob \w+/a", job=self.quick_job({**details, **more})).sentence)
        self.store("a", stored, metadata)
        answers.add(self.bad(30, job=self.quick_job({**details, "size": 999})).sentence)
        answers.add(self.bad(30, job=self.quick_job({**details, "sha256": sha256(b"")})).sentence)
        self.assertEqual(1, len(answers), answers)

    def test_wrong_key_file(self):
        self.put("a", self.plain(), rsa_key(2048))
        self.bad(14, r"blob \w+/a", "cannot be unwrapped", KID,
                 job=self.quick_job(self.url("a"), keys=[{"kid": KID, "file": self.key_file()}]))

    def test_key_of_another_kind(self):
        self.put("a", self.plain(), oct_key())
        self.bad(14, r"blob \w+/a", job=self.quick_job(self.url("a"), keys=[{"kid": KID, "file": self.key_file()}]))
        self.put("a", self.plain(), kid=KID)
        self.bad(14, r"blob \w+/a", job=self.quick_job(self.url("a"), key=oct_key()))


class Manifests(Case):
    def setUp(self):
        super().setUp()
        self.files = {"a": self.plain(100000), "sub/b c": self.plain(10), "empty": b""}
        self.entries = []
        for name, content in self.files.items():
            _, metadata = self.put("s/" + name, content)
            wrapped = json.loads(metadata)["WrappedContentKey"]["EncryptedKey"]
            self.entries.append({"name": name, "size": len(content), "sha256": sha256(content),
                                 "wrapped": sha256(owner.base64.b64decode(wrapped))})

    def manifest(self, entries, pin=None):
        """The job over s/ with a manifest of ENTRIES (its text, or objects)."""
        text = entries if isinstance(entries, bytes) else json.dumps({"files": entries}).encode()
        self.store("list.json", text)
        return self.quick_job({"from": self.url("s/"), "to": "t", "manifest": {"from": self.url("list.json"),
                                                                               "sha256": pin or sha256(text)}})

    def by_digest(self):
        return [{name: entry[name] for name in ("name", "size", "sha256")} for entry in self.entries]

    def by_key(self):
        return [{"name": entry["name"], "size": entry["size"], "key_sha256": entry["wrapped"]} for entry in self.entries]

    def test_good(self):
        wanted = {f"t/{name}": content for name, content in self.files.items()}
        for entries in (self.by_digest(), self.by_key(), [*self.by_key()[:1], *self.by_digest()[1:]]):
            self.good(job=self.manifest(entries), files=wanted)

    def test_behind_a_sas(self):
        """In the manifest's own URL, or the input's for both."""
        sas, wanted = self.sas(), {f"t/{name}": content for name, content in self.files.items()}
        job = self.manifest(self.by_key())
        job["identity"] = {"type": "none"}
        job["inputs"][0]["sas_env"] = "SAS"
        self.good(job=job, files=wanted, environment={"SAS": sas})
        job = self.manifest(self.by_key())
        job["identity"] = {"type": "none"}
        job["inputs"][0]["from"] += "?" + sas
        job["inputs"][0]["manifest"]["from"] += "?" + sas
        self.good(job=job, files=wanted)

    def test_missing(self):
        entries = self.by_key() + [{"name": "gone", "size": 1, "sha256": "0" * 64}]
        self.bad(31, "manifest names gone", job=self.manifest(entries))

    def test_extra(self):
        self.put("s/extra", self.plain())
        self.bad(31, r"blob \w+/s/extra", "not in the manifest", job=self.manifest(self.by_key()))

    def test_wrong_pin(self):
        self.bad(31, "manifest", "SHA-256|pin|digest", job=self.manifest(self.by_key(), pin=sha256(b"another")))

    def test_changed_content(self):
        self.put("s/a", self.plain(100000))
        self.bad(31, r"blob \w+/s/a", "manifest", job=self.manifest(self.by_digest()))
        self.bad(31, r"blob \w+/s/a", "manifest", job=self.manifest(self.by_key()))

    def test_older_version_under_the_same_key(self):
        """Replaying a blob's own past: its content key is another, so the pin differs."""
        old, old_metadata = self.encrypt(self.plain(100000))
        self.store("s/a", old, old_metadata)
        self.bad(31, "content key", job=self.manifest(self.by_key()))

    def test_wrong_size(self):
        entries = self.by_key()
        entries[0]["size"] += 1
        self.bad(31, r"blob \w+/s/a", "the manifest says 100001", job=self.manifest(entries))

    def test_exchanged_names(self):
        a, metadata = self.encrypt(self.files["a"])
        self.store("s/empty", a, metadata)
        self.bad(31, "manifest", job=self.manifest(self.by_key()))

    def test_bad_manifests(self):
        entry = self.by_digest()[0]
        cases = {"no JSON": b"files", "no files": b"{}", "a list": b"[]", "no name": [{"sha256": entry["sha256"]}],
                 "no pin": [{"name": "a", "size": 1}], "short pin": [{**entry, "sha256": "00"}], "upper case":
                 [{**entry, "sha256": "A" * 64}], "twice": [entry, entry], "nothing": b""}
        for case, entries in cases.items():
            with self.subTest(case=case):
                self.bad(31, "manifest", job=self.manifest(entries))

    def test_manifest_that_takes_too_much_memory(self):
        """A quarter of limits.memory_mib, all manifests together: each is held until the run ends."""
        padding = {"padding": "x" * (5 << 20)}
        job = self.manifest(json.dumps({"files": self.by_digest(), **padding}).encode())
        wanted = {f"t/{name}": content for name, content in self.files.items()}
        self.good(job={**job, "limits": {"memory_mib": 32}}, files=wanted)
        two = {**job, "inputs": [*job["inputs"], {**job["inputs"][0], "to": "u"}]}
        self.bad(41, "inputs.1.: manifest list.json: more than 8 MiB of manifests", "Raise limits.memory_mib to 64",
                 job={**two, "limits": {"memory_mib": 32}})
        self.good(job=two, files={**wanted, **{f"u/{name}": content for name, content in self.files.items()}})

    def test_manifest_that_is_not_there(self):
        job = self.quick_job({"from": self.url("s/"), "manifest": {"from": self.url("none.json"), "sha256": "0" * 64}})
        self.bad(20, "manifest none.json", job=job)

    def test_nothing_is_read_before_the_manifest_is_believed(self):
        self.bad(31, job=self.manifest(self.by_key(), pin="0" * 64))
        self.assertEqual([entry for entry in self.reads() if "/s/" in entry["path"]], [])
