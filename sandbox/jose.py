"""JSON Web Keys, Signatures and Tokens (RFC 7515, 7517, 7518, 7519, 7638), as far as the services use them."""

import base64
import hashlib
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1, "P-256K": ec.SECP256K1}
CURVE_NAMES = {kind.name: name for name, kind in CURVES.items()}


class NotJose(ValueError):
    """The text is not what RFC 7515 or RFC 7517 describe."""


def b64u(data):
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64u_decode(text):
    """base64url with or without padding; any other character is refused."""
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*={0,2}", text):
        raise NotJose("not base64url")
    bare = text.rstrip("=")
    if len(bare) % 4 == 1 or (bare != text and len(text) % 4):
        raise NotJose("base64url of an impossible length")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))


def compact(value):
    """JSON without white space, in bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


def number(value, size=None):
    """An unsigned number as base64url of its big-endian bytes."""
    return b64u(value.to_bytes(size or (value.bit_length() + 7) // 8 or 1, "big"))


def integer(text):
    return int.from_bytes(b64u_decode(text), "big")


def sign(header, payload, key):
    """A compact JWS, RS256. PAYLOAD: bytes or something that becomes JSON."""
    if not isinstance(payload, bytes):
        payload = compact(payload)
    head = b64u(compact(header)) + "." + b64u(payload)
    return head + "." + b64u(key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256()))


def read(token):
    """(header, claims, signed bytes, signature) of a compact JWS; nothing is verified yet."""
    parts = token.split(".") if isinstance(token, str) else []
    if len(parts) != 3:
        raise NotJose("not a compact JWS: it has not three parts")
    try:
        header, claims = (json.loads(b64u_decode(part)) for part in parts[:2])
    except (ValueError, UnicodeDecodeError) as error:
        raise NotJose(f"not a compact JWS: {error}") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise NotJose("header or claims are no objects")
    return header, claims, f"{parts[0]}.{parts[1]}".encode(), b64u_decode(parts[2])


def verify(token, keys):
    """The claims of an RS256 token whose header names one of KEYS (kid → public key)."""
    header, claims, signed, signature = read(token)
    if header.get("alg") != "RS256":
        raise NotJose("the algorithm is not RS256")
    key = keys.get(header.get("kid"))
    if key is None:
        raise NotJose("signed by an unknown key")
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise NotJose("the signature is wrong") from None
    return claims


def public_jwk(key):
    """The public members of a key as a JWK."""
    if hasattr(key, "public_key"):
        key = key.public_key()
    numbers = key.public_numbers()
    if isinstance(key, rsa.RSAPublicKey):
        return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    size = (key.curve.key_size + 7) // 8
    return {
        "kty": "EC",
        "crv": CURVE_NAMES[key.curve.name],
        "x": number(numbers.x, size),
        "y": number(numbers.y, size),
    }


def private_jwk(key):
    """All members of a private key, or of the bytes of a symmetric one, as a JWK."""
    if isinstance(key, bytes):
        return {"kty": "oct", "k": b64u(key)}
    numbers = key.private_numbers()
    if isinstance(key, rsa.RSAPrivateKey):
        parts = {
            "d": numbers.d,
            "p": numbers.p,
            "q": numbers.q,
            "dp": numbers.dmp1,
            "dq": numbers.dmq1,
            "qi": numbers.iqmp,
        }
        return {**public_jwk(key), **{name: number(value) for name, value in parts.items()}}
    return {**public_jwk(key), "d": number(numbers.private_value, (key.curve.key_size + 7) // 8)}


def public_key(jwk):
    """The RSA public key of a JWK."""
    return rsa.RSAPublicNumbers(integer(jwk["e"]), integer(jwk["n"])).public_key()


def private_key(jwk):
    """The private key of a JWK (RSA or EC), or the bytes of an oct key."""
    kty = str(jwk.get("kty", "")).replace("-HSM", "")
    try:
        if kty == "oct":
            return b64u_decode(jwk["k"])
        if kty == "EC":
            curve = CURVES[jwk["crv"]]()
            public = ec.EllipticCurvePublicNumbers(integer(jwk["x"]), integer(jwk["y"]), curve)
            return ec.EllipticCurvePrivateNumbers(integer(jwk["d"]), public).private_key()
        if kty == "RSA":
            public = rsa.RSAPublicNumbers(integer(jwk["e"]), integer(jwk["n"]))
            names = ("p", "q", "d", "dp", "dq", "qi")
            return rsa.RSAPrivateNumbers(*(integer(jwk[name]) for name in names), public).private_key()
    except (KeyError, TypeError, ValueError) as error:
        raise NotJose(f"not a private {kty} key: {error}") from None
    raise NotJose("kty is none of RSA, EC, oct")


def thumbprint(jwk):
    """RFC 7638, for RSA."""
    return b64u(hashlib.sha256(compact({name: jwk[name] for name in ("e", "kty", "n")})).digest())


def read_json(text):
    """JSON inside base64url."""
    return json.loads(b64u_decode(text))
