"""Keys and certificates: made once, kept in the state folder, worthless outside of it.

RSASSA-PSS certificates, as AMD's are, cannot be made by this version of the cryptography package: an ordinary one
is made and its algorithm and signature are exchanged (RFC 4055).
"""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
PSS_SHA384 = bytes.fromhex(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402020500"
    "a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130"
)
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)


def new_key(kind):
    """'rsa2048', 'rsa4096', 'p384', …"""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1, "p384": ec.SECP384R1}[kind]())


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def pem(*certificates):
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def write(path, data, mode=0o600):
    """Write a file so that no reader sees half of it."""
    temporary = path + ".part"
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
    os.replace(temporary, path)


class KeyStore:
    """Private keys by name, made on first use and kept as PEM files."""

    def __init__(self, folder):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.folder, self.known = folder, {}

    def get(self, name, kind="rsa2048"):
        """Loading checks the primes, which takes a while: once is enough."""
        if name not in self.known:
            self.known[name] = self._load(name, kind)
        return self.known[name]

    def _load(self, name, kind):
        path = os.path.join(self.folder, name + ".pem")
        if os.path.exists(path):
            with open(path, "rb") as file:
                return serialization.load_pem_private_key(file.read(), None)
        key = new_key(kind)
        write(path, b"Worthless test key of the sandbox.\n" + key_pem(key))
        return key


def name(common_name, organization=None):
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def alternative_name(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def certificate(
    subject, public, issuer, signer, *, ca=False, hosts=(), usages=(), extensions=(), days=(-1, 3650), digest=None
):
    """A certificate. EXTENSIONS: (OID, raw value) pairs. DAYS: validity relative to now."""
    now = datetime.datetime.utcnow().replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
        .add_extension(
            x509.KeyUsage(
                not ca, False, not ca and isinstance(public, rsa.RSAPublicKey), False, False, ca, ca, False, False
            ),
            True,
        )
    )
    if hosts:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([alternative_name(host) for host in hosts]), False
        )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(usages)), False)
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False)
    return builder.sign(signer, digest or hashes.SHA256())


class Authority:
    """A certificate and its key that can sign others."""

    def __init__(self, certificate_, key):
        self.certificate, self.key = certificate_, key

    @classmethod
    def root(cls, common_name, key):
        who = name(common_name, "decant sandbox (worthless)")
        return cls(certificate(who, key.public_key(), who, key, ca=True), key)

    def issue(self, common_name, key, **details):
        """An Authority below this one (a leaf unless ca=True)."""
        made = certificate(
            name(common_name, "decant sandbox (worthless)"),
            key.public_key(),
            self.certificate.subject,
            self.key,
            **details
        )
        return Authority(made, key)


# ---- DER, just enough to exchange a certificate's signature ----


def tlv(tag, value):
    size = len(value)
    if size < 128:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def children(data):
    """The raw elements inside the first element of DATA."""

    def element(at):
        size, head = data[at + 1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(data[at + 2 : at + head], "big")
        return at + head, at + head + size

    at, end = element(0)
    found = []
    while at < end:
        _, after = element(at)
        found.append(data[at:after])
        at = after
    return found


def with_pss(certificate_, signer):
    """The same certificate, signed with RSASSA-PSS (SHA-384, salt of 48 bytes)."""
    tbs, _, _ = children(der(certificate_))
    parts = children(tbs)
    parts[2] = PSS_SHA384  # after the version and the serial number
    tbs = tlv(0x30, b"".join(parts))
    signature = signer.sign(tbs, PSS, hashes.SHA384())
    return x509.load_der_x509_certificate(tlv(0x30, tbs + PSS_SHA384 + tlv(0x03, b"\0" + signature)))


def signed_with_pss(certificate_, issuer):
    """Does ISSUER's RSA key verify CERTIFICATE_'s signature? Raises InvalidSignature."""
    issuer.public_key().verify(certificate_.signature, certificate_.tbs_certificate_bytes, PSS, hashes.SHA384())
