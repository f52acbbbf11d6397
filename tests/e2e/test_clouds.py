"""Real host names: TLS through a proxy, as in each of the clouds."""

from harness import Case

SHARED = "https://sharedneu.neu.attest.azure.net"


class Clouds(Case):
    CLOUDS = {
        "public": ("contoso.vault.azure.net", "blob.core.windows.net", SHARED, "login.microsoftonline.com"),
        "government": ("contoso.vault.usgovcloudapi.net", "blob.core.usgovcloudapi.net", "https://contoso.attest.azure.us",
                       "login.microsoftonline.us"),
        "china": ("contoso.vault.azure.cn", "blob.core.chinacloudapi.cn", SHARED, "login.(chinacloudapi|partner.microsoftonline).cn"),
        "managed HSM": ("contoso.managedhsm.azure.net", "blob.core.windows.net", SHARED, "login.microsoftonline.com"),
        "managed HSM of the government": ("contoso.managedhsm.usgovcloudapi.net", "blob.core.usgovcloudapi.net",
                                          "https://contoso.attest.azure.us", "login.microsoftonline.us")}

    def cloud_key(self, vault, provider):
        conditions = self.box["release_policy"]["anyOf"][0]["allOf"]
        return self.box.key("kek-cloud", host=vault,
                            policy={"version": "1.0.0", "anyOf": [{"authority": provider, "allOf": conditions}]})

    def cloud_job(self, cloud, **parts):
        """A job with a blob in CLOUD, and the blob's plaintext."""
        vault, blobs, provider, _ = self.CLOUDS[cloud]
        account, key, content = f"acct{self.number}", self.cloud_key(vault, provider), self.plain(70000)
        self.put("s/a", content, key, account=account, container="data")
        parts.setdefault("network", {"proxy": self.box["proxy"]})
        job = self.job(f"https://{account}.{blobs}/data/s/", keys=[{"kid": key.versionless}],
                       **{"attestation": {"provider": provider}, **parts})
        return job, {"a": content}

    def test_managed_identity(self):
        for cloud in self.CLOUDS:
            with self.subTest(cloud=cloud):
                self.box.control("reset")
                self.empty()
                self.volume = self.temporary("/dev/shm")
                job, files = self.cloud_job(cloud)
                self.good(job=job, files=files)
                self.assertEqual(len(self.releases()), 1)
                hosts = {entry["path"] for entry in self.box.log("proxy")}
                self.assertEqual(len(hosts), 3, hosts)

    def test_letter_case_of_the_vault_s_host(self):
        """Host names are the same in any case; what comes behind them is not ours to judge."""
        job, files = self.cloud_job("public")
        job["keys"][0]["kid"] = job["keys"][0]["kid"].replace("contoso.vault", "CONTOSO.Vault")
        self.good(job=job, files=files)

    def test_login_host_of_the_cloud(self):
        environment = {"AZURE_CLIENT_ID": self.box["client_id"], "AZURE_TENANT_ID": self.box["tenant"],
                       "AZURE_CLIENT_SECRET": self.box["client_secret"]}
        for cloud in ("public", "government", "china"):
            with self.subTest(cloud=cloud):
                self.box.control("reset")
                self.empty()
                self.volume = self.temporary("/dev/shm")
                job, files = self.cloud_job(cloud, identity={"type": "client_secret"})
                self.good(job=job, files=files, environment=environment)
                for entry in self.box.log("entra"):
                    self.assertRegex(entry["host"], self.CLOUDS[cloud][3])

    def test_proxy_of_the_environment(self):
        job, files = self.cloud_job("public", network={"proxy": None})
        for name in ("HTTPS_PROXY", "https_proxy"):
            self.box.control("reset")
            self.empty()
            self.good(job=job, files=files, environment={name: self.box["proxy"]})
            self.assertTrue(self.box.log("proxy"))

    def test_untrusted_certificate(self):
        job, _ = self.cloud_job("public", network={"proxy": self.box["proxy"], "ca_file": None})
        result = self.bad(22, "certificate", "not trusted", "network.ca_file", job=job)
        self.assertEqual([entry for entry in self.box.log("vault")], [], result)

    def test_proxy_that_refuses(self):
        self.box.fault({"status": 403}, service="proxy", times=-1)
        job, _ = self.cloud_job("public")
        self.bad(22, "proxy refused", "network.proxy", job=job)

    def test_proxy_that_is_not_there(self):
        job, _ = self.cloud_job("public", network={"proxy": "http://127.0.0.1:9"})
        self.bad(22, job=job, arguments=["--timeout", "1"])

    def test_a_proxy_s_password_is_not_told(self):
        self.secrets.append("proxy-password")
        proxy = self.box["proxy"].replace("http://", "http://user:proxy-password@")
        job, files = self.cloud_job("public", network={"proxy": None})
        self.good("--log-level", "debug", job=job, files=files, environment={"HTTPS_PROXY": proxy})
        self.bad(22, job=job, arguments=["--timeout", "1", "--log-level", "debug"],
                 environment={"HTTPS_PROXY": "http://user:proxy-password@127.0.0.1:9"})
        self.assertIn(self.run_decant(job={**job, "network": {**job["network"], "proxy": proxy}}).code, (0, 2))

    def test_audience_is_the_cloud_s(self):
        """A token for a vault is none for a managed HSM: the double checks, so a release proves it."""
        for cloud, audience in (("public", "https%3A%2F%2Fvault.azure.net"), ("managed HSM", "https%3A%2F%2Fmanagedhsm.azure.net")):
            with self.subTest(cloud=cloud):
                self.box.control("reset")
                self.empty()
                self.volume = self.temporary("/dev/shm")
                job, files = self.cloud_job(cloud)
                self.good(job=job, files=files)
                self.assertTrue(self.box.log("identity", "GET", audience))
