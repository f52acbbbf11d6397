"""Blob storage."""

import hashlib
import unittest
from urllib.parse import quote
from xml.etree import ElementTree

from common import SandboxTest, b64, bearer, call, control, storage_headers

from sandbox import listing

DATA = bytes(range(256)) * 4


class StorageTest(SandboxTest):
    def setUp(self):
        super().setUp()
        self.world.store.clear()
        self.base = self.world.description()["storage"]
        control("container", name="data")

    def put(self, name, data=DATA, **headers):
        return call(
            "PUT", f"{self.base}/data/{quote(name)}", data, storage_headers(x_ms_blob_type="BlockBlob", **headers)
        )

    def get(self, name="b", method="GET", query="", **headers):
        return call(method, f"{self.base}/data/{quote(name)}{query}", headers=storage_headers(**headers))


class Reading(StorageTest):
    def test_whole_and_properties(self):
        etag = self.put("b", **{"x_ms_meta_encryptiondata": '{"a": "b"}'}).headers["ETag"]
        reply = self.get()
        self.assertEqual((reply.status, reply.body, reply.headers["ETag"]), (200, DATA, etag))
        self.assertEqual(reply.headers["x-ms-meta-encryptiondata"], '{"a": "b"}')
        head = self.get(method="HEAD")
        self.assertEqual((head.status, head.body, head.headers["Content-Length"]), (200, b"", "1024"))
        self.assertTrue(head.headers["x-ms-request-id"])

    def test_ranges(self):
        self.put("b")
        self.put("empty", b"")
        for name, span, status, expected, content_range in (
            ("b", "bytes=0-9", 206, DATA[:10], "bytes 0-9/1024"),
            ("b", "bytes=1000-", 206, DATA[1000:], "bytes 1000-1023/1024"),
            ("b", "bytes=1000-9999", 206, DATA[1000:], "bytes 1000-1023/1024"),
            ("b", "bytes=1024-", 416, None, "bytes */1024"),
            ("b", "bytes=5-4", 200, DATA, None),
            ("b", "chars=0-1", 200, DATA, None),
            ("empty", "bytes=0-0", 416, None, "bytes */0"),
            ("empty", "bytes=0-", 416, None, "bytes */0"),
        ):
            reply = self.get(name, x_ms_range=span, Range="bytes=7-7")
            self.assertEqual((reply.status, reply.headers["Content-Range"]), (status, content_range), (name, span))
            if expected is None:
                self.assertEqual(reply.headers["x-ms-error-code"], "InvalidRange")
            else:
                self.assertEqual(reply.body, expected)

    def test_conditions(self):
        etag = self.put("b").headers["ETag"]
        for headers, status in (
            ({"If-Match": etag}, 200),
            ({"If-Match": "*"}, 200),
            ({"If-Match": '"0x0"'}, 412),
            ({"If-Match": etag.strip('"')}, 412),
            ({"If-None-Match": etag}, 304),
            ({"If-None-Match": '"0x0"'}, 200),
        ):
            self.assertEqual(self.get(**headers).status, status, headers)
        self.put("b")
        self.assertEqual(self.get(**{"If-Match": etag}).status, 412)

    def test_absent(self):
        self.assertEqual(self.get("none").headers["x-ms-error-code"], "BlobNotFound")
        self.assertIn(b"<Code>BlobNotFound</Code>", self.get("none").body)
        reply = call("GET", self.base + "/absent/b", headers=storage_headers())
        self.assertEqual((reply.status, reply.headers["x-ms-error-code"]), (404, "ContainerNotFound"))

    def test_range_md5(self):
        self.put("b")
        reply = self.get(x_ms_range="bytes=0-9", x_ms_range_get_content_md5="true")
        self.assertEqual(reply.headers["Content-MD5"], b64(hashlib.md5(DATA[:10]).digest()))
        self.assertEqual(self.get(x_ms_range_get_content_md5="true").status, 400)

    def test_versions(self):
        for version, status in (("2021-12-02", 404), ("2099-01-01", 400), ("latest", 400), (None, 400)):
            headers = {**bearer("https://storage.azure.com/"), **({"x-ms-version": version} if version else {})}
            self.assertEqual(call("GET", self.base + "/data/none", headers=headers).status, status, version)


class Big(StorageTest):
    def test_sparse_file_beyond_4_gib(self):
        size = (4 << 30) + 100
        control("blob", container="data", name="big", zeros=size)
        reply = self.get("big", x_ms_range=f"bytes={size - 10}-{size + 10}")
        self.assertEqual(
            (reply.body, reply.headers["Content-Range"]), (bytes(10), f"bytes {size - 10}-{size - 1}/{size}")
        )

    def test_spooled_to_a_file(self):
        data = DATA * 10240
        self.put("b", data)
        self.assertIsNotNone(self.world.store.container("devaccount", "data").blobs["b"].content.file())
        self.assertEqual(self.get().body, data)
        self.assertEqual(self.get(x_ms_range="bytes=5000000-9999999").body, data[5000000:10000000])


class Writing(StorageTest):
    def test_blocks(self):
        ids = [b64(f"block-{index}".encode()) for index in range(3)]
        for index, identifier in enumerate(ids):
            reply = call(
                "PUT",
                f"{self.base}/data/b?comp=block&blockid={quote(identifier, safe='')}",
                DATA + bytes([index]),
                storage_headers(),
            )
            self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(self.get().status, 404)
        body = (
            "<BlockList>" + "".join(f"<Latest>{each}</Latest>" for each in (ids[2], ids[0], ids[2])) + "</BlockList>"
        )
        self.assertEqual(self.blocklist(body, x_ms_meta_k="v").status, 201)
        reply = self.get(x_ms_range="bytes=1000-2060")
        whole = DATA + b"\x02" + DATA + b"\0" + DATA + b"\x02"
        self.assertEqual((reply.body, reply.headers["x-ms-meta-k"]), (whole[1000:2061], "v"))

    def blocklist(self, body, **headers):
        return call("PUT", f"{self.base}/data/b?comp=blocklist", body.encode(), storage_headers(**headers))

    def stage(self, identifier, data=DATA, name="b"):
        query = f"?comp=block&blockid={quote(b64(identifier), safe='')}"
        return call("PUT", f"{self.base}/data/{quote(name)}{query}", data, storage_headers())

    def test_blocks_are_invisible_until_committed(self):
        self.assertEqual(self.stage(b"1").status, 201)
        self.assertEqual(self.get().status, 404)
        listing_reply = call("GET", f"{self.base}/data?restype=container&comp=list", headers=storage_headers())
        self.assertNotIn(b"<Blob>", listing_reply.body)
        self.put("b")
        body = f"<BlockList><Latest>{b64(b'1')}</Latest></BlockList>"
        self.assertEqual(self.blocklist(body).headers["x-ms-error-code"], "InvalidBlockList")

    def test_an_empty_list_makes_an_empty_blob(self):
        self.assertEqual(self.blocklist("<BlockList></BlockList>", x_ms_meta_k="v").status, 201)
        self.assertEqual((self.get().body, self.get().headers["x-ms-meta-k"]), (b"", "v"))

    def test_a_commit_does_not_replace_unless_asked(self):
        old = self.put("b").headers["ETag"]
        self.stage(b"1", b"new")
        body = f"<BlockList><Uncommitted>{b64(b'1')}</Uncommitted></BlockList>"
        reply = self.blocklist(body, If_None_Match="*")
        self.assertEqual((reply.status, reply.headers["x-ms-error-code"]), (409, "BlobAlreadyExists"))
        self.assertEqual(self.get().headers["ETag"], old)
        self.assertEqual(self.blocklist(body).status, 201)
        self.assertEqual(self.get().body, b"new")

    def test_names_that_are_too_long(self):
        for name, status in (("a" * 1024, 201), ("a" * 1025, 400), ("a/" * 253 + "a", 201), ("a/" * 254 + "a", 400)):
            self.assertEqual(self.stage(b"1", name=name).status, status, len(name))

    def test_bad_blocks(self):
        for body in (
            "<BlockList><Latest>bm9uZQ==</Latest></BlockList>",
            "<BlockList><Latest>",
            "<!DOCTYPE x><BlockList/>",
        ):
            self.assertEqual(self.blocklist(body).status, 400, body)
        for query in ("blockid=", "blockid=%21", "blockid=" + b64(bytes(65)).replace("+", "%2B")):
            self.assertEqual(
                call("PUT", f"{self.base}/data/b?comp=block&{query}", DATA, storage_headers()).status, 400
            )

    def test_conditions(self):
        self.assertEqual(self.put("b", **{"If-None-Match": "*"}).status, 201)
        self.assertEqual(self.put("b", **{"If-None-Match": "*"}).headers["x-ms-error-code"], "BlobAlreadyExists")
        self.assertEqual(self.put("b", **{"If-Match": '"0x0"'}).status, 412)

    def test_md5(self):
        self.assertEqual(self.put("b", Content_MD5=b64(hashlib.md5(DATA).digest())).status, 201)
        reply = self.put("b", Content_MD5=b64(bytes(16)))
        self.assertEqual((reply.status, reply.headers["x-ms-error-code"]), (400, "Md5Mismatch"))

    def test_refused(self):
        reply = call("PUT", f"{self.base}/data/b", DATA, storage_headers())
        self.assertEqual(reply.headers["x-ms-error-code"], "MissingRequiredHeader")
        self.assertEqual(self.put("b", **{"x-ms-meta-not-a-name": "1"}).headers["x-ms-error-code"], "InvalidMetadata")
        self.assertEqual(self.put("b", x_ms_meta_big="x" * 9000).headers["x-ms-error-code"], "MetadataTooLarge")

    def test_containers_and_deletion(self):
        url = self.base + "/fresh?restype=container"
        self.assertEqual([call("PUT", url, b"", storage_headers()).status for _ in range(2)], [201, 409])
        self.assertEqual(call("DELETE", url, headers=storage_headers()).status, 202)
        self.put("b")
        self.assertEqual([self.get(method="DELETE").status for _ in range(2)], [202, 404])


class Listing(StorageTest):
    ODD = ["a", "a/b", "a//b", "../x", "with space", "plus+&<>\"'", "ümlaut", "ctl\x01", "a\ufffe"]

    def pages(self, query):
        """The names of each page."""
        found, marker = [], ""
        while True:
            more = "&marker=" + quote(marker, safe="") if marker else ""
            reply = call(
                "GET", f"{self.base}/data?restype=container&comp=list{query}{more}", headers=storage_headers()
            )
            self.assertEqual(reply.status, 200, reply.body)
            root = ElementTree.fromstring(reply.body)
            self.last = root
            found.append(
                [node.text if node.get("Encoded") is None else "E:" + node.text for node in root.iter("Name")]
            )
            marker = root.findtext("NextMarker")
            if not marker:
                return found

    def fill(self, *names):
        for name in names:
            control("blob", container="data", name=name, text="x", metadata={"k": "<v>"})

    def test_odd_names(self):
        self.fill(*self.ODD)
        expected = sorted(self.ODD, key=str.encode)
        expected = ["E:" + quote(name) if "\x01" in name or "\ufffe" in name else name for name in expected]
        self.assertEqual(self.pages(""), [expected])
        for name in self.ODD:
            self.assertEqual(self.get(name).body, b"x", name)

    def test_paging(self):
        names = [f"n{index:02}" for index in range(7)]
        self.fill(*names)
        self.assertEqual(self.pages("&maxresults=3"), [names[:3], names[3:6], names[6:]])
        self.assertEqual(self.pages("&prefix=n0&maxresults=7"), [names])
        self.assertEqual(self.pages("&prefix=x"), [[]])

    def test_default_page(self):
        container = self.world.store.container("devaccount", "data")
        self.fill("seed")
        container.blobs.update((f"m{index:05}", container.blobs["seed"]) for index in range(5001))
        self.assertEqual([len(page) for page in self.pages("&maxresults=9999")], [5000, 2])

    def test_metadata_and_delimiter(self):
        self.fill("a/1", "a/2", "b")
        self.pages("")
        self.assertIsNone(self.last.find(".//Metadata"))
        self.pages("&include=metadata")
        self.assertEqual(self.last.findtext(".//Metadata/k"), "<v>")
        self.assertEqual(self.pages("&delimiter=/"), [["a/", "b"]])

    def test_refused(self):
        for query in ("&maxresults=0", "&maxresults=x", "&marker=zzz"):
            reply = call("GET", f"{self.base}/data?restype=container&comp=list{query}", headers=storage_headers())
            self.assertEqual(reply.status, 400, query)

    def test_markers(self):
        for name in self.ODD:
            self.assertEqual(listing.name_of(listing.marker_of(name)), name)


class Access(StorageTest):
    def setUp(self):
        super().setUp()
        self.put("b")

    def anonymous(self, query="", method="GET", path="/data/b"):
        return call(
            method,
            self.base + path + query,
            b"x" if method == "PUT" else None,
            {"x-ms-version": "2021-12-02", "x-ms-blob-type": "BlockBlob"},
        )

    def test_bearer(self):
        for token in (
            "x",
            self.world.directory.token("https://vault.azure.net"),
            self.world.directory.token("https://storage.azure.com/", -5),
            "a.b.c",
        ):
            reply = call(
                "GET",
                self.base + "/data/b",
                headers={"Authorization": "Bearer " + token, "x-ms-version": "2021-12-02"},
            )
            self.assertEqual(reply.status, 401)
            self.assertIn("authorization_uri=", reply.headers["WWW-Authenticate"])

    def test_anonymous(self):
        self.assertEqual(self.anonymous().status, 401)
        control("public", container="data")
        self.assertEqual(self.anonymous().status, 200)
        self.assertEqual(self.anonymous(method="PUT").status, 401)
        control("public", container="data", public=False)
        self.assertEqual(self.anonymous().status, 401)

    def test_shared_key(self):
        reply = call(
            "GET", self.base + "/data/b", headers={"Authorization": "SharedKey a:b", "x-ms-version": "2021-12-02"}
        )
        self.assertEqual(reply.headers["x-ms-error-code"], "KeyBasedAuthenticationNotPermitted")

    def test_sas(self):
        def sas(**wish):
            return "?" + control("sas", container="data", **wish)["sas"]

        good = sas()
        for query, method, path, code in (
            (good, "GET", "/data/b", None),
            (good + "&restype=container&comp=list", "GET", "/data", None),
            (sas(blob="b"), "GET", "/data/b", None),
            (sas(permissions="cw"), "PUT", "/data/new", None),
            (good, "PUT", "/data/new", "AuthorizationPermissionMismatch"),
            (good, "GET", "/other/b", "AuthenticationFailed"),
            (sas(blob="c"), "GET", "/data/b", "AuthenticationFailed"),
            (sas(blob="b") + "&restype=container&comp=list", "GET", "/data", "AuthorizationResourceTypeMismatch"),
            (sas(seconds=-5), "GET", "/data/b", "AuthenticationFailed"),
            (good.replace("sp=rl", "sp=rlw"), "GET", "/data/b", "AuthenticationFailed"),
            (good[:-4] + "AAA%3D", "GET", "/data/b", "AuthenticationFailed"),
        ):
            reply = self.anonymous(query, method, path)
            self.assertEqual(reply.headers["x-ms-error-code"], code, (query, method, path, reply.body))

    def test_create_is_not_overwrite(self):
        for permissions, code in (("c", "UnauthorizedBlobOverwrite"), ("w", None)):
            query = "?" + control("sas", container="data", permissions=permissions)["sas"]
            self.assertEqual(self.anonymous(query, "PUT").headers["x-ms-error-code"], code)

    def test_sas_is_not_in_the_log(self):
        query = "?" + control("sas", container="data")["sas"]
        self.anonymous(query)
        entry = [each for each in control("log") if each["service"] == "storage"][-1]
        self.assertIn("sig=REDACTED", entry["path"])
        self.assertNotIn(query.split("sig=")[1], entry["path"])


if __name__ == "__main__":
    unittest.main()
