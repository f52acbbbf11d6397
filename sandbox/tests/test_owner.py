"""The data owner's side: what it writes can be read back by the published rules."""

import base64
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest

from common import FIXTURES, SandboxTest, call, control, needs_fixtures, rsa_key

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sandbox import owner, pki, release

SCRIPT = owner.__file__
KID = "https://contoso.vault.azure.net/keys/kek/0123"


def decrypt(stored, text, private):
    """An independent reader, for any version; checks the order of regions."""
    meta = json.loads(text)
    wrapped = base64.b64decode(meta["WrappedContentKey"]["EncryptedKey"])
    if isinstance(private, bytes):
        cek = keywrap.aes_key_unwrap(private, wrapped)
    else:
        cek = private.decrypt(wrapped, release.oaep(owner.OAEP[meta["WrappedContentKey"]["Algorithm"]]))
    version = meta["EncryptionAgent"]["Protocol"]
    if version == "1.0":
        cipher = Cipher(algorithms.AES(cek), modes.CBC(base64.b64decode(meta["ContentEncryptionIV"]))).decryptor()
        unpadder = block_padding.PKCS7(128).unpadder()
        return unpadder.update(cipher.update(stored) + cipher.finalize()) + unpadder.finalize()
    assert cek[:8] == version.encode().ljust(8, b"\0") and len(cek) == 40
    size, plain, nonces = meta["EncryptedRegionInfo"]["DataLength"] + 28, b"", []
    for at in range(0, len(stored), size):
        region = stored[at : at + size]
        nonces.append(region[:12])
        plain += AESGCM(cek[8:]).decrypt(region[:12], region[12:], None)
    assert any(nonces == [rule(index) for index in range(len(nonces))] for rule in owner.NONCES.values())
    return plain


class Envelopes(unittest.TestCase):
    def test_round_trips(self):
        own, aes = rsa_key(), bytes(range(32))
        for version, nonce, wrap, private in (
            ("2.0", "python", "RSA-OAEP", own),
            ("2.0", "java", "RSA-OAEP-256", own),
            ("2.0", "net", "A256KW", aes),
            ("2.1", "java", "RSA", own),
            ("1.0", "python", "RSA-OAEP", own),
            ("1.0", "python", "A256KW", aes),
        ):
            for size in (0, 1, 15, 16, 99, 100, 101, 1000):
                plain = os.urandom(size)
                kek = private if isinstance(private, bytes) else private.public_key()
                stored, text = owner.encrypt_bytes(
                    plain, kek, KID, version=version, nonce=nonce, algorithm=wrap, region=100
                )
                self.assertEqual(decrypt(stored, text, private), plain, (version, nonce, wrap, size))
                if version != "1.0":
                    self.assertEqual(len(stored), size + 28 * -(-size // 100))

    def test_nonces(self):
        for name, expected in (
            ("python", "000000000000000000000001"),
            ("java", "000000000000000100000000"),
            ("net", "000000000200000000000000"),
        ):
            self.assertEqual(owner.NONCES[name](1).hex(), expected)

    def test_swapped_regions_are_seen(self):
        stored, text = owner.encrypt_bytes(bytes(200), rsa_key().public_key(), KID, region=100)
        with self.assertRaises((AssertionError, InvalidTag)):
            decrypt(stored[128:] + stored[:128], text, rsa_key())

    def test_refused(self):
        for details in ({"version": "3.0"}, {"region": 0}, {"region": (1 << 30) + 1}, {"algorithm": "A128KW"}):
            with self.assertRaises(ValueError, msg=details):
                owner.Envelope(bytes(32), KID, **details)

    @needs_fixtures
    def test_like_the_sdk(self):
        folder = os.path.join(FIXTURES, "cse/v2.0")
        with open(os.path.join(folder, "blob-16.meta.json"), encoding="ascii") as file:
            genuine = json.load(file)
        _, text = owner.encrypt_bytes(bytes(16), rsa_key().public_key(), KID)
        own = json.loads(text)
        self.assertEqual(list(own), list(genuine))
        for name, value in genuine.items():
            self.assertEqual(
                list(own[name]) if isinstance(value, dict) else own[name],
                list(value) if isinstance(value, dict) else value,
            )

    @needs_fixtures
    def test_reader_of_these_tests_reads_the_sdks_blobs(self):
        with open(os.path.join(FIXTURES, "cse/kek-rsa2048.pem"), "rb") as file:
            kek = owner.serialization.load_pem_private_key(file.read(), None)
        for name in ("v2.0/blob-0", "v2.0/blob-16", "v2.0/blob-4194305", "v1/blob-16"):
            with open(os.path.join(FIXTURES, "cse", name + ".bin"), "rb") as file:
                stored = file.read()
            with open(os.path.join(FIXTURES, "cse", name + ".meta.json"), encoding="ascii") as file:
                plain = decrypt(stored, file.read(), kek)
            self.assertEqual(len(plain), int(name.rsplit("-", 1)[1]))


class Commands(SandboxTest):
    def run_owner(self, *arguments):
        return subprocess.run(
            [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, cwd="/"
        )

    def test_encrypt_and_upload(self):
        with tempfile.TemporaryDirectory() as folder:
            kek = os.path.join(folder, "kek.pem")
            made = control("key", name="owner")
            pki.write(kek, made["public_pem"].encode())
            os.makedirs(os.path.join(folder, "in", "sub"))
            files = {"a": b"alpha", "sub/b ü": b"beta" * 1000, "empty": b""}
            for name, data in files.items():
                pki.write(os.path.join(folder, "in", name), data)
            out = [os.path.join(folder, name) for name in ("in/a", "out", "meta")]
            done = self.run_owner("encrypt", "--kek-pem", kek, "--kid", made["kid"], *out)
            self.assertEqual(done.returncode, 0, done.stderr)
            control("container", name="owned")
            url = self.world.description()["storage"] + "/owned"
            sas = control("sas", container="owned", permissions="rcw")["sas"]
            done = self.run_owner(
                "upload",
                "--url",
                url,
                "--sas",
                sas,
                "--kek-pem",
                kek,
                "--kid",
                made["kid"],
                os.path.join(folder, "in"),
                "train/",
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            private = owner.serialization.load_pem_private_key(made["private_pem"].encode(), None)
            for name, data in files.items():
                reply = call("GET", f"{url}/{owner.quote('train/' + name)}?{sas}")
                self.assertEqual(decrypt(reply.body, reply.headers["x-ms-meta-encryptiondata"], private), data)
            done = self.run_owner(
                "upload", "--url", url, "--kek-pem", kek, "--kid", made["kid"], os.path.join(folder, "in")
            )
            self.assertEqual(done.returncode, 1)
            self.assertIn("401", done.stderr)

    def test_stream(self):
        envelope = owner.Envelope(bytes(32), KID, region=10)
        self.assertEqual([len(piece) for piece in envelope.encrypt(io.BytesIO(bytes(25)))], [38, 38, 33])


if __name__ == "__main__":
    unittest.main()
