"""Who we are for the services: each kind of identity, right and wrong."""

from harness import Case


class Identities(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain()
        self.put("a", self.content)
        self.files = {"a": self.content}
        self.application = {"AZURE_CLIENT_ID": self.box["client_id"], "AZURE_TENANT_ID": self.box["tenant"],
                            "AZURE_AUTHORITY_HOST": self.box["entra"]}
        self.by_secret = {**self.application, "AZURE_CLIENT_SECRET": self.box["client_secret"]}
        self.by_workload = {**self.application, "AZURE_FEDERATED_TOKEN_FILE": self.box["federated_token_file"]}

    def job_as(self, kind, **more):
        return self.job(self.url("a"), identity={"type": kind, **more})

    def storage_only(self, kind, **more):
        """Without attestation and release: storage alone asks who we are."""
        return self.quick_job(self.url("a"), identity={"type": kind, **more})

    def test_managed(self):
        self.good(job=self.job_as("managed"), files=self.files)
        self.good(job=self.storage_only("managed", client_id=self.box["client_id"]), files=self.files)

    def test_managed_that_is_not_there(self):
        self.bad(12, "Identity not found", job=self.storage_only("managed", client_id="00000000-0000-4000-8000-000000000000"))

    def test_client_secret(self):
        self.good(job=self.job_as("client_secret"), environment=self.by_secret, files=self.files)
        self.assertEqual(self.box.log("identity"), [])

    def test_wrong_client_secret(self):
        environment = {**self.by_secret, "AZURE_CLIENT_SECRET": "not~the~secret"}
        self.secrets.append("not~the~secret")
        self.bad(12, "AADSTS7000215", job=self.storage_only("client_secret"), environment=environment)

    def test_workload(self):
        self.good(job=self.job_as("workload"), environment=self.by_workload, files=self.files)
        self.assertEqual(self.box.log("identity"), [])

    def test_wrong_workload(self):
        for claims, word in (({"sub": "system:serviceaccount:default:other"}, "AADSTS700213"),
                             ({"exp": 1000}, "AADSTS700024"), ({"iss": "https://elsewhere.invalid/"}, "AADSTS700211")):
            with self.subTest(claims=claims):
                self.box.control("identity", federated=claims)
                self.bad(12, word, job=self.storage_only("workload"), environment=self.by_workload)

    def test_auto(self):
        for environment, service in (({}, "identity"), (self.by_secret, "entra"), (self.by_workload, "entra"),
                                     ({**self.by_secret, **self.by_workload}, "entra")):
            self.box.control("reset")
            self.empty()
            self.good(job=self.storage_only("auto"), environment=environment, files=self.files)
            self.assertTrue(self.box.log(service))
        self.box.control("reset")
        self.empty()
        self.good(job=self.quick_job(self.url("a"), identity=None), files=self.files)
        self.assertTrue(self.box.log("identity"))

    def test_missing_variables(self):
        for kind, environment in (("client_secret", self.by_secret), ("workload", self.by_workload)):
            for name in environment:
                if name != "AZURE_AUTHORITY_HOST":
                    with self.subTest(kind=kind, name=name):
                        some = {each: value for each, value in environment.items() if each != name}
                        self.bad(12, name, job=self.storage_only(kind), environment=some)

    def test_missing_federated_token(self):
        environment = {**self.by_workload, "AZURE_FEDERATED_TOKEN_FILE": "/nonexistent/token"}
        self.bad(12, "/nonexistent/token", job=self.storage_only("workload"), environment=environment)

    def test_tokens(self):
        vault, storage = self.token("https://vault.azure.net"), self.token("https://storage.azure.com/")
        job = self.job_as("token", vault_token_env="V", storage_token_file=self.file("s", storage))
        self.good(job=job, environment={"V": vault}, files=self.files)
        self.assertEqual(self.box.log("identity") + self.box.log("entra"), [])

    def test_tokens_that_are_none(self):
        job = self.storage_only("token", storage_token_env="S")
        for value in (None, "", "two words", "line\nbreak", "x" * 100000):
            with self.subTest(value=str(value)[:10]):
                self.bad(12, "S", job=job, environment={"S": value})
        job = self.storage_only("token", storage_token_file="/nonexistent/token")
        self.bad(12, "/nonexistent/token", job=job)
        job = self.storage_only("token", vault_token_env="V")
        self.bad(12, "storage_token_env", job=job, environment={"V": self.token("https://vault.azure.net")})

    def test_none(self):
        self.box.control("public", container=self.container)
        self.good(job=self.storage_only("none"), files=self.files)
        self.empty()
        self.bad(12, "vault.azure.net", "none", job=self.job_as("none"))

    def test_authority_over_plain_http_to_a_far_host(self):
        environment = {**self.by_secret, "AZURE_AUTHORITY_HOST": "http://login.example/"}
        self.bad(12, "AZURE_AUTHORITY_HOST", "plain http", job=self.storage_only("client_secret"), environment=environment)

    def test_identity_service_down(self):
        self.bad(12, "no managed identity endpoint", job=self.storage_only("managed"), arguments=["--timeout", "1"],
                 environment={"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9"})

    def test_short_lived_tokens(self):
        self.box.control("identity", expires_in=30)
        self.good(job=self.job_as("managed"), files=self.files)
