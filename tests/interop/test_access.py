"""The ways in: SAS, bearer token over TLS, nothing at all; and what is said when one does not open."""

import re

from azurite import make_certificates, make_token
from harness import Case, content

SIZE = 100_000


class WithSas(Case):
    def setUp(self):
        super().setUp()
        self.put("set/a", content(SIZE))
        self.prefix, self.single = self.job(self.url("set/")), self.job(self.url("set/a"))

    def test_container_sas(self):
        self.good(self.prefix, {"a": content(SIZE)}, self.sas())

    def test_account_sas(self):
        self.good(self.prefix, {"a": content(SIZE)}, self.account_sas())

    def test_account_sas_for_reading_one(self):
        self.good(self.single, {"a": content(SIZE)}, self.account_sas("r", "o"))

    def test_sas_in_the_url(self):
        self.good(self.job(f"{self.url('set/')}?{self.sas()}"), {"a": content(SIZE)})

    def test_sas_in_a_file(self):
        path = self.file("sas", b"?" + self.sas().encode() + b"\n")
        self.good(self.job({"from": self.url("set/a"), "sas_file": path}), {"a": content(SIZE)})

    def test_wrong_signature(self):
        """Azure says AuthenticationFailed, Azurite AuthorizationFailure."""
        wrong = re.sub("sig=[^&]+", "sig=" + "A" * 43 + "%3D", self.sas())
        self.bad(21, "set/a", "Auth\\w+Fail", job=self.single, sas=wrong)
        self.bad(21, self.container, "Auth\\w+Fail", job=self.prefix, sas=wrong)

    def test_sas_of_another_container(self):
        other, self.container = self.container, "elsewhere"
        sas = self.sas()
        self.container = other
        self.bad(21, job=self.single, sas=sas)

    def test_expired(self):
        self.bad(21, "expired", job=self.single, sas=self.sas(hours=-0.5, start=-1))

    def test_not_yet_valid(self):
        self.bad(21, "set/a", job=self.single, sas=self.sas(hours=2, start=1))

    def test_write_only(self):
        self.bad(21, "read", job=self.single, sas=self.sas("w"))

    def test_no_right_to_list(self):
        self.bad(21, "list", job=self.prefix, sas=self.sas("r"))
        self.good(self.single, {"a": content(SIZE)}, self.sas("r"))

    def test_no_credential(self):
        self.bad(21, "no credential", job=self.single)
        self.bad(21, "no credential", job=self.prefix)


class WithToken(Case):
    tls = True

    def setUp(self):
        super().setUp()
        self.put("set/a", content(SIZE))
        self.work = self.job(self.url("set/"))
        self.work["identity"] = {"type": "token", "storage_token_env": "STORAGE_TOKEN"}

    def test_good(self):
        self.good(self.work, {"a": content(SIZE)}, STORAGE_TOKEN=make_token())

    def test_from_a_file(self):
        path = self.file("token", make_token().encode() + b"\n")
        self.work["identity"] = {"type": "token", "storage_token_file": path}
        self.good(self.work, {"a": content(SIZE)})

    def test_sas_over_tls(self):
        self.work["identity"] = {"type": "none"}
        self.good(self.work, {"a": content(SIZE)}, self.sas())

    def test_expired(self):
        self.bad(12, "expired", job=self.work, STORAGE_TOKEN=make_token(-60))

    def test_other_audience(self):
        token = make_token(audience="https://vault.azure.net")
        self.bad(21, "AuthenticationFailed", job=self.work, STORAGE_TOKEN=token)

    def test_other_authority(self):
        """A server that our CA did not vouch for gets neither the token nor trust."""
        other_ca, _, _ = make_certificates(self.folder)
        self.work["network"] = {"ca_file": other_ca}
        self.bad(22, "certificate", job=self.work, STORAGE_TOKEN=make_token())


class Public(Case):
    public = "container"

    def test_prefix(self):
        self.put("set/a", content(SIZE))
        self.good(self.job(self.url("set/")), {"a": content(SIZE)})


class PublicBlobs(Case):
    public = "blob"

    def test_single(self):
        self.put("set/a", content(SIZE))
        self.good(self.job(self.url("set/a")), {"a": content(SIZE)})

    def test_no_listing(self):
        self.put("set/a", content(SIZE))
        self.bad(21, "no credential", job=self.job(self.url("set/")))
