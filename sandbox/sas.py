"""Service SAS tokens for blobs and containers: minting and checking (string-to-sign of version 2020-12-06 on)."""

import base64
import hashlib
import hmac
import time
from urllib.parse import quote

from sandbox.server import Refusal

VERSION = "2021-12-02"
FIRST_VERSION = "2020-12-06"
STAMP = "%Y-%m-%dT%H:%M:%SZ"


def signature(key, account, container, blob, fields):
    """HMAC of the fixed order of fields; those that are absent are empty lines."""
    resource = f"/blob/{account}/{container}" + (f"/{blob}" if fields.get("sr") == "b" else "")
    lines = [fields.get("sp", ""), fields.get("st", ""), fields.get("se", ""), resource]
    lines += [
        fields.get(name, "")
        for name in ("si", "sip", "spr", "sv", "sr", "snapshot", "ses", "rscc", "rscd", "rsce", "rscl", "rsct")
    ]
    mac = hmac.new(base64.b64decode(key), "\n".join(lines).encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def mint(key, account, container, blob=None, permissions="rl", seconds=3600, start=None):
    fields = {
        "sv": VERSION,
        "sr": "b" if blob else "c",
        "sp": permissions,
        "se": time.strftime(STAMP, time.gmtime(time.time() + seconds)),
    }
    if start is not None:
        fields["st"] = time.strftime(STAMP, time.gmtime(time.time() + start))
    fields["sig"] = signature(key, account, container, blob, fields)
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in fields.items())


def denied(detail):
    return Refusal(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of"
        " Authorization header is formed correctly including the signature.",
        inner=detail,
    )


def check(key, account, container, blob, query, permission):
    """Refuses a SAS that is not signed by KEY, not valid now, or not for PERMISSION on this blob or container."""
    if query.get("sv", "") < FIRST_VERSION or query.get("sr") not in ("b", "c"):
        raise denied("sv or sr is not supported")
    if query["sr"] == "b" and blob is None:
        raise Refusal(
            403,
            "AuthorizationResourceTypeMismatch",
            "This request is not authorized to perform this operation" " using this resource type.",
        )
    wanted = signature(key, account, container, blob, query)
    if not hmac.compare_digest(wanted.encode(), query.get("sig", "").encode()):
        raise denied("Signature did not match.")
    now = time.strftime(STAMP, time.gmtime())
    if query.get("st", "") > now or query.get("se", "") <= now:
        raise denied(
            f"Signature not valid in the specified time frame: Start [{query.get('st', '')}] -"
            f" Expiry [{query.get('se', '')}] - Current [{now}]"
        )
    if not set(permission) & set(query.get("sp", "")):
        raise Refusal(
            403,
            "AuthorizationPermissionMismatch",
            "This request is not authorized to perform this operation" " using this permission.",
        )
