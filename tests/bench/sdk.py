"""The official SDK as a competitor: reads and decrypts what the JSON file in its argument names; uploads for Azurite.

usage: sdk.py WISH.json          download (`base`, `sas`, `ca_file`, `kid`, `kek`, `names`, `out`)
       sdk.py upload WISH.json   put a stored blob as it is (`base`, `name`, `file`, `metadata`, `key`); prints a SAS
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
WORKERS = 16


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

    def unwrap_key(self, key, algorithm):
        if self.octets:
            return keywrap.aes_key_unwrap(self.octets, key)
        assert algorithm == "RSA-OAEP", algorithm
        return self.key.decrypt(key, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))


def download(wish):
    base, kek = urlsplit(wish["base"]), Kek(wish["kid"], wish["kek"])
    many = len(wish["names"]) > 1
    container = base.path.rsplit("/", 1)[1]
    account = f"{base.scheme}://{base.netloc}{base.path.rsplit('/', 1)[0]}"
    options = {"connection_verify": wish["ca_file"]} if wish["ca_file"] else {}
    with ContainerClient(account, container, credential=wish["sas"] or None, require_encryption=True, key_encryption_key=kek,
                         **options) as client:
        def fetch(name):
            with open(os.path.join(wish["out"], os.path.basename(name)), "wb") as file:
                client.download_blob(name, max_concurrency=1 if many else STREAMS).readinto(file)
        with concurrent.futures.ThreadPoolExecutor(WORKERS if many else 1) as pool:
            list(pool.map(fetch, wish["names"]))


def upload(wish):
    base = urlsplit(wish["base"])
    account, container = base.path.strip("/").split("/")
    credential = {"account_name": account, "account_key": wish["key"]}
    url = f"{base.scheme}://{base.netloc}/{account}"
    with ContainerClient(url, container, credential=credential) as client:
        client.create_container()
    with BlobClient(url, container, wish["name"], credential=credential, max_block_size=32 << 20) as client, \
            open(wish["file"], "rb") as file:
        client.upload_blob(file, metadata={"encryptiondata": wish["metadata"]}, max_concurrency=4)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
    print(generate_container_sas(account, container, wish["key"], permission=ContainerSasPermissions(read=True, list=True),
                                 expiry=until))


def main():
    with open(sys.argv[-1], encoding="utf-8") as file:
        wish = json.load(file)
    (upload if sys.argv[1] == "upload" else download)(wish)


if __name__ == "__main__":
    main()
