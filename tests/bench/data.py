"""What is downloaded: blobs encrypted as the SDKs do, in the folder that nginx serves, with their listings.

The plaintext is one random block, again and again, each time with its number in front: made fast, and whoever mixes the
regions up gets another SHA-256.
"""

import dataclasses
import email.utils
import gzip
import hashlib
import json
import os
import secrets
import shutil
from xml.sax.saxutils import escape

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import owner

ACCOUNT = "devaccount"
KID = "https://contoso.vault.azure.net/keys/bench/0123456789abcdef0123456789abcdef"
BLOCK = secrets.token_bytes(4 << 20)
PAGE = 1000
MANIFEST = "manifest.json"
MANY = 1000  # from here on a blob's metadata is in the listing only


class Plaintext:
    """SIZE bytes, readable once, hashed on the way."""

    def __init__(self, size):
        self.left, self.index, self.hash, self.rest = size, 0, hashlib.sha256(), b""

    def read(self, wanted):
        if not self.rest:
            size = min(self.left, len(BLOCK))
            self.rest = (self.index.to_bytes(8, "big") + BLOCK[8:size])[:size]
            self.left, self.index = self.left - size, self.index + 1
        piece, self.rest = self.rest[:wanted], self.rest[wanted:]
        self.hash.update(piece)
        return piece


class Repeated:
    """A gzip stream of COUNT equal members, readable once."""

    def __init__(self, member, count):
        self.member, self.count, self.rest = member, count, b""

    def read(self, wanted):
        while len(self.rest) < wanted and self.count > 0:
            self.rest, self.count = self.rest + self.member, self.count - 1
        piece, self.rest = self.rest[:wanted], self.rest[wanted:]
        return piece


@dataclasses.dataclass
class Blob:
    name: str
    path: str
    stored: int
    metadata: str


@dataclasses.dataclass
class DataSet:
    """A container with all that a competitor may want to know of it."""
    container: str
    blobs: list
    plain_size: int  # of all together
    kek_file: str
    sha256: str = ""  # of the plaintext, where it is one blob
    gzip: bool = False

    @property
    def stored(self):
        return sum(blob.stored for blob in self.blobs)


@dataclasses.dataclass
class Sources:
    """Files to be sealed."""
    container: str
    folder: str
    names: list
    plain_size: int
    kek_file: str
    public_file: str
    sha256: str = ""  # of the only file


class Store:
    """The folder that nginx serves."""

    def __init__(self, folder):
        self.folder = folder
        self.root = os.path.join(folder, "www")
        self.sets = {}
        os.makedirs(os.path.join(self.root, "lists"))
        os.makedirs(os.path.join(self.root, ACCOUNT))
        self.keks = {}

    def kek(self, kind):
        """(public half or octets, file with the private half); a worthless test key."""
        if kind not in self.keks:
            path = os.path.join(self.folder, f"{kind}.key")
            if kind == "rsa":
                key = rsa.generate_private_key(65537, 2048)
                content = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                            serialization.NoEncryption())
                kek = key.public_key()
            else:
                kek = secrets.token_bytes(32)
                content = b'{"kty":"oct","k":"%s"}' % owner.base64.urlsafe_b64encode(kek).rstrip(b"=")
            with open(path, "wb") as file:
                file.write(content)
            self.keks[kind] = kek, path
        return self.keks[kind]

    def place(self, container, name):
        path = os.path.join(self.root, ACCOUNT, container, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def add(self, container, name, source, kek):
        envelope = owner.Envelope(kek, KID)
        path = self.place(container, name)
        with open(path, "wb") as file:
            for piece in envelope.encrypt(source):
                file.write(piece)
        return Blob(name, path, os.path.getsize(path), envelope.text())

    def one(self, container, size):
        kek, kek_file = self.kek("rsa")
        source = Plaintext(size)
        blob = self.add(container, "data/blob.bin", source, kek)
        return DataSet(container, [blob], size, kek_file, source.hash.hexdigest())

    def many(self, container, count, size, kind="rsa"):
        kek, kek_file = self.kek(kind)
        blobs = [self.add(container, f"data/{index:06}", Plaintext(size), kek) for index in range(count)]
        return DataSet(container, blobs, count * size, kek_file)

    def sources(self, container, count, size):
        kek, kek_file = self.kek("rsa")
        folder = os.path.join(self.folder, "sources", container)
        public_file, names, digest = os.path.join(self.folder, "rsa.pem"), [f"{index:06}" for index in range(count)], ""
        os.makedirs(folder)
        with open(public_file, "wb") as file:
            file.write(kek.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
        for name in names:
            source = Plaintext(size)
            with open(os.path.join(folder, name), "wb") as file:
                while piece := source.read(4 << 20):
                    file.write(piece)
            digest = source.hash.hexdigest()
        return Sources(container, folder, names, count * size, kek_file, public_file, digest if count == 1 else "")

    def write_manifest(self, data):
        """Pins each blob's content key; returns the manifest's SHA-256. The same bytes each time."""
        files = []
        for blob in data.blobs:
            wrapped = json.loads(blob.metadata)["WrappedContentKey"]["EncryptedKey"]
            files.append({"name": os.path.basename(blob.name),
                          "key_sha256": hashlib.sha256(owner.base64.b64decode(wrapped)).hexdigest()})
        text = json.dumps({"version": 1, "files": files}).encode()
        with open(self.place(data.container, MANIFEST), "wb") as file:
            file.write(text)
        return hashlib.sha256(text).hexdigest()

    def compressed(self, container, size):
        kek, kek_file = self.kek("rsa")
        member_size = min(size, 16 << 20)
        lines = "".join(f"{number:x} {secrets.token_hex(6)} the same words on each line\n" for number in range(60000)).encode()
        plain = (lines * (member_size // len(lines) + 1))[:member_size]
        member = gzip.compress(plain, 6)
        count = size // member_size
        blob = self.add(container, "data/blob.bin", Repeated(member, count), kek)
        digest = hashlib.sha256()
        with open(self.place(container, "plain.gz"), "wb") as file:
            for _ in range(count):
                digest.update(plain)
                file.write(member)
        return DataSet(container, [blob], member_size * count, kek_file, digest.hexdigest(), True)

    def publish(self, data):
        """Listing pages and metadata, as nginx hands them out."""
        self.sets[data.container] = data
        if isinstance(data, Sources):
            return
        folder = os.path.join(self.root, "lists", data.container)
        os.makedirs(folder, exist_ok=True)
        for at in range(0, len(data.blobs), PAGE):
            more = f"p{at // PAGE + 1}" if at + PAGE < len(data.blobs) else ""
            with open(os.path.join(folder, f"p{at // PAGE}.xml" if at else "first.xml"), "w", encoding="utf-8") as file:
                file.write(page(data.blobs[at:at + PAGE], data.container, more))

    def drop(self, container):
        data = self.sets.pop(container)
        places = [data.folder] if isinstance(data, Sources) else [
            os.path.join(self.root, folder, container) for folder in ("lists", ACCOUNT)]
        for place in places:
            shutil.rmtree(place)

    def metadata_map(self):
        """Lines for nginx's map of URI to metadata."""
        return "".join(f"'/{ACCOUNT}/{data.container}/{blob.name}' '{blob.metadata}';\n"
                       for data in self.sets.values() if isinstance(data, DataSet) for blob in data.blobs[:MANY])


def etag(path):
    """As nginx makes it."""
    state = os.stat(path)
    return f"{int(state.st_mtime):x}-{state.st_size:x}"


def page(blobs, container, marker):
    entries = "".join(
        f"<Blob><Name>{blob.name}</Name><Properties><Creation-Time>Thu, 01 Jan 2026 00:00:00 GMT</Creation-Time>"
        f"<Last-Modified>{email.utils.formatdate(os.stat(blob.path).st_mtime, usegmt=True)}</Last-Modified><Etag>{etag(blob.path)}</Etag>"
        f"<Content-Length>{blob.stored}</Content-Length><Content-Type>application/octet-stream</Content-Type>"
        "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><LeaseStatus>unlocked</LeaseStatus>"
        "<LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>"
        f"<Metadata><encryptiondata>{escape(blob.metadata)}</encryptiondata></Metadata></Blob>" for blob in blobs)
    return (f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://127.0.0.1/{ACCOUNT}" '
            f'ContainerName="{container}"><MaxResults>{PAGE}</MaxResults><Blobs>{entries}</Blobs>'
            f"<NextMarker>{marker}</NextMarker></EnumerationResults>")
