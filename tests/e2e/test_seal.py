"""decant seal: what it uploads, read back by other code and by decant run; and every way in which nothing is committed."""

import gzip
import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from base64 import b64decode
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from harness import DECANT, Case, sha256

REGION = 4 << 20


class Seal(Case):
    """A folder of results and a job with outputs only."""

    def setUp(self):
        super().setUp()
        self.results = os.path.join(self.volume, "results")
        os.mkdir(self.results)
        self.query = self.sas(permissions="rlcwd")

    def write(self, name, content):
        path = os.path.join(self.results, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def write_all(self, files):
        for name, content in files.items():
            self.write(name, content)

    def seal_job(self, parts=None, **output):
        wanted = {"from": "results", "to": self.url("out/"), "key": self.key.versionless, **output}
        wanted = {name: value for name, value in wanted.items() if value is not None}
        return self.job(**{"keys": [], "outputs": [wanted], "attestation": None, **(parts or {})})

    def start_seal(self, job, *arguments, environment=None):
        path = self.file("job.json", json.dumps(job))
        return self.start(["seal", "-c", path, *arguments], environment=environment)

    def seal(self, job, *arguments, environment=None):
        return self.finish(self.start_seal(job, *arguments, environment=environment))

    def sealed(self, job=None, *arguments, environment=None):
        result = self.seal(job or self.seal_job(), *arguments, environment=environment)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.out.count("\n"), 1, result)
        return result

    def refused(self, code, *words, job=None, arguments=(), committed=()):
        result = self.seal(job or self.seal_job(), *arguments)
        self.check_failure(result, code, *words)
        self.assertEqual(set(self.names()), set(committed), result)
        return result

    # ---- The container, by plain HTTP ----

    def fresh_container(self):
        self.container += "x"
        self.box.control("container", name=self.container)
        self.query = self.sas(permissions="rlcwd")

    def ask(self, name, query="", method="GET"):
        parts = urlsplit(self.url(name) + query)
        connection = http.client.HTTPConnection(parts.netloc)
        query = "&".join(each for each in (parts.query, self.query) if each)
        connection.request(method, f"{parts.path.rstrip('/')}?{query}", headers={"x-ms-version": "2021-12-02"})
        answer = connection.getresponse()
        body = answer.read()
        self.assertIn(answer.status, (200, 202), (name, body))
        connection.close()
        return answer.headers, body

    def names(self):
        """The blobs that are there: committed ones."""
        root = ElementTree.fromstring(self.ask("", "?restype=container&comp=list")[1])
        return [unquote(each.findtext("Name")) for each in root.iter("Blob")]

    def blob(self, name):
        headers, body = self.ask(name)
        return body, headers["x-ms-meta-encryptiondata"]

    def open_blob(self, name, key=None):
        """The blob's plaintext, by code of our own, and its metadata."""
        stored, text = self.blob(name)
        metadata = json.loads(text)
        private = serialization.load_pem_private_key((key or self.key).private_pem.encode(), None)
        sha1 = hashes.SHA1()
        raw = private.decrypt(b64decode(metadata["WrappedContentKey"]["EncryptedKey"]),
                              padding.OAEP(padding.MGF1(sha1), sha1, None))
        self.assertEqual(raw[:8], b"2.0\0\0\0\0\0")
        self.assertEqual(len(raw), 40)
        cipher, plain = AESGCM(raw[8:]), []
        for index, at in enumerate(range(0, len(stored), REGION + 28)):
            region = stored[at:at + REGION + 28]
            self.assertEqual(region[:12], index.to_bytes(12, "big"))
            plain.append(cipher.decrypt(region[:12], region[12:], None))
        self.assertTrue(all(len(each) == REGION for each in plain[:-1]))
        return b"".join(plain), metadata

    def assert_sealed(self, files, prefix="out/", key=None):
        self.assertEqual({name for name in self.names() if not name.endswith(".json")},
                         {prefix + name for name in files})
        for name, content in files.items():
            self.assertTrue(self.open_blob(prefix + name, key)[0] == content, name)

    def read_back(self, files, **parts):
        """The prefix, poured by decant run."""
        volume = self.temporary("/dev/shm")
        job = self.quick_job({"from": self.url("out/"), **parts}, volume={"path": volume})
        self.good(job=job, files=files, volume=volume)


class Roundtrip(Seal):
    def test_a_tree(self):
        files = {"a.txt": self.plain(), "empty": b"", ".hidden/deep/er/b": self.plain(5000), "wein 🍷/ä?#%": self.plain(3)}
        self.write_all(files)
        os.mkdir(os.path.join(self.results, "no files in here"))
        result = self.sealed(self.seal_job(manifest=True))
        self.assert_sealed(files)
        summary = result.summary
        self.assertEqual((summary["result"], summary["files"], summary["bytes"]),
                         ("sealed", 4, sum(map(len, files.values()))))
        told = summary["outputs"][0]
        self.assertEqual((told["to"], told["files"], told["key"]), (self.url("out/"), 4, self.key.kid))
        text = self.ask("out.manifest.json")[1]
        self.assertEqual((told["manifest"], told["manifest_sha256"]), (self.url("out.manifest.json"), sha256(text)))
        listed = {each["name"]: each for each in json.loads(text)["files"]}
        self.assertEqual({name: each["size"] for name, each in listed.items()},
                         {name: len(content) for name, content in files.items()})
        for name, each in listed.items():
            wrapped = self.open_blob("out/" + name)[1]["WrappedContentKey"]["EncryptedKey"]
            self.assertEqual(each["key_sha256"], sha256(b64decode(wrapped)))
        self.read_back(files, manifest={"from": told["manifest"], "sha256": told["manifest_sha256"]})
        self.assertEqual(self.box.log("attestation"), [])

    def test_sizes_around_a_region(self):
        files = {str(size): self.plain(size) for size in (0, 1, REGION - 1, REGION, REGION + 1, 3 * REGION + 7)}
        self.write_all(files)
        result = self.sealed(self.seal_job({"limits": {"parallel": 3}}))
        self.assert_sealed(files)
        self.assertEqual(result.summary["stored_bytes"],
                         sum(map(len, files.values())) + 28 * sum(-(-len(each) // REGION) for each in files.values()))
        self.read_back(files)

    def test_many_small_ones(self):
        files = {f"{i % 7}/{i}": self.plain(100 + i) for i in range(300)}
        self.write_all(files)
        result = self.sealed(self.seal_job(manifest="lists/m.json"))
        self.assertEqual(len(self.names()), 301)
        told = result.summary["outputs"][0]
        self.read_back(files, manifest={"from": self.url("lists/m.json"), "sha256": told["manifest_sha256"]})

    def test_one_file(self):
        plain = self.plain(70000)
        self.write("model.bin", plain)
        for to, name in (("models/m1.bin", "models/m1.bin"), ("models/", "models/model.bin")):
            job = self.seal_job(**{"from": "results/model.bin", "to": self.url(to)})
            self.sealed(job)
            self.assertEqual(self.open_blob(name)[0], plain)

    def test_compressed(self):
        files = {"zeros": bytes(9 << 20), "text": self.plain(100000), "noise": os.urandom(5 << 20), "empty": b""}
        self.write_all(files)
        result = self.sealed(self.seal_job(compress="gzip", manifest=True))
        for name, content in files.items():
            self.assertTrue(gzip.decompress(self.open_blob("out/" + name)[0]) == content, name)
        self.assertLess(result.summary["stored_bytes"], 6 << 20)
        told = result.summary["outputs"][0]
        self.read_back(files, decompress="gzip",
                       manifest={"from": told["manifest"], "sha256": told["manifest_sha256"]})

    def test_what_a_run_left(self):
        """The volume itself as the source: what decant keeps there is no output."""
        os.rmdir(self.results)
        self.put("in/a", self.plain())
        self.good(job=self.quick_job(self.url("in/")))
        self.assertTrue(os.path.exists(os.path.join(self.volume, ".decant", "ready.json")))
        self.sealed(self.seal_job(**{"from": "."}))
        self.assertEqual(set(self.names()), {"in/a", "out/a"})

    def test_several_outputs(self):
        self.write_all({"a/1": b"one", "b/2": b"two"})
        job = self.seal_job()
        job["outputs"] = [{**job["outputs"][0], "from": "results/a", "to": self.url("a/")},
                          {**job["outputs"][0], "from": "results/b", "to": self.url("b/"), "manifest": True}]
        self.assertEqual([each["files"] for each in self.sealed(job).summary["outputs"]], [1, 1])
        self.assertEqual(set(self.names()), {"a/1", "b/2", "b.manifest.json"})

    def test_a_manifest_notices_what_was_done_to_the_blobs(self):
        files = {"a": self.plain(), "b": self.plain(), "c": self.plain()}
        self.write_all(files)
        for what, change, words in (
                ("more", lambda a, b: self.store("out/d", *a), "out/d.*not in the manifest"),
                ("less", lambda a, b: self.ask("out/c", method="DELETE"), "names c, which is not there"),
                ("swapped", lambda a, b: (self.store("out/a", *b), self.store("out/b", *a)), "content key is not the one"),
                ("newer", lambda a, b: self.put("out/a", self.plain()), "content key is not the one"),
                ("cut to nothing", lambda a, b: self.store("out/a", b"", a[1]), "bytes of plaintext")):
            with self.subTest(what):
                self.fresh_container()
                told = self.sealed(self.seal_job(manifest=True)).summary["outputs"][0]
                change(self.blob("out/a"), self.blob("out/b"))
                pinned = {"from": told["manifest"], "sha256": told["manifest_sha256"]}
                self.bad(31, words, job=self.quick_job({"from": self.url("out/"), "manifest": pinned}))

class Recipients(Seal):
    def setUp(self):
        super().setUp()
        self.files = {"a": self.plain()}
        self.write_all(self.files)
        private = serialization.load_pem_private_key(self.key.private_pem.encode(), None)
        self.public = private.public_key().public_bytes(serialization.Encoding.PEM,
                                                        serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def test_from_the_vault(self):
        self.sealed()
        self.assertEqual(self.open_blob("out/a")[1]["WrappedContentKey"]["KeyId"], self.key.kid)
        asked = [(each["method"], each["path"].split("?")[0]) for each in self.box.log("vault")]
        self.assertEqual(len(asked), 1)
        self.assertRegex(asked[0][1], "/keys/kek$")

    def test_from_a_file_and_inline(self):
        for parts in ({"key_file": self.file("public.pem", self.public)}, {"key_inline": self.public}):
            self.sealed(self.seal_job(key="results-key", overwrite=True, **parts))
            plain, metadata = self.open_blob("out/a")
            self.assertEqual((plain, metadata["WrappedContentKey"]["KeyId"]), (self.files["a"], "results-key"))
        self.assertEqual(self.box.log("vault"), [])

    def test_that_are_none(self):
        vault = self.key.versionless.rsplit("/", 1)[0]
        for code, words, parts in (
                (13, "no-such-key.*KeyNotFound", {"key": vault + "/no-such-key"}),
                (2, "key id", {"key": vault}),
                (2, "neither JWK nor", {"key": "k", "key_file": self.file("none.pem", "nothing")}),
                (2, "absent.pem", {"key": "k", "key_file": "/nonexistent/absent.pem"}),
                (2, "visible ASCII", {"key": "schlüssel", "key_inline": self.public})):
            with self.subTest(words):
                self.refused(code, words, job=self.seal_job(**parts))

    def test_vault_refuses(self):
        self.box.fault({"status": 403, "code": "Forbidden"}, service="vault", method="GET")
        self.refused(13, "Key Vault Crypto User")


class CommandLine(Seal):
    """A data owner's own machine: no job, no confidential VM, no identity but a SAS or a token."""

    def setUp(self):
        super().setUp()
        self.files = {"a": self.plain(), "b/c": self.plain()}
        self.write_all(self.files)
        private = serialization.load_pem_private_key(self.key.private_pem.encode(), None)
        self.pem = self.file("public.pem", private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))

    def go(self, *arguments, environment=None):
        bare = {"LD_PRELOAD": None, "AZURE_POD_IDENTITY_AUTHORITY_HOST": None, "SSL_CERT_FILE": self.box["ca_file"]}
        return self.run_decant("seal", *arguments, environment={**bare, **(environment or {})})

    def flags(self, *more):
        return ("--from", self.results, "--to", self.url("out/"), "--key", self.key.kid, *more)

    def test_with_a_sas(self):
        result = self.go(*self.flags("--key-file", self.pem, "--manifest"),
                         environment={"AZURE_STORAGE_SAS_TOKEN": self.query})
        self.assertEqual(result.code, 0, result)
        self.assert_sealed(self.files)
        self.assertIn("manifest_sha256", result.summary["outputs"][0])

    def test_with_tokens(self):
        tokens = {"AZURE_STORAGE_TOKEN": self.token("https://storage.azure.com/"),
                  "AZURE_VAULT_TOKEN": self.token("https://vault.azure.net")}
        result = self.go(*self.flags("--gzip"), environment=tokens)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(gzip.decompress(self.open_blob("out/a")[0]), self.files["a"])
        self.assertEqual(self.go(*self.flags(), environment=tokens).code, 42)
        self.assertEqual(self.go(*self.flags("--overwrite"), environment=tokens).code, 0)
        self.assert_sealed(self.files)

    def test_relative_to_the_working_directory(self):
        os.mkdir(os.path.join(self.folder, "here"))
        self.file("here/x", b"x")
        result = self.go("--from", "here", "--to", self.url("out/") + "?" + self.query, "--key", "k", "--key-file", self.pem)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(self.names(), ["out/x"])

    def test_flags_that_do_not_fit(self):
        for words, arguments in (
                ("--from, --to and --key belong together", ("--from", "x", "--to", self.url("out/"))),
                ("go with --from", ("--manifest",)),
                ("exclude each other", ("-c", "job.json", "--from", "x")),
                ("--to: ", ("--from", "x", "--to", "nonsense", "--key", "k", "--key-file", self.pem)),
                ("--key: ", ("--from", "x", "--to", self.url("out/"), "--key", "k")),
                ("seal does not take the option --shard", ("--shard", "0/2"))):
            result = self.go(*arguments)
            self.check_failure(result, 2, words)


class Refused(Seal):
    def test_nothing_to_seal(self):
        self.refused(20, "there is no file in results: nothing to seal")
        self.refused(20, "absent", job=self.seal_job(**{"from": "absent"}))
        self.write("a", b"x")
        job = self.seal_job()
        job["outputs"].append({**job["outputs"][0], "from": "absent", "to": self.url("more/")})
        self.refused(20, r"outputs\[1\].*absent", job=job)
        self.refused(2, "nothing to seal", job={**job, "outputs": []})

    def test_names_no_blob_can_have(self):
        for name, words in (("ends.", "ends in '.'"), ("dir./a", "ends in '.'"), ("new\nline", "control character"),
                            ("back\\slash", "backslash"), ("x" * 200 + "/" + "/".join(["y" * 200] * 5), "1024 characters")):
            with self.subTest(name):
                self.write("good", b"good")
                path = self.write(name, b"bad")
                self.refused(42, words, "no blob can be named")
                os.unlink(path)
        self.write(b"\xff".decode("utf-8", "surrogateescape"), b"bad")
        self.refused(42, "not UTF-8")

    def test_what_is_no_file(self):
        os.mkdir(os.path.join(self.results, "sub"))
        path = os.path.join(self.results, "sub", "odd")

        def bind():
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(path)

        for words, make in (("sub/odd is a symbolic link", lambda: os.symlink("/etc/passwd", path)),
                            ("sub/odd is a symbolic link", lambda: os.symlink("..", path)),
                            ("sub/odd is a pipe", lambda: os.mkfifo(path)),
                            ("sub/odd is a socket", bind),
                            ("sub/odd is a device", lambda: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3)))):
            with self.subTest(words):
                self.write("good", b"good")
                make()
                try:
                    self.refused(42, words)
                finally:
                    os.unlink(path)

    def test_what_it_may_not_read(self):
        """As somebody who is not root, which may read everything."""
        if os.geteuid() != 0:
            print("skipped: only root can become somebody else")
            self.skipTest("not root")
        os.chmod(self.write("good", b"good"), 0o644)
        os.mkdir(os.path.join(self.results, "sub"), 0o755)
        path = self.file("job.json", json.dumps(self.seal_job({"network": None})))
        for make in (lambda odd: os.close(os.open(odd, os.O_CREAT, 0o600)), lambda odd: os.mkdir(odd, 0o700)):
            odd = os.path.join(self.results, "sub", "odd")
            make(odd)
            process = subprocess.Popen([DECANT, "seal", "-c", path], env=self.environment_of_another(), cwd=self.folder, user=65534, group=65534,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.check_failure(self.finish(process, None), 1, "sub/odd.*Permission denied", "owner and mode")
            self.assertEqual(self.names(), [])
            shutil.rmtree(odd) if os.path.isdir(odd) else os.unlink(odd)

    def test_places_that_do_not_fit(self):
        self.write("a", b"x")
        for words, parts in ((r'"from" is a directory', {"to": self.url("blob")}),
                             ("below the prefix", {"manifest": "out/list.json"}),
                             ("whole container", {"to": self.url(), "manifest": True}),
                             ("version or snapshot", {"to": self.url("b") + "?versionid=1", "from": "results/a"})):
            with self.subTest(words):
                self.refused(2, words, job=self.seal_job(**parts))
        self.refused(20, "container", job=self.seal_job(to=self.url("out/", container="absent")))

    def test_there_is_one_already(self):
        files = {"a": self.plain(), "b": self.plain(), "large": self.plain(REGION + 1)}
        self.write_all(files)
        for taken in ("b", "large"):
            with self.subTest(taken):
                self.fresh_container()
                self.put("out/" + taken, b"older")
                self.refused(42, "already", "overwrite", committed=["out/" + taken])
                self.refused(42, "already", arguments=["--dry-run"], committed=["out/" + taken])
        self.fresh_container()
        self.put("out/b", b"older")
        self.sealed(self.seal_job(overwrite=True))
        self.assert_sealed(files)

    def test_dry_run(self):
        self.write("a", self.plain())
        result = self.sealed(None, "--dry-run")
        self.assertEqual((result.summary["result"], result.summary["files"]), ("dry-run", 1))
        self.assertEqual([each for each in self.box.log("storage") if each["method"] == "PUT" and "blockid" in each["path"]], [])
        self.assertEqual(self.names(), [])

    def test_denied(self):
        self.write("a", b"x")
        self.refused(21, "create, write", job=self.seal_job(to=self.url("out/") + "?" + self.sas(permissions="rl")))


class Changing(Seal):
    """The source changes while it is read: refused, and nothing is committed."""

    def setUp(self):
        super().setUp()
        self.write("other", b"other")
        self.path = self.write("large", bytes(3 * REGION))
        self.box.fault({"delay_ms": 700}, method="PUT", path="out/large.*blockid", times=-1)

    def change(self, change):
        job = self.seal_job({"limits": {"parallel": 1}})
        timer = threading.Timer(0.9, change)
        timer.start()
        result = self.seal(job)
        timer.join()
        self.check_failure(result, 31, "results/large")
        self.assertEqual(self.names(), [])

    def test_it_changes(self):
        def change():
            with open(self.path, "r+b") as file:
                file.write(b"x")
        self.change(change)

    def test_it_grows(self):
        def change():
            with open(self.path, "ab") as file:
                file.write(b"x")
        self.change(change)

    def test_it_shrinks(self):
        self.change(lambda: os.truncate(self.path, REGION + 1))

    def test_it_goes_away(self):
        self.change(lambda: os.unlink(self.path))

    def test_it_is_replaced(self):
        def change():
            self.write("new", bytes(3 * REGION))
            os.rename(os.path.join(self.results, "new"), self.path)
        self.change(change)


class Listing(Seal):
    """The tree changes while it is walked: what may be missing is missed."""

    def change(self, words, change):
        for name in ("a", "b", "c", "sub/d"):
            self.write(name, name.encode())
        self.box.fault({"delay_ms": 700}, method="PUT", path="blockid", times=-1)
        process = self.start_seal(self.seal_job({"limits": {"parallel": 1}}))
        until = time.monotonic() + 30
        while not self.box.log("storage", "PUT", "blockid") and time.monotonic() < until:
            time.sleep(0.02)
        change()
        result = self.finish(process)
        self.check_failure(result, 31, words, "nobody writes")
        self.assertEqual(self.names(), [])

    def test_one_comes(self):
        self.change("files came or went in .*results while", lambda: self.write("new", b"new"))

    def test_one_goes(self):
        """Whether it was read before or not."""
        self.change("came or went|cannot be opened|was deleted", lambda: [os.unlink(os.path.join(self.results, name)) for name in "abc"])

    def test_all_go(self):
        self.change("came or went|cannot be opened|was deleted", lambda: shutil.rmtree(self.results))


class Failing(Seal):
    """A service that fails. What was committed is taken back."""

    def setUp(self):
        super().setUp()
        self.files = {f"f{i:02}": self.plain(1000 + i) for i in range(20)}
        self.write_all(self.files)

    def test_it_stumbles(self):
        for path in ("blockid", "comp=blocklist"):
            self.box.fault({"status": 503, "code": "ServerBusy", "retry_after": 1}, method="PUT", path=path, times=2)
        result = self.sealed()
        self.assertGreaterEqual(result.summary["retries"], 4)
        self.assert_sealed(self.files)

    def test_answers_get_lost(self):
        """The commit happened, but nobody said so: the next try finds its own blob."""
        self.box.fault({"drop_answer": True}, method="PUT", path="f05.*comp=blocklist")
        self.box.fault({"drop_answer": True}, method="PUT", path="f06.*blockid")
        self.sealed()
        self.assert_sealed(self.files)

    def test_overwriting_when_answers_get_lost(self):
        self.put("out/f05", b"older")
        self.box.fault({"drop_answer": True}, method="PUT", path="f05.*comp=blocklist", skip=1)
        self.sealed(self.seal_job(overwrite=True))
        self.assert_sealed(self.files)

    def failing(self, path, **parts):
        self.box.fault({"status": 500, "code": "InternalError"}, method="PUT", path=path, times=-1)
        return self.seal_job({"limits": {"timeout_s": 4}}, **parts)

    def test_blocks_do_not_get_there(self):
        self.refused(22, "f1[0-9]", job=self.failing("f1.*blockid"))
        self.assertEqual(self.box.log("storage", "PUT", "comp=blocklist"), [])

    def test_a_commit_does_not_get_there(self):
        self.refused(22, "f07", job=self.failing("f07.*comp=blocklist"))
        self.assertGreater(len(self.box.log("storage", "DELETE")), 0)

    def test_the_manifest_does_not_get_there(self):
        self.refused(22, "manifest", job=self.failing("manifest.*comp=blocklist", manifest=True))
        self.assertEqual(len(self.box.log("storage", "DELETE")), 20)

    def test_the_manifest_is_the_last(self):
        """Whoever sees it sees all that it lists."""
        self.box.fault({"delay_ms": 1500}, method="PUT", path="f07.*comp=blocklist")
        process = self.start_seal(self.seal_job({"limits": {"parallel": 6}}, manifest=True))
        while process.poll() is None:
            names = self.names()
            if "out.manifest.json" in names:
                self.assertEqual(len(names), 21)
            time.sleep(0.02)
        self.assertEqual(self.finish(process).code, 0)
        self.assertEqual(len(self.names()), 21)

    def test_a_signal_on_the_way_back(self):
        """It waits until everything is taken back."""
        self.box.fault({"delay_ms": 300}, method="DELETE", times=-1)
        process = self.start_seal(self.failing("manifest.*comp=blocklist", manifest=True))
        until = time.monotonic() + 60
        while not self.box.log("storage", "DELETE") and time.monotonic() < until:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        self.check_failure(self.finish(process), 22, "manifest")
        self.assertEqual(self.names(), [])

    def test_a_commit_happened_but_nobody_knows(self):
        """The answer is lost and then the service is gone, until it is asked on the way back."""
        self.box.fault({"drop_answer": True}, method="PUT", path="f07.*comp=blocklist")
        self.refused(22, "f07", job=self.failing("f07.*comp=blocklist"))

    def test_a_commit_happened_and_the_next_try_is_refused(self):
        """A no to the second try says nothing of the first, whose answer was lost."""
        self.box.fault({"drop_answer": True}, method="PUT", path="f07.*comp=blocklist")
        self.box.fault({"status": 403, "code": "AuthorizationFailure"}, method="PUT", path="f07.*comp=blocklist", times=-1)
        self.refused(21, "f07")

    def test_what_cannot_be_taken_back_is_told(self):
        self.box.fault({"status": 403, "code": "AuthorizationPermissionMismatch"}, method="DELETE", path="f03", times=-1)
        self.put("out/f04", b"older")
        result = self.seal(self.failing("manifest.*comp=blocklist", overwrite=True, manifest=True))
        self.check_failure(result, 22, "1 blobs could not be taken back", "1 blobs had replaced older ones and stay")
        self.assertEqual(set(self.names()), {"out/f03", "out/f04"})
        self.assertIn("not_taken_back", result.err)

    def test_the_service_is_full(self):
        self.box.fault({"status": 409, "code": "AccountRequiresMoreQuota", "message": "no room"}, method="PUT",
                       path="f09.*blockid", times=-1)
        self.refused(21, "AccountRequiresMoreQuota")


class Interrupted(Seal):
    def test_at_any_moment(self):
        """Whole or nothing, whenever the signal comes."""
        files = {f"f{i:02}": self.plain(1000) for i in range(16)}
        self.write_all(files)
        whole = {"out/" + name for name in files} | {"out.manifest.json"}
        ends = {True: 0, False: 0}
        for number, moment in [(signal.SIGTERM, i * 0.12) for i in range(12)] + [(signal.SIGINT, 0.5)]:
            self.fresh_container()
            self.box.fault({"delay_ms": 60}, method="PUT", path=f"{self.container}/out", times=-1)
            process = self.start_seal(self.seal_job({"limits": {"parallel": 4}}, manifest=True))
            time.sleep(moment)
            process.send_signal(number)
            result = self.finish(process)
            self.assertIn(result.code, (128 + number, 0), result)
            self.assertEqual(set(self.names()), whole if result.code == 0 else set(), (moment, result))
            ends[result.code == 0] += 1
        self.assertGreater(ends[False], 3)

    def test_while_blobs_are_committed(self):
        files = {f"f{i:02}": self.plain(1000) for i in range(16)}
        self.write_all(files)
        self.box.fault({"delay_ms": 200}, method="PUT", path="comp=blocklist", times=-1)
        process = self.start_seal(self.seal_job({"limits": {"parallel": 2}}))
        while not self.names():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        result = self.finish(process)
        self.check_failure(result, 143, "interrupted by SIGTERM")
        self.assertEqual(self.names(), [])


class Receipt(Seal):
    """What was made of what, said by the hardware; and decant inspect, which believes it for the right reasons only."""

    def setUp(self):
        super().setUp()
        self.put("in/a", self.plain())
        self.write_all({"a": self.plain(), "b": self.plain()})
        job = self.seal_job({"attestation": {"provider": self.box["attestation"], "evidence": "device"}}, receipt=True)
        job["keys"] = [{"kid": self.key.versionless}]
        job["inputs"] = [{"from": self.url("in/"), "manifest": {"from": self.url("in.json"), "sha256": sha256(b"in")}},
                         {"from": self.url("b") + "?" + self.query}]
        self.job_text = job

    def receipt(self, **changes):
        told = self.sealed({**self.job_text, **changes}).summary["outputs"][0]
        self.assertEqual(told["receipt"], self.url("out.receipt.json"))
        return told, self.ask("out.receipt.json")[1].decode()

    def test_what_it_says(self):
        told, text = self.receipt()
        receipt = json.loads(text)
        body, evidence = json.loads(receipt["body"]), receipt["evidence"]
        runtime = evidence["runtime_data"]
        self.assertEqual(json.loads(runtime)["receipt_sha256"], sha256(receipt["body"].encode()))
        self.assertEqual(b64decode(evidence["report"])[0x50:0x90].hex(), sha256(runtime.encode()) + "0" * 64)
        claims = json.loads(b64decode(evidence["token"].split(".")[1] + "==", altchars=b"-_"))
        self.assertEqual(claims["x-ms-runtime"], json.loads(runtime))
        with open(os.path.join(self.folder, "job.json"), "rb") as file:
            self.assertEqual(body["job_sha256"], sha256(file.read()))
        self.assertEqual(body["inputs"], [{"from": self.url("in/"), "manifest_sha256": sha256(b"in")},
                                          {"from": self.url("b")}])
        self.assertEqual(body["output"], {"to": self.url("out/"), "manifest": told["manifest"],
                                          "manifest_sha256": told["manifest_sha256"], "files": 2, "bytes": 200})
        self.assertNotIn("sig=", text)
        self.assertEqual(set(self.names()), {"in/a", "out/a", "out/b", "out.manifest.json", "out.receipt.json"})

    def inspect(self, text, *more):
        manifest = self.file("manifest.json", self.ask("out.manifest.json")[1])
        return self.run_decant("inspect", self.file("receipt.json", text), "--verify", "--manifest-file", manifest,
                               "--host-data", self.box["host_data"], "-c", os.path.join(self.folder, "job.json"),
                               *more, environment={"DECANT_JOB": None})

    def root(self, text):
        """The sandbox's own root, which nobody else has reason to believe."""
        last = json.loads(text)["evidence"]["certificates"].split("-----BEGIN")[-1]
        return ("--amd-root", self.file("root.pem", "-----BEGIN" + last))

    def test_that_it_can_be_verified(self):
        _, text = self.receipt()
        result = self.inspect(text, *self.root(text))
        self.assertEqual(result.code, 0, result)
        self.assertNotEqual(self.inspect(text).code, 0)

    def test_that_it_is_about_this_output(self):
        _, text = self.receipt()
        receipt = json.loads(text)
        receipt["body"] = receipt["body"].replace('"files":2', '"files":3')
        self.assertNotEqual(self.inspect(json.dumps(receipt), *self.root(text)).code, 0)

    def test_without_evidence(self):
        result = self.finish(self.start_seal(self.job_text, environment={"LD_PRELOAD": None}))
        self.check_failure(result, 10, r"outputs\[0\]: receipt")
        self.assertEqual(self.box.log("storage", "PUT", "out"), [], "nothing is uploaded before")
        self.assertEqual(self.names(), ["in/a"])

    def test_attestation_refuses(self):
        self.box.fault({"status": 400, "code": "InvalidParameter"}, service="attestation", times=-1)
        result = self.seal(self.job_text)
        self.check_failure(result, 11, r"outputs\[0\]: receipt")
        self.assertEqual(self.names(), ["in/a"])
