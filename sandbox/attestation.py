"""Microsoft Azure Attestation: SNP evidence in, a signed token out.

Every part of the evidence is verified: report signature and its chain up to the sandbox's own ARK, TCB and chip against
the VCEK, report data against the runtime data, the utility VM's endorsement.
"""

import hashlib
import json
import re
import struct
import time
import uuid

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sandbox import chip as platform
from sandbox import jose, pki, uvm
from sandbox.server import Answer, Refusal, Service

LIFETIME_S = 28800
API_VERSIONS = ("2020-10-01", "2022-08-01", "2022-09-01-preview", "2025-06-01")
LIES = (
    "wrong_nonce",
    "no_nonce",
    "expired",
    "wrong_key",
    "two_keys",
    "no_runtime",
    "wrong_issuer",
    "bad_signature",
    "alg_none",
    "not_a_jwt",
    "empty_token",
    "token_not_string",
    "no_exp",
)


def invalid(message):
    return Refusal(400, "InvalidParameter", message)


def part(holder, member, what):
    """A base64url member."""
    value = holder.get(member)
    if not isinstance(value, str) or not value:
        raise invalid(f"{what} is missing or is no string.")
    try:
        return jose.b64u_decode(value)
    except ValueError as error:
        raise invalid(f"{what} is {error}.") from None


def json_object(data, what):
    try:
        value = json.loads(data)
    except ValueError:
        raise invalid(f"{what} is not JSON.") from None
    if not isinstance(value, dict):
        raise invalid(f"{what} is not a JSON object.")
    return value


def extension(certificate, suffix):
    oid = x509.ObjectIdentifier(platform.AMD + suffix)
    return certificate.extensions.get_extension_for_oid(oid).value.value


class Report:
    """The fields of an SNP report that the service looks at."""

    def __init__(self, data):
        if len(data) != platform.REPORT_SIZE:
            raise invalid("SnpReport is not 1184 bytes long.")
        self.data = data
        self.version, self.guest_svn, self.policy = struct.unpack_from("<IIQ", data)
        self.vmpl, self.algorithm = struct.unpack_from("<II", data, 48)
        self.flags = struct.unpack_from("<I", data, 72)[0]
        self.report_data, self.measurement, self.host_data = data[80:144], data[144:192], data[192:224]
        self.tcb, self.chip_id = data[384:392], data[416:480]
        if self.version not in (2, 3, 4, 5):
            raise invalid("The version of the SNP report is not supported.")
        if self.algorithm != 1:
            raise invalid("The signature algorithm of the SNP report is not supported.")
        if self.vmpl == 0xFFFFFFFF:
            raise invalid("The SNP report was requested by the host.")

    def verify(self, key):
        r, s = (int.from_bytes(self.data[at : at + 72], "little") for at in (672, 744))
        try:
            key.verify(encode_dss_signature(r, s), self.data[: platform.SIGNED_SIZE], ec.ECDSA(hashes.SHA384()))
        except InvalidSignature:
            raise invalid("The signature of the SNP report does not verify under the VCEK.") from None


class Attestation(Service):
    """POST /attest/SevSnpVm, GET /certs, GET /.well-known/openid-configuration."""

    name = "attestation"

    def __init__(self, chip, keys, lies):
        self.chip, self.lies = chip, lies
        self.key, self.old_key, self.foreign_key = (keys.get(each) for each in ("maa", "maa-old", "maa-foreign"))
        self.transport_key = keys.get("maa-transport")
        self.kid = self.kid_of(self.key)
        self.certificates = {}
        self.public = {self.kid: self.key.public_key(), self.kid_of(self.old_key): self.old_key.public_key()}
        self.url = None  # of the plain listener, set once it is known

    @staticmethod
    def kid_of(key):
        return uvm.to_file(hashlib.sha256(pki.public_pem(key)).digest()).decode()

    def is_issuer(self, issuer):
        """Whether this service signs in the name of ISSUER."""
        return (
            issuer == self.url
            or re.fullmatch(r"https://[a-z0-9.-]+\.attest\.azure\.(net|us)", issuer or "") is not None
        )

    def handle(self, request):
        path = request.path.lower().rstrip("/")
        if path == "/attest/sevsnpvm":
            if request.method != "POST":
                raise Refusal(405, "MethodNotAllowed", "POST is the only method.", {"Allow": "POST"})
            if request.query.get("api-version") not in API_VERSIONS:
                raise Refusal(400, "UnsupportedApiVersion", "The api-version is missing or not supported.")
            if (request.header("Content-Type") or "").split(";")[0].strip().lower() != "application/json":
                raise Refusal(415, "UnsupportedMediaType", "The body must be application/json.")
            return self.answer(request.json(), request.base)
        if request.method == "GET" and path == "/certs":
            return Answer(json_body=self.jwks(request.base))
        if request.method == "GET" and path == "/.well-known/openid-configuration":
            return Answer(
                json_body={
                    "issuer": request.base,
                    "jwks_uri": request.base + "/certs",
                    "claims_supported": ["iss", "exp", "nonce"],
                    "response_types_supported": ["token", "none"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )
        raise Refusal(404, "NotFound", "There is nothing here.")

    def jwks(self, base):
        keys = []
        for key in (self.old_key, self.key):
            who = (base, self.kid_of(key))
            if who not in self.certificates:
                name = pki.name(base[:64])
                self.certificates[who] = pki.certificate(name, key.public_key(), name, key)
            keys.append(
                {
                    "kty": "RSA",
                    "kid": self.kid_of(key),
                    "x5c": [uvm.to_file(pki.der(self.certificates[who])).decode()],
                }
            )
        return {"keys": keys}

    def answer(self, body, issuer):
        claims = self.appraise(body, issuer)
        lie = self.lies.take(self.name)
        token = {"not_a_jwt": "this is no token", "empty_token": "", "token_not_string": 7}.get(lie)
        return Answer(json_body={"token": self.token(claims, issuer, lie) if token is None else token})

    # ---- Appraisal ----

    def appraise(self, body, issuer):
        """The claims that the evidence in BODY earns."""
        evidence = json_object(part(body, "report", "report"), "report")
        report = Report(part(evidence, "SnpReport", "SnpReport"))
        self.check_chain(report, part(evidence, "VcekCertChain", "VcekCertChain"))
        runtime = self.runtime(report, body)
        self.check_init_time(report, body)
        nonce = body.get("nonce")
        if nonce is not None and not isinstance(nonce, str):
            raise invalid("nonce is not a string.")
        claims = self.claims(report, issuer)
        if nonce:
            claims["nonce"] = nonce
        if runtime is not None:
            claims["x-ms-runtime"] = runtime
        if "Endorsements" in evidence:
            self.endorse(report, evidence, claims)
        return claims

    def check_chain(self, report, chain):
        blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", chain, re.S)
        try:
            vcek, ask, ark = map(x509.load_pem_x509_certificate, blocks)
        except ValueError:
            raise invalid("VcekCertChain is not three PEM certificates: VCEK, ASK, ARK.") from None
        try:
            for below, above in ((vcek, ask), (ask, ark), (ark, ark)):
                pki.signed_with_pss(below, above)
        except (InvalidSignature, AttributeError, TypeError):
            raise invalid("The VCEK certificate chain does not verify.") from None
        if pki.der(ark) != pki.der(self.chip.ark):
            raise invalid("The root of the VCEK certificate chain is not trusted.")
        if not isinstance(vcek.public_key(), ec.EllipticCurvePublicKey):
            raise invalid("The key of the VCEK is not an elliptic curve key.")
        self.check_tcb(report, vcek)
        report.verify(vcek.public_key())

    @staticmethod
    def check_tcb(report, vcek):
        try:
            numbers = [
                int.from_bytes(pki.children(pki.tlv(0x30, extension(vcek, f"3.{index}")))[0][2:], "big")
                for index in range(1, 9)
            ]
            chip_id = extension(vcek, "4")
        except x509.ExtensionNotFound:
            raise invalid("The VCEK has not the extensions of a VCEK.") from None
        if bytes(numbers[:2] + numbers[3:7] + [numbers[2], numbers[7]]) != report.tcb:
            raise invalid("The TCB version of the VCEK is not the reported TCB of the SNP report.")
        if not report.flags & 2 and chip_id != report.chip_id:
            raise invalid("The VCEK is not of the chip that made the SNP report.")

    @staticmethod
    def runtime(report, body):
        given = body.get("runtimeData")
        if not isinstance(given, dict) or given.get("dataType") not in ("JSON", "Binary"):
            raise invalid("runtimeData must have data and dataType (JSON or Binary).")
        data = part(given, "data", "runtimeData.data")
        if hashlib.sha256(data).digest() + bytes(32) != report.report_data:
            raise invalid("The SHA-256 of runtimeData.data is not the report data of the SNP report.")
        return json_object(data, "runtimeData.data") if given["dataType"] == "JSON" else None

    @staticmethod
    def check_init_time(report, body):
        given = body.get("initTimeData")
        if not given or not given.get("data"):
            return
        if hashlib.sha256(part(given, "data", "initTimeData.data")).digest() != report.host_data:
            raise invalid("The SHA-256 of initTimeData.data is not the host data of the SNP report.")

    def endorse(self, report, evidence, claims):
        """A sound endorsement of this very measurement earns the compliance status."""
        endorsements = json_object(part(evidence, "Endorsements", "Endorsements"), "Endorsements")
        infos = endorsements.get("Uvm")
        if not isinstance(infos, list) or len(infos) != 1:
            raise invalid("Endorsements.Uvm is not a list of one.")
        try:
            info = self.chip.endorser.read(part({"Uvm": infos[0]}, "Uvm", "Endorsements.Uvm[0]"))
        except uvm.BadEndorsement as error:
            raise invalid(f"The UVM endorsement is refused: {error}.") from None
        if info["x-ms-sevsnpvm-launchmeasurement"] != report.measurement.hex():
            raise invalid("The UVM endorsement is for another launch measurement.")
        claims["x-ms-sevsnpvm-uvm-endorsement"] = {
            name: info[name] for name in ("x-ms-sevsnpvm-guestsvn", "x-ms-sevsnpvm-launchmeasurement")
        }
        claims["x-ms-compliance-status"] = "azure-compliant-uvm"

    # ---- The token ----

    @staticmethod
    def claims(report, issuer):
        now = int(time.time())
        data = report.data
        found = {
            "authorkeydigest": data[272:320].hex(),
            "bootloader-svn": report.tcb[0],
            "familyId": data[16:32].hex(),
            "guestsvn": report.guest_svn,
            "hostdata": report.host_data.hex(),
            "idkeydigest": data[224:272].hex(),
            "imageId": data[32:48].hex(),
            "is-debuggable": bool(report.policy & platform.DEBUG_BIT),
            "launchmeasurement": report.measurement.hex(),
            "microcode-svn": report.tcb[7],
            "migration-allowed": bool(report.policy & 1 << 18),
            "reportdata": report.report_data.hex(),
            "reportid": data[320:352].hex(),
            "smt-allowed": bool(report.policy & 1 << 16),
            "snpfw-svn": report.tcb[6],
            "tee-svn": report.tcb[1],
            "vmpl": report.vmpl,
        }
        return {
            "iss": issuer,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME_S,
            "jti": uuid.uuid4().hex * 2,
            "x-ms-ver": "1.0",
            "x-ms-attestation-type": "sevsnpvm",
            "x-ms-policy-hash": jose.b64u(hashlib.sha256(b"sandbox policy").digest()),
            **{"x-ms-sevsnpvm-" + name: value for name, value in found.items()},
        }

    def token(self, claims, issuer, lie=None):
        claims = dict(claims)
        header = {"alg": "RS256", "jku": issuer + "/certs", "kid": self.kid, "typ": "JWT"}
        foreign = {**jose.public_jwk(self.transport_key), "kid": "other", "key_ops": ["encrypt"]}
        keys = claims.get("x-ms-runtime", {}).get("keys", [])
        changes = {
            "wrong_nonce": {"nonce": "1"},
            "no_nonce": {"nonce": None},
            "no_exp": {"exp": None},
            "expired": {"iat": claims["iat"] - 99999, "nbf": claims["nbf"] - 99999, "exp": claims["exp"] - 99999},
            "wrong_key": {"x-ms-runtime": {"keys": [foreign]}},
            "two_keys": {"x-ms-runtime": {"keys": [foreign, *keys]}},
            "no_runtime": {"x-ms-runtime": None},
            "wrong_issuer": {"iss": "https://evil.example"},
        }
        claims.update(changes.get(lie, {}))
        claims = {name: value for name, value in claims.items() if value is not None}
        if lie == "alg_none":
            return f"{jose.b64u(jose.compact({**header, 'alg': 'none'}))}.{jose.b64u(jose.compact(claims))}."
        return jose.sign(header, claims, self.foreign_key if lie == "bad_signature" else self.key)
