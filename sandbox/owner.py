"""The data owner's side: encrypt files as the Azure Storage SDKs do (client-side encryption), and upload them.

    python3 sandbox/owner.py encrypt --kek-pem FILE --kid KID [--version 2.0|2.1|1.0] [--region-size N]
                                     [--nonce python|java|net] [--wrap NAME] IN OUT META.json
    python3 sandbox/owner.py upload  --url CONTAINER-URL [--sas …|--token …] --kek-pem FILE --kid KID DIR [PREFIX]

Regions, nonces and metadata: the published format of versions 1.0, 2.0 and 2.1.
"""

import argparse
import base64
import http.client
import io
import json
import os
import secrets
import ssl
import sys
import tempfile
from urllib.parse import quote, urlsplit

from cryptography.hazmat.primitives import hashes, keywrap, padding as block_padding, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LIBRARY = "decant-sandbox 1.0"
DEFAULT_REGION = 4 << 20
OAEP = {"RSA-OAEP": hashes.SHA1, "RSA": hashes.SHA1, "RSA-OAEP-256": hashes.SHA256}
STORAGE_VERSION = "2021-12-02"
NONCES = {
    "python": lambda index: index.to_bytes(12, "big"),
    "java": lambda index: index.to_bytes(8, "big") + bytes(4),
    "net": lambda index: bytes(4) + (index + 1).to_bytes(8, "little"),
}


def load_kek(path):
    """A public or private RSA key in PEM, or the raw bytes of an AES key (16, 24 or 32 bytes, also base64)."""
    with open(path, "rb") as file:
        data = file.read()
    if b"-----BEGIN" in data:
        if b"PRIVATE KEY" in data:
            return serialization.load_pem_private_key(data[data.index(b"-----BEGIN") :], None).public_key()
        return serialization.load_pem_public_key(data)
    raw = data if len(data) in (16, 24, 32) else base64.b64decode(data)
    if len(raw) not in (16, 24, 32):
        raise ValueError(f"{path}: neither PEM nor an AES key")
    return raw


def wrap(payload, kek, name):
    """The content key under the key encryption key."""
    if isinstance(kek, bytes):
        if name != f"A{len(kek) * 8}KW":
            raise ValueError(f"{name} does not fit an AES key of {len(kek) * 8} bits")
        return keywrap.aes_key_wrap(kek, payload)
    if name == "RSA1_5":
        return kek.encrypt(payload, padding.PKCS1v15())
    digest = OAEP[name]
    return kek.encrypt(payload, padding.OAEP(padding.MGF1(digest()), digest(), None))


def default_wrap(kek):
    return f"A{len(kek) * 8}KW" if isinstance(kek, bytes) else "RSA-OAEP"


class Envelope:
    """The content key of one blob and its metadata."""

    def __init__(self, kek, kid, *, version="2.0", region=DEFAULT_REGION, nonce="python", algorithm=None, cek=None):
        if version not in ("1.0", "2.0", "2.1"):
            raise ValueError("the version is 1.0, 2.0 or 2.1")
        if not 1 <= region <= 1 << 30:
            raise ValueError("the region size is out of range")
        self.version, self.region, self.nonce = version, region, NONCES[nonce]
        self.cek, self.iv = cek or secrets.token_bytes(32), secrets.token_bytes(16)
        algorithm = algorithm or default_wrap(kek)
        prefix = b"" if version == "1.0" else version.encode().ljust(8, b"\0")
        wrapped = base64.b64encode(wrap(prefix + self.cek, kek, algorithm)).decode()
        gcm = version != "1.0"
        self.metadata = {
            "WrappedContentKey": {"KeyId": kid, "EncryptedKey": wrapped, "Algorithm": algorithm},
            "EncryptionAgent": {"Protocol": version, "EncryptionAlgorithm": "AES_GCM_256" if gcm else "AES_CBC_256"},
            **(
                {"EncryptedRegionInfo": {"DataLength": region, "NonceLength": 12}}
                if gcm
                else {"ContentEncryptionIV": base64.b64encode(self.iv).decode()}
            ),
            "KeyWrappingMetadata": {"EncryptionLibrary": LIBRARY},
            "EncryptionMode": "FullBlob",
        }

    def text(self):
        """The value of the metadata item `encryptiondata`."""
        return json.dumps(self.metadata)

    def encrypt(self, source):
        """The stored bytes of SOURCE (a binary file), in pieces."""
        return self._cbc(source) if self.version == "1.0" else self._gcm(source)

    def _gcm(self, source):
        cipher, index = AESGCM(self.cek), 0
        while piece := source.read(self.region):
            nonce = self.nonce(index)
            yield nonce + cipher.encrypt(nonce, piece, None)
            index += 1

    def _cbc(self, source):
        encryptor = Cipher(algorithms.AES(self.cek), modes.CBC(self.iv)).encryptor()
        padder = block_padding.PKCS7(128).padder()
        while piece := source.read(1 << 20):
            yield encryptor.update(padder.update(piece))
        yield encryptor.update(padder.finalize()) + encryptor.finalize()


def encrypt_bytes(plaintext, kek, kid, **details):
    """(stored bytes, metadata value) of a small plaintext."""
    envelope = Envelope(kek, kid, **details)
    return b"".join(envelope.encrypt(io.BytesIO(plaintext))), envelope.text()


def encrypt_file(source, target, kek, kid, **details):
    """Encrypt SOURCE into TARGET; the metadata value comes back."""
    envelope = Envelope(kek, kid, **details)
    with open(source, "rb") as plain, open(target, "wb") as stored:
        for piece in envelope.encrypt(plain):
            stored.write(piece)
    return envelope.text()


class Refused(OSError):
    """The service did not take the blob."""


class Uploader:
    """A container, by SAS or bearer token, over one connection.

    (Not urllib: it changes the case of header names, and the service keeps metadata names as they come.)"""

    def __init__(self, url, sas=None, token=None, ca_file=None, proxy=None):
        self.url, self.sas, self.token = urlsplit(url.rstrip("/")), (sas or self.query_of(url)).lstrip("?"), token
        host = self.url.netloc
        if self.url.scheme == "https":
            context = ssl.create_default_context(cafile=ca_file)
            first = urlsplit(proxy).netloc if proxy else host
            self.connection = http.client.HTTPSConnection(first, context=context, timeout=60)
            if proxy:
                self.connection.set_tunnel(host.split(":")[0], self.url.port or 443)
        else:
            self.connection = http.client.HTTPConnection(host, timeout=60)

    @staticmethod
    def query_of(url):
        return urlsplit(url).query

    def put(self, name, data, metadata=None):
        """One Put Blob; its ETag comes back. DATA: bytes or an open file of known size."""
        size = len(data) if isinstance(data, bytes) else os.fstat(data.fileno()).st_size
        headers = {
            "x-ms-version": STORAGE_VERSION,
            "x-ms-blob-type": "BlockBlob",
            "Content-Length": str(size),
            "Content-Type": "application/octet-stream",
        }
        if metadata is not None:
            headers["x-ms-meta-encryptiondata"] = metadata
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        target = f"{self.url.path.rstrip('/')}/{quote(name)}" + (f"?{self.sas}" if self.sas else "")
        self.connection.request("PUT", target, data, headers)
        answer = self.connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
        if answer.status != 201:
            raise Refused(f"{name}: HTTP {answer.status} {answer.headers.get('x-ms-error-code', '')} {text[:300]}")
        return answer.headers["ETag"]


def files_below(folder):
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(root, name)
            yield path, os.path.relpath(path, folder).replace(os.sep, "/")


def details_of(options):
    return {
        "version": options.version,
        "region": options.region_size,
        "nonce": options.nonce,
        "algorithm": options.wrap,
    }


def encrypt_command(options):
    text = encrypt_file(options.input, options.output, load_kek(options.kek_pem), options.kid, **details_of(options))
    with open(options.metadata, "w", encoding="ascii") as file:
        file.write(text)


def upload_command(options):
    uploader = Uploader(options.url, options.sas, options.token, options.ca_file, options.proxy)
    kek = load_kek(options.kek_pem)
    for path, name in files_below(options.folder):
        with tempfile.NamedTemporaryFile(prefix="owner-") as stored:
            text = encrypt_file(path, stored.name, kek, options.kid, **details_of(options))
            uploader.put(options.prefix + name, stored, text)
        print(f"{options.prefix}{name}: {os.path.getsize(path)} bytes")


def parser():
    top = argparse.ArgumentParser(prog="owner.py", description="The data owner's side: client-side encryption.")
    commands = top.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--kek-pem", required=True, metavar="FILE", help="public or private RSA key, or a raw AES key"
    )
    common.add_argument("--kid", required=True, help="the key's id, as the blob will name it")
    common.add_argument("--version", default="2.0", choices=("2.0", "2.1", "1.0"))
    common.add_argument(
        "--region-size", type=int, default=DEFAULT_REGION, metavar="N", help="plaintext bytes per region"
    )
    common.add_argument("--nonce", default="python", choices=sorted(NONCES), help="whose nonce encoding")
    common.add_argument("--wrap", choices=("RSA-OAEP", "RSA-OAEP-256", "RSA", "RSA1_5", "A128KW", "A192KW", "A256KW"))
    one = commands.add_parser("encrypt", parents=[common], help="one file into a file")
    for name in ("input", "output", "metadata"):
        one.add_argument(name)
    one.set_defaults(call=encrypt_command)
    many = commands.add_parser("upload", parents=[common], help="all files of a folder into a container")
    many.add_argument("--url", required=True, help="the container")
    many.add_argument("--sas")
    many.add_argument("--token", help="access token for storage")
    many.add_argument("--ca-file")
    many.add_argument("--proxy")
    many.add_argument("folder")
    many.add_argument("prefix", nargs="?", default="")
    many.set_defaults(call=upload_command)
    return top


def main():
    options = parser().parse_args()
    try:
        options.call(options)
    except (OSError, ValueError, KeyError) as error:
        print(f"owner.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
