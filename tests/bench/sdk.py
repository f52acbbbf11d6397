"""The official SDK as a competitor, and as the hand that fills Azurite. The JSON file in its argument says what to do.

usage: sdk.py download WISH.json   and decrypt (`base`, `sas`, `ca_file`, `kid`, `kek`, `names`, `out`)
       sdk.py seal WISH.json       encrypt and upload (`base`, `sas`, `kid`, `kek`, `names`, `folder`)
       sdk.py make WISH.json       a container (`base`, `key`), with a stored blob as it is (`name`, `file`, `metadata`) if
                                   one is named; prints a SAS
"""

import base64
import concurrent.futures
import datetime
import json
import os
import sys
from urllib.parse import urlsplit

from azure.storage.blob import BlobClient, ContainerClient, ContainerSasPermissions, generate_container_sas
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding

STREAMS = 4  # of one blob; more are no faster
WORKERS = 16  # for many


class Kek:
    """The key encryption key as the SDK wants it."""

    def __init__(self, kid, path):
        self.kid = kid
        with open(path, "rb") as file:
            text = file.read()
        self.octets = self.key = None
        if text.startswith(b"{"):
            self.octets = base64.urlsafe_b64decode(json.loads(text)["k"] + "==")
        else:
            self.key = serialization.load_pem_private_key(text, None)

    def get_kid(self):
        return self.kid

    def get_key_wrap_algorithm(self):
        return "RSA-OAEP"

    def wrap_key(self, key, algorithm="RSA-OAEP"):
        return self.key.public_key().encrypt(key, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))

    def unwrap_key(self, key, algorithm):
        if self.octets:
            return keywrap.aes_key_unwrap(self.octets, key)
        assert algorithm == "RSA-OAEP", algorithm
        return self.key.decrypt(key, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))


def container_of(wish):
    base, kek = urlsplit(wish["base"]), Kek(wish["kid"], wish["kek"])
    account = f"{base.scheme}://{base.netloc}{base.path.rsplit('/', 1)[0]}"
    options = {"connection_verify": wish["ca_file"]} if wish.get("ca_file") else {}
    return ContainerClient(account, base.path.rsplit("/", 1)[1], credential=wish["sas"] or None, require_encryption=True,
                           encryption_version="2.0", key_encryption_key=kek, **options)


def with_each(call, names):
    with concurrent.futures.ThreadPoolExecutor(WORKERS if len(names) > 1 else 1) as pool:
        list(pool.map(call, names))


def download(wish):
    streams = 1 if len(wish["names"]) > 1 else STREAMS
    with container_of(wish) as client:
        def fetch(name):
            with open(os.path.join(wish["out"], os.path.basename(name)), "wb") as file:
                client.download_blob(name, max_concurrency=streams).readinto(file)
        with_each(fetch, wish["names"])


def seal(wish):
    streams = 1 if len(wish["names"]) > 1 else STREAMS
    with container_of(wish) as client:
        def send(name):
            with open(os.path.join(wish["folder"], name), "rb") as file:
                client.upload_blob(f"out/{name}", file, overwrite=True, max_concurrency=streams)
        with_each(send, wish["names"])


def make(wish):
    base = urlsplit(wish["base"])
    account, container = base.path.strip("/").split("/")
    credential = {"account_name": account, "account_key": wish["key"]}
    url = f"{base.scheme}://{base.netloc}/{account}"
    with ContainerClient(url, container, credential=credential) as client:
        client.create_container()
    if "name" in wish:
        with BlobClient(url, container, wish["name"], credential=credential, max_block_size=32 << 20) as client, \
                open(wish["file"], "rb") as file:
            client.upload_blob(file, metadata={"encryptiondata": wish["metadata"]}, max_concurrency=4)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
    print(generate_container_sas(account, container, wish["key"], expiry=until,
                                 permission=ContainerSasPermissions(read=True, list=True, write=True, create=True, delete=True)))


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        wish = json.load(file)
    {"download": download, "seal": seal, "make": make}[sys.argv[1]](wish)


if __name__ == "__main__":
    main()
