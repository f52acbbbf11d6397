"""CBOR (RFC 8949), the definite-length part that COSE needs."""


class Tag:
    def __init__(self, number, value):
        self.number, self.value = number, value


def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if value < 1 << (8 * size):
            return bytes([major << 5 | info]) + value.to_bytes(size, "big")
    raise ValueError("number too large")


def encode(item):
    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        text = item.encode()
        return head(3, len(text)) + text
    if isinstance(item, (list, tuple)):
        return head(4, len(item)) + b"".join(map(encode, item))
    if isinstance(item, dict):
        return head(5, len(item)) + b"".join(encode(key) + encode(value) for key, value in item.items())
    if isinstance(item, Tag):
        return head(6, item.number) + encode(item.value)
    raise TypeError(type(item).__name__)


def decode(data):
    """The one item that DATA holds; ValueError for anything else."""
    item, end = _decode(data, 0, 0)
    if end != len(data):
        raise ValueError("bytes after the CBOR item")
    return item


def _decode(data, at, depth):
    if at >= len(data) or depth > 16:
        raise ValueError("CBOR ends too early or is too deep")
    major, info = data[at] >> 5, data[at] & 31
    at += 1
    if info >= 24:
        if info > 27:
            raise ValueError("CBOR of indefinite length")
        size = 1 << (info - 24)
        if at + size > len(data):
            raise ValueError("CBOR ends too early")
        info = int.from_bytes(data[at : at + size], "big")
        at += size
    if major in (0, 1):
        return (info if major == 0 else -1 - info), at
    if major in (2, 3):
        if info > len(data) - at:
            raise ValueError("CBOR ends too early")
        raw = bytes(data[at : at + info])
        return (raw if major == 2 else raw.decode()), at + info
    if major in (4, 5):
        items = []
        for _ in range(info * (major - 3)):
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        return (items if major == 4 else dict(zip(items[::2], items[1::2]))), at
    if major == 6:
        item, at = _decode(data, at, depth + 1)
        return Tag(info, item), at
    return {20: False, 21: True, 22: None}.get(info), at
