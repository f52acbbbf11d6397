"""decant policy: what it prints, a vault takes and gives the key by; what it says of a token, the vault does."""

import hashlib
import json
import os
import unittest
from base64 import b64encode, urlsafe_b64encode

from harness import Case

NEU = "https://sharedneu.neu.attest.azure.net"
REGO = b"package policy\n\napi_version := \"0.10.0\"\n"
HOST_DATA = hashlib.sha256(REGO).hexdigest()


def claims_of(policy):
    """The conditions of the first environment, flat."""
    return {each["claim"]: each["equals"] for each in policy["anyOf"][0]["allOf"] if "claim" in each}


def token_of(claims):
    part = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.c2ln"


class Printed(Case):
    def printed(self, *arguments, environment=None, data=b""):
        result = self.run_decant("policy", *arguments, environment=environment, data=data)
        self.assertEqual(result.code, 0, result)
        return json.loads(result.out)

    def test_from_a_container_policy(self):
        path = self.file("cce", b64encode(REGO) + b"\n")
        policy = self.printed("--attestation", NEU, "--cce-policy", path)
        self.assertEqual(policy["version"], "1.0.0")
        self.assertEqual(policy["anyOf"][0]["authority"], NEU)
        self.assertEqual(claims_of(policy), {
            "x-ms-attestation-type": "sevsnpvm", "x-ms-sevsnpvm-hostdata": HOST_DATA,
            "x-ms-compliance-status": "azure-compliant-uvm", "x-ms-sevsnpvm-is-debuggable": "false"})
        self.assertEqual(self.printed("--attestation", NEU, "--cce-policy", "-", data=b64encode(REGO)), policy)
        self.assertEqual(self.printed("--attestation", NEU, "--host-data", HOST_DATA.upper()), policy)

    def test_several_services(self):
        policy = self.printed("--attestation", NEU, "--attestation", "https://b.attest.azure.net", "--host-data", HOST_DATA)
        self.assertEqual([each["authority"] for each in policy["anyOf"]], [NEU, "https://b.attest.azure.net"])
        self.assertEqual(policy["anyOf"][0]["allOf"], policy["anyOf"][1]["allOf"])

    def test_options(self):
        policy = self.printed("--attestation", NEU, "--host-data", HOST_DATA, "--compliance", "none", "--allow-debug",
                              "--svn", "100-102")
        self.assertEqual(claims_of(policy), {"x-ms-attestation-type": "sevsnpvm", "x-ms-sevsnpvm-hostdata": HOST_DATA})
        self.assertEqual([each["equals"] for each in policy["anyOf"][0]["allOf"][2]["anyOf"]], ["100", "101", "102"])
        policy = self.printed("--attestation", NEU, "--host-data", HOST_DATA, "--svn", "7", "--compliance", 'a"b')
        self.assertEqual(claims_of(policy)["x-ms-compliance-status"], 'a"b')
        self.assertEqual(len(policy["anyOf"][0]["allOf"][4]["anyOf"]), 1)

    def test_of_this_container(self):
        """By the report; without a device, by the policy file beside the container."""
        for environment in ({}, {"LD_PRELOAD": self.environment()["LD_PRELOAD"].split()[0]
                                 if "asan" in self.environment()["LD_PRELOAD"] else None}):
            with self.subTest(environment):
                policy = self.printed("--attestation", NEU, environment=environment)
                self.assertEqual(claims_of(policy)["x-ms-sevsnpvm-hostdata"], self.box["host_data"])

    def test_report_and_policy_disagree(self):
        context = self.temporary(None)
        with open(os.path.join(context, "security-policy-base64"), "wb") as file:
            file.write(b64encode(REGO))
        result = self.run_decant("policy", "--attestation", NEU, environment={"UVM_SECURITY_CONTEXT_DIR": context})
        self.check_failure(result, 31, "not the one in the report")

    def test_refusals(self):
        good = ["--attestation", NEU, "--host-data", HOST_DATA]
        cases = [
            ([], "no attestation service"),
            (["--host-data", HOST_DATA], "no attestation service"),
            (["--attestation", "http://a.attest.azure.net", "--host-data", HOST_DATA], "https"),
            (["--attestation", NEU + "/attest", "--host-data", HOST_DATA], "path"),
            (["--attestation", NEU, "--host-data", "12"], "64"),
            (["--attestation", NEU, "--host-data", "x" * 64], "host data"),
            ([*good, "--cce-policy", self.file("cce", b64encode(REGO))], "exclude"),
            (["--attestation", NEU, "--cce-policy", self.file("rego", REGO)], "container policy"),
            (["--attestation", NEU, "--cce-policy", self.folder + "/none"], "none"),
            ([*good, "--svn", "x"], "--svn"), ([*good, "--svn", "2-1"], "--svn"), ([*good, "--svn", "1-"], "--svn"),
            ([*good, "--svn", "1-65"], "--svn"), ([*good, "--svn", "1-4294967296"], "--svn"),
            ([*good, "--svn", "1-2-3"], "--svn"),
            ([*good, "--json"], "--json"), ([*good, "word"], "unexpected"),
            ([*good, "--release-policy", self.file("p", "{}")], "--release-policy"),
            (["--release-policy", self.file("p", "{}")], "--token"),
            (["--attestation", NEU] * 17 + ["--host-data", HOST_DATA], "more than 16"),
        ]
        for arguments, word in cases:
            with self.subTest(arguments):
                self.check_failure(self.run_decant("policy", *arguments), 2, word)

    def test_no_container_here(self):
        environment = {"LD_PRELOAD": None if "asan" not in self.environment()["LD_PRELOAD"]
                       else self.environment()["LD_PRELOAD"].split()[0], "UVM_SECURITY_CONTEXT_DIR": self.folder}
        if any(os.path.exists(each) for each in ("/dev/sev-guest", "/dev/sev", "/sys/kernel/config/tsm/report")):
            self.skipTest("this machine has a device of its own")
        self.check_failure(self.run_decant("policy", "--attestation", NEU, environment=environment), 10, "--cce-policy|policy")


class Held(Case):
    """Against tokens."""

    def setUp(self):
        super().setUp()
        self.claims = {"iss": NEU, "x-ms-attestation-type": "sevsnpvm", "x-ms-sevsnpvm-hostdata": HOST_DATA,
                       "x-ms-compliance-status": "azure-compliant-uvm", "x-ms-sevsnpvm-is-debuggable": False,
                       "x-ms-sevsnpvm-uvm-endorsement": {"x-ms-sevsnpvm-guestsvn": "101"}}

    def hold(self, claims, *arguments):
        path = self.file("token", token_of(claims))
        return self.run_decant("policy", "--attestation", NEU, "--host-data", HOST_DATA, "--svn", "100-101",
                               "--token", path, *arguments)

    def test_released(self):
        result = self.hold(self.claims)
        self.assertEqual(result.code, 0, result)
        self.assertEqual({line.split()[0] for line in result.out.splitlines()}, {"ok", "note"})

    def test_each_claim_counts(self):
        changes = {"x-ms-attestation-type": "sgx", "x-ms-sevsnpvm-hostdata": "00" * 32, "x-ms-compliance-status": None,
                   "x-ms-sevsnpvm-is-debuggable": True, "x-ms-sevsnpvm-uvm-endorsement": {"x-ms-sevsnpvm-guestsvn": "99"},
                   "iss": "https://other.attest.azure.net"}
        for name, value in changes.items():
            with self.subTest(name):
                claims = {**self.claims, name: value}
                if value is None:
                    del claims[name]
                result = self.hold(claims)
                self.assertEqual(result.code, 13, result)
                self.assertIn("issued by" if name == "iss" else name, result.sentence)
                self.assertIn("FAIL", result.out)

    def test_as_json(self):
        result = self.hold({**self.claims, "x-ms-attestation-type": "sgx"}, "--json")
        self.assertEqual(result.code, 13, result)
        failed = [each for each in json.loads(result.out) if each["result"] == "FAIL"]
        self.assertEqual([(each["step"], each["exit_code"]) for each in failed], [("x-ms-attestation-type", 13)])
        self.assertIn('"sgx"', failed[0]["text"])

    def test_hostile_claims_stay_text(self):
        result = self.hold({**self.claims, "x-ms-attestation-type": "\x1b[2J\nok  all"})
        self.assertEqual(result.code, 13, result)
        self.assertNotIn("\x1b", result.out + result.err)
        self.assertEqual(len([line for line in result.out.splitlines() if line.startswith("ok  all")]), 0)

    def test_broken(self):
        policy = ["policy", "--attestation", NEU, "--host-data", HOST_DATA, "--token"]
        for content, code in ((b"", 11), (b"x", 11), (b"a.b.c", 11), (b"{}", 11), (b"\xff" * 100, 11)):
            with self.subTest(content):
                self.check_failure(self.run_decant(*policy, self.file("t", content)), code, "token")
        self.check_failure(self.run_decant(*policy, self.file("t", b"x" * 70000)), 2, "t")

    def test_of_a_vault(self):
        """A key's own policy, as the vault hands it out, against a token of the service: what it says, the vault does."""
        data = urlsafe_b64encode(json.dumps(self.box["release_policy"]).encode()).decode().rstrip("=")
        policy = self.file("policy.json", json.dumps({"data": data, "immutable": False}))
        context = self.claims | {"iss": self.box["attestation"], "x-ms-sevsnpvm-hostdata": self.box["host_data"]}
        result = self.run_decant("policy", "--release-policy", policy, "--token", self.file("t", json.dumps(context)))
        self.assertEqual(result.code, 0, result)
        context["x-ms-sevsnpvm-hostdata"] = "00" * 32
        result = self.run_decant("policy", "--release-policy", policy, "--token", self.file("t", json.dumps(context)))
        self.assertEqual(result.code, 13, result)


class InTheVault(Case):
    """The policy that is printed for this container releases a key to it, and one for another container does not."""

    def test_release(self):
        for arguments, code in (([], 0), (["--host-data", HOST_DATA], 13)):
            with self.subTest(arguments):
                result = self.run_decant("policy", "--attestation", self.box["attestation"], *arguments)
                self.assertEqual(result.code, 0, result)
                key = self.box.key(f"policy{len(arguments)}-{self.number}", policy=json.loads(result.out))
                self.put("a", self.plain(), key)
                job = self.job(self.url("a"), keys=[{"kid": key.versionless}])
                if code == 0:
                    self.good(job=job)
                    self.empty()
                else:
                    self.bad(code, "policy", job=job)


if __name__ == "__main__":
    unittest.main()
