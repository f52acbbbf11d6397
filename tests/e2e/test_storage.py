"""What is asked of the store: with which credential, and what becomes of hostile names."""

import os
from urllib.request import Request, urlopen

from harness import Case, tree

STORAGE = "https://storage.azure.com/"


class Credentials(Case):
    """No key service here: the key comes from a file."""

    def setUp(self):
        super().setUp()
        self.content = self.plain(70000)
        self.put("s/a", self.content)
        self.nobody = {"type": "none"}

    def test_sas_in_the_url(self):
        for url, files in ((self.url("s/a"), {"a": self.content}), (self.url("s/"), {"a": self.content})):
            with self.subTest(url=url):
                self.good(job=self.quick_job(f"{url}?{self.sas()}", identity=self.nobody), files=files)
        self.assertEqual(self.box.log("identity"), [])

    def test_sas_in_a_variable(self):
        job = self.quick_job({"from": self.url("s/"), "sas_env": "MY_SAS"}, identity=self.nobody)
        for sas in (self.sas(), "?" + self.sas(), self.sas() + "\n"):
            self.good(job=job, environment={"MY_SAS": sas}, files={"a": self.content})
        self.bad(2, "inputs\\[0\\]", "MY_SAS is not set", job=job)

    def test_sas_in_a_file(self):
        for sas in (self.sas(), "?" + self.sas() + "\n"):
            job = self.quick_job({"from": self.url("s/"), "sas_file": self.file("sas", sas)}, identity=self.nobody)
            self.good(job=job, files={"a": self.content})
        job = self.quick_job({"from": self.url("s/"), "sas_file": "/nonexistent/sas"}, identity=self.nobody)
        self.bad(2, "/nonexistent/sas", job=job)

    def test_sas_comes_before_the_identity(self):
        self.good(job=self.quick_job(f"{self.url('s/')}?{self.sas()}"), files={"a": self.content})
        self.assertEqual(self.box.log("identity"), [])

    def test_sas_for_one_blob(self):
        self.good(job=self.quick_job(f"{self.url('s/a')}?{self.sas(blob='s/a', permissions='r')}", identity=self.nobody),
                  files={"a": self.content})

    def test_bad_sas(self):
        good = self.sas()
        cases = {"expired": (self.sas(seconds=-60), "expired"),
                 "cut": (good[:-8], "AuthenticationFailed"),
                 "no list permission": (self.sas(permissions="r"), "list"),
                 "for one blob": (self.sas(blob="s/a"), "container|blob"),
                 "of another container": (self.box.control("sas", container="elsewhere")["sas"], "AuthenticationFailed")}
        for case, (sas, word) in cases.items():
            with self.subTest(case=case):
                self.secrets.append(sas[sas.index("sig=") + 4:].split("&")[0])
                self.bad(21, word, job=self.quick_job(f"{self.url('s/')}?{sas}", identity=self.nobody))

    def test_public_container(self):
        self.box.control("public", container=self.container)
        self.good(job=self.quick_job(self.url("s/"), identity=self.nobody), files={"a": self.content})
        self.assertEqual(self.box.log("identity"), [])

    def test_private_container_without_credential(self):
        for url in (self.url("s/"), self.url("s/a")):
            self.bad(21, "SAS or an identity", job=self.quick_job(url, identity=self.nobody))

    def test_token_in_a_variable_and_a_file(self):
        token = self.token(STORAGE)
        self.good(job=self.quick_job(self.url("s/"), identity={"type": "token", "storage_token_env": "TOKEN"}),
                  environment={"TOKEN": token}, files={"a": self.content})
        self.good(job=self.quick_job(self.url("s/"), identity={"type": "token", "storage_token_file":
                                                               self.file("token", token + "\n")}), files={"a": self.content})

    def test_token_for_something_else(self):
        job = self.quick_job(self.url("s/"), identity={"type": "token", "storage_token_env": "TOKEN"})
        self.bad(21, "InvalidAuthenticationInfo", job=job, environment={"TOKEN": self.token("https://vault.azure.net")})

    def test_expired_token(self):
        job = self.quick_job(self.url("s/"), identity={"type": "token", "storage_token_env": "TOKEN"})
        self.bad(12, "TOKEN", "expired", job=job, environment={"TOKEN": self.token(STORAGE, seconds=-10)})


class Absent(Case):
    def test_blob(self):
        for name in ("none", "deep/none", "with space"):
            self.bad(20, f"blob (\\S+/)?{name}", "BlobNotFound", job=self.quick_job(self.url(name)))

    def test_container(self):
        for name in ("", "a", "set/"):
            self.bad(20, "ContainerNotFound", job=self.quick_job(self.url(name, container="absent")))

    def test_prefix(self):
        self.put("other/a", self.plain())
        self.bad(20, "no blob below", "Check the prefix", job=self.quick_job(self.url("set/")))

    def test_letter_case_counts(self):
        self.put("Name", self.plain())
        self.bad(20, "letter case", job=self.quick_job(self.url("name")))


class Changed(Case):
    """A blob that changes while it is read."""

    def test_between_listing_and_reading(self):
        """The listing says one version; the reads ask for that one and get 412."""
        self.put("s/a", self.plain(70000))
        self.box.fault({"status": 412, "code": "ConditionNotMet"}, method="GET", path="/s/a")
        self.bad(31, "s/a", "changed while it was read", job=self.quick_job(self.url("s/")))

    def test_every_read_is_pinned(self):
        content = self.plain(20 << 20)
        self.put("s/a", content)
        self.box.fault({"status": 412, "code": "ConditionNotMet"}, method="GET", path="/s/a", skip=2)
        self.bad(31, "changed while it was read", job=self.quick_job(self.url("s/")))

    def test_replaced_midway(self):
        """The real thing: the blob is replaced while its first range is on its way."""
        self.put("s/a", self.plain(40 << 20))
        replacement = self.encrypt(self.plain(40 << 20))    # made before: the run does not wait for it
        self.box.fault({"slow_bps": 2 << 20}, method="GET", path="/s/a", times=2)
        before = tree(self.volume)
        process = self.start([], self.quick_job(self.url("s/"), limits={"parallel": 2}))
        while not self.reads():
            self.assertIsNone(process.poll())
        self.store("s/a", *replacement)
        self.check_failure(self.finish(process), 31, "s/a", "changed while it was read")
        self.assertEqual(tree(self.volume), before)

    def test_smaller_than_it_was(self):
        self.put("s/a", self.plain(70000))
        self.box.fault({"status": 416, "code": "InvalidRange"}, method="GET", path="/s/a")
        self.bad(31, "smaller", job=self.quick_job(self.url("s/")))


class Names(Case):
    """Names that the service chooses cannot leave the volume, or be one another."""

    def test_hostile_names(self):
        names = ["../x", "s/../../x", "a//b", "/x", "//x", "a/./b", ".", "..", "./x", "a/..", "x/", "a\\b", ".decant/ready.json",
                 ".decant/stage/x", ".decant", "new\nline", "tab\there", "esc\x1b[2J", "del\x7f", "x" * 256, "a/" + "ü" * 128,
                 "c1\u0085x"]
        stored, metadata = self.encrypt(self.plain())
        for name in names:
            with self.subTest(name=name):
                self.store("p/" + name, stored, metadata)
                result = self.bad(42, "cannot be published", job=self.quick_job(self.url("p/")))
                self.assertNotIn("\x1b", result.err)
                self.drop("p/" + name)

    def drop(self, name):
        sas = self.box.control("sas", container=self.container, permissions="d")["sas"]
        urlopen(Request(f"{self.url(name)}?{sas}", method="DELETE", headers={"x-ms-version": "2021-12-02"})).close()

    def test_a_hostile_name_among_good_ones(self):
        for name in ("p/a", "p/b", "p/../evil", "p/z"):
            self.put(name, self.plain(1000))
        self.bad(42, "\\.\\.", job=self.quick_job(self.url("p/")))

    def test_match_leaves_hostile_names_out(self):
        content = self.plain()
        self.put("p/good.bin", content)
        self.put("p/..", self.plain())
        self.good(job=self.quick_job({"from": self.url("p/"), "match": "*.bin"}), files={"good.bin": content})

    def test_longest_segment(self):
        content = self.plain()
        self.put("p/" + "x" * 255, content)
        self.good(job=self.quick_job(self.url("p/")), files={"x" * 255: content})

    def test_file_and_directory(self):
        self.put("p/a", self.plain())
        self.put("p/a/b", self.plain())
        self.bad(42, "inputs\\[\\].to|inputs\\[\\].match", job=self.quick_job(self.url("p/")))

    def test_two_inputs_for_one_name(self):
        self.put("one", self.plain())
        self.put("two", self.plain())
        job = self.quick_job({"from": self.url("one"), "to": "same"}, {"from": self.url("two"), "to": "same"})
        self.bad(42, "same", job=job)

    def test_two_prefixes_for_one_name(self):
        self.put("p/x/a", self.plain())
        self.put("q/a", self.plain())
        job = self.quick_job(self.url("p/"), {"from": self.url("q/"), "to": "x"})
        self.bad(42, "x/a", job=job)

    def test_to_that_leaves_the_volume(self):
        self.put("p/a", self.plain())
        for to in ("../x", "/etc", "a/../../b", ".decant", "a//b"):
            with self.subTest(to=to):
                self.bad(42, "cannot be published", job=self.quick_job({"from": self.url("p/a"), "to": to}))
                self.bad(42, "cannot be published", job=self.quick_job({"from": self.url("p/"), "to": to}))

    def test_links_on_the_volume_are_not_followed(self):
        outside = self.temporary("/dev/shm")
        os.symlink(outside, os.path.join(self.volume, "dir"))
        self.put("p/dir/a", self.plain())
        self.bad(42, "dir", job=self.quick_job(self.url("p/")))
        self.assertEqual(os.listdir(outside), [])

    def test_a_link_in_a_files_place_is_replaced(self):
        outside = self.file("victim", "mine")
        os.symlink(outside, os.path.join(self.volume, "a"))
        content = self.plain()
        self.put("p/a", content)
        self.good(job=self.quick_job(self.url("p/")))
        self.assertEqual(tree(self.volume)["a"][1], content)
        self.assertFalse(os.path.islink(os.path.join(self.volume, "a")))
        with open(outside, encoding="ascii") as file:
            self.assertEqual(file.read(), "mine")


class Lying(Case):
    """A store that does not tell the truth."""

    def test_listing_of_other_names(self):
        """A page may only hold what is below the prefix."""
        blob = ("<Blob><Name>elsewhere</Name><Properties><Content-Length>10</Content-Length><Etag>0x1</Etag></Properties>"
                "</Blob>")
        page = f'<?xml version="1.0"?><EnumerationResults><Blobs>{blob}</Blobs><NextMarker /></EnumerationResults>'
        self.box.fault({"body": page}, method="GET", path="comp=list")
        result = self.run_decant(job=self.quick_job(self.url("set/")))
        self.assertNotEqual(result.code, 0)
        self.assertEqual(tree(self.volume), {})

    def test_listing_that_is_not_one(self):
        entity = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><EnumerationResults>&a;</EnumerationResults>'
        for body in ("", "no XML", "<a></b>", "<Other/>", entity, "<EnumerationResults><Blobs>", "{}"):
            with self.subTest(body=body):
                self.box.control("reset")
                self.empty()
                self.box.fault({"body": body}, method="GET", path="comp=list", times=-1)
                self.bad(22, "list", job=self.quick_job(self.url("set/")), arguments=["--timeout", "1"])

    def test_endless_pages(self):
        """The same marker again and again does not go on for ever."""
        page = '<?xml version="1.0"?><EnumerationResults><Blobs /><NextMarker>again</NextMarker></EnumerationResults>'
        self.box.fault({"body": page}, method="GET", path="comp=list", times=-1)
        result = self.run_decant("--timeout", "3", job=self.quick_job(self.url("set/")))
        self.assertEqual(result.code, 22, result)

    def test_listed_size_is_held_against_the_blob(self):
        self.put("s/a", self.plain(70000))
        self.box.fault({"wrong_range": "total"}, method="GET", path="/s/a", times=-1)
        self.bad(22, "s/a", job=self.quick_job(self.url("s/")), arguments=["--timeout", "2"])

    def test_properties_that_lie(self):
        """What HEAD says of a single blob is only a claim."""
        self.put("a", self.plain(70000))
        for headers, codes in (({"ETag": None}, (22,)), ({"ETag": "no quotes\u00e9"}, (22,)), ({"ETag": '"0xOTHER"'}, (31,)),
                               ({"x-ms-meta-encryptiondata": None}, (30,)), ({"x-ms-meta-encryptiondata": "{}"}, (30,)),
                               ({"Content-Length": "69000"}, (22, 30)), ({"Content-Length": "99999"}, (22, 30)),
                               ({"Content-Length": "18446744073709551615"}, (22, 30, 41)), ({"Content-Length": "-1"}, (22,))):
            with self.subTest(headers=headers):
                self.box.control("reset")
                self.empty()
                self.box.fault({"headers": headers}, method="HEAD", times=-1)
                result = self.run_decant("--timeout", "1", job=self.quick_job(self.url("a")))
                self.assertIn(result.code, codes, result)
                self.assertEqual(tree(self.volume), {})


class DryRuns(Case):
    """They find what a run would find, up to the first write."""

    def test_each_finding(self):
        self.put("s/a", self.plain(1000))
        self.store("s/unencrypted", self.plain())
        self.put("p/../x", self.plain())
        for code, job in ((20, self.quick_job(self.url("none"))), (20, self.quick_job(self.url("none/"))),
                          (21, self.quick_job(self.url("s/a"), identity={"type": "none"})),
                          (30, self.quick_job(self.url("s/"))), (42, self.quick_job(self.url("p/"))),
                          (31, self.quick_job({"from": self.url("s/a"), "size": 1})),
                          (42, self.quick_job({"from": self.url("s/a"), "to": "../a"})),
                          (2, self.quick_job(self.url("s/a"), volume={"path": "/nonexistent/volume"}))):
            with self.subTest(code=code):
                self.bad(code, job=job, arguments=["--dry-run"])
