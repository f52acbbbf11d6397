"""What is measured: sizes, ways and wishes."""

import dataclasses

from measure import MIB


@dataclasses.dataclass
class Row:
    key: str
    title: str
    count: int
    size: int  # plaintext bytes of each blob
    way: str = "http"  # http, https, slow: an endpoint of nginx
    data: str = ""  # rows of the same name share their data
    kek: str = "rsa"
    sha256: bool = False
    gzip: bool = False
    azurite: bool = False
    seals: bool = False  # uploads instead

    @property
    def total(self):
        return self.count * self.size


def human(size):
    return f"{size >> 30} GiB" if size % (1 << 30) == 0 else f"{size >> 20} MiB" if size >= MIB else f"{size >> 10} KiB"


def rows(quick):
    large, huge = (256 * MIB, 512 * MIB) if quick else (1 << 30, 4 << 30)
    middle, middles = (16 * MIB, 16) if quick else (64 * MIB, 64)
    many, seals = (2000, 1000) if quick else (20000, 10000)
    one, four, files, small = human(large), human(huge), f"{middles} × {human(middle)}", f"{many:,} × 4 KiB"
    return [
        Row("1g-http", f"{one}, HTTP", 1, large, data="one"),
        Row("1g-https", f"{one}, HTTPS", 1, large, "https", data="one"),
        Row("4g-http", f"{huge >> 20} MiB, HTTP" if quick else f"{four}, HTTP", 1, huge, data="huge"),
        Row("4g-https", f"{four}, HTTPS", 1, huge, "https", data="huge"),
        Row("files", f"{files}, HTTP", middles, middle, data="files"),
        Row("small", f"{small}, HTTP, keys under RSA-2048", many, 4096, data="small"),
        Row("small-aes", f"{small}, HTTP, keys under AES-256", many, 4096, data="small-aes", kek="aes"),
        Row("small-20ms", f"{small}, HTTP with 20 ms latency", many, 4096, "slow", data="small"),
        Row("sha256", f"{one}, HTTP, sha256 asked for", 1, large, data="one", sha256=True),
        Row("gzip", f"{one} of text, stored as gzip, HTTP", 1, large, data="gzip", gzip=True),
        Row("azurite", f"{one}, Azurite", 1, large, data="one", azurite=True),
        Row("seal", f"sealing {one}, HTTP", 1, large, "sink", data="out-one", seals=True),
        Row("seal-small", f"sealing {seals:,} × 4 KiB, HTTP", seals, 4096, "sink", data="out-small", seals=True),
        Row("seal-azurite", f"sealing {one}, Azurite", 1, large, data="out-one", seals=True, azurite=True),
    ]


def make(store, row):
    """The row's data set, made once."""
    if row.data not in store.sets:
        if row.seals:
            data = store.sources(row.data, row.count, row.size)
        elif row.gzip:
            data = store.compressed(row.data, row.size)
        elif row.count == 1:
            data = store.one(row.data, row.size)
        else:
            data = store.many(row.data, row.count, row.size, row.kek)
        store.publish(data)
    return store.sets[row.data]
