"""The processor and its platform: VCEK and its chain, SNP reports, the security context directory.

Report layout and certificate extensions: AMD 56860 and 57230. The chip plays a Milan.
"""

import hashlib
import json
import os
import secrets
import struct
import threading

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from sandbox import pki, uvm

REPORT_SIZE = 1184
SIGNED_SIZE = 672
PARTS = ("blSPL", "teeSPL", "snpSPL", "ucodeSPL")
TCB_NOW = {"blSPL": 4, "teeSPL": 0, "snpSPL": 24, "ucodeSPL": 219}
TCB_STALE = {"blSPL": 4, "teeSPL": 0, "snpSPL": 22, "ucodeSPL": 209}
AMD = "1.3.6.1.4.1.3704.1."
POLICY = b"""package policy

api_svn := "0.10.0"

create_container := {"allowed": true, "allow_stdio_access": true}
mount_device := {"allowed": true}
mount_overlay := {"allowed": true}
exec_in_container := {"allowed": false}
"""
DEBUG_BIT = 1 << 19


def tcb_raw(tcb):
    """The eight bytes of a Milan TCB version: boot loader, TEE, four reserved, SNP, microcode."""
    return bytes([tcb["blSPL"], tcb["teeSPL"], 0, 0, 0, 0, tcb["snpSPL"], tcb["ucodeSPL"]])


def tcb_text(tcb):
    """As the certificate service prints it: most significant byte first."""
    return tcb_raw(tcb)[::-1].hex()


def der_integer(value):
    body = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return pki.tlv(0x02, body)


class Chip:
    """One processor with one utility VM on it. Attributes may be changed; `write` then brings the files up to date."""

    def __init__(self, state, keys):
        self.state, self.keys = state, keys
        self.lock = threading.Lock()
        makers = [threading.Thread(target=keys.get, args=(who, "rsa4096")) for who in ("ark", "ask")]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        self.ark_key, self.ask_key = keys.get("ark", "rsa4096"), keys.get("ask", "rsa4096")
        self.ark, self.ask = self._chain()
        self.chip_id = hashlib.sha512(pki.public_pem(keys.get("vcek", "p384"))).digest()
        self.vceks = {"now": self._vcek("vcek", TCB_NOW), "stale": self._vcek("vcek-stale", TCB_STALE)}
        for which, days in (("expired", (-400, -3)), ("expiring", (-360, 10)), ("early", (2, 3650))):
            self.vceks[which] = self._vcek("vcek", TCB_NOW, days)
        self.key = keys.get("vcek", "p384")
        self.endorser = uvm.Endorser(keys)
        self.measurement = hashlib.sha384(b"decant sandbox utility VM").digest()
        self.endorsed = self.measurement
        self.host_data = hashlib.sha256(POLICY).digest()
        self.report_id = secrets.token_bytes(32)
        self.restore()

    def restore(self):
        """Everything as it should be."""
        self.file_chain = self.thim_chain = "now"  # now | stale | expired | expiring | early | missing
        self.debug = False
        self.masked = False
        self.other_measurement = False
        self.other_host_data = False
        self.absent = set()  # files of the security context that are not there

    def _chain(self):
        ark_name, ask_name = (
            pki.name(who, "Sandbox Micro Devices (worthless)") for who in ("ARK-Milan", "SEV-Milan")
        )
        ark = pki.certificate(ark_name, self.ark_key.public_key(), ark_name, self.ark_key, ca=True)
        ask = pki.certificate(ask_name, self.ask_key.public_key(), ark_name, self.ark_key, ca=True)
        return pki.with_pss(ark, self.ark_key), pki.with_pss(ask, self.ark_key)

    def _vcek(self, name, tcb, days=(-1, 3650)):
        extensions = [(AMD + "1", der_integer(1)), (AMD + "2", pki.tlv(0x16, b"Milan-B0"))]
        numbers = [tcb["blSPL"], tcb["teeSPL"], tcb["snpSPL"], 0, 0, 0, 0, tcb["ucodeSPL"]]
        extensions += [(f"{AMD}3.{index}", der_integer(svn)) for index, svn in enumerate(numbers, 1)]
        extensions.append((AMD + "4", self.chip_id))
        made = pki.certificate(
            pki.name("SEV-VCEK", "Sandbox Micro Devices (worthless)"),
            self.keys.get(name, "p384").public_key(),
            self.ask.subject,
            self.ask_key,
            extensions=extensions,
            days=days,
        )
        return pki.with_pss(made, self.ask_key)

    # ---- Certificates ----

    def chain_pem(self):
        return pki.pem(self.ask, self.ark)

    def certification(self, which):
        """The JSON of the host's certificate service (THIM)."""
        tcb = TCB_STALE if which == "stale" else TCB_NOW
        return {
            "vcekCert": pki.pem(self.vceks[which]).decode(),
            "tcbm": tcb_text(tcb),
            "certificateChain": self.chain_pem().decode(),
            "cacheControl": "86400",
        }

    # ---- Reports ----

    def template(self):
        """A report with everything but report data and signature."""
        tcb = tcb_raw(TCB_NOW)
        report = bytearray(REPORT_SIZE)
        policy = 0x3001F | (DEBUG_BIT if self.debug else 0)
        struct.pack_into("<IIQ", report, 0, 3, 2, policy)
        report[16], report[32] = 1, 2  # family id, image id
        struct.pack_into("<II", report, 48, 0, 1)  # vmpl, ECDSA P-384 with SHA-384
        report[56:64] = tcb
        struct.pack_into("<QI", report, 64, 1, 2 if self.masked else 0)
        measurement = self.measurement if not self.other_measurement else hashlib.sha384(b"another VM").digest()
        report[144:192] = measurement
        report[192:224] = self.host_data if not self.other_host_data else hashlib.sha256(b"another policy").digest()
        report[224:272] = hashlib.sha384(b"sandbox id key").digest()
        report[320:352] = self.report_id
        report[352:384] = b"\xff" * 32
        report[384:392] = tcb
        report[392:395] = bytes([0x19, 0x01, 0x01])
        if not self.masked:
            report[416:480] = self.chip_id
        report[480:488] = tcb
        report[488:491] = report[492:495] = bytes([29, 55, 1])  # firmware 1.55.29
        report[496:504] = tcb
        return bytes(report)

    def report(self, report_data):
        """A signed report over 64 bytes."""
        report = bytearray(self.template())
        report[80:144] = report_data.ljust(64, b"\0")
        r, s = decode_dss_signature(self.key.sign(bytes(report[:SIGNED_SIZE]), ec.ECDSA(hashes.SHA384())))
        report[672:744] = r.to_bytes(72, "little")
        report[744:816] = s.to_bytes(72, "little")
        return bytes(report)

    def reference_info(self):
        return self.endorser.endorse(self.endorsed)

    # ---- Files ----

    def write(self):
        """The files for a device double and the security context directory."""
        with self.lock:
            pki.write(os.path.join(self.state, "vcek.pem"), pki.key_pem(self.key))
            pki.write(os.path.join(self.state, "report_template.bin"), self.template())
            folder = os.path.join(self.state, "security-context-sandbox")
            os.makedirs(folder, exist_ok=True)
            chain = None if self.file_chain == "missing" else json.dumps(self.certification(self.file_chain)).encode()
            files = {
                "security-policy-base64": POLICY,
                "reference-info-base64": self.reference_info(),
                "host-amd-cert-base64": chain,
            }
            for name, data in files.items():
                path = os.path.join(folder, name)
                if data is None or name in self.absent:
                    if os.path.exists(path):
                        os.unlink(path)
                else:
                    pki.write(path, uvm.to_file(data), 0o644)
