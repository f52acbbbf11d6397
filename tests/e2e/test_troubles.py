"""Known troubles: what users of confidential containers, attestation, key release and blob storage run into, and the one line
that decant prints for each. docs/troubleshooting.md shows the lines; this holds them.

After a change of a message: python3 tests/e2e/test_troubles.py --write docs/troubleshooting.md
"""

import os
import re
import sys
import unittest

from harness import ROOT, Case

PAGE = os.path.join(ROOT, "docs", "troubleshooting.md")
HEAD = """# Troubleshooting: what decant says, and what it means

Each line below was printed by decant, run against the sandbox in the state that the row names (`tests/e2e/test_troubles.py`
runs them all and compares); addresses were replaced by examples. `docs/operations.md` has all exit codes.
"""
TAIL = """
## When the key is made

These are the vault's answers to whoever creates or changes a key (`az keyvault key create`); decant does neither. All are HTTP 400,
`BadParameter`.

| the message begins | what to do |
|---|---|
| `AKV.SKR.1001` The exportable attribute is only supported with premium vaults | a Premium vault or a managed HSM, and a current `az` |
| `AKV.SKR.1003` The exportable attribute of an existing key cannot be changed | make a new key, exportable from its first version on |
| `AKV.SKR.1004` Exportable keys must have release policy | give `--policy`: `decant policy` prints it |
| `AKV.SKR.1005` Non-exportable keys must not have release policy | give `--exportable true` as well |
| `AKV.SKR.1006` A software key cannot be exportable | `--kty RSA-HSM`, not `RSA` |
| `AKV.SKR.1016` Key Release Policy can only be set on versionless key | name the key without its version |
| `AKV.SKR.1020` Immutable Key Release Policy cannot be modified | make a new key |
"""
STAND_INS = (
    (r"127\.0\.0\.1:9\b", "169.254.169.254"),
    (r"\((Couldn't connect to server): [^)]*\)", r"(\1)"),
    (r"(AMD KDS \(Milan\)): .*?\. Set ", r"\1: …. Set "),
    (r"decant-e2e-[a-z0-9_]+", "plain"),
    (r"/dev/shm/plain", "/mnt/plain"),
    (r"\btest\d+\b", "data"),
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "6d0b…"),
    (r"(/keys/[a-z-]+)/[0-9a-f]{32}", r"\1/a7aa…"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\b", "2026-01-01T00:00:00Z"),
)
FORBIDDEN = {"status": 403, "code": "Forbidden"}


def vault(message, trouble, *words, **action):
    return trouble, 13, "release", {**FORBIDDEN, "message": message, **action}, words


def storage(status, code, message, trouble, exit_code, *words):
    return trouble, exit_code, "storage", {"status": status, "code": code, "message": message}, words


# trouble, exit code, which request fails (or a method of this test), how, words of the line
KEYS = (
    vault("Target environment attestation does not meet key release policy requirements.",
          "The container's policy, or another claim, is not what the key's release policy wants",
          "release policy", "host data"),
    vault("Target environment attestation statement cannot be verified.",
          "The release policy names another attestation service, or the vault cannot reach it", "authority"),
    vault("Caller is not authorized to perform action on resource.\r\nAction: 'Microsoft.KeyVault/vaults/keys/release/action'",
          "The identity lacks the role", "Key Vault Crypto Service Release User"),
    vault("The user, group or application 'appid=00000000-0000-4000-8000-000000000000' does not have keys release permission on "
          "key vault 'contoso;location=northeurope'.", "The identity lacks the permission, in a vault with access policies",
          "key permission"),
    vault("Client address (10.0.0.4) is not authorized and caller is not a trusted service.",
          "The vault's firewall", "firewall"),
    ("The access token is for another audience or tenant", 13, "release",
     {"status": 401, "code": "Unauthorized", "message": "AKV10022: Invalid audience."}, ("audience",)),
    ("The key's name is wrong, or the vault is", 13, "release",
     {"status": 404, "code": "KeyNotFound", "message": "A key with (name/id) kek was not found in this key vault."},
     ("KeyNotFound", "name and version")),
    ("The vault is a standard one, or the key was not made exportable", 13, "release",
     {"status": 400, "code": "BadParameter", "message": "AKV.SKR.1001: The exportable attribute is only supported with premium "
      "vaults and API version >= '7.3-preview'."}, ("Premium vault",)),
    ("The vault throttles: 10 releases in 10 seconds, and the time is up", 22, "release",
     {"status": 429, "code": "Throttled", "message": "Request was not processed because too many requests were received.",
      "retry_after": 1}, ("Throttled",)),
    ("The key is disabled", 13, "disabled_key", None, ("KeyDisabled", "Enable")),
    ("The released key is not the one that encrypted the blob", 14, "other_key", None, ("version",)),
    ("A blob names a key that the job does not list", 14, "foreign_key", None, ("keys", "aliases")),
)
ATTESTATION = (
    ("Not a confidential container, or the device was not given to it", 10, "no_device", None, ("SEV-SNP",)),
    ("The report is signed with the provider's key (VLEK), not the chip's", 10, "provider_key", None, ("VLEK",)),
    ("No certificates that fit the chip and its firmware", 10, "no_certificates", None, ("attestation.certificates",)),
    ("The host's firmware is below the service's baseline", 11, "attest",
     {"status": 400, "code": "InvalidParameter", "message": "The reported TCB version is below the baseline."},
     ("firmware", "another host")),
    ("The provider's own policy denies", 11, "attest",
     {"status": 400, "code": "PolicyEvaluationError", "message": "Native operation failed with 65518: policy evaluation denied"},
     ("policy denies",)),
    ("attestation.provider is not an attestation service", 11, "attest",
     {"status": 404, "code": "NotFound", "message": "Resource not found"}, ("attestation.provider",)),
)
IDENTITY = (
    ("An init container in ACI: it gets no managed identity", 12, "no_imds", None, ("init container",)),
    ("The identity is not assigned to the container group", 12, "unknown_identity", None, ("identity",)),
)
STORAGE = (
    ("The SAS has expired", 21, "expired_sas", None, ("expired",)),
    ("The SAS was cut, or signed with a key that was renewed", 21, "cut_sas", None, ("AuthenticationFailed", "cut")),
    storage(403, "InsufficientAccountPermissions", "The account being accessed does not have sufficient permissions to execute this "
            "operation.", "The SAS, or the account's settings, allow less", 21, "permissions of the SAS"),
    storage(403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this "
            "permission.", "The identity lacks the role on the container", 21, "Storage Blob Data Reader"),
    storage(403, "AuthorizationFailure", "This request is not authorized to perform this operation.",
            "The account's network rules", 21, "network rules"),
    storage(403, "KeyBasedAuthenticationNotPermitted", "Key based authentication is not permitted on this storage account.",
            "The account takes no SAS that was signed with its keys", 21, "user delegation SAS"),
    storage(404, "ContainerNotFound", "The specified container does not exist.", "The container is not there", 20,
            "container's name"),
    storage(404, "BlobNotFound", "The specified blob does not exist.", "The blob is not there", 20, "letter case"),
    storage(409, "BlobArchived", "This operation is not permitted on an archived blob.", "The blob is archived", 20,
            "archive tier"),
    storage(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.",
            "No credential, and the account allows no public access", 21, "SAS or an identity"),
    storage(409, "BlobBeingRehydrated", "This operation is not permitted because the blob is being rehydrated.",
            "The blob is on its way back from the archive", 20, "wait until"),
    storage(503, "ServerBusy", "The server is busy.", "The account is over its limits, and the time is up", 22, "ServerBusy"),
    storage(500, "OperationTimedOut", "The operation could not be completed within the permitted time.",
            "The service is too slow, and the time is up", 22, "OperationTimedOut"),
    ("The blob became smaller while it was read", 31, "range",
     {"status": 416, "code": "InvalidRange", "message": "The range specified is invalid for the current size of the resource."},
     ("who writes",)),
    ("The blob was replaced while it was read", 31, "range",
     {"status": 412, "code": "ConditionNotMet", "message": "The condition specified using HTTP conditional header(s) is not met."},
     ("changed",)),
    ("The blob has no encryption metadata", 30, "unencrypted", None, ("plain",)),
    ("The blob was written by an old SDK: client-side encryption 1.0", 30, "version_1", None, ("2.0", "cse-v1")),
    ("A byte of the blob was changed", 30, "changed", None, ("authentic|genuine|tag",)),
    ("The blob is not the one, or not all of the one, that the job expects", 31, "other_size", None, ("size|bytes",)),
)
PLACE = (
    ("The volume is a disk, which its host can read", 40, "disk", None, ("not confidential",)),
    ("The blobs do not fit", 41, "too_much", None, ("limits",)),
    ("A blob's name leads out of the volume", 42, "bad_name", None, (r"\.\.",)),
    ("A proxy or firewall opens TLS with a certificate of its own", 22, "foreign_tls", None, ("certificate", "network.ca_file")),
)
CHAPTERS = (("Hardware and attestation", ATTESTATION), ("Identity", IDENTITY), ("Key release", KEYS),
            ("Blob storage and envelopes", STORAGE), ("Volume and network", PLACE))
REQUESTS = {
    "release": {"service": "vault", "method": "POST", "path": "/release"},
    "attest": {"service": "attestation", "method": "POST"},
    "storage": {"service": "storage"},
    "range": {"service": "storage", "method": "GET"},
}


class Troubles(Case):
    lines = {}

    def setUp(self):
        super().setUp()
        self.put("train.csv", self.plain())
        self.environment_of_case = {}

    def prepare(self, which, action):
        """The job of a case, after its trouble was made."""
        job = self.job(self.url("train.csv"))
        if which in REQUESTS:
            self.box.control("fault", times=-1, action=action, **REQUESTS[which])
            job["limits"] = {"timeout_s": 60}
            return job
        return getattr(self, which)(job)

    def other_key(self, job):
        other = self.box.key("other")
        self.put("train.csv", self.plain(), other, kid=self.key.kid)
        return job

    def foreign_key(self, job):
        self.put("train.csv", self.plain(), kid="https://fabrikam.vault.azure.net/keys/kek")
        return job

    def disabled_key(self, job):
        disabled = self.box.key("disabled", enabled=False)
        self.put("train.csv", self.plain(), disabled)
        return {**job, "keys": [{"kid": disabled.versionless}]}

    def provider_key(self, job):
        """SIGNING_KEY, bits 2 to 4 of the word at 72 (AMD 56860)."""
        with open(self.box["device"]["report_template"], "rb") as file:
            report = bytearray(file.read())
        report[72] = 1 << 2
        path = os.path.join(self.folder, "vlek.bin")
        with open(path, "wb") as file:
            file.write(report)
        self.environment_of_case = {"DOUBLE_SEV_REPORT": path}
        return job

    def expired_sas(self, job):
        return {**job, "inputs": [{"from": f"{self.url('train.csv')}?{self.sas(seconds=-60)}"}]}

    def cut_sas(self, job):
        return {**job, "inputs": [{"from": f"{self.url('train.csv')}?{self.sas()[:-8]}"}]}

    def changed(self, job):
        stored, metadata = self.encrypt(self.plain())
        self.store("train.csv", bytes([stored[0]]) + stored[1:-1] + bytes([stored[-1] ^ 1]), metadata)
        return job

    def other_size(self, job):
        return {**job, "inputs": [{"from": self.url("train.csv"), "size": 1234567}]}

    def disk(self, job):
        self.environment_of_case = {"DOUBLE_STATFS_PATH": self.volume, "DOUBLE_STATFS_TYPE": "ef53"}
        return job

    def too_much(self, job):
        self.put("train.csv", bytes(3 << 20))
        return {**job, "limits": {"max_plaintext_mib": 2}}

    def bad_name(self, job):
        self.put("s/../../etc/passwd", self.plain())
        return {**job, "inputs": [{"from": self.url("s/"), "to": "train"}]}

    def foreign_tls(self, job):
        kid = "https://contoso.vault.azure.net/keys/kek"
        self.put("train.csv", self.plain(), kid=kid)
        return {**job, "keys": [{"kid": kid}], "network": {"proxy": self.box["proxy"]}}

    def no_device(self, job):
        self.environment_of_case = {"DOUBLE_SEV": ""}
        return {**job, "attestation": {**job["attestation"], "evidence": "auto"}}

    def no_certificates(self, job):
        self.box.control("platform", missing_chain=True)
        return {**job, "attestation": {**job["attestation"], "certificates": self.box["identity"] + "/nowhere"}}

    def no_imds(self, job):
        self.environment_of_case = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9"}
        return {**job, "limits": {"timeout_s": 3}}

    @staticmethod
    def unknown_identity(job):
        return {**job, "identity": {"type": "managed", "client_id": "00000000-0000-4000-8000-000000000000"}}

    def unencrypted(self, job):
        self.store("train.csv", b"year,rain\n")
        return job

    def version_1(self, job):
        self.store("train.csv", bytes(32), '{"EncryptionMode":"FullBlob","WrappedContentKey":{"KeyId":"'
                   + self.key.kid + '","EncryptedKey":"' + "A" * 342 + '==","Algorithm":"RSA-OAEP"},"EncryptionAgent":'
                   '{"Protocol":"1.0","EncryptionAlgorithm":"AES_CBC_256"},"ContentEncryptionIV":"AAAAAAAAAAAAAAAAAAAAAA=="}')
        return job

    def shown(self, line):
        """LINE with examples in place of what differs from run to run."""
        names = {"attestation": "https://sharedneu.neu.attest.azure.net", "vault": "https://contoso.vault.azure.net",
                 "storage": "https://contoso.blob.core.windows.net", "identity": "http://169.254.169.254"}
        for name, example in names.items():
            line = line.replace(self.box[name], example)
            line = line.replace(self.box[name].partition("//")[2], example.partition("//")[2])
        line = line.replace(self.volume, "/mnt/plain")
        for pattern, example in STAND_INS:
            line = re.sub(pattern, example, line)
        return line

    def enough_time(self, job, word):
        """Seconds until the service's answer is what a run ends with: two, but on a busy machine."""
        for seconds in (2, 8, 32):
            if word in self.run_decant(job={**job, "limits": {"timeout_s": seconds}}).sentence:
                return 2 * seconds if seconds > 2 else seconds
        return 64

    def line_of(self, case):
        trouble, code, which, action, words = case
        self.box.control("reset")
        self.empty()
        job = self.prepare(which, action)
        if action and action["status"] in (429, 500, 503):
            job["limits"] = {"timeout_s": self.enough_time(job, action["code"])}
        result = self.bad(code, *words, job=job, environment=self.environment_of_case)
        self.environment_of_case = {}
        if action:
            self.assertIn(action["code"].split("/")[0], result.sentence, trouble)
        self.put("train.csv", self.plain())
        return self.shown(result.sentence)

    def test_every_trouble_has_its_line(self):
        for chapter, cases in CHAPTERS:
            for case in cases:
                with self.subTest(case[0]):
                    Troubles.lines[case[0]] = line = self.line_of(case)
                    self.assertNotRegex(line, r"127\.0\.0\.1|decant-e2e|0x", "an address that no stand-in covers")
        if "--write" in sys.argv:
            return
        with open(PAGE, encoding="utf-8") as file:
            self.assertEqual(file.read(), page(), "run tests/e2e/test_troubles.py --write docs/troubleshooting.md")


def page():
    text = HEAD
    for chapter, cases in CHAPTERS:
        text += f"\n## {chapter}\n"
        for trouble, code, *_ in cases:
            text += f"\n**{trouble}** (exit code {code})\n\n```text\n{Troubles.lines.get(trouble, '?')}\n```\n"
    return text + TAIL


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--write":
        result = unittest.main(argv=sys.argv[:1], exit=False).result
        if result.wasSuccessful():
            with open(sys.argv[2], "w", encoding="utf-8") as out:
                out.write(page())
        sys.exit(not result.wasSuccessful())
    unittest.main()
