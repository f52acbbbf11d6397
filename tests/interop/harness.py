"""What these tests share: keys as the SDK wants them, two Azurites, and the program under test.

DECANT is the program, AZURITE the script that starts Azurite's blob service (run.sh sets both).
"""

import functools
import itertools
import json
import os
import random
import re
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
import warnings
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, quote

from azure.storage.blob import (AccountSasPermissions, BlobServiceClient, ContainerSasPermissions, ResourceTypes,
                                generate_account_sas, generate_container_sas)
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from azurite import ACCOUNT, Azurite

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from sandbox import owner  # noqa: E402

DECANT = os.environ["DECANT"]
TIMEOUT_S = 120
SANITIZER_EXIT = 99
MARK = os.path.join(".decant", "failed.json")
MIB = 1 << 20
OAEP = {"RSA-OAEP": hashes.SHA1, "RSA": hashes.SHA1, "RSA-OAEP-256": hashes.SHA256}
counter = itertools.count(1)


class LocalKey:
    """A key encryption key with the four methods that the SDK calls, and as a file for decant."""

    def __init__(self, algorithm, kid, bits=2048):
        self.algorithm, self.kid = algorithm, kid
        if algorithm == "A256KW":
            self.octets = secrets.token_bytes(32)
            text = urlsafe_b64encode(self.octets).rstrip(b"=").decode()
            self.file_content = json.dumps({"kty": "oct", "k": text}).encode()
            return
        self.pair = rsa.generate_private_key(65537, bits)
        pem = self.pair.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption())
        self.file_content = b"worthless test key, made for this run\n" + pem

    @property
    def for_owner(self):
        """As sandbox/owner.py takes it."""
        return self.octets if self.algorithm == "A256KW" else self.pair.public_key()

    def _padding(self):
        digest = OAEP[self.algorithm]
        return padding.OAEP(padding.MGF1(digest()), digest(), None)

    def wrap_key(self, key):
        if self.algorithm == "A256KW":
            return keywrap.aes_key_wrap(self.octets, key)
        return self.pair.public_key().encrypt(key, self._padding())

    def unwrap_key(self, key, algorithm):
        if algorithm != self.algorithm:
            raise ValueError(f"{algorithm}, not {self.algorithm}")
        if algorithm == "A256KW":
            return keywrap.aes_key_unwrap(self.octets, key)
        return self.pair.decrypt(key, self._padding())

    def get_kid(self):
        return self.kid

    def get_key_wrap_algorithm(self):
        return self.algorithm


@functools.cache
def key(algorithm="RSA-OAEP", name="kek"):
    """Made once."""
    return LocalKey(algorithm, f"local:{name}-{algorithm}")


@functools.cache
def azurite(tls=False):
    """One of each kind serves all tests."""
    return Azurite(tls)


@functools.cache
def content(size):
    return random.Random(size).randbytes(size)


def tree(folder):
    """Every file below FOLDER: relative path → bytes; but for a failed run's mark."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
            else:
                found[os.path.relpath(path, folder)] = None
    found.pop(MARK, None)
    return found


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        lines = err.strip().splitlines()
        last = lines[-1] if lines else ""
        self.sentence = json.loads(last).get("message", "") if last.startswith("{") else last

    def __str__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


class Case(unittest.TestCase):
    """A test with a container and a volume of its own."""

    tls = False
    public = None

    def setUp(self):
        self.azurite = azurite(self.tls)
        self.container = f"test{next(counter)}"
        self.volume = self.temporary("/dev/shm")
        self.folder = self.temporary(None)
        self.secrets = [self.azurite.account_key]
        self.client().create_container(self.container, public_access=self.public)

    def temporary(self, where):
        folder = tempfile.mkdtemp(prefix="decant-interop-", dir=where)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    # ---- The SDK's side ----

    def client(self, **options):
        """The SDK's client for the account; OPTIONS are the SDK's."""
        client = BlobServiceClient(self.azurite.url, credential=self.azurite.account_key,
                                   connection_verify=self.azurite.ca_file or True, **options)
        self.addCleanup(client.close)
        return client

    def blob(self, name, kek=None, version="2.0", **options):
        """The SDK's client for one blob, encrypting with KEK unless that is None."""
        if kek is not None:
            options = {"require_encryption": True, "key_encryption_key": kek, "encryption_version": version, **options}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # version 1.0 is deprecated, says the SDK
            return self.client(**options).get_blob_client(self.container, name)

    def put(self, name, plaintext, kek=None, version="2.0", **options):
        """PLAINTEXT encrypted by the SDK, over whatever was there; the answer to the upload."""
        return self.blob(name, kek or key(), version, **options).upload_blob(plaintext, overwrite=True)

    def store(self, name, data, metadata=None):
        """DATA as it is, with the value of `encryptiondata`."""
        items = {"encryptiondata": metadata} if metadata is not None else None
        return self.blob(name).upload_blob(data, overwrite=True, metadata=items)

    def raw(self, name):
        """(stored bytes, value of `encryptiondata`)."""
        blob = self.blob(name)
        return blob.download_blob().readall(), blob.get_blob_properties().metadata["encryptiondata"]

    def sas(self, permissions="rl", hours=1, start=-1):
        return self.noted(generate_container_sas(
            ACCOUNT, self.container, self.azurite.account_key, **self.moments(hours, start),
            permission=ContainerSasPermissions.from_string(permissions)))

    def account_sas(self, permissions="rl", resources="co", hours=1):
        return self.noted(generate_account_sas(
            ACCOUNT, self.azurite.account_key, ResourceTypes.from_string(resources),
            AccountSasPermissions.from_string(permissions), **self.moments(hours, -1)))

    def moments(self, hours, start):
        now = datetime.now(timezone.utc)
        return {"expiry": now + timedelta(hours=hours), "start": now + timedelta(hours=start)}

    def noted(self, sas):
        """No output may have its signature."""
        signature = parse_qs(sas)["sig"][0]
        self.secrets += [signature, quote(signature, safe="")]
        return sas

    # ---- decant's side ----

    def url(self, name="", base=None):
        return f"{base or self.azurite.url}/{self.container}/{quote(name)}"

    def file(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def job(self, *inputs, keks=None, **parts):
        """A job for INPUTS (URLs or objects) with KEKs from files."""
        keks = keks or [key()]
        job = {"identity": {"type": "none"},
               "keys": [{"kid": kek.kid, "file": self.file(f"kek{i}", kek.file_content)} for i, kek in enumerate(keks)],
               "inputs": [each if isinstance(each, dict) else {"from": each} for each in inputs],
               "volume": {"path": self.volume}, **parts}
        if self.azurite.ca_file:
            job["network"] = {"ca_file": self.azurite.ca_file}
        return job

    def run_decant(self, job, sas=None, **variables):
        """SAS, if any, goes to the inputs that name none themselves."""
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "ASAN_OPTIONS": f"exitcode={SANITIZER_EXIT}",
                       "UBSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=1:print_stacktrace=1", **variables}
        if sas is not None:
            environment["STORAGE_SAS"] = sas
            for each in job["inputs"]:
                each.setdefault("sas_env", "STORAGE_SAS")
        path = self.file("job.json", json.dumps(job).encode())
        done = subprocess.run([DECANT, "run", "-c", path], env=environment, cwd=self.folder, capture_output=True,
                              text=True, timeout=TIMEOUT_S, check=False)
        result = Result(done.returncode, done.stdout, done.stderr)
        for word in ("ERROR: AddressSanitizer", "LeakSanitizer", "runtime error:", "PRIVATE KEY", "eyJ", *self.secrets):
            self.assertNotIn(word, result.out + result.err, result)
        return result

    def good(self, job, files, sas=None, **variables):
        """A run that succeeds and leaves FILES (name → plaintext), byte for byte, and nothing else."""
        result = self.run_decant(job, sas, **variables)
        self.assertEqual(result.code, 0, result)
        found = tree(self.volume)
        ready = json.loads(found.pop(".decant/ready.json"))
        self.assertEqual(set(found), set(files))
        for name, plaintext in files.items():
            self.assertTrue(found[name] == plaintext, f"{name} is not what it should be")
        self.assertEqual({each["name"]: each["size"] for each in ready["files"]},
                         {name: len(plaintext) for name, plaintext in files.items()})
        return {each["name"]: each for each in ready["files"]}

    def bad(self, code, *words, job, sas=None, **variables):
        """A run that fails with CODE and a sentence with WORDS (regular expressions), and changes nothing."""
        before = tree(self.volume)
        result = self.run_decant(job, sas, **variables)
        self.assertEqual(result.code, code, result)
        for word in words:
            self.assertRegex(result.sentence, re.compile(word))
        self.assertEqual(tree(self.volume), before, "the volume was touched")
        return result


__all__ = ["Case", "DECANT", "LocalKey", "MIB", "Result", "content", "key", "owner"]
