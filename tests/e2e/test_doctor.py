"""decant doctor: good surroundings have no FAIL; in broken ones the right line fails, with what to do, and nothing is changed."""

import json
import os
import time
from email.utils import formatdate

from harness import Case, tree

RESULTS = {"ok", "FAIL", "skip", "note"}


class Doctor(Case):
    def setUp(self):
        super().setUp()
        self.put("s/a", self.plain(1000))
        self.put("s/b", self.plain(2000))

    def doctor(self, job, *arguments, environment=None):
        """The findings, and what holds whatever they are: nothing is released, written or left."""
        before, files = tree(self.volume), set(os.listdir(self.folder))
        path = self.file("job.json", json.dumps(job))
        result = self.run_decant("doctor", "-c", path, "--json", *arguments, environment=environment)
        self.assertEqual(tree(self.volume), before, "the volume was touched")
        self.assertEqual(set(os.listdir(self.folder)) - {"job.json"}, files - {"job.json"})
        if "--release" not in arguments:
            self.assertEqual([entry for entry in self.box.log() if entry["path"].partition("?")[0].endswith("/release")], [])
        for method in ("PUT", "DELETE", "PATCH"):
            self.assertEqual(self.box.log("storage", method) + self.box.log("vault", method), [])
        told = json.loads(result.out)
        findings = told["findings"]
        self.assertLessEqual({each["result"] for each in findings}, RESULTS)
        failed = [each for each in findings if each["result"] == "FAIL"]
        self.assertEqual(result.code, failed[0]["exit_code"] if failed else 0, result)
        self.assertEqual(told["exit_code"], result.code)
        self.assertEqual(told["result"], "failed" if failed else "ok")
        for each in failed:
            self.assertTrue(each["text"] and each["remedy"], each)
        return result, findings

    def good(self, job, *arguments, **details):
        result, findings = self.doctor(job, *arguments, **details)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.err, "")
        return {each["step"]: (each["result"], each["text"]) for each in findings}

    def broken(self, code, step, words, job, *, remedy=".", skipped=(), environment=None):
        """STEP is the first that fails, with CODE; what stands on it is SKIPPED."""
        result, findings = self.doctor(job, environment=environment)
        first = next((each for each in findings if each["result"] == "FAIL"), None)
        self.assertIsNotNone(first, result)
        self.assertEqual((first["step"], first["exit_code"]), (step, code), result)
        self.assertRegex(first["text"], words)
        self.assertRegex(first.get("remedy", ""), remedy)
        self.assertIn(first["step"], result.sentence)
        for name in skipped:
            self.assertIn((name, "skip"), [(each["step"], each["result"]) for each in findings], result)
        return findings

    # ---- Good surroundings ----

    def test_good(self):
        found = self.good(self.job(self.url("s/"), outputs=[
            {"from": "out", "to": self.url("results/"), "key": self.key.versionless}]))
        wanted = {"job": "ok", "trust store": "ok", "proxy": "note", "clock": "ok", "device": "ok", "report": "ok",
                  "certificates": "ok", "certificates expire": "ok", "root": "note", "host data": "ok", "utility VM": "ok",
                  "attestation": "ok", "token for vault.azure.net": "ok", "token for storage.azure.com": "ok", "key kek": "ok",
                  "policy of kek": "ok", "inputs[0]": "ok", "inputs[0]'s first blob": "ok", "outputs[0]": "note",
                  "outputs[0]'s key": "ok", "volume": "ok", "space": "ok"}
        for step, result in wanted.items():
            self.assertEqual(found[step][0], result, (step, found))
        hosts = [step for step in found if step.startswith("host 127")]
        self.assertEqual(len(hosts), 3, found)
        self.assertEqual([step for step, (result, _) in found.items() if result == "skip"], [])
        self.assertIn("2 blobs below", found["inputs[0]"][1])
        self.assertIn("s/a: cse-2.0", found["inputs[0]'s first blob"][1])
        self.assertIn(self.box["host_data"], found["host data"][1])

    def test_text(self):
        path = self.file("job.json", json.dumps(self.job(self.url("s/a"))))
        result = self.run_decant("doctor", "-c", path)
        self.assertEqual((result.code, result.err), (0, ""), result)
        self.assertLessEqual({line.split()[0] for line in result.out.splitlines()}, {"ok", "note"})
        with_job = self.run_decant("doctor", environment={"DECANT_JOB": json.dumps(self.job(self.url("s/a")))})
        self.assertEqual(with_job.code, 0, with_job)

    def test_release_is_only_for_the_asking(self):
        found = self.good(self.job(self.url("s/a")), "--release")
        self.assertEqual(found["release of kek"][0], "ok")
        self.assertEqual(len(self.releases()), 1)
        key = self.box.key("stays", exportable=False)
        self.box.control("reset")
        result, findings = self.doctor(self.job(self.url("s/a"), keys=[{"kid": self.key.versionless}, {"kid": key.versionless}]),
                                       "--release")
        failed = {each["step"] for each in findings if each["result"] == "FAIL"}
        self.assertEqual((result.code, failed), (13, {"key stays", "release of stays"}))

    def test_sas_and_no_identity(self):
        job = self.quick_job({"from": self.url("s/a"), "sas_env": "SAS"}, identity={"type": "none"}, outputs=[
            {"from": "o", "to": self.url("r/") + "?" + self.sas(permissions="cw"), "key": "k",
             "key_file": self.file("pub.pem", owner_public(self.key))}])
        found = self.good(job, environment={"SAS": self.sas()})
        self.assertEqual((found["inputs[0]"][0], found["outputs[0]"][0], found["tokens"][0]), ("ok", "ok", "note"))
        self.assertEqual(found["evidence"][0], "skip")

    def test_a_manifest(self):
        from harness import sha256
        lines = json.dumps({"files": [{"name": name, "key_sha256": "0" * 64} for name in "ab"]}).encode()
        self.store("m.json", lines)
        wish = {"from": self.url("s/"), "manifest": {"from": self.url("m.json"), "sha256": sha256(lines)}}
        self.assertEqual(self.good(self.job(wish))["inputs[0]'s manifest"], ("ok", "2 files, with the digest that the job has"))
        wish["manifest"]["sha256"] = "0" * 64
        self.broken(31, "inputs[0]'s manifest", "SHA-256|digest", self.job(wish))
        self.store("m.json", lines + b" " * (8 << 20))
        self.broken(41, "inputs[0]'s manifest", "more than 8 MiB of manifests, a quarter of limits.memory_mib",
                    self.job(wish, limits={"memory_mib": 32}))

    def test_who_may_release_a_key_may_not_always_read_it(self):
        self.box.fault({"status": 403, "code": "Forbidden"}, service="vault", method="GET", path="/keys/", times=-1)
        found = self.good(self.job(self.url("s/a")))
        self.assertEqual(found["key kek"][0], "skip")
        self.assertIn("may not read", found["key kek"][1])

    # ---- Broken ones ----

    def test_job(self):
        findings = self.broken(2, "job", "volume", {"volume": 1}, skipped=["all else"])
        self.assertEqual(len(findings), 2)
        self.assertEqual(self.asked(), [])

    def test_evidence(self):
        job = self.job(self.url("s/a"))
        self.broken(10, "device", "no /dev/sev-guest", job, environment={"DOUBLE_SEV": ""}, skipped=["report", "attestation", "policy of kek"])
        self.broken(10, "report", "status|firmware|error", job, environment={"DOUBLE_SEV_FAIL": "eio"}, skipped=["attestation"])
        self.box.control("platform", stale_chain=True, thim_chain="stale")
        self.broken(10, "report", "certificate", self.job(self.url("s/a"), attestation={"certificates": self.box["thim"]}),
                    skipped=["attestation"])

    def test_platform(self):
        job = self.job(self.url("s/a"))
        for wish, code, step, words in (({"other_host_data": True}, 31, "host data", "the report has"),
                                        ({"other_measurement": True}, 10, "utility VM", "not the report's"),
                                        ({"debug": True}, 10, "report", "debug")):
            with self.subTest(step):
                self.box.control("reset")
                self.box.control("platform", **wish)
                self.broken(code, step, words, job)
        self.box.control("reset")
        self.box.control("platform", absent=["security-policy-base64", "reference-info-base64"])
        _, findings = self.doctor(job)
        told = {each["step"]: each["result"] for each in findings}
        self.assertEqual((told["host data"], told["utility VM"]), ("note", "note"))

    def test_days_to_the_end_of_a_certificate(self):
        job = self.job(self.url("s/a"))
        self.box.control("platform", file_chain="expired")
        self.broken(10, "certificates expire", "that of the chip expired 3 days ago", job)
        for chain, words in (("expiring", "in 9 days, that of the chip"), ("early", "not valid yet: is the clock right")):
            with self.subTest(chain):
                self.box.control("platform", file_chain=chain)
                result, text = self.good(job)["certificates expire"]
                self.assertEqual(result, "note")
                self.assertIn(words, text)

    def test_attestation_refuses(self):
        self.box.fault({"status": 400, "code": "PolicyEvaluationError"}, service="attestation", method="POST", times=-1)
        self.broken(11, "attestation", "PolicyEvaluationError", self.job(self.url("s/a")), skipped=["policy of kek"])

    def test_no_identity(self):
        self.box.fault({"status": 400, "code": "invalid_request"}, service="identity", path="oauth2", times=-1)
        self.broken(12, "token for vault.azure.net", "invalid_request", self.job(self.url("s/a")), skipped=["key kek", "inputs[0]", "inputs[0]'s first blob"])

    def test_keys(self):
        other = json.loads(json.dumps(self.box["release_policy"]).replace(self.box["host_data"], "ab" * 32))
        cases = [(self.box["vault"] + "/keys/nowhere", "key nowhere", "KeyNotFound"),
                 (self.box.key("disabled", enabled=False).versionless, "key disabled", "disabled"),
                 (self.box.key("stays", exportable=False).versionless, "key stays", "not exportable"),
                 (self.box.key("other", policy=other).versionless, "policy of other",
                  "x-ms-sevsnpvm-hostdata is \"" + self.box["host_data"] + "\"; the policy wants \"" + "ab" * 32)]
        for kid, step, words in cases:
            with self.subTest(step):
                self.broken(13, step, words, self.job(self.url("s/a"), keys=[{"kid": kid}, {"kid": self.key.versionless}]))
        self.box.fault({"status": 403, "code": "Forbidden", "body": json.dumps(
            {"error": {"code": "Forbidden", "message": "no", "innererror": {"code": "ForbiddenByFirewall"}}})},
            service="vault", method="GET", path="/keys/", times=-1)
        self.broken(13, "key kek", "ForbiddenByFirewall", self.job(self.url("s/a")), remedy="firewall")

    def test_inputs(self):
        foreign = self.box.key("foreign")
        self.store("plain", b"not encrypted")
        self.put("foreign", self.plain(), foreign)
        cases = [(self.url("s/a", container="nowhere"), 20, "inputs[0]", "ContainerNotFound|BlobNotFound"),
                 (self.url("none/"), 20, "inputs[0]", "no blob below"),
                 ({"from": self.url("s/"), "match": "*.bin"}, 20, "inputs[0]", "no blob below.*match"),
                 (self.url("none"), 20, "inputs[0]", "BlobNotFound|404"),
                 (self.url("plain"), 30, "inputs[0]'s first blob", "plain: .*no encryption metadata"),
                 (self.url("foreign"), 14, "inputs[0]'s first blob", "foreign.*does not allow"),
                 (self.url("s/") + "?" + self.sas(seconds=-60), 21, "inputs[0]", "AuthenticationFailed")]
        for wish, code, step, words in cases:
            with self.subTest(words):
                self.broken(code, step, words, self.job(wish))
        self.box.fault({"status": 403, "code": "AuthorizationPermissionMismatch"}, times=-1)
        self.broken(21, "inputs[0]", "AuthorizationPermissionMismatch", self.job(self.url("s/")), remedy="Storage Blob Data Reader")

    def test_outputs(self):
        def job(to, **more):
            return self.job(outputs=[{"from": "o", "to": to, "key": self.key.versionless, **more}])
        self.broken(20, "outputs[0]", "nowhere", job(self.url("r/", container="nowhere")))
        self.broken(21, "outputs[0]", "does not give writing", job(self.url("r/") + "?" + self.sas(permissions="rl")))
        self.broken(42, "outputs[0]", "there already", job(self.url("s/a") + "?" + self.sas(permissions="rcw")))
        disabled = self.box.key("disabled", enabled=False).versionless
        self.broken(13, "outputs[0]'s key", "disabled", job(self.url("r/"), key=disabled))

    def test_volume(self):
        wrong = self.temporary("/dev/shm")
        job = self.job(self.url("s/a"), volume={"path": wrong})
        environment = {"DOUBLE_STATFS_PATH": wrong, "DOUBLE_STATFS_TYPE": "58465342"}
        self.broken(40, "volume", "not confidential: it is xfs", job, environment=environment, skipped=["space"])
        self.broken(2, "volume", "No such file", self.job(self.url("s/a"), volume={"path": wrong + "/no"}))
        allowed = self.good(self.job(self.url("s/a"), volume={"path": wrong, "require": "any"}), environment=environment)
        self.assertEqual(allowed["volume"][0], "note")
        self.assertEqual(os.listdir(wrong), [])

    def test_space(self):
        self.box.control("blob", container=self.container, name="huge", zeros=1 << 42)
        self.broken(41, "space", "the inputs have 4.0 TiB", self.job({"from": self.url("huge"), "format": "plain"}))

    def test_memory(self):
        group, limit = self.file("group", "0::/pod/box\n"), self.file("limit", f"{48 << 20}\n")
        swap = {"DOUBLE_FILES": f"/proc/self/cgroup={group}:/sys/fs/cgroup/pod/memory.max={limit}"}
        self.broken(41, "memory", "limited to 48.0 MiB .cgroup., and limits.memory_mib is 64", self.job(self.url("s/a")),
                    environment=swap)
        found = self.good(self.job(self.url("s/a"), limits={"memory_mib": 32}), environment=swap)
        self.assertEqual(found["memory"][0], "ok")

    def test_clock(self):
        for off, result, words in ((-3600, 1, "ahead of"), (3600, 1, "behind"), (120, 0, "behind")):
            with self.subTest(off):
                self.box.control("reset")
                date = formatdate(time.time() + off, usegmt=True)
                self.box.fault({"headers": {"Date": date}}, service="attestation", times=-1)
                if result:
                    self.broken(result, "clock", words, self.job(self.url("s/a")))
                else:
                    self.assertRegex(self.good(self.job(self.url("s/a")))["clock"][1], words)

    # ---- The network ----

    def public_job(self, **network):
        """By public names, through the sandbox's proxy."""
        return self.job(self.url("s/a"), attestation={"provider": "https://sharedneu.neu.attest.azure.net"},
                        keys=[{"kid": "https://far.vault.azure.net/keys/kek"}], network={"proxy": self.box["proxy"], **network})

    def test_through_a_proxy(self):
        self.box.control("key", name="kek", host="far.vault.azure.net")
        self.put("s/a", self.plain(), kid="https://far.vault.azure.net/keys/kek")
        found = self.good(self.public_job())
        self.assertIn("over TLS", found["host far.vault.azure.net"][1])
        self.assertIn("network.proxy", found["proxy"][1])

    def test_network(self):
        self.broken(22, "host sharedneu.neu.attest.azure.net", "no connection|proxy", self.public_job(proxy="http://127.0.0.1:1"),
                    skipped=["attestation", "key kek"])
        self.broken(22, "host sharedneu.neu.attest.azure.net", "not trusted", self.public_job(ca_file=None), remedy="ca_file|clock",
                    skipped=["attestation", "key kek"])
        self.broken(2, "trust store", "ca_file", self.public_job(ca_file="/no/such.pem"), skipped=["hosts", "tokens", "report"])
        self.broken(22, "host none.invalid", "name was not resolved",
                    self.job(self.url("s/a"), keys=[{"kid": "https://none.invalid/keys/kek"}], network={"ca_file": self.box["ca_file"]}),
                    remedy="name servers", skipped=["key kek"])

    def test_a_password_of_the_proxy_is_not_shown(self):
        self.secrets.append("worthless-password")
        proxy = {"HTTPS_PROXY": "http://user:worthless-password@127.0.0.1:1"}
        _, findings = self.doctor(self.public_job(proxy=None), environment=proxy)
        self.assertIn("127.0.0.1:1", next(each["text"] for each in findings if each["step"] == "proxy"))


def owner_public(key):
    from cryptography.hazmat.primitives import serialization
    return key.kek.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
