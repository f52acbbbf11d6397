"""Key Vault and Managed HSM: import, read and release keys.

Which one a call is for is told by the host name. Refusals: recordings of the public service, and its error code pages.
"""

import re
import threading
import time
import uuid

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sandbox import jose, policy, release
from sandbox.identity import TENANT
from sandbox.server import Answer, Refusal, Service

API_VERSIONS = ("7.3", "7.4", "7.5", "7.6", "2025-07-01")
CLOUDS = (
    ("vault.azure.net", "vault"),
    ("vault.usgovcloudapi.net", "vault"),
    ("vault.azure.cn", "vault"),
    ("managedhsm.azure.net", "hsm"),
    ("managedhsm.usgovcloudapi.net", "hsm"),
    ("managedhsm.azure.cn", "hsm"),
)
MAX_OCT = 64
FORBIDDEN_TOKEN = "Target environment attestation statement cannot be verified."
FORBIDDEN_CLAIMS = "Target environment attestation does not meet key release policy requirements."


def bad(message):
    return Refusal(400, "BadParameter", message)


def place(hostname):
    """(kind, audience) of a host; loopback plays a vault."""
    for suffix, kind in CLOUDS:
        if hostname.endswith("." + suffix):
            return kind, "https://" + suffix
    return "vault", "https://vault.azure.net"


class Version:
    """One version of a key."""

    def __init__(self, base, name, key, *, hsm=True, ops=None, attributes=None, tags=None, release_policy=None):
        self.name, self.key, self.hsm = name, key, hsm
        self.id = uuid.uuid4().hex
        self.kid = f"{base}/keys/{name}/{self.id}"
        now = int(time.time())
        self.attributes = {
            "enabled": True,
            "created": now,
            "updated": now,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": 90,
            "exportable": False,
            **(attributes or {}),
        }
        self.tags, self.release_policy = tags, release_policy
        default = ["sign", "verify"] if isinstance(key, ec.EllipticCurvePrivateKey) else ["wrapKey", "unwrapKey"]
        self.ops = ops or default

    def public_members(self):
        known = {"kty": "oct"} if isinstance(self.key, bytes) else jose.public_jwk(self.key)
        kty = known.pop("kty") + ("-HSM" if self.hsm else "")
        return {"kty": kty, "key_ops": self.ops, **known}

    def bundle(self):
        found = {"key": {"kid": self.kid, **self.public_members()}, "attributes": dict(self.attributes)}
        if self.tags:
            found["tags"] = self.tags
        if self.release_policy:
            found["release_policy"] = self.release_policy
        return found


class Vault(Service):
    """PUT, GET, PATCH /keys/NAME[/VERSION], POST …/release."""

    name = "vault"

    def __init__(self, directory, attestation, signer, lies, throttle):
        self.directory, self.attestation, self.signer = directory, attestation, signer
        self.lies, self.throttle = lies, throttle
        self.lock, self.keys = threading.Lock(), {}  # (host, name) → [Version, …], the newest last
        self.kinds = {}  # host:port → kind, for loopback

    def kind_of(self, request):
        kind, audience = place(request.hostname)
        audiences = [audience]
        if self.kinds.get(self.home(request.host)) == "hsm":
            kind, audiences = "hsm", ["https://managedhsm.azure.net", audience]
        return kind, audiences

    @staticmethod
    def home(host):
        return host.replace("localhost", "127.0.0.1")

    def handle(self, request):
        kind, audiences = self.kind_of(request)
        challenge = f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{audiences[0]}"'
        self.directory.check(request.header("Authorization"), audiences, challenge)
        if request.query.get("api-version") not in API_VERSIONS:
            raise bad(
                "The specified version ({}) is not recognized. Consider using the latest supported version.".format(
                    request.query.get("api-version", "")
                )
            )
        parts = request.segments()
        if len(parts) > 1 and parts[0] == "keys" and re.fullmatch(r"[0-9A-Za-z-]{1,127}", parts[1]):
            rest = [part for part in parts[2:] if part]
            if request.method == "POST" and rest[-1:] == ["release"] and len(rest) <= 2:
                return self.release(request, kind, parts[1], rest[0] if len(rest) == 2 else None)
            if request.method == "GET" and len(rest) <= 1:
                version = self.find(request.host, parts[1], rest[0] if rest else None)
                return Answer(json_body=version.bundle())
            if request.method == "PUT" and not rest:
                return Answer(json_body=self.take_in(request, kind, parts[1]).bundle())
            if request.method == "PATCH" and len(rest) <= 1:
                return self.update(request, parts[1], rest[0] if rest else None)
        raise Refusal(
            404 if request.method == "GET" else 405,
            "NotFound" if request.method == "GET" else "MethodNotAllowed",
            "There is nothing here.",
        )

    def find(self, host, name, version=None):
        with self.lock:
            versions = self.keys.get((self.home(host), name.lower()), [])
        for each in reversed(versions):
            if version in (None, each.id):
                return each
        raise Refusal(
            404,
            "KeyNotFound",
            f"A key with (name/id) {name}{'/' + version if version else ''} was not found in"
            " this key vault. If you recently deleted this key you may be able to recover it using the correct"
            " recovery command.",
        )

    def add(self, host, version):
        with self.lock:
            self.keys.setdefault((self.home(host), version.name.lower()), []).append(version)
        return version

    # ---- Import and update ----

    def take_in(self, request, kind, name):
        body = request.json()
        jwk, attributes = body.get("key"), body.get("attributes") or {}
        if not isinstance(jwk, dict):
            raise bad("Property key is required.")
        try:
            key = jose.private_key(jwk)
        except ValueError as error:
            raise bad(f"Invalid JWK: {error}.") from None
        hsm = bool(body.get("Hsm", body.get("hsm"))) or str(jwk.get("kty")).endswith("-HSM") or kind == "hsm"
        if isinstance(key, bytes) and kind != "hsm":
            raise bad("Key type oct is not supported by this vault.")
        if isinstance(key, bytes) and len(key) > MAX_OCT:
            raise bad("k property of oct key is too large, maximum size is 64")
        self.check_export(request, name, attributes, body.get("release_policy"), hsm)
        return self.add(
            request.host,
            Version(
                request.base,
                name,
                key,
                hsm=hsm,
                ops=jwk.get("key_ops"),
                attributes=attributes,
                tags=body.get("tags"),
                release_policy=body.get("release_policy"),
            ),
        )

    def check_export(self, request, name, attributes, release_policy, hsm):
        exportable = attributes.get("exportable", False)
        old = self.keys.get((self.home(request.host), name.lower()))
        if old and old[-1].attributes["exportable"] != exportable:
            raise bad("AKV.SKR.1003: The exportable attribute of an existing key cannot be changed.")
        if exportable and not release_policy:
            raise bad("AKV.SKR.1004: Exportable keys must have release policy.")
        if not exportable and release_policy:
            raise bad("AKV.SKR.1005: Non-exportable keys must not have release policy.")
        if exportable and not hsm:
            raise bad("AKV.SKR.1006: A software key cannot be exportable.")
        if release_policy:
            self.check_policy(release_policy)

    @staticmethod
    def check_policy(release_policy):
        try:
            policy.decode(release_policy)
        except policy.BadPolicy as error:
            raise bad(f"Invalid release policy: {error}.") from None

    def update(self, request, name, version_id):
        version, body = self.find(request.host, name, version_id), request.json()
        wish = body.get("release_policy")
        if wish:
            if version_id:
                raise bad("AKV.SKR.1016: Key Release Policy can only be set on versionless key.")
            if (version.release_policy or {}).get("immutable"):
                raise bad("AKV.SKR.1020: Immutable Key Release Policy cannot be modified.")
            self.check_policy(wish)
        if (
            body.get("attributes", {}).get("exportable", version.attributes["exportable"])
            != version.attributes["exportable"]
        ):
            raise bad("AKV.SKR.1003: The exportable attribute of an existing key cannot be changed.")
        version.attributes.update(body.get("attributes", {}), updated=int(time.time()))
        version.release_policy = wish or version.release_policy
        version.ops, version.tags = body.get("key_ops", version.ops), body.get("tags", version.tags)
        return Answer(json_body=version.bundle())

    # ---- Release ----

    def release(self, request, kind, name, version_id):
        wait = self.throttle.wait()
        if wait:
            raise Refusal(
                429,
                "Throttled",
                "Request was not processed because too many requests were received. Reason:"
                " VaultRequestTypeLimitReached",
                {"Retry-After": str(wait)},
            )
        body = request.json()
        version = self.find(request.host, name, version_id)
        jws = self.released(version, body, kind, request.query["api-version"])
        return Answer(json_body={"value": jws})

    def released(self, version, body, kind, api_version):
        """The JWS for a request body, or Refusal."""
        target, nonce, enc = body.get("target"), body.get("nonce"), body.get("enc", release.DEFAULT_WRAP)
        if not isinstance(target, str) or not target:
            raise bad("Property target is required.")
        if enc not in release.WRAPS:
            raise bad(f"The value of enc ({enc}) is not supported.")
        if nonce is not None and not isinstance(nonce, str):
            raise bad("Property nonce is not a string.")
        if not version.attributes["enabled"]:
            raise Refusal(
                403, "Forbidden", "Operation release is not allowed on a disabled key.", inner="KeyDisabled"
            )
        if not version.attributes["exportable"] or not version.release_policy:
            raise Refusal(403, "Forbidden", "Operation release is not allowed on a key that is not exportable.")
        claims = self.attested(target)
        if not policy.allows(policy.decode(version.release_policy), claims):
            raise Refusal(403, "Forbidden", FORBIDDEN_CLAIMS)
        lie = self.lies.take(self.name)
        if lie == "value_not_string":
            return 7
        return release.build(version, self.transport_key(claims), enc, nonce, api_version, self.signer, kind, lie)

    def attested(self, token):
        """The claims of the target's token, verified against the keys that its issuer publishes."""
        try:
            claims = jose.verify(token, self.attestation.public)
        except ValueError:
            raise Refusal(403, "Forbidden", FORBIDDEN_TOKEN) from None
        now, exp = time.time(), claims.get("exp")
        if not self.attestation.is_issuer(claims.get("iss")) or not isinstance(exp, int):
            raise Refusal(403, "Forbidden", FORBIDDEN_TOKEN)
        if not claims.get("nbf", 0) - 300 <= now < exp:
            raise Refusal(403, "Forbidden", FORBIDDEN_TOKEN)
        return claims

    @staticmethod
    def transport_key(claims):
        """The first suitable key of the runtime claims."""
        runtime = claims.get("x-ms-runtime")
        keys = runtime.get("keys") if isinstance(runtime, dict) else None
        for jwk in keys if isinstance(keys, list) else ():
            suitable = (
                isinstance(jwk, dict)
                and isinstance(jwk.get("kid"), str)
                and jwk.get("kty") == "RSA"
                and ("encrypt" in (jwk.get("key_ops") or ()) or "enc" in (jwk.get("use"), jwk.get("key_use")))
            )
            if suitable:
                try:
                    if jose.public_key(jwk).key_size >= 2048:
                        return jwk
                except (KeyError, ValueError):
                    continue
        raise Refusal(403, "Forbidden", "Target environment attestation statement has no suitable encryption key.")

    # ---- For control ----

    def preload(self, wish, base, default_policy):
        """A ready key: {name, kty, size?, hsm?, policy?, exportable?, enabled?, key_ops?, private_jwk?, host?}."""
        kty = wish.get("kty", "RSA").replace("-HSM", "")
        host = wish.get("host")
        base = f"https://{host}" if host else base
        if "private_jwk" in wish:
            key = jose.private_key(wish["private_jwk"])
        elif kty == "RSA":
            key = rsa.generate_private_key(65537, int(wish.get("size", 2048)))
        elif kty == "EC":
            key = ec.generate_private_key(jose.CURVES[wish.get("crv", "P-256")]())
        else:
            key = uuid.uuid4().bytes + uuid.uuid4().bytes
        exportable = wish.get("exportable", True)
        text = jose.b64u(jose.compact(wish.get("policy", default_policy)))
        release_policy = {
            "contentType": "application/json; charset=utf-8",
            "data": text,
            "immutable": bool(wish.get("immutable")),
        }
        attributes = {"exportable": exportable, "enabled": wish.get("enabled", True)}
        version = Version(
            base,
            wish["name"],
            key,
            hsm=wish.get("hsm", True),
            ops=wish.get("key_ops"),
            attributes=attributes,
            tags=wish.get("tags"),
            release_policy=release_policy if exportable else None,
        )
        return self.add(base.split("//")[1], version)
