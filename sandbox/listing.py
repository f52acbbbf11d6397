"""The XML of List Blobs, and of a block list."""

import base64
import re
from urllib.parse import quote
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from sandbox.server import Refusal

MAX_RESULTS = 5000
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def name_element(name):
    """Names that XML 1.0 cannot hold are percent-encoded and marked."""
    if NOT_XML.search(name) or "\r" in name:
        return f'<Name Encoded="true">{quote(name)}</Name>'
    return f"<Name>{escape(name)}</Name>"


def marker_of(name):
    return "2!" + base64.urlsafe_b64encode(name.encode()).decode().replace("=", "-.")


def name_of(marker):
    try:
        if not marker.startswith("2!"):
            raise ValueError("not a marker")
        return base64.urlsafe_b64decode(marker[2:].replace("-.", "=")).decode()
    except ValueError:
        raise Refusal(
            400,
            "InvalidQueryParameterValue",
            "Value for one of the query parameters specified in the request URI is invalid.",
        ) from None


def page_size(query):
    value = query.get("maxresults", str(MAX_RESULTS))
    if not re.fullmatch(r"\d{1,9}", value) or int(value) == 0:
        raise Refusal(
            400,
            "OutOfRangeQueryParameterValue",
            "One of the query parameters specified in the request URI is outside the permissible range.",
        )
    return min(int(value), MAX_RESULTS)


def select(container, query):
    """The blobs of one page in order, the common prefixes among them, and the next name."""
    prefix, delimiter, marker = query.get("prefix", ""), query.get("delimiter"), query.get("marker")
    start, found, limit = name_of(marker) if marker else "", [], page_size(query)
    names = sorted((name for name in container.blobs if name.startswith(prefix) and name >= start), key=str.encode)
    for name in names:
        at = name.find(delimiter, len(prefix)) if delimiter else -1
        entry = name if at < 0 else name[: at + len(delimiter)]
        is_prefix = at >= 0
        if is_prefix and found and found[-1] == (entry, True):
            continue
        if len(found) == limit:
            return found, name
        found.append((entry, is_prefix))
    return found, None


def metadata_xml(metadata):
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in metadata.items())


def blob_xml(name, blob, with_metadata):
    md5 = f"<Content-MD5>{blob.md5}</Content-MD5>" if blob.md5 else "<Content-MD5 />"
    properties = (
        f"<Creation-Time>{blob.modified}</Creation-Time><Last-Modified>{blob.modified}</Last-Modified>"
        f"<Etag>{blob.etag}</Etag><Content-Length>{blob.content.size}</Content-Length>"
        f"<Content-Type>{escape(blob.content_type)}</Content-Type><Content-Encoding /><Content-Language />{md5}"
        "<BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier><AccessTierInferred>true</AccessTierInferred>"
        "<LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted>"
    )
    metadata = f"<Metadata>{metadata_xml(blob.metadata)}</Metadata>" if with_metadata and blob.metadata else ""
    return f"<Blob>{name_element(name)}<Properties>{properties}</Properties>{metadata}<OrMetadata /></Blob>"


def list_xml(endpoint, container_name, container, query):
    found, following = select(container, query)
    with_metadata = "metadata" in query.get("include", "").split(",")
    items = []
    for name, is_prefix in found:
        blob = container.blobs.get(name)
        if is_prefix:
            items.append(f"<BlobPrefix>{name_element(name)}</BlobPrefix>")
        elif blob:
            items.append(blob_xml(name, blob, with_metadata))
    echo = "".join(
        f"<{title}>{escape(NOT_XML.sub('?', query[name]))}</{title}>"
        for name, title in (
            ("prefix", "Prefix"),
            ("marker", "Marker"),
            ("maxresults", "MaxResults"),
            ("delimiter", "Delimiter"),
        )
        if query.get(name)
    )
    following = f"<NextMarker>{marker_of(following)}</NextMarker>" if following is not None else "<NextMarker />"
    return (
        '\ufeff<?xml version="1.0" encoding="utf-8"?>'
        f"<EnumerationResults ServiceEndpoint={quoteattr(endpoint)} ContainerName={quoteattr(container_name)}>{echo}"
        f"<Blobs>{''.join(items)}</Blobs>{following}</EnumerationResults>"
    )


def block_ids(data):
    """The (kind, id) pairs of a Put Block List body."""
    try:
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise ElementTree.ParseError("a document type is not allowed")
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        raise Refusal(400, "InvalidXmlDocument", "The specified XML is not syntactically valid.") from None
    return [(child.tag, (child.text or "").strip()) for child in root]
