"""The vault's answer to a release: the key wrapped to the target's key, in a JWS with a certificate chain.

Form: recorded releases of the public service, Key Vault REST, PKCS #11 CKM_RSA_AES_KEY_WRAP, RFC 5649, RFC 7515.
"""

import hashlib
import secrets

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox import jose, pki, uvm

WRAPS = {
    "CKM_RSA_AES_KEY_WRAP": hashes.SHA1,
    "RSA_AES_KEY_WRAP_256": hashes.SHA256,
    "RSA_AES_KEY_WRAP_384": hashes.SHA384,
}
DEFAULT_WRAP = "CKM_RSA_AES_KEY_WRAP"
LIES = (
    "jws_signature",
    "jws_alg_none",
    "jws_hs256",
    "wrong_kid",
    "wrong_version",
    "wrong_nonce",
    "no_nonce",
    "wrong_enc",
    "enc_mismatch",
    "other_key_public_half",
    "wrong_transport_key",
    "short_ciphertext",
    "broken_ciphertext",
    "odd_ciphertext",
    "self_signed_chain",
    "wrong_host",
    "expired_leaf",
    "no_chain",
    "chain_of_one",
    "not_a_jws",
    "wrong_kty",
    "no_server_auth",
    "value_not_string",
    "disabled_key",
)


def oaep(digest):
    return padding.OAEP(padding.MGF1(digest()), digest(), None)


def raw_key(key):
    """What is wrapped: PKCS#8 for RSA and EC, the bytes themselves for oct."""
    if isinstance(key, bytes):
        return key
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def wrap(key, target, enc):
    """RSA-OAEP of a fresh AES-256 key, then RFC 5649 of the key under it."""
    kek = secrets.token_bytes(32)
    return target.encrypt(kek, oaep(WRAPS[enc])) + keywrap.aes_key_wrap_with_padding(kek, raw_key(key))


def unwrap(ciphertext, own_key, enc):
    """The other direction, for the sidecar and the tests."""
    size = own_key.key_size // 8
    kek = own_key.decrypt(ciphertext[:size], oaep(WRAPS[enc]))
    return keywrap.aes_key_unwrap_with_padding(kek, ciphertext[size:])


class Signer:
    """The vault's signing certificates: one leaf per kind of host, all below the sandbox's root."""

    HOSTS = {
        "vault": (
            "vault.azure.net",
            "*.vault.azure.net",
            "*.vaultcore.azure.net",
            "*.vault.usgovcloudapi.net",
            "*.vault.azure.cn",
        ),
        "hsm": ("*.managedhsm.azure.net", "*.managedhsm.usgovcloudapi.net", "*.managedhsm.azure.cn"),
    }

    def __init__(self, keys, root, middle):
        self.keys, self.root, self.middle = keys, root, middle
        self.leaves = {
            kind: self._leaf(middle, kind, hosts + ("localhost", "127.0.0.1")) for kind, hosts in self.HOSTS.items()
        }
        self.foreign = None

    def _leaf(self, issuer, kind, hosts, **details):
        details.setdefault("usages", [pki.SERVER_AUTH])
        return issuer.issue(hosts[0], self.keys.get("vault-" + kind), hosts=hosts, **details)

    def chain(self, kind, lie):
        """(leaf, intermediate, root), or what a lie makes of it."""
        leaf, middle, root = self.leaves[kind], self.middle, self.root
        if lie == "self_signed_chain":
            root = pki.Authority.root("decant sandbox root CA", self.keys.get("foreign-root"))
            middle = root.issue("decant sandbox issuing CA", self.keys.get("foreign-ca"), ca=True)
            leaf = self._leaf(middle, kind, self.HOSTS[kind] + ("localhost", "127.0.0.1"))
        elif lie == "wrong_host":
            leaf = self._leaf(middle, kind, ("other.example",))
        elif lie == "expired_leaf":
            leaf = self._leaf(middle, kind, self.HOSTS[kind] + ("localhost", "127.0.0.1"), days=(-400, -30))
        elif lie == "no_server_auth":
            leaf = self._leaf(
                middle,
                kind,
                self.HOSTS[kind] + ("localhost", "127.0.0.1"),
                usages=[pki.ExtendedKeyUsageOID.CODE_SIGNING],
            )
        if lie == "chain_of_one":
            return leaf, []
        return leaf, [middle, root]

    def sign(self, payload, kind, lie=None):
        leaf, above = self.chain(kind, lie)
        der = pki.der(leaf.certificate)
        sha1 = hashlib.sha1(der).digest()
        header = {
            "alg": "RS256",
            "kid": sha1.hex().upper(),
            "x5t": jose.b64u(sha1),
            "typ": "JWT",
            "x5t#S256": jose.b64u(hashlib.sha256(der).digest()),
            "x5c": [uvm.to_file(pki.der(each.certificate)).decode() for each in [leaf, *above]],
        }
        if lie == "no_chain":
            del header["x5c"]
        if lie == "jws_alg_none":
            return f"{jose.b64u(jose.compact({**header, 'alg': 'none'}))}.{jose.b64u(jose.compact(payload))}."
        if lie == "jws_hs256":
            header["alg"] = "HS256"
        if lie == "not_a_jws":
            return "not.a.jws"
        jws = jose.sign(header, payload, leaf.key)
        if lie == "jws_signature":
            signature = bytearray(jose.b64u_decode(jws.rsplit(".", 1)[1]))
            signature[0] ^= 1
            jws = jws.rsplit(".", 1)[0] + "." + jose.b64u(bytes(signature))
        return jws


def key_hsm(key, target, target_kid, enc, lie, keys):
    """The member key_hsm: the wrapped key in its own little envelope."""
    if lie == "wrong_transport_key":
        target = keys.get("maa-transport").public_key()
    ciphertext = wrap(key, target, enc)
    if lie == "short_ciphertext":
        ciphertext = ciphertext[:200]
    elif lie == "odd_ciphertext":
        ciphertext = ciphertext[:-3]
    elif lie == "broken_ciphertext":
        ciphertext = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    stated = "CKM_RSA_AES_KEY_WRAP" if enc != "CKM_RSA_AES_KEY_WRAP" else "RSA_AES_KEY_WRAP_384"
    header = {"kid": target_kid, "alg": "dir", "enc": stated if lie == "enc_mismatch" else enc}
    return jose.b64u(jose.compact({"schema_version": "1.0", "header": header, "ciphertext": jose.b64u(ciphertext)}))


def build(version, target_jwk, enc, nonce, api_version, signer, kind, lie=None):
    """The compact JWS for VERSION (of vault.py)."""
    target, kid = jose.public_key(target_jwk), version.kid
    public = dict(version.public_members())
    if lie == "other_key_public_half":
        other = signer.keys.get(
            "other-rsa" if public["kty"].startswith("RSA") else "other-ec",
            "rsa2048" if public["kty"].startswith("RSA") else "p256",
        )
        public.update({name: value for name, value in jose.public_jwk(other).items() if name != "kty"})
    elif lie == "wrong_kid":
        kid = kid.replace("/keys/", "/keys/not-")
    elif lie == "wrong_version":
        kid = kid.rsplit("/", 1)[0] + "/" + "0" * 32
    elif lie == "wrong_kty":
        public["kty"] = "EC-HSM" if public["kty"].startswith("RSA") else "RSA-HSM"
    wrapped = key_hsm(version.key, target, target_jwk["kid"], enc, lie, signer.keys)
    request = {"api-version": api_version, "enc": "RSA_AES_KEY_WRAP_512" if lie == "wrong_enc" else enc, "kid": kid}
    if nonce is not None and lie != "no_nonce":
        request["nonce"] = "another" if lie == "wrong_nonce" else nonce
    bundle = version.bundle()
    bundle["key"] = {"kid": kid, **public, "key_hsm": wrapped}
    if lie == "disabled_key":
        bundle["attributes"]["enabled"] = False
    return signer.sign({"request": request, "response": {"key": bundle}}, kind, lie)
