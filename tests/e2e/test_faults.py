"""Services that stumble, once or for good; and services that send one elsewhere."""

from harness import SOON_S, Case, time, tree

SHORT = ("--timeout", "1")


class Storage(Case):
    """Each fault once: the run goes on. For good: exit 22, nothing published."""

    PASSING = {
        "500": {"status": 500}, "502": {"status": 502}, "503": {"status": 503, "code": "ServerBusy"}, "504": {"status": 504},
        "408": {"status": 408}, "429": {"status": 429, "retry_after": 1}, "drop": {"drop": True}, "cut": {"cut_after": 1000},
        "cut at once": {"cut_after": 0}, "slow": {"slow_bps": 400000}, "late": {"delay_ms": 300}}
    LASTING = {
        "503": ({"status": 503, "code": "ServerBusy"}, 22, "ServerBusy"), "drop": ({"drop": True}, 22, "s/a"),
        "cut": ({"cut_after": 10}, 22, "s/a"), "late": ({"delay_ms": 4000}, 22, "time"),
        "other range": ({"wrong_range": True}, 22, "range"), "header": ({"wrong_range": "header"}, 22, "range"),
        "whole": ({"ignore_range": True}, 22, "range"), "etag": ({"etag": '"0xOTHER"'}, 22, "version"),
        "no etag": ({"headers": {"ETag": None}}, 22, "ETag"), "no range header": ({"headers": {"Content-Range": None}}, 22, "range"),
        "flip": ({"flip_byte": 5000}, 30, "region"), "html": ({"body": "<html>login here</html>"}, 22, "range|206"), "403": ({"status": 403}, 21, "SandboxFault"),
        "404": ({"status": 404, "code": "BlobNotFound"}, 20, "BlobNotFound"), "409": ({"status": 409}, 21, "409"),
        "odd status": ({"status": 418}, 22, "418")}

    def setUp(self):
        super().setUp()
        self.content = self.plain(200000)
        self.put("s/a", self.content)

    def test_reads_recover(self):
        for case, action in self.PASSING.items():
            with self.subTest(case=case):
                self.box.control("reset")
                self.empty()
                self.box.fault(action, method="GET", path="/s/a")
                result = self.good(job=self.quick_job(self.url("s/")), files={"a": self.content})
                if case not in ("slow", "late", "drop"):     # libcurl itself asks again on a connection that was closed
                    self.assertGreater(result.summary["retries"], 0, case)

    def test_a_cut_read_goes_on_where_it_ended(self):
        self.box.fault({"cut_after": 1000}, method="GET", path="/s/a", times=3)
        self.good(job=self.quick_job(self.url("s/")), files={"a": self.content})
        self.assertEqual([entry["range"].split("-")[0] for entry in self.reads()],
                         ["bytes=0", "bytes=1000", "bytes=2000", "bytes=3000"])

    def test_listing_recovers(self):
        for case in ("500", "503", "429", "drop", "cut", "late"):
            with self.subTest(case=case):
                self.box.control("reset")
                self.empty()
                self.box.fault({"cut_after": 100} if case == "cut" else self.PASSING[case], method="GET", path="comp=list")
                self.good(job=self.quick_job(self.url("s/")), files={"a": self.content})

    def test_properties_recover(self):
        for case in ("500", "503", "429", "drop"):
            with self.subTest(case=case):
                self.box.control("reset")
                self.empty()
                self.box.fault(self.PASSING[case], method="HEAD")
                self.good(job=self.quick_job(self.url("s/a")), files={"a": self.content})

    def test_what_lasts(self):
        for case, (action, code, word) in self.LASTING.items():
            with self.subTest(case=case):
                self.box.control("reset")
                self.empty()
                self.box.fault(action, method="GET", path="/s/a", times=-1)
                self.bad(code, "s/a", f"{word}|time limit", job=self.quick_job(self.url("s/")), arguments=SHORT)

    def test_bytes_of_another_place(self):
        """All headers right, the bytes from one further on."""
        self.put("s/a", self.plain(20 << 20))
        self.box.fault({"wrong_range": "bytes"}, method="GET", path="/s/a")
        self.bad(30, "s/a", "region", job=self.quick_job(self.url("s/")))

    def test_the_service_s_own_words_are_passed_on(self):
        self.box.fault({"status": 403, "code": "AuthorizationFailure", "message": "Not from there."}, method="GET", path="/s/a")
        self.bad(21, "AuthorizationFailure", "Not from there", "request [0-9a-f-]{36}", "network rules",
                 job=self.quick_job(self.url("s/")))

    def test_a_message_that_repeats_the_signature(self):
        sas = self.sas()
        signature = sas[sas.index("sig=") + 4:].split("&")[0]
        self.box.fault({"status": 403, "code": "AuthenticationFailed", "message": f"sig={signature} is wrong"}, method="GET")
        self.bad(21, "AuthenticationFailed", job=self.quick_job(f"{self.url('s/')}?{sas}", identity={"type": "none"}))

    def test_terminal_commands_in_a_message(self):
        self.box.fault({"status": 403, "code": "X", "message": "\u009b2J\u202e hidden"}, method="GET", path="/s/a")
        result = self.bad(21, job=self.quick_job(self.url("s/")), arguments=["--log-format", "text"])
        self.assertNotIn("\u009b", result.err)

    def test_many_blobs_through_a_shaky_service(self):
        files = {"a": self.content}
        for i in range(40):
            files[str(i)] = self.plain(3000)
            self.put(f"s/{i}", files[str(i)])
        for skip, action in enumerate(({"status": 503}, {"drop": True}, {"cut_after": 100}, {"status": 500}, {"cut_after": 0})):
            self.box.fault(action, method="GET", path="/s/", skip=7 * skip, times=3)
        self.good(job=self.quick_job(self.url("s/")), files=files)


class Redirects(Case):
    """Never followed: the credentials would follow."""

    def setUp(self):
        super().setUp()
        self.put("s/a", self.plain())
        self.trap = self.box["control"] + "/trap"

    def test_everywhere(self):
        for service, method, code in (("storage", "GET", 22), ("identity", "GET", 22), ("attestation", "POST", 22),
                                      ("vault", "POST", 22)):
            with self.subTest(service=service):
                self.box.control("reset")
                self.empty()
                self.box.fault({"redirect": self.trap}, service=service, method=method, times=-1)
                result = self.run_decant("--timeout", "5", job=self.job(self.url("s/")))
                self.assertIn(result.code, (11, 12, 13, code), result)
                self.assertRegex(result.sentence, "redirect")
                self.assertEqual(self.box.log("control", None, "trap"), [])
                self.assertEqual(tree(self.volume), {})

    def test_storage(self):
        for path in ("comp=list", "/s/a"):
            with self.subTest(path=path):
                self.box.control("reset")
                self.empty()
                self.box.fault({"redirect": self.trap}, path=path, times=-1)
                self.bad(22, "redirect", job=self.quick_job(self.url("s/")))
                self.assertEqual(self.box.log("control", None, "trap"), [])


class KeyServices(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain()
        self.put("a", self.content)

    def test_each_recovers(self):
        for service in ("identity", "attestation", "vault"):
            for action in ({"status": 500}, {"drop": True}, {"cut_after": 20}):
                with self.subTest(service=service, action=action):
                    self.box.control("reset")
                    self.empty()
                    self.box.fault(action, service=service)
                    self.good(job=self.job(self.url("a")), files={"a": self.content})

    def test_throttled_vault(self):
        """429 with Retry-After: waited for as long as it says, then released."""
        self.box.fault({"status": 429, "code": "Throttled", "retry_after": 1}, service="vault", times=2)
        start = time.monotonic()
        result = self.good(job=self.job(self.url("a")), files={"a": self.content})
        self.assertGreaterEqual(time.monotonic() - start, 2)
        self.assertEqual(result.summary["retries"], 2)
        self.assertEqual(len(self.releases()), 3)

    def test_a_vault_s_own_limit(self):
        self.box.control("throttle", limit=1, per_s=2)
        for _ in range(2):
            self.empty()
            self.good(job=self.job(self.url("a")), files={"a": self.content})

    def test_throttled_for_good(self):
        self.box.fault({"status": 429, "code": "Throttled", "retry_after": 60}, service="vault", times=-1)
        self.bad(22, "Throttled", "start again later|no time is left", job=self.job(self.url("a")), arguments=["--timeout", "5"])

    def test_each_down_for_good(self):
        for service in ("identity", "attestation", "vault"):
            with self.subTest(service=service):
                self.box.control("reset")
                self.empty()
                self.box.fault({"status": 503}, service=service, times=-1)
                self.bad(22, "503|time limit", job=self.job(self.url("a")), arguments=SHORT)

    def test_answers_that_are_none(self):
        for service, codes in (("identity", (12, 22)), ("attestation", (11, 22)), ("vault", (13, 14, 22))):
            for action in ({"not_json": True}, {"body": "{}"}, {"body_bytes": 4 << 20}):
                with self.subTest(service=service, action=action):
                    self.box.control("reset")
                    self.empty()
                    self.box.fault(action, service=service, times=-1)
                    result = self.run_decant(*SHORT, job=self.job(self.url("a")))
                    self.assertIn(result.code, codes, result)
                    self.assertEqual(tree(self.volume), {})

    def test_nobody_listens(self):
        job = self.job(self.url("a"), attestation={"provider": "http://127.0.0.1:9"})
        self.bad(22, "127.0.0.1:9", "no connection|time limit", job=job, arguments=SHORT)

    def test_time_limit_of_the_job(self):
        self.box.fault({"delay_ms": 15000}, service="vault")
        start = time.monotonic()
        self.bad(22, "time", job=self.job(self.url("a"), limits={"timeout_s": 1}))
        self.assertLess(time.monotonic() - start, SOON_S)
