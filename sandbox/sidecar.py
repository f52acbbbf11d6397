"""The SKR sidecar's HTTP interface: /status, /attest/raw, /attest/combined, /attest/maa, /key/release."""

import base64
import hashlib
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import jose, pki, release, vault
from sandbox.server import Answer, Refusal, Service


class Sidecar(Service):
    name = "sidecar"

    def __init__(self, chip, attestation, keyvault, directory):
        self.chip, self.attestation, self.vault, self.directory = chip, attestation, keyvault, directory

    def refusal(self, error):
        return Answer(error.status, error.headers, json_body={"error": error.message or error.code})

    def handle(self, request):
        if (request.method, request.path) == ("GET", "/status"):
            return Answer(json_body={"message": "Status OK"})
        handlers = {
            "/attest/raw": self.raw,
            "/attest/combined": self.combined,
            "/attest/maa": self.maa,
            "/key/release": self.release,
        }
        if request.method != "POST" or request.path not in handlers:
            raise Refusal(404, "NotFound", "404 page not found")
        return handlers[request.path](request.json())

    @staticmethod
    def needed(body, name):
        value = body.get(name)
        if not isinstance(value, str) or not value:
            raise Refusal(400, "BadRequest", f"invalid request format: {name} is required")
        return value

    def runtime_data(self, body):
        try:
            return base64.b64decode(self.needed(body, "runtime_data"), validate=True)
        except ValueError:
            raise Refusal(400, "BadRequest", "decoding base64-encoded runtime data failed") from None

    def report(self, runtime_data):
        return self.chip.report(hashlib.sha256(runtime_data).digest())

    def raw(self, body):
        return Answer(json_body={"report": self.report(self.runtime_data(body)).hex()})

    def combined(self, body):
        certification = self.chip.certification("stale" if self.chip.file_chain == "stale" else "now")
        chain = certification["vcekCert"] + certification["certificateChain"]
        return Answer(
            json_body={
                "endorsed_tcb": certification["tcbm"],
                "endorsements": base64.b64encode(chain.encode()).decode(),
                "evidence": base64.b64encode(self.report(self.runtime_data(body))).decode(),
                "uvm_endorsements": base64.b64encode(self.chip.reference_info()).decode(),
            }
        )

    @staticmethod
    def url_of(endpoint):
        """Endpoints come without a scheme; loopback means plain HTTP here."""
        host = urlsplit("//" + endpoint.split("://")[-1]).netloc.lower()
        return ("http://" if host.split(":")[0] in ("127.0.0.1", "localhost") else "https://") + host

    def token(self, endpoint, runtime_data):
        chain = pki.pem(self.chip.vceks["now"]) + self.chip.chain_pem()
        evidence = {
            "SnpReport": jose.b64u(self.report(runtime_data)),
            "VcekCertChain": jose.b64u(chain),
            "Endorsements": jose.b64u(jose.compact({"Uvm": [jose.b64u(self.chip.reference_info())]})),
        }
        body = {
            "report": jose.b64u(jose.compact(evidence)),
            "nonce": "1",
            "initTimeData": {"data": "", "dataType": ""},
            "runtimeData": {"data": jose.b64u(runtime_data), "dataType": "JSON"},
        }
        try:
            issuer = self.url_of(endpoint)
            return self.attestation.token(self.attestation.appraise(body, issuer), issuer)
        except Refusal as error:
            raise Refusal(403, "Forbidden", f"attestation failed: {error.code}: {error.message}") from None

    def maa(self, body):
        return Answer(json_body={"token": self.token(self.needed(body, "maa_endpoint"), self.runtime_data(body))})

    def release(self, body):
        maa, endpoint, kid = (self.needed(body, name) for name in ("maa_endpoint", "akv_endpoint", "kid"))
        host = self.url_of(endpoint).split("//")[1]
        kind, audience = vault.place(host.split(":")[0])
        bearer = body.get("access_token") or self.directory.token(audience)
        own = rsa.generate_private_key(65537, 2048)
        jwk = jose.public_jwk(own)
        runtime = {
            "keys": [
                {"e": jwk["e"], "key_ops": ["encrypt"], "kid": jose.thumbprint(jwk), "kty": "RSA", "n": jwk["n"]}
            ]
        }
        target = self.token(maa, jose.compact(runtime))
        try:
            self.directory.check(f"Bearer {bearer}", [audience], "Bearer")
            name, _, version_id = kid.partition("/")
            version = self.vault.find(host, name, version_id or None)
            jws = self.vault.released(version, {"target": target}, kind, "7.4")
        except Refusal as error:
            raise Refusal(
                403, "Forbidden", f"retrieving key failed: {error.status} {error.code}: {error.message}"
            ) from None
        return Answer(json_body={"key": self.jwk_text(jws, own, version)})

    @staticmethod
    def jwk_text(jws, own, version):
        """The private key as the sidecar gives it: a string that holds a JWK."""
        _, claims, _, _ = jose.read(jws)
        envelope = jose.read_json(claims["response"]["key"]["key"]["key_hsm"])
        key = release.unwrap(jose.b64u_decode(envelope["ciphertext"]), own, envelope["header"]["enc"])
        if not isinstance(version.key, bytes):
            key = serialization.load_der_private_key(key, None)
        return jose.compact({**jose.private_jwk(key), "key_ops": version.ops}).decode()
