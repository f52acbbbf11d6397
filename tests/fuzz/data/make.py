#!/usr/bin/env python3
"""Makes this folder anew: a vault's worthless test chain, the pair of a worthless test run, and a wrapped AES key.

Needs the Python package "cryptography". Every key in here is a worthless test key. After this, run ../seeds.py.
"""

import base64
import datetime
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HERE = pathlib.Path(__file__).parent
AES = b"worthless test key: transfer...."  # release.c has it too
CEK = b"2.0\0\0\0\0\0" + b"worthless test key: content....."  # regions.c has it too
HOST = "contoso.vault.azure.net"


def name(common):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


def certificate(subject, key, issuer, issuer_key, extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2025, 1, 1))
        .not_valid_after(datetime.datetime(2055, 1, 1))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def private(key):
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return b"worthless test key\n" + text


def oaep(hash_of):
    return padding.OAEP(mgf=padding.MGF1(hash_of()), algorithm=hash_of(), label=None)


def main():
    ca_key, vault_key, offer_key = (rsa.generate_private_key(65537, 2048) for _ in range(3))
    ca = certificate("worthless test root", ca_key, "worthless test root", ca_key,
                     [(x509.BasicConstraints(True, None), True)])
    vault = certificate(HOST, vault_key, "worthless test root", ca_key, [
        (x509.SubjectAlternativeName([x509.DNSName(HOST)]), False),
        (x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False),
    ])
    ders = [c.public_bytes(serialization.Encoding.DER) for c in (vault, ca)]
    (HERE / "vault.x5c").write_text(",".join(f'"{base64.b64encode(d).decode()}"' for d in ders))
    (HERE / "ca.pem").write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    (HERE / "vault.key").write_bytes(private(vault_key))
    (HERE / "offer.key").write_bytes(private(offer_key))
    public = offer_key.public_key()
    (HERE / "transfer.oaep").write_bytes(public.encrypt(AES, oaep(hashes.SHA256)))
    (HERE / "content.oaep").write_bytes(public.encrypt(CEK, oaep(hashes.SHA256)))
    (HERE / "content.oaep-sha1").write_bytes(public.encrypt(CEK, oaep(hashes.SHA1)))


main()
