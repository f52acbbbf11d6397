"""Jobs that are wrong: exit 2, the JSON path, and what was expected there. Nothing is asked of any service."""

import json

from harness import Case

KID = "https://v.vault.azure.net/keys/k"


class Refused(Case):
    def setUp(self):
        super().setUp()
        self.blob = "https://a.blob.core.windows.net/c/b"

    def refused(self, job, *words):
        self.bad(2, *words, job=job)
        services = [entry for entry in self.box.log() if entry["service"] != "control"]
        self.assertEqual(services, [])

    def test_members(self):
        prefix = self.blob + "/"
        cases = [
            (self.job(self.blob, inptus=[]), "inptus: unknown member", "inputs"),
            (self.job({"from": self.blob, "form": 1}), "inputs\\[0\\].form: unknown member"),
            (self.job(self.blob, keys=[{"kid": KID, "kdi": 1}]), "keys\\[0\\].kdi: unknown"),
            (self.job(self.blob, volume={"path": None}), "volume.path: missing"),
            (self.job(self.blob, volume=None), "volume: missing"),
            (self.job(self.blob, keys=[{}]), "keys\\[0\\].kid: missing"),
            (self.job({}), "inputs\\[0\\].from: missing"),
            (self.job(self.blob, inputs={}), "inputs: expected a list"),
            (self.job(self.blob, limits={"parallel": 0}), "limits.parallel: expected a whole number from 1 to 256"),
            (self.job(self.blob, limits={"parallel": "4"}), "limits.parallel: expected a whole number"),
            (self.job(self.blob, limits={"memory_mib": 1.5}), "limits.memory_mib: expected a whole number"),
            (self.job(self.blob, limits={"timeout_s": -1}), "limits.timeout_s: expected"),
            (self.job(self.blob, volume={"require": "secret"}), "volume.require: expected one of", "confidential"),
            (self.job(self.blob, volume={"mode": 440}), "volume.mode: expected", "octal"),
            (self.job(self.blob, volume={"mode": "0999"}), "volume.mode"),
            (self.job(self.blob, volume={"uid": -1}), "volume.uid"),
            (self.job(self.blob, identity={"type": "magic"}), "identity.type: expected one of", "workload"),
            (self.job(self.blob, attestation={"evidence": "fake"}), "attestation.evidence: expected one of", "tsm"),
            (self.job(self.blob, attestation={"evidence": "sidecar"}), "attestation.sidecar: missing"),
            (self.job(self.blob, attestation={"provider": None}), "attestation.provider: missing"),
            (self.job({"from": self.blob, "format": "zip"}), "inputs\\[0\\].format: expected one of", "aes-gcm"),
            (self.job({"from": self.blob, "decompress": "zstd"}), "inputs\\[0\\].decompress"),
            (self.job({"from": self.blob, "sha256": "abc"}), "inputs\\[0\\].sha256: expected", "64 hex digits"),
            (self.job({"from": prefix, "sha256": "0" * 64}), "inputs\\[0\\].sha256: only for a single blob"),
            (self.job({"from": prefix, "size": 1}), "inputs\\[0\\].size: only for a single blob"),
            (self.job({"from": self.blob, "match": "*"}), "inputs\\[0\\].match: only for a prefix"),
            (self.job({"from": self.blob, "manifest": {"from": self.blob, "sha256": "0" * 64}}), "inputs\\[0\\].manifest"),
            (self.job({"from": prefix, "manifest": {"from": self.blob}}), "inputs\\[0\\].manifest.sha256: missing"),
            (self.job({"from": self.blob, "sas_env": "A", "sas_file": "b"}), "inputs\\[0\\].sas_env: stands beside"),
            (self.job(self.blob, identity={"type": "token"}), "identity", "vault_token_env"),
            (self.job(self.blob, identity={"type": "managed", "vault_token_env": "X"}), "\"type\": \"token\""),
            (self.job(self.blob, keys=[{"kid": KID, "file": "x", "source": "sidecar"}]), "keys\\[0\\]", "exclude each other"),
            (self.job(self.blob, keys=[{"kid": KID, "source": "sidecar"}]), "attestation.sidecar: missing"),
            (self.job(self.blob, keys=[]), "inputs\\[0\\]", "no \"keys\""),
            (self.job({"from": self.blob, "key": KID}), "inputs\\[0\\].key: only for format \"aes-gcm\""),
            (self.job(), "inputs: the job has none"),
        ]
        for job, *words in cases:
            with self.subTest(words=words[0]):
                self.refused(job, *words)

    def test_urls(self):
        for url in ("http://a.blob.core.windows.net/c/b", "http://10.0.0.1/c/b", "http://192.168.1.1/c/b"):
            self.refused(self.job(url), "inputs\\[0\\].from", "plain http is only for loopback and link-local")
        for url in ("ftp://a/b", "a.blob.core.windows.net/c/b", "https://u:p@a.blob.core.windows.net/c/b",
                    "https://a.blob.core.windows.net/c/b#x", "https://a b/c", "https:///c", "file:///etc/passwd"):
            self.refused(self.job(url), "inputs\\[0\\].from")
        self.refused(self.job(self.blob, keys=[{"kid": "http://v.vault.azure.net/keys/k"}]), "keys\\[0\\].kid", "plain http")
        self.refused(self.job(self.blob, attestation={"provider": "http://maa.example"}), "attestation.provider", "plain http")
        for kid in ("https://v.vault.azure.net/secrets/k", "https://v.vault.azure.net/", "no URL"):
            self.refused(self.job(self.blob, keys=[{"kid": kid}]), "keys\\[0\\]")
            self.refused(self.job(self.blob, keys=[{"kid": KID}, {"kid": kid}]), "keys\\[1\\]")

    def test_a_sas_in_a_bad_url_is_not_repeated(self):
        self.secrets.append("verysecretsignature")
        for url in ("https://a b/c/d?sig=verysecretsignature", "http://far.example/c/b?sv=1&sig=verysecretsignature",
                    "https://a.blob.core.windows.net/c/b?sig=verysecretsignature#x",
                    "https://a.blob.core.windows.net/?sig=verysecretsignature"):
            self.refused(self.job(url), "inputs\\[0\\]")

    def test_text_that_is_no_job(self):
        whole = json.dumps(self.job(self.blob))
        for case, text in {"nothing": "", "space": "  \n", "cut": whole[:-1], "behind": whole + "x", "list": "[]", "text": '"x"',
                           "twice": whole[:-1] + ', "inputs": []}', "comma": whole[:-1] + ",}", "deep": "[" * 10000,
                           "bytes": b'{"volume": "\xff"}', "nul": '{"volume":\x00}', "escaped nul": '{"volume":"\\u0000"}',
                           "long": '{"x":"' + "y" * (1 << 20) + '"}'}.items():
            with self.subTest(case=case):
                self.bad(2, "standard input|job", arguments=["run", "-c", "-"], data=text if isinstance(text, bytes) else text.encode())

    def test_sources_that_cannot_be_read(self):
        self.bad(2, "/nonexistent/job.json", arguments=["run", "-c", "/nonexistent/job.json"])
        self.bad(2, "job", arguments=["run", "-c", "/"])
        self.bad(2, "DECANT_JOB", arguments=["run"], environment={"DECANT_JOB": "neither JSON nor base64!"})
        self.bad(2, "DECANT_JOB", "volume: missing", arguments=["run"], environment={"DECANT_JOB": "{}"})

    def test_ca_file(self):
        self.put("a", self.plain())
        self.bad(2, "network.ca_file", "/nonexistent/ca",
                 job=self.quick_job(self.url("a"), network={"ca_file": "/nonexistent/ca"}))

    def test_schema_member(self):
        content = self.plain()
        self.put("a", content)
        self.good(job={"$schema": "job.schema.json", **self.quick_job(self.url("a"))}, files={"a": content})
