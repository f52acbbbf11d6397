#!/usr/bin/env python3
"""Makes this folder's test data anew: a worthless test CA shaped like AMD's, VCEKs under it, signed reports.

Needs the Python package "cryptography". Every key in here is a worthless test key.
"""

import datetime
import json
import pathlib
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HERE = pathlib.Path(__file__).parent
OID = "1.3.6.1.4.1.3704.1."
MILAN_CHIP = bytes(range(0x40, 0x80))
TURIN_CHIP = bytes(range(0xA0, 0xA8))


def der_integer(value):
    return bytes([2, 1, value]) if value < 128 else bytes([2, 2, 0, value])


def name(common):
    parts = [(x509.NameOID.ORGANIZATION_NAME, "decant worthless test key"), (x509.NameOID.COMMON_NAME, common)]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in parts])


def certificate(subject, key, issuer, issuer_key, extensions, authority):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2025, 1, 1))
        .not_valid_after(datetime.datetime(2055, 1, 1))
    )
    if authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    for oid, value in extensions:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(OID + oid), value), critical=False
        )
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA384()), salt_length=48)
    return builder.sign(issuer_key, hashes.SHA384(), rsa_padding=pss)


def vcek(key, ask_key, product, chip, levels):
    extensions = [("1", der_integer(0)), ("2", bytes([0x16, len(product)]) + product.encode())]
    extensions += [(oid, der_integer(value)) for oid, value in levels]
    extensions += [("4", chip)]
    return certificate("SEV-VCEK", key, "SEV-Test", ask_key, extensions, False)


def report(version, cpuid, tcb, chip):
    r = bytearray(1184)
    struct.pack_into("<IIQ", r, 0, version, 7, 1 << 17 | 1 << 16)
    struct.pack_into("<I", r, 52, 1)
    for at in (56, 384, 480, 496):
        r[at : at + 8] = tcb
    r[144:192] = bytes(range(48))
    r[192:224] = bytes(range(32))
    r[392:395] = cpuid
    r[416 : 416 + len(chip)] = chip
    return r


def sign(r, key):
    numbers = decode_dss_signature(key.sign(bytes(r[:672]), ec.ECDSA(hashes.SHA384())))
    r[672:744], r[744:816] = (n.to_bytes(72, "little") for n in numbers)
    return bytes(r)


def pem(*certificates):
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def private(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def main():
    ark_key, ask_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    key = ec.generate_private_key(ec.SECP384R1())
    ca = [("ARK-Test", ark_key, "ARK-Test"), ("SEV-Test", ask_key, "ARK-Test")]
    ark, ask = (certificate(subject, k, issuer, ark_key, [], True) for subject, k, issuer in ca)
    milan = [("3.1", 4), ("3.2", 0), ("3.3", 24), ("3.8", 219)]
    newer = [("3.1", 4), ("3.2", 0), ("3.3", 24), ("3.8", 220)]
    turin = [("3.9", 1), ("3.1", 2), ("3.2", 3), ("3.3", 4), ("3.8", 130)]
    leaves = {
        "milan": vcek(key, ask_key, "Milan-B0", MILAN_CHIP, milan),
        "milan-newer": vcek(key, ask_key, "Milan-B0", MILAN_CHIP, newer),
        "turin": vcek(key, ask_key, "Turin", TURIN_CHIP, turin),
    }
    reports = {
        "milan": report(3, (0x19, 1, 1), bytes([4, 0, 0, 0, 0, 0, 24, 219]), MILAN_CHIP),
        "milan-newer": report(3, (0x19, 1, 1), bytes([4, 0, 0, 0, 0, 0, 24, 220]), MILAN_CHIP),
        "turin": report(5, (0x1A, 2, 1), bytes([1, 2, 3, 4, 0, 0, 0, 130]), TURIN_CHIP),
    }
    for which, leaf in leaves.items():
        (HERE / f"{which}.pem").write_bytes(pem(leaf, ask, ark))
        (HERE / f"{which}.bin").write_bytes(sign(reports[which], key))
    thim = {
        "vcekCert": pem(leaves["milan"]).decode(),
        "tcbm": "db18000000000004",
        "certificateChain": pem(ask, ark).decode(),
        "cacheControl": "86400",
    }
    (HERE / "thim.json").write_text(json.dumps(thim, indent=4) + "\n")
    for which, k in (("ark", ark_key), ("ask", ask_key), ("vcek", key)):
        (HERE / f"{which}.key").write_bytes(b"worthless test key\n" + private(k))


main()
