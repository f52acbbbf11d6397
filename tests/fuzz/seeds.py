#!/usr/bin/env python3
"""Writes the seeds of the corpora: corpus/TARGET/seed-NAME, valid examples and examples with one thing wrong.

Always the same bytes. The forms of structured inputs are those of fuzz.h and wire.h; what a target's first bytes mean
stands at its top. What fuzzing found lies beside the seeds (run.sh puts it there).
"""

import base64
import gzip
import hashlib
import json
import pathlib
import struct

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus"
DATA = HERE / "data"
TESTS = HERE.parent / "data"
KID = "https://contoso.vault.azure.net/keys/dataset-kek"
VERSION = "0123456789abcdef0123456789abcdef"


def chunk(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("<H", len(data)) + data


def answer(status, headers, body, how=0):
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return struct.pack("<BH", how, status) + chunk(f"HTTP/1.1 {status} X\r\n{lines}\r\n") + chunk(body)


def broken(passes):
    return bytes([0xC0 if passes else 0x80])


def b64(data):
    return base64.b64encode(data).decode()


def b64u(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def put(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(data.encode() if isinstance(data, str) else data)


def puts(target, variants):
    for number, data in enumerate(variants):
        put(target, f"{number:02}", data)


def changed(document, path, value):
    """A copy of DOCUMENT with the member at PATH set, or without it for None."""
    copy = json.loads(json.dumps(document))
    at = copy
    for step in path[:-1]:
        at = at[step]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return copy


def text(document):
    return json.dumps(document, separators=(",", ":"))


# ---- job ----

JOB = {
    "$schema": "https://example.com/job.schema.json",
    "attestation": {
        "provider": "https://sharedneu.neu.attest.azure.net",
        "evidence": "sidecar",
        "sidecar": "http://127.0.0.1:8080",
        "certificates": "http://10.0.0.4/metadata/THIM/amd/certification",
    },
    "identity": {"type": "token", "client_id": "c", "vault_token_env": "V", "storage_token_file": "/s"},
    "keys": [
        {"kid": KID, "aliases": [KID + "/" + VERSION, "local"]},
        {"kid": KID + "2", "source": "sidecar"},
        {"kid": KID + "3", "file": "/key.pem"},
    ],
    "inputs": [
        {"from": "https://contoso.blob.core.windows.net/data/train/", "to": "train", "match": "**/*.bin"},
        {
            "from": "https://contoso.blob.core.windows.net/data/one.gz",
            "to": "one",
            "format": "aes-gcm",
            "key": KID,
            "decompress": "gzip",
            "sha256": "0" * 64,
            "size": 7,
            "sas_env": "SAS",
        },
        {
            "from": "https://contoso.blob.core.windows.net/data/all/",
            "manifest": {"from": "https://contoso.blob.core.windows.net/data/m.json", "sha256": "ab" * 32},
            "sas_file": "/sas",
            "format": "cse-v1",
        },
    ],
    "outputs": [
        {"from": "results", "to": "https://contoso.blob.core.windows.net/results/", "key": KID, "overwrite": True, "compress": "gzip", "when": "always", "manifest": "m.json", "receipt": True},
        {"from": "log", "to": "https://contoso.blob.core.windows.net/results/log", "key": "local", "key_file": "/public.pem", "manifest": True, "sas_env": "SAS"},
    ],
    "volume": {"path": "/mnt/plain", "require": "any", "mode": "0440", "uid": 1000, "gid": 1000},
    "network": {"ca_file": "/ca.pem", "proxy": "http://proxy:3128"},
    "limits": {"parallel": 4, "memory_mib": 64, "shards": 2, "timeout_s": 60, "max_plaintext_mib": 9},
}

JOB_CHANGES = [
    (["attestation"], None), (["keys"], []), (["keys"], {}), (["inputs"], []), (["inputs", 0, "from"], 7),
    (["inputs", 0, "from"], "ftp://x/"), (["inputs", 0, "from"], "http://example.com/data/x"),
    (["inputs", 0, "from"], "https://contoso.blob.core.windows.net/data/a?sp=r&sig=x"),
    (["inputs", 1, "sha256"], "00"), (["inputs", 1, "sha256"], "g" * 64), (["inputs", 1, "size"], -1),
    (["inputs", 1, "size"], 1e300), (["inputs", 1, "size"], 1.5), (["inputs", 1, "format"], "zip"),
    (["inputs", 1, "format"], "plain"), (["inputs", 1, "key"], "other"), (["inputs", 1, "sas_file"], "/x"),
    (["inputs", 0, "sha256"], "0" * 64), (["inputs", 1, "match"], "*"), (["inputs", 2, "manifest", "sha256"], None),
    (["inputs", 1, "manifest"], {"from": "https://h/c/m", "sha256": "00" * 32}), (["inputs", 0, "to"], "../up"),
    (["identity", "type"], "auto"), (["identity", "type"], 3), (["identity", "vault_token_file"], "/v"),
    (["volume", "mode"], "0999"), (["volume", "mode"], "0777"), (["volume", "mode"], 440), (["volume", "path"], "x"),
    (["volume", "path"], None), (["volume", "uid"], 1 << 40), (["limits", "parallel"], 0), (["limits", "memory_mib"], 1),
    (["limits", "shards"], 99999999), (["unknown"], 1), (["keys", 1, "kid"], KID), (["keys", 0, "kid"], "x"),
    (["keys", 0, "aliases"], "x"), (["keys", 0, "aliases"], [1]), (["keys", 1, "source"], "vault"), (["keys", 2, "file"], ""),
    (["attestation", "sidecar"], None), (["attestation", "evidence"], "device"), (["attestation", "provider"], "http://h"),
    (["outputs"], 1), (["outputs", 0, "overwrite"], 1), (["outputs", 0, "manifest"], 1), (["outputs", 0, "manifest"], False), (["outputs", 0, "receipt"], "x"), (["outputs", 0, "when"], "never"),
    (["outputs", 0, "compress"], "zip"), (["outputs", 0, "key"], "local"), (["outputs", 0, "key"], "http://vault.example/keys/k"), (["outputs", 0, "key"], None), (["outputs", 1, "key_inline"], "x"),
    (["outputs", 1, "key_file"], None), (["outputs", 1, "sas_file"], "/s"), (["outputs", 0, "to"], "http://example.com/c/"), (["attestation", "provider"], None), (["keys", 2, "source"], "sidecar"),
    (["inputs", 0, "size"], 5), (["inputs", 1, "key"], None), (["inputs", 0, "format"], "cse"), (["identity"], {"type": "token"}), (["identity", "type"], "managed"),
    (["network", "proxy"], "ftp://p"), (["keys", 0], 1), (["inputs", 0], []), (["limits"], 1), (["volume"], None),
]


def jobs():
    yield text(JOB)
    yield json.dumps(JOB, indent=2)
    yield text({"inputs": [{"from": "https://h.blob.core.windows.net/c/b", "format": "plain"}], "volume": {"path": "/m"}})
    for path, value in JOB_CHANGES:
        yield text(changed(JOB, path, value))
    yield '{"a":1,"a":2}'
    yield "[" * 40 + "]" * 40
    yield text(JOB)[:-1]
    yield text(JOB) + "x"
    yield '{"volume":{"path":"\\u0000"}}'
    yield b'{"volume":{"path":"\xff\xfe"}}'
    yield "[]"
    yield '{"inputs":[{"from":"https://h/c/b?sig=\\u00e9\\ud83d\\ude00\\b\\f\\n\\r\\t\\/\\\\\\""}]}'


# ---- encryptiondata ----

V2 = {
    "WrappedContentKey": {"KeyId": KID + "/" + VERSION, "EncryptedKey": b64(bytes(256)), "Algorithm": "RSA-OAEP"},
    "EncryptionAgent": {"Protocol": "2.0", "EncryptionAlgorithm": "AES_GCM_256"},
    "EncryptedRegionInfo": {"DataLength": 4194304, "NonceLength": 12},
    "KeyWrappingMetadata": {"EncryptionLibrary": "Python 12.31.0b1"},
    "EncryptionMode": "FullBlob",
}
V1 = {
    **{name: V2[name] for name in ("WrappedContentKey", "KeyWrappingMetadata")},
    "EncryptionAgent": {"Protocol": "1.0", "EncryptionAlgorithm": "AES_CBC_256"},
    "ContentEncryptionIV": b64(bytes(16)),
}
METADATA_CHANGES = [
    (["WrappedContentKey", "KeyId"], "symmKey1"), (["WrappedContentKey", "KeyId"], "a\nb"), (["WrappedContentKey", "KeyId"], ""),
    (["WrappedContentKey", "KeyId"], "k" * 600), (["WrappedContentKey", "Algorithm"], "RSA1_5"), (["WrappedContentKey"], None),
    (["WrappedContentKey", "Algorithm"], "RSA_15"), (["WrappedContentKey", "Algorithm"], "none"), (["EncryptionAgent"], None),
    (["WrappedContentKey", "EncryptedKey"], "!"), (["WrappedContentKey", "EncryptedKey"], ""), (["matdesc"], "x"),
    (["WrappedContentKey", "EncryptedKey"], b64(bytes(1025))), (["WrappedContentKey", "EncryptedKey"], b64(bytes(2048))),
    (["EncryptionAgent", "Protocol"], "3.0"), (["EncryptionAgent", "Protocol"], "2.1"), (["EncryptionAgent", "Protocol"], "1.0"),
    (["EncryptionAgent", "EncryptionAlgorithm"], "AES_CBC_256"), (["AuthenticationBlockInfo"], {}), (["ContentEncryptionIV"], "AA=="),
    (["KeyWrappingMetadata", "EncryptionLibrary"], "l" * 120 + "\u00e9" * 20), (["KeyWrappingMetadata", "EncryptionLibrary"], "\u0085"),
]


def metadata():
    yield b"\x00"
    yield b"\x01"
    for kind, document in ((0, V2), (1, V1), (1, V2), (0, V1), (2, V2), (3, V2)):
        yield bytes([kind]) + text(document).encode()
    for path, value in METADATA_CHANGES:
        yield b"\x00" + text(changed(V2, path, value)).encode()
    for path, value in (
        (["EncryptedRegionInfo"], None), (["EncryptedRegionInfo", "DataLength"], 0), (["EncryptedRegionInfo", "NonceLength"], 13),
        (["EncryptedRegionInfo", "DataLength"], 1 << 31), (["EncryptedRegionInfo", "TagLength"], 16),
        (["EncryptedRegionInfo", "DataLength"], "1"),
    ):
        yield b"\x00" + text(changed(V2, path, value)).encode()
    for path, value in (
        (["EncryptedRegionInfo"], {}), (["ContentEncryptionIV"], None), (["ContentEncryptionIV"], "AAAA"),
        (["ContentEncryptionIV"], b64(bytes(20))),
    ):
        yield b"\x01" + text(changed(V1, path, value)).encode()
    yield b"\x00" + b'"' + b"x" * 9000 + b'"'
    yield b"\x00{"


# ---- regions ----

def stream(way, region, size, wanted, changes=b"", cuts=b"", newer=False):
    count = bytes([len(changes)]) if isinstance(changes, list) else b"\x00"
    return (
        bytes([way | (0x40 if newer else 0)]) + struct.pack("<HHH", region - 1, size, wanted) + count
        + b"".join(changes) + cuts
    )


def change(what, at, *rest):
    return bytes([what]) + struct.pack("<I", at)[:3] + b"".join(rest)


def regions():
    for mode in (0x60, 0x62, 0x64, 0x20 | 4, 0x20 | 5, 0x20 | 0, 0x24 | 3, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21):
        yield stream(mode, 16, 200, 90)
        yield stream(mode, 16, 200, 90, cuts=bytes([3, 0, 40]))
    for way in range(6):
        for region, size, wanted in ((16, 64, 0), (1, 5, 29), (1024, 4096, 3000), (100, 250, 100), (16, 0, 16)):
            yield stream(way, region, size, wanted, newer=size > 100)
        yield stream(way, 32, 300, 200, cuts=bytes([0, 11, 15, 3, 200, 27, 0, 0]))
        for one in (
            change(0, 3, b"\x01"), change(0, 40, b"\x80"), change(1, 120), change(1, 61), change(2, 0, chunk(b"x" * 30)),
            change(3, 0, b"\x01"), change(4, 1, b"\x00"), change(1, 0),
        ):
            yield stream(way, 32, 300, 200, [one], bytes([7, 50]))
    oaep = (DATA / "content.oaep").read_bytes()
    sha1 = (DATA / "content.oaep-sha1").read_bytes()
    for kind, protocol, algorithm, wrapped in (
        (4, "2.0", "RSA-OAEP-256", oaep), (4, "2.1", "RSA-OAEP-256", oaep), (4, "2.0", "RSA-OAEP", sha1), (4, "2.0", "RSA", sha1),
        (12, "1.0", "RSA-OAEP-256", oaep), (4, "2.0", "RSA-OAEP-256", sha1), (4, "2.0", "RSA-OAEP", bytes(100)),
        (2, "2.0", "RSA-OAEP", sha1), (2, "2.0", "A256KW", bytes(48)), (0, "2.0", "A128KW", bytes(48)), (1, "2.0", "A192KW", bytes(48)),
        (3, "2.0", "A256KW", bytes(48)), (2, "2.0", "A256KW", bytes(40)), (10, "1.0", "A256KW", bytes(40)), (2, "9.9", "A256KW", b""),
        (2, "2.0", "none", b""), (2, "1.0", "A256KW", bytes(48)), (16, "", "", b""), (17, "", "", b""), (18, "", "", b""), (19, "", "", b""), (20, "", "", b""), (4, "2.0", "RSA-OAEP-256", bytes(256)), (10, "2.0", "A256KW", bytes(48)),
    ):
        yield bytes([0x80, kind]) + chunk(protocol) + chunk(algorithm) + chunk(wrapped)


# ---- storage ----

PROPS = "<Properties><Etag>0x8D1</Etag><Content-Length>%s</Content-Length></Properties>"


def page(*blobs, marker="<NextMarker />", top="\ufeff<?xml version=\"1.0\" encoding=\"utf-8\"?>"):
    return f'{top}<EnumerationResults ContainerName="data"><Prefix>train/</Prefix><Blobs>{"".join(blobs)}</Blobs>{marker}</EnumerationResults>'


def blob(name, size=5, more="", encoded=""):
    return f"<Blob><Name{encoded}>{name}</Name>{PROPS % size}{more}</Blob>"


def pages():
    meta = "<Metadata><EncryptionData>{&quot;a&quot;:1}</EncryptionData><x>1</x></Metadata>"
    yield page(blob("train/a", more=meta), blob("train/b&amp;\u00e9", 1 << 40))
    yield page(blob("train/%41%EF%BF%BE", encoded=' Encoded="true"'), marker="<NextMarker>m/1&amp;</NextMarker>")
    yield page(
        blob("train/old", more="<Snapshot>2021</Snapshot>"), blob("train/past", more="<IsCurrentVersion>false</IsCurrentVersion>"),
        blob("train/gone", more="<Deleted>true</Deleted>"), blob("train/d/", 0), "<BlobPrefix><Name>x</Name></BlobPrefix>",
        blob("train/f", more="<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>"),
        "<Blob><Name>train/d3</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>",
    )
    for bad in (
        blob("other/x"), blob(""), blob("train/%zz", encoded=' Encoded="true"'), blob("train/x", "-1"), blob("train/x", "9" * 19),
        blob("train/x", "9" * 25), "<Blob><Name>train/x</Name></Blob>", "<Blob></Blob>", blob("train/x") * 2,
        "<Blob><Name>train/x</Name><Name>train/y</Name></Blob>", blob("train/" + "n" * 5000), blob("train/" + "%41" * 5000, encoded=' Encoded="true"'),
        blob("train/\u0001") , "<a>" * 15, blob("train/x", more="<Metadata><encryptiondata>" + "x" * 13000 + "</encryptiondata></Metadata>"),
        "<Blob><Name>train/<b/>x</Name></Blob>", f"<Blob><Name>train/x</Name>{PROPS % 5}".replace("0x8D1", "W/&quot;x&quot;") + "</Blob>",
        f"<Blob><Name>train/x</Name>{PROPS % 5}".replace("0x8D1", "&quot;0x8D1&quot;") + "</Blob>",
    ):
        yield page(bad)
    yield page(marker="<NextMarker>a</NextMarker><NextMarker>b</NextMarker>")
    yield page(top='<!DOCTYPE x [<!ENTITY a "aa">]>')
    yield page(top="x")
    yield "<Error><Code>X</Code></Error>"
    yield page(blob("train/a"))[:200]
    yield page(blob("train/a")) + "<x/>"
    yield "<?xml version='1.0' encoding='utf-16'?><a/>"
    yield page(*(blob(f"train/{n}") for n in range(101)))
    yield page(*["<Blob/>"] * 1001)
    yield ""


REFUSALS = [
    (403, "AuthenticationFailed"), (403, "AuthorizationPermissionMismatch"), (404, "BlobNotFound"), (404, "ContainerNotFound"),
    (409, "BlobArchived"), (412, "ConditionNotMet"), (416, "InvalidRange"), (503, "ServerBusy"), (400, "InvalidHeaderValue"),
    (401, "NoAuthenticationInformation"), (409, "PublicAccessNotPermitted"), (302, "Found"), (418, "Odd"), (201, "Created"),
]
PROPERTIES = {"Content-Length": "9", "ETag": '"0x8D1"', "x-ms-meta-encryptiondata": text(V2), "x-ms-request-id": "r-1"}


def ranged(first=16, last=79, total=100, length=None, etag='"0x8D1"'):
    return {"Content-Range": f"bytes {first}-{last}/{total}", "Content-Length": length or last - first + 1, "ETag": etag}


def refusal(status, code):
    body = f"\ufeff<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Why. sig=abcdefghijklmnop=\nTime</Message></Error>"
    return answer(status, {"x-ms-error-code": code, "x-ms-request-id": "r-2", "Retry-After": "3"}, body)


def storage():
    for n, document in enumerate(pages()):
        yield bytes([0, n * 7 % 40]) + document.encode()
    for credential in range(3):
        yield bytes([1, credential]) + answer(200, {}, page(blob("train/a")), 9)
        yield bytes([2, credential]) + answer(200, PROPERTIES, "")
        yield bytes([3, credential]) + answer(206, ranged(), b"p" * 64, 10)
        for status, code in REFUSALS:
            yield bytes([1 + status % 3, credential]) + refusal(status, code)
        yield bytes([2, credential]) + refusal(403, "AuthenticationFailed")
    yield bytes([1, 0]) + broken(True) + answer(200, {}, page(marker="<NextMarker>marker</NextMarker>"))
    yield bytes([1, 2]) + answer(401, {}, "") + answer(200, {}, page())
    yield bytes([3, 0]) + answer(206, ranged(), b"p" * 20) + answer(206, ranged(36), b"p" * 44, 1)
    yield bytes([3, 0]) + answer(206, ranged(), b"p" * 70)
    yield bytes([3, 0]) + answer(206, ranged(), b"\xff" * 64)
    for headers in (
        ranged(0, 63), ranged(total=101), ranged(length=63), ranged(etag='"0x8D2"'), ranged(etag="W/x"), {}, ranged(etag="")
    ):
        yield bytes([3, 0]) + answer(206, headers, b"p" * 64)
    yield bytes([3, 0]) + answer(200, ranged(), b"p" * 64)
    for name, value in (
        ("Content-Length", "x"), ("Content-Length", "1" * 30), ("ETag", ""), ("ETag", "a b"), ("ETag", "a" * 80),
        ("x-ms-resource-type", "directory"), ("x-ms-meta-hdi_isfolder", "true"), ("x-ms-meta-encryptiondata", ""),
    ):
        yield bytes([2, 0]) + answer(200, {**PROPERTIES, name: value}, "")


# ---- http ----

def http():
    bodies = [
        "", "{}", '{"error":{"code":"Forbidden","message":"No.\\nmore","innererror":{"code":"ForbiddenByFirewall"}}}',
        '{"error":"invalid_client","error_description":"AADSTS7000215: Invalid. ' + "k" * 60 + '"}', "<Error><Code>A</Code><Message>B C.</Message></Error>",
        "<!DOCTYPE x><Error/>", "<Other><Code>A</Code></Other>", "<Error><Code>A<b/>", "\ufeff <Error><Code>\u00e9</Code></Error>", "x" * 2000,
        '{"error":{"code":"' + "c" * 200 + '","message":"' + "\u00e9 " * 400 + '"}}', '{"error":{"code":"A","innerError":{"code":"B"}}}', "{", "[1]",
    ]
    for n, body in enumerate(bodies):
        for status in (403, 429, 200, 206):
            head = f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nx-ms-request-id: r\r\nRetry-After: 7\r\n\r\n"
            yield struct.pack("<BBH", n % 6, n % 5, status) + chunk(head) + chunk(body)
    for head in (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-encoding: Identity\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nTrailer: x\r\n",
        "HTTP/1.1 503 X\r\nRetry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n\r\n", "HTTP/1.1 503 X\r\nretry-after-ms: 12\r\n\r\n",
        "HTTP/1.1 503 X\r\nx-ms-retry-after-ms: 999999999999\r\n\r\n", "HTTP/1.1 307 X\r\nLocation: x\r\n\r\n", "X: " + "y" * 33000 + "\r\n",
        "HTTP/1.1 403 X\r\nx-ms-error-code: \x01\x7f\xff\r\nx-ms-request-id: " + "r" * 200 + "\r\n\r\n", "HTTP/1.1 503 X\r\nRetry-After: soon\r\n\r\n",
        "HTTP/1.1 503 X\r\nRetry-After: " + "1" * 70 + "\r\n\r\n", ("X: " + "y" * 3000 + "\r\n\r\nHTTP/1.1 100 C\r\n") * 20,
    ):
        for mode in range(6):
            for status in (100, 200, 204, 299, 503, 599, 307):
                if (mode < 2 and len(head) < 200) or (status == 200 and (mode == 0 or len(head) < 1000)):
                    yield struct.pack("<BBH", mode, 3, status) + chunk(head) + chunk(b"\xffbody" if mode % 2 else b"b" * 1100)


# ---- attestation token ----

CLAIMS = {
    "iss": "https://example.neu.attest.azure.net", "nonce": "0123456789abcdef", "iat": 1700000000, "nbf": 1700000000,
    "exp": 1700028800, "x-ms-attestation-type": "sevsnpvm",
    "x-ms-runtime": {"keys": [{"e": "AQAB", "key_ops": ["encrypt"], "kid": "thumb", "kty": "RSA", "n": "v965-_"}]},
    "x-ms-sevsnpvm-reportdata": "00" * 64, "x-ms-sevsnpvm-launchmeasurement": "00" * 48, "x-ms-sevsnpvm-hostdata": "00" * 32,
}
HEADER = {"alg": "RS256", "jku": "https://example.neu.attest.azure.net/certs", "kid": "k", "typ": "JWT"}
CLAIM_CHANGES = [
    ("nonce", "other"), ("nonce", None), ("iss", "https://other"), ("iss", "x"), ("iss", None), ("exp", 5), ("exp", None), ("exp", 1 << 52),
    ("nbf", None), ("nbf", "x"), ("nbf", 1 << 52), ("x-ms-attestation-type", "sgx"), ("x-ms-runtime", None), ("x-ms-runtime", {"keys": []}),
    ("x-ms-runtime", {"keys": [{"kty": "RSA", "kid": "other"}]}), ("x-ms-runtime", {"other": 1}), ("x-ms-sevsnpvm-hostdata", "11" * 32),
    ("x-ms-sevsnpvm-hostdata", 5), ("x-ms-sevsnpvm-hostdata", None), ("iss", "http://example.neu.attest.azure.net"),
]


def tokens():
    for mode in (1, 5):
        yield bytes([mode]) + chunk(text(HEADER)) + chunk(text(CLAIMS))
        yield bytes([mode]) + chunk(text(HEADER)) + chunk(text({**CLAIMS, "x-ms-runtime": {"other": 1}}))
        for name, value in CLAIM_CHANGES:
            yield bytes([mode]) + chunk(text(HEADER)) + chunk(text(changed(CLAIMS, [name], value)))
    for header in ({"alg": "none"}, {}, {"alg": "RS256", "crit": ["x"]}, [], "x"):
        yield b"\x01" + chunk(text(header)) + chunk(text(CLAIMS))
    whole = f"{b64u(text(HEADER).encode())}.{b64u(text(CLAIMS).encode())}.c2ln"
    for token in (whole, whole + ".", whole + ".x", whole[:-4], "a.b.c", "..", "", whole.replace(".c2ln", ".!"), "x" * 70000):
        yield b"\x00" + token.encode()
    for reply in (
        answer(200, {}, text({"token": whole})), answer(200, {}, "{}"), answer(200, {}, "<html>"), answer(404, {}, ""),
        answer(400, {"x-ms-request-id": "r"}, '{"error":{"code":"PolicyEvaluationError","message":"policy"}}'), broken(True) * 3,
        answer(400, {}, '{"error":{"code":"AttestationFailed","message":"Invalid VCEK certificate"}}'), answer(503, {}, ""),
        answer(401, {}, ""), answer(403, {}, ""), answer(400, {}, '{"error":{"code":"BadRequest","message":"x"}}'), broken(False),
    ):
        yield b"\x02" + reply


# ---- keys ----

def number(n, size=None):
    return b64u(n.to_bytes(size or (n.bit_length() + 7) // 8, "big"))


def rsa_key():
    return serialization.load_pem_private_key((DATA / "offer.key").read_bytes(), None)


def rsa_jwk(private=True):
    n = rsa_key().private_numbers()
    jwk = {"kty": "RSA", "n": number(n.public_numbers.n), "e": number(n.public_numbers.e)}
    if private:
        jwk |= {"d": number(n.d), "p": number(n.p), "q": number(n.q), "dp": number(n.dmp1), "dq": number(n.dmq1), "qi": number(n.iqmp)}
    return jwk


CURVES = (("P-256", ec.SECP256R1(), 32), ("P-384", ec.SECP384R1(), 48), ("P-521", ec.SECP521R1(), 66))


def ec_key(curve, secret=0x1234567890ABCDEF):
    """A worthless test key."""
    return ec.derive_private_key(secret, curve)


def ec_jwk(crv, curve, size, private=True):
    n = ec_key(curve).private_numbers()
    jwk = {"kty": "EC", "crv": crv, "x": number(n.public_numbers.x, size), "y": number(n.public_numbers.y, size)}
    return jwk | ({"d": number(n.private_value, size)} if private else {})


def pem(key, form=serialization.PrivateFormat.PKCS8):
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def der(key):
    return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def jwks():
    good = [rsa_jwk(), {"kty": "oct", "k": b64u(bytes(range(32)))}, {"kty": "oct", "k": b64u(bytes(16))}]
    good += [ec_jwk(*curve) for curve in CURVES] + [{**rsa_jwk(), "kty": "RSA-HSM"}]
    yield from good
    for name in rsa_jwk():
        yield changed(rsa_jwk(), [name], None)
        yield {**rsa_jwk(), name: "AQAB"}
        yield {**rsa_jwk(), name: "!"}
        yield {**rsa_jwk(), name: 7}
    for name in ec_jwk(*CURVES[0]):
        yield changed(ec_jwk(*CURVES[0]), [name], None)
        yield {**ec_jwk(*CURVES[0]), name: number(5, 32)}
        yield {**ec_jwk(*CURVES[0]), name: "AA"}
    yield {**rsa_jwk(), "n": b64u(b"\x00" + bytes(255))}
    yield {**rsa_jwk(), "n": b64u(bytes([255]) * 1200)}
    yield {**rsa_jwk(), "n": b64u(bytes([255]) * 128)}
    yield {"kty": "oct"}
    yield {"kty": "oct", "k": b64u(bytes(5))}
    yield {"kty": "oct", "k": "x" * 9000}
    yield {"kty": "OKP"}
    yield {}


def jwk():
    for key in jwks():
        yield b"\x00" + text(key).encode()
    yield b"\x00" + b"[" + b" " * 70000
    for key in (pem(rsa_key()), pem(rsa_key(), serialization.PrivateFormat.TraditionalOpenSSL), pem(ec_key(ec.SECP256R1())),
                pem(ec_key(ec.SECP256R1()), serialization.PrivateFormat.TraditionalOpenSSL), pem(ec_key(ec.SECP256K1())),
                (TESTS / "http/worthless-test-key.pem").read_bytes(), b" {}", text(rsa_jwk()).encode(), b"", b"-----BEGIN PRIVATE KEY-----\n"):
        yield b"\x01" + key
    inner = {"key": text(rsa_jwk())}
    for reply in (answer(200, {}, text(inner)), answer(200, {}, '{"key":{}}'), answer(200, {}, "{}"), answer(200, {}, '{"key":"{}"}'),
                  answer(200, {}, "x"), broken(False), broken(True) * 3, answer(404, {}, '{"error":{"code":"KeyNotFound","message":"m"}}'),
                  answer(403, {}, '{"error":{"code":"Forbidden","message":"m","innererror":{"code":"KeyDisabled"}}}'), answer(401, {}, ""),
                  answer(400, {}, '{"error":{"code":"BadParameter","message":"does not meet key release policy requirements"}}'), answer(500, {}, "")):
        yield b"\x02" + reply


def members(key):
    return text(key)[1:-1] + ","


def release():
    x5c = json.loads("[" + (DATA / "vault.x5c").read_text() + "]")
    oct_public = {"kty": "oct-HSM"}
    for public, plain in (
        [(rsa_jwk(False), der(rsa_key())), (oct_public, bytes(range(32))), (oct_public, bytes(24)), (oct_public, bytes(5))]
        + [(ec_jwk(*curve, False), der(ec_key(curve[1]))) for curve in CURVES]
        + [(ec_jwk(*CURVES[0], False), der(ec_key(ec.SECP256R1(), 99))), (ec_jwk(*CURVES[0], False), der(rsa_key())), (rsa_jwk(False), b"x" * 50),
           (rsa_jwk(False), der(ec_key(ec.SECP256R1()))), ({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, der(rsa_key())), ({"kty": "EC"}, b"x"),
           (rsa_jwk(False), b""), (rsa_jwk(False), der(rsa_key()) + b"x"), ({"kty": "x"}, b"x")]
    ):
        yield b"\x04" + chunk(members(public)) + chunk(plain)
    for mode in (10, 16, 22):
        yield bytes([mode]) + chunk(members(oct_public)) + chunk(bytes(range(32)))
    hsm = {"schema_version": "1.0", "header": {"kid": "k", "alg": "dir", "enc": "RSA_AES_KEY_WRAP_256"}, "ciphertext": b64u(bytes(300))}
    for path, value in (
        (["x"], 1), (["schema_version"], "2.0"), (["header"], None), (["header", "alg"], "x"), (["header", "enc"], "x"), (["ciphertext"], None),
        (["ciphertext"], "!"), (["ciphertext"], "A" * 30000), (["ciphertext"], b64u(bytes(100))), (["schema_version"], None), (["schema_version"], 1),
    ):
        yield b"\x03" + chunk(members(rsa_jwk(False))) + chunk(text(changed(hsm, path, value)))
    yield b"\x03" + chunk(members(rsa_jwk(False))) + chunk("x")
    oaep = (DATA / "transfer.oaep").read_bytes()
    for ciphertext in (oaep, oaep + b"x", oaep + bytes(8), oaep + bytes(24), oaep + bytes(20), oaep[:-1] + b"x" + bytes(24)):
        yield b"\x03" + chunk(members(rsa_jwk(False))) + chunk(text(changed(hsm, ["ciphertext"], b64u(ciphertext))))
    yield b"\x83" + chunk(members(rsa_jwk(False))) + chunk("A" * 40000)
    header = {"alg": "RS256", "x5c": x5c}
    payload = {
        "request": {"enc": "CKM_RSA_AES_KEY_WRAP", "kid": KID},
        "response": {"key": {"attributes": {"enabled": True}, "key": {"kid": KID + "/" + VERSION, "kty": "oct", "key_hsm": "e30"}}},
    }
    for change_of_header in (
        {}, {"alg": "none"}, {"alg": "PS256"}, {"alg": "RS384"}, {"crit": []}, {"b64": False}, {"x5c": []}, {"x5c": x5c[:1]}, {"x5c": x5c[::-1]}, {"x5c": "x"},
        {"x5c": [1]}, {"x5c": ["AAAA"]}, {"x5c": ["!"]}, {"x5c": x5c * 6}, {"x5t": "x"}, {"x5t#S256": "x"}, {"x5c": [x5c[0] + "AAAA"]}, {"alg": None},
    ):
        yield b"\x01" + chunk(text({**header, **change_of_header})) + chunk(text(payload))
    for path, value in (
        (["request"], None), (["response"], 1), (["request", "kid"], None), (["request", "kid"], "x"), (["request", "kid"], KID + "x"), (["request", "enc"], "x"),
        (["response", "key", "attributes"], 1), (["response", "key", "attributes", "enabled"], False), (["response", "key", "key", "kid"], KID + "y"),
        (["response", "key", "key", "kid"], None), (["response", "key", "key", "key_hsm"], None), (["response", "key", "key", "kty"], None), (["request", "nonce"], "n"),
        (["response", "key", "key", "key_hsm"], "!"), (["response", "key", "key", "kid"], "https://contoso.vault.azure.net/keys/" + "k" * 126),
    ):
        yield b"\x01" + chunk(text(header)) + chunk(text(changed(payload, path, value)))
    yield b"\x01" + chunk(text(header)) + chunk("x")
    certificate = base64.b64decode(x5c[0])
    yield b"\x02" + chunk(members(rsa_jwk(False))) + chunk(certificate)
    yield b"\x02" + chunk(members(rsa_jwk(False))) + chunk(certificate[:300])
    for jws in ("a.b.c", "..", "e30.e30.AAAA", "e30.e30.", "e30.e30", "e30=.e30.AAAA", "!.e30.AAAA", "W10.e30.AAAA", "e30.e30.e30.e30", "", "eA.eA.eA", "A" * 60000):
        yield b"\x00" + jws.encode()
    for reply in (answer(200, {}, '{"value":"a.b.c"}'), answer(200, {}, "{}"), answer(200, {}, "x"), answer(404, {}, ""), broken(False), answer(429, {}, "")):
        yield b"\x05" + reply


# ---- evidence ----

def certificates(path):
    parts = path.read_bytes().split(b"-----BEGIN CERTIFICATE-----\n")[1:]
    return [base64.b64decode(part.split(b"-----END")[0]) for part in parts]


def proof():
    evidence = TESTS / "evidence"
    for which in ("milan", "milan-newer", "turin"):
        report, chain = (evidence / f"{which}.bin").read_bytes(), (evidence / f"{which}.pem").read_bytes()
        yield b"\x00" + chunk(report) + chain
        yield b"\x03" + chain
        yield b"\x02" + certificates(evidence / f"{which}.pem")[0]
    vcek, ask, ark = certificates(evidence / "milan.pem")
    yield b"\x02" + vcek + b"x"
    yield b"\x02" + ask
    yield b"\x02" + b"x"
    yield b"\x02" + vcek.replace(bytes.fromhex("020200db"), bytes.fromhex("020201db"))
    yield b"\x02" + vcek.replace(bytes.fromhex("2b06010401 9c780103 01".replace(" ", "")), bytes.fromhex("2b060104019c78010305"))
    whole = chain_text(vcek, ask, ark)
    for chain in (
        chain_text(ark, ask, vcek), chain_text(vcek, ask), chain_text(vcek), chain_text(ask, ark), chain_text(vcek, ark), chain_text(vcek, vcek, ask, ark),
        chain_text(vcek, ask, ark, certificates(evidence / "turin.pem")[0]), whole[:-100], "x" + whole, "", whole * 3, whole.replace("A", "B"),
        chain_text(certificates(evidence / "turin.pem")[0], ask, ark),
        whole.replace("CERTIFICATE", "X509 CRL"),
    ):
        yield b"\x03" + chain.encode()
        yield b"\x00" + chunk((evidence / "milan.bin").read_bytes()) + chain.encode()
    for at, value in (
        (0, b"\x01\0\0\0"), (0, b"\x02\0\0\0"), (0, b"\x05\0\0\0"), (8, bytes([0, 0, 8])), (52, b"\x02"), (72, b"\x02"), (72, b"\x04"), (72, b"\x1c"), (72, b"\x10"),
        (384, b"\x05"), (391, b"\x05"), (390, b"\x00"), (392, b"\x1a\x02"), (392, b"\x19\x11"), (392, b"\x33"), (416, b"\x00" * 64), (416, b"\x01"), (80, b"\x77"),
    ):
        yield b"\x01" + struct.pack("<H", at) + chunk(value)
    yield b"\x01"
    yield b"\x00" + chunk(bytes(1183)) + whole.encode()


def chain_text(*ders):
    lines = []
    for one in ders:
        body = b64(one)
        lines += ["-----BEGIN CERTIFICATE-----", *(body[i : i + 64] for i in range(0, len(body), 64)), "-----END CERTIFICATE-----"]
    return "\n".join(lines) + "\n"


def evidence():
    folder = TESTS / "evidence"
    report, chain = (folder / "milan.bin").read_bytes(), (folder / "milan.pem").read_bytes()
    thim = (folder / "thim.json").read_text()
    combined = {"evidence": b64(report), "endorsements": b64(thim.encode()), "uvm_endorsements": b64(b"cose")}
    yield b"\x00" + answer(200, {}, text(combined))
    for path, value in ((["evidence"], None), (["evidence"], "!"), (["evidence"], b64(bytes(2000))), (["endorsements"], None), (["uvm_endorsements"], "!"),
                        (["uvm_endorsements"], 5)):
        yield b"\x00" + answer(200, {}, text(changed(combined, path, value)))
    for way in (0, 1):
        for reply in (answer(200, {}, "x"), answer(404, {}, ""), answer(503, {"Retry-After": "1"}, ""), broken(True) * 5, broken(False), answer(200, {}, "{}"),
                      answer(500, {}, '{"error":"e"}')):
            yield bytes([way]) + reply
    yield b"\x01" + answer(200, {}, thim)
    yield b"\x01" + answer(200, {}, text({"vcekCert": "a"}))
    yield b"\x01" + broken(True) + answer(200, {}, text({"vcekCert": "a", "certificateChain": "b"}))
    vcek, ask, ark = certificates(folder / "milan.pem")
    for product in range(3):
        yield bytes([2, 0, product]) + answer(200, {}, vcek) + answer(200, {}, chain_text(ask, ark))
    yield bytes([2, 1, 0])
    yield bytes([2, 0, 0]) + answer(200, {}, vcek[:99])
    yield bytes([2, 0, 0]) + answer(200, {}, vcek) + answer(429, {}, "") + answer(200, {}, "")
    for platform in (b64(thim.encode()), "!", "", b64(b"{}"), b64(b"x"), " " + b64(thim.encode()) + "\n"):
        yield b"\x03" + platform.encode()
    for node in ("10.0.0.4", "fe80::1", "node-1.example", "-x", "a..b", "a/b", "x" * 64, "a." * 130, "", "[::1]", "a-", "a:80", "::1%lo"):
        yield b"\x04" + node.encode()
    yield b"\x05" + chunk(chain) + b""
    for how in (1, 2, 4, 8, 3, 5):
        yield bytes([6, how]) + chunk(b"") + answer(200, {}, thim)
        yield bytes([6, how]) + chunk(b"") + answer(404, {}, "") * 4 + answer(200, {}, vcek) + answer(200, {}, chain_text(ask, ark))
        yield bytes([6, how]) + chunk(b"") + answer(404, {}, "") * 9
    yield b"\x05" + chunk(b"x") + answer(200, {}, thim)
    yield b"\x05" + chunk(b"") + broken(False) + answer(200, {}, vcek) + answer(200, {}, chain_text(ask, ark))


# ---- identity ----

def jwt(claims):
    return f"{b64u(b'{}')}.{b64u(text(claims).encode())}.c2ln"


def identity():
    good = {"access_token": jwt({"exp": 4000000000}), "expires_in": "3600", "token_type": "Bearer"}
    replies = [text(good), text({**good, "expires_in": 99}), text(changed(good, ["expires_in"], None)), text({**changed(good, ["expires_in"], None), "expires_on": "4000000000"}),
               text({**good, "token_type": "mac"}), text({**good, "access_token": "a b"}), text({**good, "access_token": ""}), text({**good, "access_token": "x" * 17000}), "{}", "x",
               text({**good, "expires_in": "1x"}), text({**good, "expires_in": ""}), text({**good, "expires_in": "9" * 20, "expires_on": 5}), text({"access_token": "a.b.c"}),
               text({"access_token": "a"}), text({"access_token": "a.b"}), text({"access_token": jwt({"exp": 5})})]
    for reply in replies:
        yield b"\x00" + reply.encode()
        yield b"\x05" + answer(200, {}, reply)
        yield b"\x06" + answer(200, {}, reply)
    errors = [(400, "AADSTS700024: expired"), (401, "AADSTS7000215: secret"), (400, "AADSTS90002: tenant"), (400, "AADSTS1"), (400, "AADSTS" + "9" * 30), (400, "x"), (404, "n"),
              (410, "gone"), (429, "slow"), (500, "x"), (401, "AADSTS700016: app"), (400, "AADSTS70021: no match"), (403, "x")]
    for status, description in errors:
        body = text({"error": "invalid_client", "error_description": description, "error_codes": [700024]})
        yield b"\x01" + answer(status, {"x-ms-request-id": "r"}, body) * 3
        yield b"\x02" + answer(status, {"x-ms-request-id": "r"}, body) * 3
    for way in (1, 2, 5):
        yield bytes([way]) + broken(True) * 3
        yield bytes([way]) + broken(False)
        yield bytes([way]) + answer(200, {}, "<html>") * 3
    for given in (jwt({"exp": 4000000000}), jwt({"exp": 5}), jwt({}), "a b", "", "plain", "a.!.c", jwt({"exp": 1 << 52})):
        yield b"\x03" + given.encode()
        yield b"\x0b" + given.encode()


# ---- earlier runs ----

def entry(name, size=5, more=""):
    return (f'{{"name":"{name}","size":{size},"from":"https://contoso.blob.core.windows.net/data/a","etag":"\\"0x8D1\\"",'
            f'"envelope":"cse-2.0","key":"k"{more}}}')


def ready(*entries, start='{"version":1,"files":[\n', end="]}\n"):
    return start + ",\n".join(entries) + end


def record(name, body, kind=b"f"[0], tail=None, reserved=0):
    name, body = name.encode(), body.encode()
    size = 16 + 24 + len(name) + len(body) + 4
    return struct.pack("<IIIIQqq", kind, len(name), len(body), reserved, 1, 2, 3) + name + body + struct.pack("<I", size if tail is None else tail)


def earlier():
    digest = ',"sha256":"' + "ab" * 32 + '"'
    texts = [ready(entry("a")), ready(entry("a"), entry("b", 7, digest)), ready(entry("a", "05")), ready(entry("a", 9 << 60)), ready(entry("a", "9" * 30)), ready(entry("b\\\"c")),
             ready(entry("a", 5, ',"sha256":"zz"')), ready(entry("a", 5, ',"x":1')), ready("{}"), ready(entry("a"), start="[\n"), ready(entry("a"), end="]\n"), ready(entry("a"), end="]}"),
             ready('{"name":"a'), "", "x", ready(entry("a")) + "more", ready(entry("a" * 9000)), ready(entry("a", "")), ready(entry("a", 5, ',"sha256":"' + "z" * 64 + '"'))]
    journals = [record("a", entry("a")), record("a", entry("a")) * 3, record("a", entry("a"), tail=5), record("a", "", kind=300), record("a", "", reserved=1), record("a", entry("a"))[:-3],
                record("b", entry("b")), struct.pack("<IIII", 102, 5000, 0, 0) + bytes(40), struct.pack("<IIII", 102, 1, 200000, 0) + bytes(40), b"", b"abc", record("", ""),
                record("n" * 4096, "x"), record("a\0b", entry("a"))]
    for one in texts:
        yield b"\x00" + one.encode()
        for mode in (2, 6, 3, 7, 10, 11):
            yield bytes([mode]) + chunk(one) + journals[0]
    for one in journals:
        yield b"\x01" + one
        yield b"\x02" + chunk(texts[0]) + one
        yield b"\x03" + chunk("") + one


# ---- gzip ----

def gunzip():
    members_of = [gzip.compress(body, mtime=0) for body in (b"", b"hello", bytes(70000), bytes(range(256)) * 20)]
    yield from members_of
    yield members_of[1] * 3
    yield members_of[1] + b"\0"
    yield members_of[3][:-5]
    yield members_of[3][:40]
    yield members_of[1][:-8] + bytes(8)
    yield b""
    yield b"no gzip"
    yield gzip.compress(bytes(5 << 20), mtime=0)
    yield members_of[1][:3] + b"\x1c" + members_of[1][4:]


# ---- names ----

def names():
    urls = ["https://contoso.blob.core.windows.net/data/a.bin", "https://contoso.blob.core.windows.net/data/", "http://127.0.0.1:10000/acct/data/x%20y", "http://[::1]:80/a/b",
            "https://contoso.blob.core.windows.net/data/a?sp=r&se=2030-01-01&sig=abc%3D", "https://h/c/b?versionid=2021-01-01T00:00:00.0000000Z&sv=1&sig=x",
            "https://h.x/c/b?snapshot=x", "https://h/c/b?foo=1", "https://h/c", "https://h/", "https://h", "https://u@h/c/b", "https://h/c/b#f", "https://h/c/%zz", "https://h/c/%00",
            "https://h/c/../b", "https://h/c/a//b", "https://h:0/c/b", "https://h:99999/c/b", "https://h:x/c/b", "ftp://h/c", "https://-h/c/b", "https://h..x/c/b", "HTTPS://H/c/b", "",
            "https://h/c/b?versionid=a&versionid=b&sig=x", "https://h/c/b?snapshot=a&versionid=b", "https://h/c/b?sig=", "https://h/$root/x", "https://[fe80::1]/c/b", "https://[x]/c/b", "https://[::1/c",
            "https://h/c/" + "x" * 2000, "https://h/c/%F0%9F%98%80", "https://h/c/%ff", "https://h/c/ ", "https://h/c/b?sig=a b", "https://1.2.3.4/c/b", "http://localhost/a/c/b", "https://h/c/b?&sig=x&",
            "http://169.254.169.254/x", "https://x.vault.azure.net/", "http://example.com/c/b", "https://x.dfs.core.windows.net/c/b", "http://127.0.0.1/UP/c/b", "http://127.0.0.1//c/b", "https://h/" + "c" * 201 + "/b",
            "https://contoso/data", "https://contoso/data/" + "x" * 1025, "https://contoso/data/%ff", "https://contoso/data/a/../b", "https://contoso/data/./b", "https://contoso/" + "x" * 40000,
            "https://contoso/data/p/?snapshot=x&sig=y", "https://contoso/data/b?comp=list", "https://contoso/data/b?restype", "https://contoso/data/b?sig=a%22\"", "https://contoso/data/b?sv=1",
            "https://contoso/data/b?snapshot=a&snapshot=b&sig=c", "https://contoso/data/b?sig=a&se=2030-01-01&sp=r&sv=1", "https://contoso/data/", "https://contoso//b", "https://contoso/Data/b",
            "https://contoso/$web/b", "https://contoso/data/b?versionid=2021-01-01T00:00:00.0000000Z", "http://127.0.0.1:10000/account/data/a%20b"]
    for url in urls:
        yield b"\x00" + chunk(url)
        yield b"\x01" + chunk(url)
    keys = [KID, KID + "/" + VERSION, KID.upper(), KID + "/", KID + "/x/y", "https://h/keys/", "https://h/keys/a_b", "https://h/secrets/x", "http://h/keys/x", "x", "https://h/keys/" + "k" * 128,
            KID + "?x=1", "https://contoso.vault.azure.net:443/keys/dataset-kek", "https://contoso.vault.azure.net:8443/keys/dataset-kek/1"]
    for key in keys:
        yield b"\x02" + chunk(key) + KID.encode()
        yield b"\x02" + chunk(KID + "/" + VERSION) + key.encode()
    for name in ("a", "a/b", "", "/a", "a/", "../a", "a/../b", ".", "./a", ".decant", ".decant/x", "a\\b", "a\nb", "a//b", b"\xff", "n" * 256, "n" * 255, "a/" * 2100, "\u00e9/\u202e", ".decant2"):
        yield b"\x03" + chunk(name)
    for pattern, name in (
        ("*", "a"), ("*.bin", "x.bin"), ("**/*.bin", "a/b/x.bin"), ("**", "a/b"), ("a/**/b", "a/b"), ("a/**/b", "a/x/y/b"), ("[a-c]?[!x]", "bzz"), ("[]a]", "]"), ("[a", "[a"), ("[^a]", "b"),
        ("a**b", "a/x/b"), ("***", "a"), ("**/", "a/"), ("[a-]", "-"), ("\u00e9[\u00e0-\u00ff]", "\u00e9\u00f1"), ("a", "b"), ("", ""), ("x" * 1025, "x"), ("**/" * 100, "/" * 200), ("*a" * 100, "a" * 200),
        ("[" * 100, "[" * 100), (b"\xff*", b"\xff\xfe"), ("[!/]", "/"), ("?", "/"),
    ):
        yield b"\x04" + chunk(pattern) + (name if isinstance(name, bytes) else name.encode())


# ---- manifest ----

def manifests():
    line = {"name": "a", "size": 5, "sha256": "ab" * 32}
    yield text({"files": [line, {"name": "b", "key_sha256": "cd" * 32}]})
    for files in ([], [line, line], [{}], [1], [{**line, "sha256": "AB" * 32}], [{**line, "sha256": 1}], [{**line, "size": -1}], [{**line, "size": "x"}], [{"name": "a"}], {}, 5):
        yield text({"files": files})
    yield "{}"
    yield "x"
    yield text({"files": [{**line, "name": f"n{n}"} for n in (3, 1, 2, 9, 7)]})


# ---- inspect ----

CERTIFICATES, ROOT, JWKS, HOST_DATA, FILES, CA, VERIFY, PEELED = (1 << n for n in range(8))
KINDS = {name: n for n, name in enumerate(
    ("", "report", "thim", "certificates", "receipt", "metadata", "manifest", "release", "token", "endorsement", "blob", "security-context"))}


def cbor(value):
    """Of what CBOR has: numbers, bytes, text, lists, maps, and (tag, value)."""
    def head(kind, n):
        for size, info in ((0, 24), (1, 24), (2, 25), (4, 26), (8, 27)):
            if size == 0 and n < 24:
                return bytes([kind << 5 | n])
            if size > 0 and n < 1 << 8 * size:
                return bytes([kind << 5 | info]) + n.to_bytes(size, "big")
        raise ValueError(n)
    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(cbor(name) + cbor(member) for name, member in value.items())
    return head(6, value[0]) + cbor(value[1])


def looked_at(mode, kind, flags, data):
    return bytes([mode, KINDS[kind], flags]) + (data.encode() if isinstance(data, str) else data)


def endorsements():
    """Headers and payloads; the target signs."""
    vault, ca = (base64.b64decode(part) for part in json.loads("[" + (DATA / "vault.x5c").read_text() + "]"))
    issuer = "did:x509:0:sha256:I__iuL25oXEVFdTP_aBLx_eT1RPHbCQ_ECBQfYZpt9s::eku:1.3.6.1.4.1.311.76.59.1.2"
    header = {1: -38, 3: "application/json", 33: [vault, ca], "iss": issuer, "feed": "ContainerPlat-AMD-UVM", "signingtime": (1, 1750000000)}
    payload = text({"x-ms-sevsnpvm-launchmeasurement": bytes(range(48)).hex(), "x-ms-sevsnpvm-guestsvn": "101"})
    for changes in ({}, {1: -37}, {1: 5}, {1: 1 << 40}, {1: b""}, {33: ca}, {33: [ca, vault]}, {33: [vault]}, {33: []}, {33: 1}, {33: [1]}, {33: [b"x", ca]}, {33: [vault + b"x", ca]},
                    {33: [ca] * 9}, {"iss": "me"}, {"iss": 1}, {"signingtime": 1}, {"signingtime": (2, 1)}, {"signingtime": (1, "x")}, {"signingtime": (1, 5)}, {"signingtime": (1, 1 << 63)},
                    {7: [1, {2: b"x"}, (3, "y")]}, {-7: 1}, {"x": [[[[[[[[[1]]]]]]]]]}, {b"x": 1}):
        yield chunk(cbor({**header, **changes})) + chunk(payload)
    without = dict(header)
    for member in (33, "feed", "signingtime"):
        del without[member]
        yield chunk(cbor(without)) + chunk(payload)
    yield chunk(cbor(header) + b"x") + chunk(payload)
    yield chunk(cbor(header)[:-1]) + chunk(payload)
    yield chunk(cbor([1])) + chunk(payload)
    yield chunk(cbor({33: ca})) + chunk(payload)
    for other in ("{}", "x", text({"x-ms-sevsnpvm-launchmeasurement": "00"}), "p" * 300):
        yield chunk(cbor(header)) + chunk(other)


def receipts():
    file = hashlib.sha256((DATA / "ca.pem").read_bytes()).hexdigest()
    body = {"version": 1, "decant": "0.1.0", "made": "2025-11-24T00:00:00Z", "job_sha256": file, "inputs": [{"from": "https://a/in/", "manifest_sha256": file}, {"from": "https://a/x"}],
            "output": {"to": "https://a/out/", "manifest": "https://a/out/manifest.json", "manifest_sha256": file, "files": 2, "bytes": 30}}
    first = '"iss":"https://m.attest.azure.net",'
    def whole(body=text(body), extra="", first=first, at=0, bits=0, endorsement=b""):
        return chunk(body) + chunk(extra) + chunk(first) + struct.pack("<HB", at, bits) + endorsement
    yield whole(endorsement=next(endorsements()))
    yield whole(endorsement=chunk(b"x"))
    yield whole()
    yield whole(extra=',"x":1')
    yield whole(extra=',"receipt_sha256":1')
    yield whole(extra=":")
    for members_of_token in ("", '"iss":1,', '"iss":"https://m","x-ms-runtime":1,', '"iss":"https://m","x-ms-sevsnpvm-hostdata":"00",', "x"):
        yield whole(first=members_of_token)
    for at, bits in ((80, 1), (120, 1), (192, 1), (144, 1), (10, 8), (0, 6), (48, 255), (400, 1), (416, 1)):
        yield whole(at=at, bits=bits)
    for path, value in ((["version"], 2), (["decant"], None), (["inputs"], None), (["inputs", 0, "from"], None), (["output"], None), (["output", "files"], -1), (["job_sha256"], "00"),
                        (["output", "manifest_sha256"], "x"), (["inputs", 0, "manifest_sha256"], None)):
        yield whole(body=text(changed(body, path, value)))
    yield whole(body="x")
    evidence = {"runtime_data": "{}", "report": b64(bytes(1184)), "certificates": "x", "token": "x"}
    receipt = {"decant_receipt": 1, "body": text(body), "evidence": evidence}
    for path, value in ((["decant_receipt"], 2), (["body"], None), (["evidence", "token"], None), (["evidence", "report"], "!"), (["evidence", "report"], b64(b"x")), (["evidence", "runtime_data"], "x"),
                        (["body"], "x"), (["evidence", "uvm_endorsements"], "!"), (["evidence", "token"], "a.b.c")):
        yield text(changed(receipt, path, value))


def tokens_of_inspect():
    """Header, claims, key set; the target signs."""
    vault = x509.load_der_x509_certificate(base64.b64decode(json.loads("[" + (DATA / "vault.x5c").read_text() + "]")[0])).public_key().public_numbers()
    x5c = json.loads("[" + (DATA / "vault.x5c").read_text() + "]")
    header = {"alg": "RS256", "kid": "k", "jku": "https://m.attest.azure.net/certs"}
    claims = {"iss": "https://m.attest.azure.net", "exp": 1767230000, "nbf": 1767220000, "x-ms-sevsnpvm-hostdata": bytes(range(32)).hex(), "a": {"b": {"c": [1], "d": None, "e": True}}, "n": 1.5}
    jwk_of_vault = {"kid": "k", "kty": "RSA", "n": number(vault.n), "e": number(vault.e)}
    for keys in ([jwk_of_vault], [{"kid": "k", "x5c": x5c}], [{"kid": "k", "x5c": ["!"]}], [jwk_of_vault, jwk_of_vault], [], [{"kid": 1}, {"kid": "k", "kty": "EC"}], {}):
        yield chunk(text(header)) + chunk(text(claims)) + text({"keys": keys}).encode()
    yield chunk(text(header)) + chunk(text(claims)) + b"x"
    good = text({"keys": [jwk_of_vault]}).encode()
    for path, value in ((["alg"], "none"), (["kid"], None), (["jku"], "https://other/certs"), (["jku"], "x"), (["jku"], None), (["crit"], ["x"]), (["alg"], "PS256"), (["alg"], "RS384")):
        yield chunk(text(changed(header, path, value))) + chunk(text(claims)) + good
    for path, value in ((["iss"], None), (["iss"], 1), (["iss"], "x"), (["exp"], None), (["exp"], 5), (["nbf"], "x"), (["nbf"], 1800000000), (["x-ms-sevsnpvm-hostdata"], "00"),
                        (["x-ms-sevsnpvm-hostdata"], None), (["x-ms-sevsnpvm-hostdata"], "zz"), (["exp"], 1 << 53), (["a"], {str(n): n for n in range(400)})):
        yield chunk(text(header)) + chunk(text(changed(claims, path, value))) + good


def releases_of_inspect():
    x5c = json.loads("[" + (DATA / "vault.x5c").read_text() + "]")
    header = {"alg": "RS256", "kid": "k", "x5c": x5c}
    policy = b64u(text({"version": "1.0.0", "anyOf": [{"authority": "https://a"}, {"authority": "https://b"}, {}]}).encode())
    payload = {"request": {"enc": "CKM_RSA_AES_KEY_WRAP", "kid": KID, "nonce": "n"},
               "response": {"key": {"key": {"kid": KID + "/" + VERSION, "kty": "RSA"}, "release_policy": {"data": policy}}}}
    yield chunk(text(header)) + chunk(text(payload))
    for path, value in ((["request", "kid"], None), (["request", "kid"], KID + "2"), (["response", "key", "key", "kid"], "x"), (["response", "key", "release_policy", "data"], "!"),
                        (["response", "key", "release_policy", "data"], b64u(b"x")), (["response", "key", "release_policy", "data"], b64u(b"{}")), (["response"], 1)):
        yield chunk(text(header)) + chunk(text(changed(payload, path, value)))
    local = "https://127.0.0.1:8443/keys/k"
    yield chunk(text(header)) + chunk(text(changed(changed(payload, ["request", "kid"], local), ["response", "key", "key", "kid"], local)))
    for path, value in ((["x5c"], None), (["x5c"], x5c[::-1]), (["x5c"], x5c[:1]), (["alg"], "PS512"), (["x5c"], [])):
        yield chunk(text(changed(header, path, value))) + chunk(text(payload))


def blobs_of_inspect():
    wrapped = b64((DATA / "content.oaep").read_bytes())
    v2 = changed(changed(V2, ["WrappedContentKey", "EncryptedKey"], wrapped), ["WrappedContentKey", "Algorithm"], "RSA-OAEP-256")
    v2 = changed(v2, ["EncryptedRegionInfo", "DataLength"], 16)
    key = AESGCM(b"worthless test key: content.....")
    def region(n, plain):
        nonce = n.to_bytes(12, "little")
        return nonce + key.encrypt(nonce, plain, None)
    whole = region(1, b"a" * 16) + region(2, b"b" * 5)
    for metadata_text in (text(v2), text({"encryptiondata": text(v2)}), text(V1), "{}", "x", text(changed(v2, ["WrappedContentKey", "Algorithm"], "RSA-OAEP"))):
        yield chunk(metadata_text) + whole
    for stored in (b"", whole[:-1], whole[:20], whole[:44], region(1, b""), whole[44:] + whole[:44], bytes([whole[0] ^ 1]) + whole[1:], bytes(32)):
        yield chunk(text(v2)) + stored
    yield chunk(text(V1)) + bytes(32)
    yield chunk(text(V1)) + bytes(33)


def inspected():
    evidence = TESTS / "evidence"
    report, chain, thim = ((evidence / name).read_bytes() for name in ("milan.bin", "milan.pem", "thim.json"))
    for flags in (0, VERIFY, CERTIFICATES, CERTIFICATES | ROOT, CERTIFICATES | ROOT | HOST_DATA | VERIFY, PEELED):
        yield looked_at(0, "", flags, report)
    yield looked_at(0, "", 0, report.hex())
    yield looked_at(0, "report", 0, report[:-1])
    yield looked_at(0, "report", CERTIFICATES | HOST_DATA, (evidence / "turin.bin").read_bytes())
    for at, bits in ((0, 6), (48, 0xFF), (72, 2), (10, 8), (10, 4), (384, 1), (416, 1), (200, 1)):
        flipped = bytearray(report)
        flipped[at:at + 4] = bytes(b ^ bits for b in flipped[at:at + 4])
        yield looked_at(0, "report", CERTIFICATES | ROOT | HOST_DATA, bytes(flipped))
    for pem_text in (chain, (evidence / "turin.pem").read_bytes(), chain[:1000], b"-----BEGIN CERTIFICATE-----", chain[::-1]):
        yield looked_at(0, "certificates", ROOT, pem_text)
    yield looked_at(0, "", 0, chain)
    document = json.loads(thim)
    for tcbm in (document.get("tcbm"), "DB18000000000004", "db18000000000003", "", "x", "1" * 17, 5, None):
        yield looked_at(0, "", ROOT, text({**document, "tcbm": tcbm} if tcbm is not None else {k: v for k, v in document.items() if k != "tcbm"}))
    yield looked_at(0, "thim", 0, "{}")
    for n, document in enumerate([V1, V2] + [changed(V2, ["EncryptionAgent", "Protocol"], "9")]):
        yield looked_at(0, "", VERIFY if n else 0, text(document))
    for n, document in enumerate(manifests()):
        yield looked_at(0, "manifest" if n else "", 0, document)
    yield looked_at(0, "", 0, text({"files": [{"name": "a", "size": 1 << 52, "sha256": "ab" * 32}, {"name": "b", "sha256": "ab" * 32}]}))
    yield looked_at(0, "", 0, text({"files": [{"name": f"{n:x}", "sha256": "a" * 64} for n in range(1002)]}))
    yield looked_at(0, "", 0, "nothing")
    yield looked_at(0, "", 0, "")
    yield looked_at(0, "token", 0, text({"token": "a.b.c"}))
    for n, parts in enumerate(tokens_of_inspect()):
        yield looked_at(1, "", JWKS | (HOST_DATA if n % 2 or n > 16 else 0), parts)
    for parts in list(tokens_of_inspect())[:1]:
        for flags in (0, VERIFY, JWKS | VERIFY | HOST_DATA):
            yield looked_at(1, "token", flags, parts)
    for n, parts in enumerate(releases_of_inspect()):
        yield looked_at(1, "release" if n else "", CA, parts)
    yield looked_at(1, "release", 0, next(releases_of_inspect()))
    yield looked_at(1, "release", CA | ROOT, next(releases_of_inspect()))
    yield looked_at(0, "blob", 0, "x")
    for n, parts in enumerate(endorsements()):
        yield looked_at(2, "endorsement" if n else "", ROOT if n == 1 else 0, parts)
    yield looked_at(2, "", PEELED, next(endorsements()))
    for raw in (b"\xd2\x84", b"\x84\x40\xa0\x40\x40", b"\x84\x40\xa0\x40\x40x", b"\x83", b"\xd3\x84", b"\xd2", b"\x84\x41\xff\xa0\x40\x40", b"\x9f", b"\x84\x5b" + b"\xff" * 8, b"\x84\x40\x9b" + b"\xff" * 8,
                b"\x84\x40" + b"\x81" * 20, b"\x84\x40\xf9\x00\x00\x40\x40", b"\x84\x40\xf6\x40\x41", b"\x84\x40\x1c"):
        yield looked_at(0, "endorsement", 0, raw)
    for n, data in enumerate(receipts()):
        made = isinstance(data, bytes)
        flags = (ROOT if n % 3 else 0) | (HOST_DATA if n % 2 else 0) | FILES
        yield looked_at(3 if made else 0, "receipt" if n else "", flags, data)
    for flags in (0, VERIFY, ROOT | JWKS):
        yield looked_at(3, "receipt", flags, next(receipts()))
    for n, data in enumerate(blobs_of_inspect()):
        yield looked_at(4, "blob" if n else "", FILES, data)
    yield looked_at(4, "blob", 0, next(blobs_of_inspect()))
    yield looked_at(4, "blob", VERIFY, next(blobs_of_inspect()))
    whole = chunk(b64(b"package policy")) + chunk(b64(cbor((18, [b"", {}, b"", b""])))) + chunk(b64(thim))
    for there in range(8):
        yield looked_at(5, "", 0, bytes([there]) + whole)
    yield looked_at(5, "security-context", ROOT | HOST_DATA, b"\0" + whole)
    yield looked_at(5, "", 0, b"\0" + chunk("!") * 3)
    yield looked_at(5, "", 0, b"\0" + chunk(b64(b"x")) * 3)


# ---- policy ----

def policies():
    claims = {"iss": "https://M.attest.azure.net/", "a": "x", "b": {"c": {"d": True}}, "n": 5, "l": [1], "long": "y" * 600}
    def env(*conditions, authority="https://m.attest.azure.net", word="allOf"):
        return {"authority": authority, word: list(conditions)}
    def is_(name, value):
        return {"claim": name, "equals": value}
    good = env(is_("a", "x"), is_("b.c.d", "true"), is_("n", 5))
    def policy(*environments):
        return {"version": "1.0.0", "anyOf": list(environments)}
    cases = [policy(good), policy(env(is_("a", "y")), good), policy(good, env(is_("a", "y"))), policy(env(is_("a", "y"))), policy(env(is_("z", 1))), policy(env(is_("l", 1))), policy(env(is_("b.c", 1))),
             policy(env({"anyOf": [is_("a", "y"), is_("a", "x")]})), policy(env({"anyOf": [is_("a", "y"), is_("a", "z")]})), policy(env({"allOf": [is_("a", "x")]}, word="anyOf")),
             policy(env(is_("a", "q"), word="anyOf")), policy(env()), policy(), {}, policy(1), policy({"authority": 1, "allOf": []}), policy({**good, "more": 1}), policy({"authority": "https://m"}),
             policy(env({"claim": "a"})), policy(env({"claim": "a", "exists": True})), policy(env({"claim": "a", "equals": "x", "more": 1})), policy(env({"claim": "", "equals": 1})),
             policy(env({"claim": 1, "equals": 1})), policy(env({"claim": "a", "equals": [1]})), policy(env({"claim": "a", "equals": None})), policy(env({"claim": "n" * 300, "equals": 1})),
             policy(env(is_("a", "x" * 600))), policy(env(is_("long", "y" * 600))), policy(env(is_("long", "y"))), policy(env(is_("p" * 250 + ".q", 1))), policy(env(is_(".", 1))), policy(env(is_("b..d", 1))),
             policy(env({"allOf": [is_("a", "x")], "anyOf": [is_("a", "x")]})), policy(env({"allOf": [], "x": 1})), policy(env({"allOf": 5})), policy(env({"anyOf": [{"allOf": [is_("a", "x"), is_("n", 6)]}]})),
             policy(env(is_("a", "x"), authority="https://other")), policy(env(is_("a", "x"), authority="x")), policy(env(is_("a", "x"), authority="https://m.attest.azure.net:444")),
             policy(env(is_("a", "x"), authority="http://m.attest.azure.net")), policy(env(is_("a", "x"), authority="https://m.attest.azure.net/x")), policy(env(is_("a", "x"), authority="https://m.attest.azure.net?q"))]
    for case in cases:
        yield b"\x00" + chunk(text(case)) + text(claims).encode()
    yield b"\x01" + chunk(text(cases[0])) + text(claims).encode()
    yield b"\x01" + chunk("x") + text(claims).encode()
    yield b"\x01"
    good_text = chunk(text(cases[0]))
    for token in (text({}), text({"iss": 1}), "x", "", " ", "a.b.c", "a.b", "a.b.c.d", "a.!.c", "{", jwt(claims), "e30." + b64u(b"x") + ".x", "x" * 66000):
        yield b"\x00" + good_text + token.encode()
    for data in (text({"data": b64(text(cases[0]).encode())}), text({"data": "!"}), text({"data": "+/"}), text({"data": b64u(b"x")}), text({"data": b64u(b"{}")}), "x", "[1]"):
        yield b"\x00" + chunk(data) + text(claims).encode()
    for rego in (b64(b"package policy"), b64(b"package policy") + "\n", " \n", "", "!", "0" * 64, "AB" * 32, "zz" * 32, b64(bytes(100))):
        yield b"\x02" + chunk("") + rego.encode()


MAKERS = {
    "job": jobs, "metadata": metadata, "regions": regions, "storage": storage, "http": http, "token": tokens, "jwk": jwk, "release": release, "proof": proof,
    "evidence": evidence, "identity": identity, "earlier": earlier, "gunzip": gunzip, "names": names, "manifest": manifests,
    "inspect": inspected, "policy": policies,
}


def main():
    for target, make in MAKERS.items():
        for old in (CORPUS / target).glob("seed-*"):
            old.unlink()
        puts(target, make())


main()
