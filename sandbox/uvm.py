"""The utility VM's endorsement ("reference info"): a COSE_Sign1 (RFC 9052) over JSON that names a launch measurement."""

import base64
import hashlib
import json
import time

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from sandbox import cbor, jose, pki

EKU = x509.ObjectIdentifier("1.3.6.1.4.1.311.76.59.1.2")
FEED = "ContainerPlat-AMD-UVM"
PS384 = -38
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)


class BadEndorsement(ValueError):
    """Not a COSE_Sign1 of the issuer."""


def to_be_signed(protected, payload):
    return cbor.encode(["Signature1", protected, b"", payload])


class Endorser:
    """Who signs reference infos: an own chain of three certificates."""

    def __init__(self, keys):
        root = pki.Authority.root("Sandbox UVM Root", keys.get("uvm-root"))
        middle = root.issue("Sandbox UVM CA", keys.get("uvm-ca"), ca=True)
        self.leaf = middle.issue("ContainerPlat", keys.get("uvm-leaf"), usages=[EKU])
        self.chain = [pki.der(each.certificate) for each in (self.leaf, middle, root)]
        self.issuer = (
            f"did:x509:0:sha256:{jose.b64u(hashlib.sha256(self.chain[2]).digest())}" f"::eku:{EKU.dotted_string}"
        )

    def endorse(self, measurement, svn=104):
        payload = json.dumps(
            {
                "x-ms-sevsnpvm-guestsvn": str(svn),
                "x-ms-sevsnpvm-guestsvn-int": svn,
                "x-ms-sevsnpvm-launchmeasurement": measurement.hex(),
            }
        ).encode()
        protected = cbor.encode(
            {
                1: PS384,
                3: "application/json",
                33: self.chain,
                34: [-16, hashlib.sha256(self.chain[0]).digest()],
                "iss": self.issuer,
                "feed": FEED,
                "signingtime": cbor.Tag(1, int(time.time())),
            }
        )
        signature = self.leaf.key.sign(to_be_signed(protected, payload), PSS, hashes.SHA384())
        return cbor.encode(cbor.Tag(18, [protected, {"timestamp": b"none"}, payload, signature]))

    def read(self, cose):
        """The JSON of a reference info that this endorser signed."""
        try:
            item = cbor.decode(cose)
            if not isinstance(item, cbor.Tag) or item.number != 18:
                raise BadEndorsement("not a COSE_Sign1")
            protected, _, payload, signature = item.value
            header = cbor.decode(protected)
            if header[1] != PS384 or header["iss"] != self.issuer or header["feed"] != FEED:
                raise BadEndorsement("not of the expected issuer, feed or algorithm")
            if header[33] != self.chain:
                raise BadEndorsement("the certificates are not the endorser's")
            self.leaf.key.public_key().verify(signature, to_be_signed(protected, payload), PSS, hashes.SHA384())
            return json.loads(payload)
        except BadEndorsement:
            raise
        except InvalidSignature:
            raise BadEndorsement("the signature is wrong") from None
        except (ValueError, KeyError, TypeError) as error:
            raise BadEndorsement(f"cannot be read: {error}") from None


def to_file(data):
    """Files of the security context hold base64 with padding and no newline."""
    return base64.b64encode(data)
