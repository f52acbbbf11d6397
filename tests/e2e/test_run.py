"""The ways to a volume full of plaintext."""

import json
import os
import ssl
import stat
import unittest
from base64 import b64encode

from harness import Case, sha256, tree

SYSTEM_STORE = ssl.get_default_verify_paths().openssl_cafile


class WaysToGiveAJob(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain(200000)
        self.put("a.bin", self.content)
        self.files = {"a.bin": self.content}

    def test_a_file(self):
        result = self.good(job=self.job(self.url("a.bin")), files=self.files)
        self.assertEqual(result.summary["files"], 1)
        self.assertEqual(result.summary["bytes"], len(self.content))
        self.assertEqual(result.summary["keys"], 1)

    def test_standard_input(self):
        job = json.dumps(self.job(self.url("a.bin"))).encode()
        self.good("run", "-c", "-", data=job, files=self.files)

    def test_variable_with_json(self):
        self.good("run", environment={"DECANT_JOB": json.dumps(self.job(self.url("a.bin")))}, files=self.files)

    def test_variable_with_base64(self):
        job = b64encode(json.dumps(self.job(self.url("a.bin"))).encode()).decode()
        self.good("run", environment={"DECANT_JOB": job}, files=self.files)

    def test_default_file(self):
        path = self.file("job.json", json.dumps(self.job(self.url("a.bin"))))
        self.good("run", environment={"DOUBLE_FILES": f"/etc/decant/job.json={path}"}, files=self.files)

    def test_flags(self):
        """The signer of the release is looked up in the system's store; here a double plays that."""
        self.good("run", "--from", self.url("a.bin"), "--to", self.volume, "--attestation", self.box["attestation"],
                  "--key", self.key.versionless, environment={"DOUBLE_FILES": f"{SYSTEM_STORE}={self.box['ca_file']}"}, files=self.files)

    def test_file_before_variable(self):
        self.good(job=self.job(self.url("a.bin")), files=self.files, environment={"DECANT_JOB": "{}"})

    def test_no_job_at_all(self):
        self.bad(2, "the job cannot be read", "DECANT_JOB", arguments=["run"],
                 environment={"DOUBLE_FILES": "/etc/decant/job.json="})


class Inputs(Case):
    def test_prefix_keeps_the_rest_of_the_name(self):
        files = {"set/a": self.plain(10), "set/sub/b": self.plain(100000), "set/sub/deep/c": b"", "other": self.plain(5)}
        for name, content in files.items():
            self.put(name, content)
        wanted = {f"train/{name[4:]}": content for name, content in files.items() if name.startswith("set/")}
        self.good(job=self.job({"from": self.url("set/"), "to": "train"}), files=wanted)

    def test_prefix_without_to(self):
        content = self.plain()
        self.put("set/x/y", content)
        self.good(job=self.job(self.url("set/")), files={"x/y": content})

    def test_whole_container(self):
        files = {"a": self.plain(), "b/c": self.plain()}
        for name, content in files.items():
            self.put(name, content)
        self.good(job=self.job(self.url("")), files=files)

    def test_match(self):
        files = {"s/a.txt": self.plain(), "s/b.bin": self.plain(), "s/sub/c.txt": self.plain()}
        for name, content in files.items():
            self.put(name, content)
        self.good(job=self.job({"from": self.url("s/"), "match": "*.bin"}), files={"b.bin": files["s/b.bin"]})

    def test_match_that_fits_nothing(self):
        self.put("s/a.txt", self.plain())
        self.bad(20, "fits \"match\"", job=self.job({"from": self.url("s/"), "match": "*.none"}))

    def test_several_inputs(self):
        one, two, three = self.plain(1), self.plain(70000), self.plain(300000)
        self.put("one", one)
        self.put("set/two", two)
        self.put("three", three)
        job = self.job({"from": self.url("one"), "to": "first/renamed.bin"}, {"from": self.url("set/"), "to": "set"},
                       self.url("three"))
        self.good(job=job, files={"first/renamed.bin": one, "set/two": two, "three": three})

    def test_last_segment_is_the_name(self):
        content = self.plain()
        self.put("deep/down/blob.bin", content)
        self.good(job=self.job(self.url("deep/down/blob.bin")), files={"blob.bin": content})

    def test_names(self):
        names = ["with space", "ünïcödé/文字.txt", "per%cent", "100%25", "plus+sign", "a&b<c>'\"d", "semi;colon", "hash#tag",
                 "question?mark", "..dots..", "~tilde", ".hidden", "[brackets]"]
        files = {name: self.plain(50) for name in names}
        for name, content in files.items():
            self.put("n/" + name, content)
        self.good(job=self.job(self.url("n/")), files=files)

    def test_odd_names_as_single_blobs(self):
        for name in ("with space", "per%cent", "ü", "question?mark"):
            with self.subTest(name=name):
                content = self.plain(50)
                self.put(name, content)
                self.volume = self.temporary("/dev/shm")
                self.good(job=self.job(self.url(name)), files={name: content})

    def test_many_blobs_over_several_pages(self):
        stored, metadata = self.encrypt(b"")
        names = [f"many/{i // 100}/{i:05}" for i in range(1200)]
        for name in names:
            self.store(name, stored, metadata)
        self.good(job=self.job(self.url("many/")), files={name[5:]: b"" for name in names})
        pages = self.box.log("storage", "GET", "comp=list")
        self.assertGreater(len(pages), 1)
        self.assertEqual(self.box.log("storage", "HEAD"), [])
        self.assertEqual(len(self.releases()), 1)

    def test_a_later_page_is_refused(self):
        """It is fetched ahead, beside the workers; its failure is the run's all the same."""
        stored, metadata = self.encrypt(b"")
        for i in range(1001):
            self.store(f"many/{i:05}", stored, metadata)
        refusal = {"status": 403, "code": "AuthorizationFailure"}
        self.box.fault(refusal, method="GET", path="comp=list", skip=1, times=-1)
        self.bad(21, "AuthorizationFailure", job=self.job(self.url("many/")))

    def test_sha256_and_size(self):
        content = self.plain(100000)
        self.put("a", content)
        self.good(job=self.job({"from": self.url("a"), "sha256": sha256(content), "size": len(content)}),
                  files={"a": content})
        self.assertEqual(self.ready()["files"][0]["sha256"], sha256(content))

    def test_wrong_sha256(self):
        self.put("a", self.plain(100000))
        self.bad(31, r"blob \w+/a", "SHA-256", job=self.job({"from": self.url("a"), "sha256": sha256(b"other")}))

    def test_wrong_size_is_found_before_reading(self):
        self.put("a", self.plain(100000))
        self.bad(31, r"blob \w+/a", "100000 bytes", "the job says 99999", job=self.job({"from": self.url("a"), "size": 99999}))
        self.assertEqual(self.reads(), [])


class WhatARunLeaves(Case):
    def test_ready_file(self):
        content = self.plain(100000)
        self.put("set/a", content)
        self.good(job=self.job({"from": self.url("set/"), "to": "t"}), files={"t/a": content})
        ready = self.ready()
        entry = ready["files"][0]
        self.assertEqual(ready["version"], 1)
        self.assertEqual(entry["name"], "t/a")
        self.assertEqual(entry["from"], self.url("set/a"))
        self.assertEqual(entry["key"], self.key.kid)
        self.assertIn("etag", entry)
        self.assertIn("envelope", entry)
        self.assertRegex(entry["content_key_sha256"], "^[0-9a-f]{64}$")
        self.assertNotIn("sha256", entry)

    def test_ready_file_has_no_sas(self):
        self.put("a", self.plain())
        self.good(job=self.job(self.url("a") + "?" + self.sas(), identity={"type": "managed"}))
        with open(os.path.join(self.volume, ".decant", "ready.json"), encoding="utf-8") as file:
            self.assert_no_secret(file.read())

    def test_mode_and_owner(self):
        self.put("d/a", self.plain())
        self.good(job=self.job(self.url("d/")))
        status = os.stat(os.path.join(self.volume, "a"))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o440)
        self.assertEqual((status.st_uid, status.st_gid), (os.geteuid(), os.getegid()))

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_another_mode_and_owner(self):
        self.put("d/sub/a", self.plain())
        self.good(job=self.job(self.url("d/"), volume={"mode": "0604", "uid": 1234, "gid": 2345}))
        status = os.stat(os.path.join(self.volume, "sub/a"))
        self.assertEqual((stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid), (0o604, 1234, 2345))
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.volume, "sub")).st_mode), 0o755)

    def test_rerun_replaces(self):
        self.put("s/a", self.plain(70000))
        self.put("s/b", self.plain(10))
        job = self.job(self.url("s/"))
        self.good(job=job)
        changed, same = self.plain(80000), self.plain(10)
        self.put("s/a", changed)
        self.put("s/b", same)
        self.good(job=job, files={"a": changed, "b": same})

    def test_failed_rerun_leaves_the_old_files(self):
        first = self.plain(1000)
        self.put("a", first)
        job = self.job(self.url("a"))
        self.good(job=job, files={"a": first})
        stored, metadata = self.encrypt(self.plain(1000))
        self.store("a", stored[:-1] + bytes([stored[-1] ^ 1]), metadata)
        self.bad(30, r"blob \w+/a", job=job)
        self.assert_files({"a": first})

    def test_what_else_is_on_the_volume_stays(self):
        with open(os.path.join(self.volume, "mine"), "w", encoding="ascii") as file:
            file.write("keep")
        content = self.plain()
        self.put("a", content)
        self.good(job=self.job(self.url("a")))
        found = tree(self.volume)
        self.assertEqual(found["mine"][1], b"keep")
        self.assertEqual(found["a"][1], content)

    def test_dry_run_changes_nothing(self):
        self.put("s/a", self.plain(100000))
        self.put("s/b", self.plain(10))
        before = tree(self.volume)
        result = self.good("--dry-run", job=self.job(self.url("s/")))
        self.assertEqual(result.summary["files"], 2)
        self.assertEqual(tree(self.volume), before)
        self.assertEqual(self.reads(), [])

    def test_dry_run_finds_a_wrong_key(self):
        self.put("a", self.plain(), kid=self.box["vault"] + "/keys/other/" + "0" * 32)
        self.bad(14, r"blob \w+/a", "which the job does not allow", arguments=["--dry-run"], job=self.job(self.url("a")))


class WhatTheServiceSees(Case):
    def test_one_release_no_head_whole_regions(self):
        region = 1 << 16
        stored = {name: len(self.put(f"s/{name}", self.plain(size), region=region)[0])
                  for name, size in (("big", 20 << 20), ("mid", 3 * region + 17), ("small", 5))}
        self.good(job=self.job(self.url("s/")))
        self.assertEqual(len(self.releases()), 1)
        self.assertEqual(self.box.log("storage", "HEAD"), [])
        self.assertEqual(len(self.box.log("attestation", "POST")), 1)
        step, seen = region + 28, {name: 0 for name in stored}
        for entry in self.reads():
            name = entry["path"].rsplit("/", 1)[1]
            first, last = map(int, entry["range"][len("bytes="):].split("-"))
            self.assertEqual(first % step, 0, entry)
            self.assertTrue((last + 1) % step == 0 or last + 1 == stored[name], entry)
            seen[name] += last - first + 1
        self.assertEqual(seen, stored)

    def test_one_token_per_audience(self):
        for i in range(20):
            self.put(f"s/{i}", self.plain(1000))
        self.good(job=self.job(self.url("s/")))
        self.assertEqual(len(self.box.log("identity", "GET", "oauth2/token")), 2)

    def test_empty_blob_is_not_read(self):
        self.put("s/empty", b"")
        self.good(job=self.job(self.url("s/")), files={"empty": b""})
        self.assertEqual(self.reads(), [])
