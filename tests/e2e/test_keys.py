"""From the vault's signed answer to a key: what is believed, what is refused, and the other places that keys come from."""

import secrets

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cryptography.hazmat.primitives import serialization

from harness import Case, tree
from sandbox import jose


class Released(Case):
    def test_kinds_of_keys(self):
        for size in (2048, 3072, 4096):
            with self.subTest(size=size):
                key, content = self.box.key(f"rsa-{size}", size=size), self.plain()
                self.put("a", content, key)
                self.good(job=self.job(self.url("a"), keys=[{"kid": key.versionless}]), files={"a": content})

    def test_versions(self):
        """The blob's version is asked for if the job leaves it open; a version in the job counts."""
        old, new = (self.box.key("versioned", tags={"n": n}) for n in "12")
        one, two = self.plain(10), self.plain(20)
        self.put("s/1", one, old)
        self.put("s/2", two, new)
        self.good(job=self.job(self.url("s/"), keys=[{"kid": old.versionless}]), files={"1": one, "2": two})
        self.assertEqual(sorted(entry["path"].split("/")[3] for entry in self.releases()),
                         sorted(key.kid.rsplit("/", 1)[1] for key in (old, new)))
        self.bad(14, "blob s/1|blob", "which the job does not allow", job=self.job(self.url("s/1"), keys=[{"kid": new.kid}]))

    def test_blob_that_names_no_version(self):
        content = self.plain()
        self.put("a", content, kid=self.key.versionless)
        self.good(job=self.job(self.url("a")), files={"a": content})

    def test_alias(self):
        content = self.plain()
        self.put("a", content, kid="https://old-name.vault.azure.net/keys/kek")
        self.bad(14, "old-name", "aliases", job=self.job(self.url("a")))
        keys = [{"kid": self.key.versionless, "aliases": ["https://old-name.vault.azure.net/keys/kek"]}]
        self.good(job=self.job(self.url("a"), keys=keys), files={"a": content})

    def test_two_keys(self):
        one, two = self.box.key("kek"), self.box.key("kek-two")
        files = {str(i): self.plain(1000) for i in range(10)}
        for name, content in files.items():
            self.put("s/" + name, content, two if int(name) % 2 else one)
        result = self.good(job=self.job(self.url("s/"), keys=[{"kid": one.versionless}, {"kid": two.versionless}]), files=files)
        self.assertEqual(result.summary["keys"], 2)
        self.assertEqual(len(self.releases()), 2)
        self.assertEqual(len(self.box.log("attestation", "POST")), 1)

    def test_key_that_no_blob_needs_is_not_released(self):
        self.put("a", self.plain())
        keys = [{"kid": self.key.versionless}, {"kid": self.box["vault"] + "/keys/never"}]
        self.good(job=self.job(self.url("a"), keys=keys))
        self.assertEqual([entry for entry in self.releases() if "never" in entry["path"]], [])

    def test_symmetric_key_from_a_managed_hsm(self):
        key, content = self.box.key("oct", kty="oct", vault="hsm"), self.plain(70000)
        keys = [{"kid": key.versionless}]
        self.put("wrapped", content, key)
        self.good(job=self.job(self.url("wrapped"), keys=keys), files={"wrapped": content})
        nonce = secrets.token_bytes(12)
        self.store("direct", nonce + AESGCM(key.octets).encrypt(nonce, content, None))
        self.volume = self.temporary("/dev/shm")
        self.good(job=self.job({"from": self.url("direct"), "format": "aes-gcm"}, keys=keys), files={"direct": content})


class Lies(Case):
    """Each lie that the vault can tell: exit 14, and no plaintext."""

    WORDS = {"jws_signature": "signature", "jws_alg_none": "algorithm|signature", "jws_hs256": "algorithm",
             "wrong_kid": "not the key that was asked for", "wrong_version": "not the key that was asked for",
             "wrong_nonce": "nonce", "no_nonce": "nonce", "self_signed_chain": "self.signed", "wrong_host": "mismatch",
             "expired_leaf": "expired", "no_chain": "x5c", "not_a_jws": "JWS", "no_server_auth": "purpose|usage|unsuitable",
             "disabled_key": "not enabled", "wrong_enc": "enc", "enc_mismatch": "enc"}

    def test_all(self):
        self.put("a", self.plain())
        lies = self.box.control("actions")["tamper"]["vault"]
        self.assertGreater(len(lies), 20)
        for lie in lies:
            with self.subTest(lie=lie):
                self.box.control("reset")
                self.empty()
                self.box.control("tamper", service="vault", what=lie)
                result = self.bad(14, "key http", self.WORDS.get(lie, "key release|release:|JWS"), job=self.job(self.url("a")))
                self.assertEqual(len(self.releases()), 1, [result, self.box.log()])

    def test_chain_of_one_under_a_trusted_leaf_is_still_a_chain(self):
        """Known above as a lie: without the intermediate there is no way to the root."""
        self.put("a", self.plain())
        self.box.control("tamper", service="vault", what="chain_of_one")
        self.bad(14, "certificate", job=self.job(self.url("a")))


class Refused(Case):
    """The vault says no: exit 13, with its own words."""

    def setUp(self):
        super().setUp()
        self.content = self.plain()

    def refused(self, key, *words, **details):
        self.put("a", self.content, key)
        return self.bad(13, "key http", *words, job=self.job(self.url("a"), keys=[{"kid": key.versionless}], **details))

    def test_missing_key(self):
        kid = f"{self.box['vault']}/keys/nowhere"
        self.put("a", self.content, kid=kid)
        self.bad(13, "KeyNotFound", "nowhere", job=self.job(self.url("a"), keys=[{"kid": kid}]))

    def test_missing_version(self):
        self.put("a", self.content, kid=self.key.versionless + "/" + "0" * 32)
        self.bad(13, "KeyNotFound", job=self.job(self.url("a")))

    def test_disabled(self):
        self.refused(self.box.key("disabled", enabled=False), "KeyDisabled")

    def test_not_exportable(self):
        self.refused(self.box.key("stays", exportable=False), "Forbidden")

    def test_policy_of_another_platform(self):
        policy = {"version": "1.0.0", "anyOf": [{"authority": self.box["attestation"], "allOf": [
            {"claim": "x-ms-sevsnpvm-hostdata", "equals": "00" * 32}]}]}
        result = self.refused(self.box.key("elsewhere", policy=policy), "Forbidden", "release policy")
        self.assertRegex(result.sentence, "request [0-9a-f-]{36}")

    def test_other_host_data_or_a_debug_guest(self):
        self.put("a", self.content)
        for wish in ({"other_host_data": True}, {"debug": True}):
            with self.subTest(wish=wish):
                self.box.control("reset")
                self.empty()
                self.box.control("platform", **wish)
                self.bad(13, "Forbidden", job=self.job(self.url("a")))

    def test_vault_token_for_something_else(self):
        self.put("a", self.content)
        job = self.job(self.url("a"), identity={"type": "token", "vault_token_env": "V", "storage_token_env": "S"})
        storage = self.token("https://storage.azure.com/")
        result = self.run_decant(job=job, environment={"V": storage, "S": storage})
        self.assertIn(result.code, (12, 13), result)
        self.assertRegex(result.sentence, "audience|401")
        self.assertEqual(tree(self.volume), {})


class FromFiles(Case):
    def test_pem_and_jwk(self):
        content = self.plain()
        self.put("a", content)
        for name, text in (("pem", self.key.private_pem), ("pem with text around", "# note\n" + self.key.private_pem + "\n")):
            with self.subTest(name=name):
                keys = [{"kid": self.key.versionless, "file": self.file("k", text)}]
                self.good(job=self.quick_job(self.url("a"), keys=keys), files={"a": content})
        pair = serialization.load_pem_private_key(self.key.private_pem.encode(), None)
        keys = [{"kid": self.key.versionless, "file": self.file("k", jose.compact(jose.private_jwk(pair)))}]
        self.good(job=self.quick_job(self.url("a"), keys=keys), files={"a": content})
        self.assertEqual(self.box.log("vault"), [])
        self.assertEqual(self.box.log("attestation"), [])

    def test_files_that_hold_no_key(self):
        self.put("a", self.plain())
        public = "-----BEGIN PUBLIC KEY-----\nMFww\n-----END PUBLIC KEY-----\n"
        encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMFww\n-----END ENCRYPTED PRIVATE KEY-----\n"
        for case, text in {"nothing": "", "text": "no key", "public": public, "encrypted": encrypted, "JSON": "{}",
                           "cut": self.key.private_pem[:500], "short oct": '{"kty":"oct","k":"AAAA"}',
                           "long": "x" * 70000}.items():
            with self.subTest(case=case):
                path = self.file("k", text)
                keys = [{"kid": self.key.versionless, "file": path}]
                self.bad(2, path, job=self.quick_job(self.url("a"), keys=keys))
        keys = [{"kid": self.key.versionless, "file": "/nonexistent/key"}]
        self.bad(2, "/nonexistent/key", job=self.quick_job(self.url("a"), keys=keys))


class FromTheSidecar(Case):
    def setUp(self):
        super().setUp()
        self.content = self.plain(70000)

    def sidecar_job(self, key, **parts):
        parts.setdefault("attestation", {"evidence": None, "sidecar": self.box["sidecar"]})
        return self.job(self.url("a"), keys=[{"kid": key.versionless, "source": "sidecar"}], **parts)

    def test_rsa(self):
        self.put("a", self.content)
        self.good(job=self.sidecar_job(self.key), files={"a": self.content})
        self.assertEqual(len(self.box.log("sidecar", "POST", "/key/release")), 1)
        self.assertEqual(self.box.log("vault"), [])

    def test_oct(self):
        key = self.box.key("oct-vault", kty="oct")
        self.put("a", self.content, key)
        self.good(job=self.sidecar_job(key), files={"a": self.content})

    def test_with_a_given_token(self):
        self.put("a", self.content)
        identity = {"type": "token", "vault_token_env": "V", "storage_token_env": "S"}
        tokens = {"V": self.token("https://vault.azure.net"), "S": self.token("https://storage.azure.com/")}
        self.good(job=self.sidecar_job(self.key, identity=identity), environment=tokens, files={"a": self.content})

    def test_refused(self):
        key = self.box.key("stays", exportable=False)
        self.put("a", self.content, key)
        self.bad(13, "key http", "sidecar", job=self.sidecar_job(key))

    def test_not_there(self):
        self.put("a", self.content)
        attestation = {"evidence": None, "sidecar": "http://127.0.0.1:9"}
        self.bad(22, "sidecar|127.0.0.1:9", job=self.sidecar_job(self.key, attestation=attestation),
                 arguments=["--timeout", "1"])

    def test_an_answer_that_is_no_key(self):
        self.put("a", self.content)
        for body in ('{"key": "no JWK"}', '{"key": {}}', '{"key": ""}', '{}',
                     '{"key": "{\\"kty\\":\\"oct\\",\\"k\\":\\"AAAA\\"}"}'):
            with self.subTest(body=body):
                self.box.control("reset")
                self.empty()
                self.box.fault({"body": body}, service="sidecar", times=-1)
                self.bad(14, "key http|sidecar", job=self.sidecar_job(self.key))
