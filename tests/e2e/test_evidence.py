"""Where evidence comes from, what the attestation service makes of it, and what is believed of its token."""

from harness import Case, tree


class Sources(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain()
        self.put("a", self.content)

    def job_with(self, evidence, **more):
        return self.job(self.url("a"), attestation={"evidence": evidence, **more})

    def source_of(self, result):
        return next(event["source"] for event in result.events() if event["event"] == "evidence")

    def test_devices(self):
        cases = (("device", "guest", "/dev/sev-guest"), ("device", "sev", "/dev/sev"), ("tsm", "tsm", "configfs-tsm"),
                 ("auto", "guest,sev,tsm", "/dev/sev-guest"), ("auto", "sev,tsm", "/dev/sev"), ("auto", "tsm", "configfs-tsm"),
                 ("device", "guest,tsm", "/dev/sev-guest"), ("tsm", "guest,tsm", "configfs-tsm"))
        for evidence, plays, source in cases:
            with self.subTest(evidence=evidence, plays=plays):
                result = self.good(job=self.job_with(evidence), environment={"DOUBLE_SEV": plays}, files={"a": self.content})
                self.assertIn(source, self.source_of(result))

    def test_default_is_auto(self):
        self.good(job=self.job_with(None), files={"a": self.content})

    def test_sidecar(self):
        result = self.good(job=self.job_with("sidecar", sidecar=self.box["sidecar"]), environment={"DOUBLE_SEV": ""},
                           files={"a": self.content})
        self.assertIn("sidecar", self.source_of(result))
        self.assertTrue(self.box.log("sidecar", "POST", "/attest/combined"))

    def test_no_device(self):
        for evidence, plays, word in (("auto", "", "no hardware evidence"), ("device", "tsm", "/dev/sev-guest"),
                                      ("tsm", "guest", "tsm")):
            with self.subTest(evidence=evidence):
                self.bad(10, word, "confidential", job=self.job_with(evidence), environment={"DOUBLE_SEV": plays})

    def test_evidence_is_never_downgraded(self):
        """A device that fails is a failure; another source is not tried."""
        self.bad(10, job=self.job_with("auto"), environment={"DOUBLE_SEV": "guest,sev,tsm", "DOUBLE_SEV_FAIL": "eio"})

    def test_devices_that_fail(self):
        for plays in ("guest", "sev"):
            for how in ("eio", "status:22", "data", "size:100"):
                with self.subTest(plays=plays, how=how):
                    self.bad(10, job=self.job_with("device"), environment={"DOUBLE_SEV": plays, "DOUBLE_SEV_FAIL": how})

    def test_tsm_that_fails(self):
        for how in ("eio", "data", "provider", "generation"):
            with self.subTest(how=how):
                self.bad(10, job=self.job_with("tsm"), environment={"DOUBLE_SEV": "tsm", "DOUBLE_SEV_FAIL": how})

    def test_throttled_device(self):
        self.good(job=self.job_with("device"), environment={"DOUBLE_SEV_FAIL": "throttle:1"}, files={"a": self.content})

    def test_nothing_is_left_open(self):
        for plays in ("guest", "sev", "tsm"):
            log = self.file("device.log", "")
            self.good(job=self.job_with("auto"), environment={"DOUBLE_SEV": plays, "DOUBLE_SEV_LOG": log})
            with open(log, encoding="ascii") as file:
                lines = file.read().splitlines()
            self.assertTrue(lines, plays)
            self.assertEqual([line for line in lines if "open" in line or "left" in line], [], plays)

    def test_sidecar_that_fails(self):
        for action in ({"status": 500}, {"body": "{}"}, {"not_json": True}, {"status": 404}, {"drop": True}):
            with self.subTest(action=action):
                self.box.control("reset")
                self.empty()
                self.box.fault(action, service="sidecar", times=-1)
                result = self.run_decant("--timeout", "2", job=self.job_with("sidecar", sidecar=self.box["sidecar"]))
                self.assertIn(result.code, (10, 22), result)
                self.assertIn("sidecar", result.sentence)
                self.assertEqual(tree(self.volume), {})


class Certificates(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain()
        self.put("a", self.content)
        self.thim = {"certificates": self.box["thim"]}

    def source_of(self, result):
        return next(event["certificates"] for event in result.events() if event["event"] == "evidence")

    def test_stale_or_missing_file_and_a_service_that_knows(self):
        for state in ("stale", "missing"):
            with self.subTest(state=state):
                self.box.control("platform", file_chain=state)
                result = self.good(job=self.job(self.url("a"), attestation=self.thim), files={"a": self.content})
                self.assertEqual(self.source_of(result), "THIM")

    def test_none_that_fits(self):
        """The distribution service of the manufacturer is asked last; through a proxy that refuses, it is not reached."""
        self.box.control("platform", file_chain="stale", thim_chain="stale")
        self.box.fault({"status": 403}, service="proxy", times=-1)
        job = self.job(self.url("a"), attestation=self.thim, network={"proxy": self.box["proxy"]})
        self.bad(10, "no certificates fit", "platform file", "THIM", "KDS", job=job)

    def test_the_manufacturer_s_service(self):
        self.box.control("platform", file_chain="missing", thim_chain="missing")
        job = self.job(self.url("a"), attestation=self.thim, network={"proxy": self.box["proxy"]})
        result = self.good(job=job, files={"a": self.content})
        self.assertIn("KDS", self.source_of(result))

    def test_masked_chip_key(self):
        """A host can have its firmware leave out the signature."""
        self.box.control("platform", masked=True)
        self.bad(10, "not signed", job=self.job(self.url("a")))


class TheService(Case):
    """What the attestation service refuses, and tokens that are not what was asked for: exit 11."""

    WORDS = {"wrong_nonce": "nonce", "no_nonce": "nonce", "expired": "expired", "wrong_key": "x-ms-runtime|another key",
             "no_runtime": "x-ms-runtime", "wrong_issuer": "issued by", "alg_none": "three parts|RS256", "not_a_jwt": "token's header|three parts",
             "no_exp": "expires"}

    def setUp(self):
        super().setUp()
        self.put("a", self.plain())

    def test_lies(self):
        lies = self.box.control("actions")["tamper"]["attestation"]
        self.assertGreater(len(lies), 10)
        for lie in lies:
            if lie == "bad_signature":
                continue
            with self.subTest(lie=lie):
                self.box.control("reset")
                self.empty()
                self.box.control("tamper", service="attestation", what=lie)
                self.bad(11, self.WORDS.get(lie, "token"), job=self.job(self.url("a")))
                self.assertEqual(self.releases(), [])

    def test_signature(self):
        """It is for the vault to check; the vault does."""
        self.box.control("tamper", service="attestation", what="bad_signature")
        self.bad(13, "Forbidden", "attestation statement", job=self.job(self.url("a")))

    def test_another_measurement(self):
        self.box.control("platform", other_measurement=True)
        self.bad(11, "InvalidParameter", "launch measurement", job=self.job(self.url("a")))

    def test_without_endorsement(self):
        """The service vouches for less then, and the key's policy wants more."""
        self.box.control("platform", absent=["reference-info-base64"])
        self.bad(13, "Forbidden", job=self.job(self.url("a")))

    def test_a_slash_behind_the_provider(self):
        self.good(job=self.job(self.url("a"), attestation={"provider": self.box["attestation"] + "/"}))

    def test_a_provider_that_is_none(self):
        job = self.job(self.url("a"), attestation={"provider": self.box["vault"]})
        result = self.run_decant(job=job)
        self.assertIn(result.code, (11, 22), result)
        self.assertEqual(tree(self.volume), {})
