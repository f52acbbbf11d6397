"""Blob storage: containers, blobs, blocks, ranges, listings; bearer tokens, SAS, public containers.

/ACCOUNT/CONTAINER/BLOB on loopback, ACCOUNT.blob.… through the front. Refusals in XML with x-ms-error-code.
"""

import base64
import hashlib
import re
import time
import uuid
from xml.sax.saxutils import escape

from sandbox import listing, sas
from sandbox.access import Access, Target
from sandbox.blobs import Blob, Joined
from sandbox.server import Answer, Refusal, Service, Slice

VERSIONS = ("2017-11-09", "2026-10-06")
CONTAINER_NAME = re.compile(r"\$root|[a-z0-9](?:-?[a-z0-9]){2,62}")
METADATA_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_METADATA = 8192
MAX_BLOCK = 4000 << 20
MAX_RANGE_HASH = 4 << 20


def missing_blob():
    return Refusal(404, "BlobNotFound", "The specified blob does not exist.")


def not_met():
    return Refusal(412, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")


class Storage(Service):
    name = "storage"

    def __init__(self, directory, store, account_key):
        self.store, self.access = store, Access(directory, store, account_key)

    def refusal(self, error):
        identifier = str(uuid.uuid4())
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime())
        detail = (
            f"<AuthenticationErrorDetail>{escape(error.inner)}</AuthenticationErrorDetail>" if error.inner else ""
        )
        body = (
            f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{escape(error.code)}</Code><Message>'
            f"{escape(error.message)}\nRequestId:{identifier}\nTime:{stamp}</Message>{detail}</Error>"
        )
        headers = {
            "x-ms-error-code": error.code,
            "x-ms-request-id": identifier,
            "Content-Type": "application/xml",
            **error.headers,
        }
        return Answer(error.status, headers, body if error.status != 304 else b"")

    def handle(self, request):
        version, target = request.header("x-ms-version"), Target(request)
        if version is not None and not (
            re.fullmatch(r"\d{4}-\d\d-\d\d", version) and VERSIONS[0] <= version <= VERSIONS[1]
        ):
            raise Refusal(
                400, "InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format."
            )
        if version is None and "sig" not in request.query:
            raise Refusal(
                400,
                "MissingRequiredHeader",
                "An HTTP header that's mandatory for this request is not" " specified: x-ms-version.",
            )
        operation, permission = self.operation(request, target)
        self.access.check(request, target, permission)
        if not CONTAINER_NAME.fullmatch(target.container):
            raise Refusal(400, "InvalidResourceName", "The specified resource name contains invalid characters.")
        answer = operation(request, target)
        answer.headers.setdefault("x-ms-version", version or sas.VERSION)
        if request.header("x-ms-client-request-id"):
            answer.headers["x-ms-client-request-id"] = request.header("x-ms-client-request-id")
        return answer

    def operation(self, request, target):
        """(method, SAS permissions of which one is enough)."""
        kind = (request.query.get("restype"), request.query.get("comp"), target.blob is not None)
        found = {
            ("PUT", "container", None, False): (self.create_container, "c"),
            ("DELETE", "container", None, False): (self.delete_container, "d"),
            ("GET", "container", None, False): (self.container_properties, "rl"),
            ("HEAD", "container", None, False): (self.container_properties, "rl"),
            ("GET", "container", "list", False): (self.list_blobs, "l"),
            ("PUT", None, None, True): (self.put_blob, "wc"),
            ("PUT", None, "block", True): (self.put_block, "wc"),
            ("PUT", None, "blocklist", True): (self.put_block_list, "wc"),
            ("GET", None, None, True): (self.get_blob, "r"),
            ("HEAD", None, None, True): (self.get_blob, "r"),
            ("DELETE", None, None, True): (self.delete_blob, "d"),
        }.get((request.method, *kind))
        if found is None:
            raise Refusal(400, "InvalidQueryParameterValue", "This operation is not played by the sandbox.")
        return found

    # ---- Containers ----

    def container(self, target):
        found = self.store.container(target.account, target.container)
        if found is None:
            raise Refusal(404, "ContainerNotFound", "The specified container does not exist.")
        return found

    def create_container(self, request, target):
        if self.store.container(target.account, target.container):
            raise Refusal(409, "ContainerAlreadyExists", "The specified container already exists.")
        self.store.make(target.account, target.container)
        return Answer(201, {"ETag": '"0x8D0"'})

    def delete_container(self, request, target):
        self.container(target)
        self.store.containers(target.account).pop(target.container, None)
        return Answer(202)

    def container_properties(self, request, target):
        self.container(target)
        return Answer(200, {"ETag": '"0x8D0"', "x-ms-lease-state": "available"})

    def list_blobs(self, request, target):
        container = self.container(target)
        endpoint = request.base + ("/" if ".blob.core." in request.host else f"/{target.account}/")
        with self.store.lock:
            text = listing.list_xml(endpoint, target.container, container, request.query)
        return Answer(200, {"Content-Type": "application/xml"}, text)

    # ---- Reading ----

    def blob(self, target):
        found = self.container(target).blobs.get(target.blob)
        if found is None:
            raise missing_blob()
        return found

    @staticmethod
    def check_conditions(request, blob):
        """If-Match and If-None-Match against BLOB (None: there is none)."""
        wanted, unwanted = request.header("If-Match"), request.header("If-None-Match")
        etag = f'"{blob.etag}"' if blob else None
        if wanted is not None and (etag is None or wanted not in ("*", etag)):
            raise not_met()
        if unwanted is not None and etag is not None and unwanted in ("*", etag):
            if request.method in ("GET", "HEAD"):
                raise Refusal(304, "ConditionNotMet", "")
            if unwanted == "*":
                raise Refusal(409, "BlobAlreadyExists", "The specified blob already exists.")
            raise not_met()

    @staticmethod
    def span(request, size):
        """(first, count, is partial) of what is asked."""
        text = request.header("x-ms-range") or request.header("Range")
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", (text or "").strip())
        if not match:
            return 0, size, False
        first, last = int(match[1]), int(match[2]) if match[2] else size - 1
        if match[2] and last < first:
            return 0, size, False
        if first >= size:
            raise Refusal(
                416,
                "InvalidRange",
                "The range specified is invalid for the current size of the resource.",
                {"Content-Range": f"bytes */{size}"},
            )
        return first, min(last, size - 1) - first + 1, True

    def get_blob(self, request, target):
        blob = self.blob(target)
        self.check_conditions(request, blob)
        size = blob.content.size
        first, count, partial = (0, size, False) if request.method == "HEAD" else self.span(request, size)
        headers = {
            "Content-Type": blob.content_type,
            "Last-Modified": blob.modified,
            "ETag": f'"{blob.etag}"',
            "Accept-Ranges": "bytes",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-lease-status": "unlocked",
            "x-ms-lease-state": "available",
            "x-ms-server-encrypted": "true",
        }
        headers.update((f"x-ms-meta-{name}", value) for name, value in blob.metadata.items())
        if blob.md5:
            headers["x-ms-blob-content-md5" if partial else "Content-MD5"] = blob.md5
        if partial:
            headers["Content-Range"] = f"bytes {first}-{first + count - 1}/{size}"
        body = Slice(blob.content, first, count)
        if (request.header("x-ms-range-get-content-md5") or "").lower() == "true":
            if not partial or count > MAX_RANGE_HASH:
                raise Refusal(400, "InvalidHeaderValue", "A range of at most 4 MiB is needed for its MD5.")
            headers["Content-MD5"] = base64.b64encode(hashlib.md5(body.read(0, count)).digest()).decode()
        return Answer(206 if partial else 200, headers, body)

    # ---- Writing ----

    @staticmethod
    def metadata(request):
        found, size = {}, 0
        for header, value in request.headers.items():
            if header.lower().startswith("x-ms-meta-"):
                name = header[len("x-ms-meta-") :]
                size += len(name) + len(value)
                if not METADATA_NAME.fullmatch(name):
                    raise Refusal(
                        400,
                        "InvalidMetadata",
                        "The metadata specified is invalid. It has characters that are" " not permitted.",
                    )
                found[name] = value
        if size > MAX_METADATA:
            raise Refusal(
                400, "MetadataTooLarge", "The size of the specified metadata exceeds the maximum size permitted."
            )
        return found

    def commit(self, request, target, content, content_type):
        container = self.container(target)
        with self.store.lock:
            old = container.blobs.get(target.blob)
            if old and "sig" in request.query and "w" not in request.query.get("sp", ""):
                raise Refusal(
                    403, "UnauthorizedBlobOverwrite", "This request is not authorized to perform blob overwrites."
                )
            self.check_conditions(request, old)
            blob = Blob(
                content,
                self.metadata(request),
                content_type or "application/octet-stream",
                request.header("x-ms-blob-content-md5"),
            )
            container.blobs[target.blob] = blob
            container.blocks.pop(target.blob, None)
        return Answer(
            201, {"ETag": f'"{blob.etag}"', "Last-Modified": blob.modified, "x-ms-request-server-encrypted": "true"}
        )

    @staticmethod
    def check_md5(request, content):
        wanted = request.header("Content-MD5")
        if wanted:
            digest = hashlib.md5()
            for at in range(0, content.size, 1 << 20):
                digest.update(content.read(at, 1 << 20))
            if base64.b64encode(digest.digest()).decode() != wanted:
                raise Refusal(
                    400,
                    "Md5Mismatch",
                    "The MD5 value specified in the request did not match with the MD5 value"
                    " calculated by the server.",
                )

    @staticmethod
    def check_name(target):
        if len(target.blob.encode("utf-16-le")) > 2 * 1024 or target.blob.count("/") >= 254:
            raise Refusal(400, "InvalidUri", "The blob's name is too long.")

    def put_blob(self, request, target):
        if request.header("x-ms-blob-type") != "BlockBlob":
            raise Refusal(
                400,
                "MissingRequiredHeader" if not request.header("x-ms-blob-type") else "InvalidHeaderValue",
                "x-ms-blob-type must be BlockBlob.",
            )
        self.check_name(target)
        self.container(target)
        content = self.store.spool(request)
        self.check_md5(request, content)
        return self.commit(
            request, target, content, request.header("x-ms-blob-content-type") or request.header("Content-Type")
        )

    def put_block(self, request, target):
        identifier = request.query.get("blockid", "")
        try:
            raw = base64.b64decode(identifier, validate=True)
        except ValueError:
            raw = b""
        if not 0 < len(raw) <= 64:
            raise Refusal(400, "InvalidQueryParameterValue", "blockid is not base64 of at most 64 bytes.")
        if request.size == 0 or request.size > MAX_BLOCK:
            raise Refusal(
                400 if not request.size else 413,
                "InvalidHeaderValue" if not request.size else "RequestBodyTooLarge",
                "Content-Length is out of range.",
            )
        self.check_name(target)
        blocks = self.container(target).blocks.setdefault(target.blob, {})
        if any(len(other) != len(identifier) for other in list(blocks)[:1]):
            raise Refusal(400, "InvalidBlobOrBlock", "The specified blob or block content is invalid.")
        content = self.store.spool(request)
        self.check_md5(request, content)
        blocks[identifier] = content
        return Answer(201, {"x-ms-request-server-encrypted": "true"})

    def put_block_list(self, request, target):
        container = self.container(target)
        wanted = listing.block_ids(request.body(8 << 20))
        if len(wanted) > 50000:
            raise Refusal(400, "BlockListTooLong", "The block list may not contain more than 50,000 blocks.")
        staged = container.blocks.get(target.blob, {})
        parts = [staged.get(identifier) for kind, identifier in wanted if kind in ("Latest", "Uncommitted")]
        if len(parts) != len(wanted) or None in parts:
            raise Refusal(400, "InvalidBlockList", "The specified block list is invalid.")
        return self.commit(request, target, Joined(parts), request.header("x-ms-blob-content-type"))

    def delete_blob(self, request, target):
        blob = self.blob(target)
        self.check_conditions(request, blob)
        self.container(target).blobs.pop(target.blob, None)
        return Answer(202)
