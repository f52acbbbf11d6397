"""The tamper matrix: one thing changed of an envelope, a token, a released key or the evidence, and the exit code that answers it.

The envelope's cases are those that were run against Microsoft's own reader. Where the format itself cannot tell, the case ends
with 0 and its note names what in the job closes it; that is a case of its own, right behind it.
"""

import base64
import json
import os
import shutil
import struct

import table
from scene import harness

from sandbox import attestation, release  # noqa: E402 (the harness knows the way)

REGION = 1024
STEP = REGION + 28
N = 3
FORMAT = "the format cannot tell"


# ---- Envelopes ----

def regions(data):
    return [data[at:at + STEP] for at in range(0, len(data), STEP)]


def reordered(*order):
    return lambda data: b"".join(regions(data)[i] for i in order)


def flipped(at):
    return lambda data: data[:at] + bytes([data[at] ^ 4]) + data[at + 1:]


def member(*path, value=None, take=False):
    """Metadata with one member set or taken away."""
    def change(text):
        tree = json.loads(text)
        at = tree
        for name in path[:-1]:
            at = at[name]
        if take:
            del at[path[-1]]
        else:
            at[path[-1]] = value
        return json.dumps(tree)
    return change


def members(**changes):
    def change(text):
        tree = json.loads(text)
        for name, value in changes.items():
            tree[name] = {**tree[name], **value} if isinstance(value, dict) and name in tree else value
        return json.dumps(tree)
    return change


def flipped_key(text):
    tree = json.loads(text)
    wrapped = bytearray(base64.b64decode(tree["WrappedContentKey"]["EncryptedKey"]))
    wrapped[100] ^= 1
    tree["WrappedContentKey"]["EncryptedKey"] = base64.b64encode(wrapped).decode()
    return json.dumps(tree)


def same(value):
    return value


IV = base64.b64encode(bytes(range(16))).decode()
AGENT, INFO, WRAPPED = "EncryptionAgent", "EncryptedRegionInfo", "WrappedContentKey"

# name, exit code, change of the stored bytes, change of the metadata
ENVELOPES = (
    ("nothing", 0, same, same),
    ("a bit of the first region's ciphertext", 30, flipped(12), same),
    ("a bit of the last region's ciphertext", 30, flipped(2 * STEP + 500), same),
    ("a bit of a tag", 30, flipped(STEP - 1), same),
    ("a bit of a nonce", 30, flipped(STEP + 11), same),
    ("two regions swapped", 30, reordered(1, 0, 2), same),
    ("one region over another", 30, reordered(0, 0, 2), same),
    ("the first region dropped", 30, reordered(1, 2), same),
    ("a middle region dropped", 30, reordered(0, 2), same),
    ("a copy of the first region appended", 30, reordered(0, 1, 2, 0), same),
    ("a copy of the last region appended", 30, reordered(0, 1, 2, 2), same),
    ("cut inside a region", 30, lambda data: data[:-100], same),
    ("10 bytes left of the last region", 30, lambda data: data[:2 * STEP + 10], same),
    ("28 bytes left of the last region", 30, lambda data: data[:2 * STEP + 28], same),
    ("10 bytes appended", 30, lambda data: data + bytes(10), same),
    ("metadata removed", 30, same, lambda text: None),
    ("metadata not JSON", 30, same, lambda text: "no JSON"),
    ("metadata {}", 30, same, lambda text: "{}"),
    ("a member twice", 30, same, lambda text: text[:-1] + ', "EncryptionAgent": {}}'),
    ("protocol unknown", 30, same, member(AGENT, "Protocol", value="3.0")),
    ("protocol missing", 30, same, member(AGENT, "Protocol", take=True)),
    ("region info missing", 30, same, member(INFO, take=True)),
    ("AES_CBC_256 without an IV", 30, same, member(AGENT, "EncryptionAlgorithm", value="AES_CBC_256")),
    ("2.0 relabelled 1.0, without an IV", 30, same, members(EncryptionAgent={"Protocol": "1.0", "EncryptionAlgorithm": "AES_CBC_256"})),
    ("2.0 relabelled 1.0, with an IV", 30, same, members(ContentEncryptionIV=IV, EncryptionAgent={
        "Protocol": "1.0", "EncryptionAlgorithm": "AES_CBC_256"})),
    ("2.0 relabelled 2.1", 30, same, member(AGENT, "Protocol", value="2.1")),
    ("AES_CBC_256 and an IV beside 2.0", 30, same, members(ContentEncryptionIV=IV, EncryptionAgent={
        "EncryptionAlgorithm": "AES_CBC_256"})),
    ("KeyId of a key that the job does not list", 14, same, member(WRAPPED, "KeyId", value="https://else.vault.azure.net/keys/k")),
    ("KeyId missing", 30, same, member(WRAPPED, "KeyId", take=True)),
    ("a bit of EncryptedKey", 14, same, flipped_key),
    ("EncryptedKey not base64", 30, same, member(WRAPPED, "EncryptedKey", value="!!!")),
    ("EncryptedKey cut", 14, same, member(WRAPPED, "EncryptedKey", value=base64.b64encode(bytes(100)).decode())),
    ("another wrap algorithm: RSA-OAEP-256 for RSA-OAEP", 14, same, member(WRAPPED, "Algorithm", value="RSA-OAEP-256")),
    ("another wrap algorithm: A256KW", 30, same, member(WRAPPED, "Algorithm", value="A256KW")),
    ("another wrap algorithm: RSA1_5", 30, same, member(WRAPPED, "Algorithm", value="RSA1_5")),
    *((f"DataLength {value}", 30, same, member(INFO, "DataLength", value=value)) for value in (512, 2048, 0, -1, 1 << 50)),
    *((f"NonceLength {value}", 30, same, member(INFO, "NonceLength", value=value)) for value in (8, 16)),
    ("EncryptionMode missing", 0, same, member("EncryptionMode", take=True)),
    ("KeyWrappingMetadata missing", 0, same, member("KeyWrappingMetadata", take=True)),
)
HARMLESS = {"EncryptionMode missing": "nothing hangs on it", "KeyWrappingMetadata missing": "nothing hangs on it",
            "nothing": "as it should be", "chain: ASK and ARK exchanged": "put in order before it is verified",
            "report: version 99": "a newer form is for the service to judge"}


def envelope(place, change, change_metadata):
    content = place.plain(N * REGION)
    stored, metadata = place.encrypt(content, region=REGION)
    place.store("s/a", change(stored), change_metadata(metadata))
    return place.ended(place.run_decant(job=place.quick_job(place.url("s/a"))), (0, 14, 30), {"a": content})


def version_one(place):
    """V1 relabelled 2.0: its content key has no version in front."""
    stored, metadata = place.encrypt(place.plain(N * REGION), version="1.0")
    tree = json.loads(metadata)
    tree[AGENT] = {"Protocol": "2.0", "EncryptionAlgorithm": "AES_GCM_256"}
    tree[INFO] = {"DataLength": REGION, "NonceLength": 12}
    tree.pop("ContentEncryptionIV")
    place.store("s/a", stored, json.dumps(tree))
    return place.ended(place.run_decant(job=place.quick_job(place.url("s/a"))), (14, 30), {})


def other_metadata(place):
    stored, _ = place.encrypt(place.plain(N * REGION), region=REGION)
    _, metadata = place.encrypt(place.plain(N * REGION), region=REGION)
    place.store("s/a", stored, metadata)
    return place.ended(place.run_decant(job=place.quick_job(place.url("s/a"))), 30, {})


# ---- What the format cannot tell, and what closes it ----

class Substitution:
    """What was meant, and what the store gives instead: name → (stored bytes, metadata, plaintext)."""

    def __init__(self, place):
        self.place, self.meant, self.given = place, {}, {}
        for name in ("a", "b"):
            content = place.plain(N * REGION + (name == "b"))
            self.meant[name] = self.given[name] = (*place.encrypt(content, region=REGION), content)

    def files(self):
        return {name: content for name, (_, _, content) in self.given.items()}

    def entries(self, pin):
        found = []
        for name, (_, metadata, content) in self.meant.items():
            wrapped = base64.b64decode(json.loads(metadata)[WRAPPED]["EncryptedKey"])
            pinned = {"sha256": harness.sha256(content)} if pin == "sha256" else {"key_sha256": harness.sha256(wrapped)}
            found.append({"name": name, "size": len(content), **pinned})
        return found

    def job(self, closed):
        """The job over the prefix, and over `a` alone where the size or digest is to close it."""
        place, (_, _, content) = self.place, self.meant["a"]
        single = {"from": place.url("s/a")}
        if closed == "size":
            return place.quick_job({**single, "size": len(content)})
        if closed == "sha256":
            return place.quick_job({**single, "sha256": harness.sha256(content)})
        if closed is None:
            return place.quick_job(place.url("s/"))
        text = json.dumps({"files": self.entries(closed.split()[-1])}).encode()
        place.store("list.json", text)
        return place.quick_job({"from": place.url("s/"), "manifest": {"from": place.url("list.json"),
                                                                     "sha256": harness.sha256(text)}})

    def run(self, closed):
        for name, (stored, metadata, _) in self.given.items():
            self.place.store("s/" + name, stored, metadata)
        return self.place.ended(self.place.run_decant(job=self.job(closed)), 31 if closed else 0, self.files())


def last_dropped(it):
    stored, metadata, content = it.meant["a"]
    it.given["a"] = (stored[:2 * STEP], metadata, content[:2 * REGION])


def emptied(it):
    it.given["a"] = (b"", it.meant["a"][1], b"")


def forged(it):
    """The public key is all that a writer needs."""
    content = it.place.plain(N * REGION)
    it.given["a"] = (*it.place.encrypt(content, region=REGION), content)


def exchanged(it):
    it.given["a"], it.given["b"] = it.given["b"], it.given["a"]


def left_out(it):
    del it.given["b"]


def added(it):
    it.given["c"] = (*it.place.encrypt(it.place.plain(), region=REGION), it.place.plaintexts[-1])


MANIFESTS = ("manifest with sha256", "manifest with key_sha256")
SUBSTITUTIONS = (
    ("the last region dropped", last_dropped, ("size", "sha256", *MANIFESTS)),
    ("an empty body under full metadata", emptied, ("size", "sha256", *MANIFESTS)),
    ("another content by somebody who has the public key; an older version", forged, ("sha256", *MANIFESTS)),
    ("two blobs exchanged", exchanged, ("sha256", *MANIFESTS)),
    ("a blob left out of the set", left_out, MANIFESTS),
    ("a blob added to the set", added, MANIFESTS),
)


def substitute(place, change, closed):
    it = Substitution(place)
    change(it)
    return it.run(closed)


# ---- Tokens and released keys ----

def whole(place, environment=None, **parts):
    content = place.plain(N * REGION)
    place.put("s/a", content)
    return place.run_decant(job=place.job(place.url("s/a"), **parts), environment=environment), {"a": content}


def lie(place, service, what, codes):
    place.box.control("tamper", service=service, what=what)
    result, files = whole(place)
    if service == "attestation" and result.code == 11:
        place.assertEqual(place.releases(), [], "a token that is not believed went to the vault")
    return place.ended(result, codes, files)


def answer_of(place, service, codes, **action):
    place.box.fault(action, service=service, method="POST", times=-1)
    result, files = whole(place)
    return place.ended(result, codes, files)


def replayed_token(place):
    """A genuine token of this very platform, for somebody else's key."""
    runtime = base64.b64encode(b'{"keys":[]}').decode()
    endpoint = place.box["attestation"].partition("//")[2]
    token = ask(place.box["sidecar"] + "/attest/maa", maa_endpoint=endpoint, runtime_data=runtime)["token"]
    place.secrets.append(token)
    return answer_of(place, "attestation", 11, body=json.dumps({"token": token}))


def ask(url, **wish):
    request = harness.urllib.request.Request(url, json.dumps(wish).encode(), method="POST")
    with harness.urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


# ---- Evidence ----

def platform(place, codes, **wish):
    place.box.control("platform", **wish)
    result, files = whole(place)
    return place.ended(result, codes, files)


def template(place, codes, at, data):
    """A report whose bytes from AT on are DATA, signed as it should be."""
    with open(place.box["device"]["report_template"], "rb") as file:
        report = bytearray(file.read())
    report[at:at + len(data)] = data
    result, files = whole(place, {"DOUBLE_SEV_REPORT": place.file("template", bytes(report))})
    return place.ended(result, codes, files)


def device(place, codes, **environment):
    result, files = whole(place, environment)
    return place.ended(result, codes, files)


def foreign_signer(place, codes):
    key = harness.subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
                                 capture_output=True, check=True).stdout
    return device(place, codes, DOUBLE_SEV_KEY=place.file("foreign.pem", key))


def context(place, codes, name, change):
    """The platform's files with one of them changed, base64 undone before and done after."""
    folder = os.path.join(place.temporary(None), "context")
    shutil.copytree(place.box["security_context"], folder)
    path = os.path.join(folder, name)
    with open(path, "rb") as file:
        data = base64.b64decode(file.read())
    with open(path, "wb") as file:
        file.write(change(data))
    return device(place, codes, UVM_SECURITY_CONTEXT_DIR=folder)


def coded(change):
    return lambda data: base64.b64encode(change(data))


def certificates(change):
    """The THIM reply with CHANGE(vcek, [ask, ark]) in it."""
    def changed(data):
        reply = json.loads(data)
        end = "-----END CERTIFICATE-----\n"
        chain = [part + end for part in reply["certificateChain"].split(end) if part.strip()]
        reply["vcekCert"], chain = change(reply["vcekCert"], chain)
        reply["certificateChain"] = "".join(chain)
        return json.dumps(reply).encode()
    return coded(changed)


def foreign_chain(vcek, _):
    with open(os.path.join(harness.ROOT, "tests", "data", "evidence", "milan.pem"), encoding="ascii") as file:
        end = "-----END CERTIFICATE-----\n"
        parts = [part + end for part in file.read().split(end) if part.strip()]
    return vcek, parts[1:]


def flipped_pem(text):
    at = len(text) // 2
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:]


def replayed_report(place):
    """A genuine report of this chip over another run's data."""
    answer = ask(place.box["sidecar"] + "/attest/combined", runtime_data=base64.b64encode(b"another run").decode())
    place.box.fault({"body": json.dumps(answer)}, service="sidecar", times=-1)
    result, files = whole(place, {"DOUBLE_SEV": ""}, attestation={"evidence": "sidecar", "sidecar": place.box["sidecar"]})
    return place.ended(result, 10, files)


HOST, INFO_FILE = "host-amd-cert-base64", "reference-info-base64"
# name, exit code, how, with what
EVIDENCE = (
    ("report: not signed (the host masks the chip's key)", 10, platform, {"masked": True}),
    ("report: signed by another key", 10, foreign_signer, {}),
    ("report: over other report data", 10, device, {"DOUBLE_SEV_FAIL": "data"}),
    ("report: an older one again, through the sidecar", 10, None, None),
    ("report: shorter than it says", 10, device, {"DOUBLE_SEV_FAIL": "size:100"}),
    ("report: the firmware's status is an error", 10, device, {"DOUBLE_SEV_FAIL": "status:22"}),
    ("report: version 1", 10, template, {"at": 0, "data": struct.pack("<I", 1)}),
    ("report: version 99", 11, template, {"at": 0, "data": struct.pack("<I", 99)}),
    ("report: another signature algorithm", 10, template, {"at": 52, "data": struct.pack("<I", 2)}),
    ("report: an older TCB than the VCEK's", 10, template, {"at": 384, "data": b"\x01"}),
    ("report: of another chip", 10, template, {"at": 416, "data": bytes(range(64))}),
    ("report: another measurement than the endorsed one", 11, platform, {"other_measurement": True}),
    ("report: another host data", 13, platform, {"other_host_data": True}),
    ("report: a guest that can be debugged", 13, platform, {"debug": True}),
    ("chain: none", 10, platform, {"file_chain": "missing", "thim_chain": "missing"}),
    ("chain: a VCEK of an older TCB", 10, platform, {"file_chain": "stale"}),
    ("chain: not base64", 10, context, {"name": HOST, "change": lambda data: b"!" + data}),
    ("chain: not JSON", 10, context, {"name": HOST, "change": coded(lambda data: b"{")}),
    ("chain: empty", 10, context, {"name": HOST, "change": lambda data: b""}),
    ("chain: a bit of the VCEK", 10, context, {"name": HOST, "change": certificates(lambda vcek, up: (flipped_pem(vcek), up))}),
    ("chain: a bit of the ASK", 10, context, {"name": HOST, "change": certificates(lambda vcek, up: (vcek, [flipped_pem(up[0]), up[1]]))}),
    ("chain: without the ARK", 10, context, {"name": HOST, "change": certificates(lambda vcek, up: (vcek, up[:1]))}),
    ("chain: ASK and ARK exchanged", 0, context, {"name": HOST, "change": certificates(lambda vcek, up: (vcek, up[::-1]))}),
    ("chain: the ASK in the VCEK's place", 10, context, {"name": HOST, "change": certificates(lambda vcek, up: (up[0], up))}),
    ("chain: ASK and ARK of somebody else", 10, context, {"name": HOST, "change": certificates(foreign_chain)}),
    ("endorsement: none", 13, platform, {"absent": [INFO_FILE]}),
    ("endorsement: a bit of its signature", 11, context, {"name": INFO_FILE, "change": coded(lambda data: data[:-1] + bytes([data[-1] ^ 1]))}),
    ("endorsement: cut", 11, context, {"name": INFO_FILE, "change": coded(lambda data: data[:len(data) // 2])}),
    ("endorsement: not base64", 10, context, {"name": INFO_FILE, "change": lambda data: b"!" + data}),
)


def envelope_cases():
    for name, code, change, change_metadata in ENVELOPES:
        yield table.Case("envelope", name, code, lambda place, c=change, m=change_metadata: envelope(place, c, m),
                         note=HARMLESS.get(name, ""))
    yield table.Case("envelope", "1.0 relabelled 2.0", 30, version_one)
    yield table.Case("envelope", "another blob's metadata", 30, other_metadata)
    for name, change, closers in SUBSTITUTIONS:
        yield table.Case("substitution", name, 0, lambda place, c=change: substitute(place, c, None),
                         note=f"{FORMAT}; closed by " + ", ".join(closers))
        for closer in closers:
            yield table.Case("substitution", f"{name}: with {closer}", 31,
                             lambda place, c=change, by=closer: substitute(place, c, by))


def key_cases():
    for what in attestation.LIES:
        code = 13 if what == "bad_signature" else 11
        yield table.Case("token", what, code, lambda place, w=what, c=code: lie(place, "attestation", w, c),
                         note="the vault checks it" if code == 13 else "")
    yield table.Case("token", "another key's, of this very platform", 11, replayed_token)
    for what in release.LIES:
        yield table.Case("release", what, 14, lambda place, w=what: lie(place, "vault", w, 14))
    for at in (60, 1000, 3000, 5000, 7000, -60):
        yield table.Case("release", f"one bit of byte {at}", 14, lambda place, a=at: answer_of(place, "vault", 14, flip_byte=a))


def evidence_cases():
    for name, code, how, what in EVIDENCE:
        play = replayed_report if how is None else lambda place, h=how, c=code, w=what: h(place, c, **w)
        yield table.Case("evidence", name, code, play, note=HARMLESS.get(name, ""))


CASES = [*envelope_cases(), *key_cases(), *evidence_cases()]
