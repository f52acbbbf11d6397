"""Where blobs live: small ones in memory, big ones as files below the state folder."""

import email.utils
import os
import secrets
import tempfile
import threading
import time

from sandbox.server import PIECE, Content

IN_MEMORY = 8 << 20


class FileContent(Content):
    """A file's bytes. The file may be sparse."""

    def __init__(self, path):
        self.handle = open(path, "rb")
        self.size = os.fstat(self.handle.fileno()).st_size

    def read(self, at, count):
        return os.pread(self.handle.fileno(), min(count, max(0, self.size - at)), at)

    def file(self):
        return self.handle, 0

    def __del__(self):
        if hasattr(self, "handle"):
            self.handle.close()


class Joined(Content):
    """Several contents, one after the other."""

    def __init__(self, parts):
        self.parts, self.size = parts, sum(part.size for part in parts)

    def read(self, at, count):
        found = []
        for part in self.parts:
            if count > 0 and at < part.size:
                piece = part.read(at, min(count, part.size - at))
                found.append(bytes(piece))
                count -= len(piece)
            at = max(0, at - part.size)
        return b"".join(found)


class Blob:
    """A committed blob; never changed, only replaced."""

    def __init__(self, content, metadata=None, content_type="application/octet-stream", md5=None):
        self.content, self.metadata, self.content_type, self.md5 = content, metadata or {}, content_type, md5
        self.created = time.time()
        self.etag = "0x8D" + secrets.token_hex(6).upper() + "0"

    @property
    def modified(self):
        return email.utils.formatdate(self.created, usegmt=True)


class Container:
    def __init__(self, public=False):
        self.public, self.blobs, self.blocks = public, {}, {}  # blocks: blob name → {block id: Content}


class Store:
    """Accounts → containers → blobs."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.lock, self.accounts = folder, threading.RLock(), {}

    def containers(self, account):
        with self.lock:
            return self.accounts.setdefault(account, {})

    def container(self, account, name):
        return self.containers(account).get(name)

    def make(self, account, name, public=None):
        with self.lock:
            found = self.containers(account).setdefault(name, Container())
            if public is not None:
                found.public = public
            return found

    def clear(self):
        with self.lock:
            self.accounts.clear()

    def spool(self, request):
        """The request's body as a Content."""
        if request.size <= IN_MEMORY:
            return Content(request.body(IN_MEMORY))
        descriptor, path = tempfile.mkstemp(dir=self.folder, prefix="blob-")
        with os.fdopen(descriptor, "wb") as file:
            while request.unread:
                file.write(request.read(PIECE))
        content = FileContent(path)
        os.unlink(path)  # it lives as long as somebody has it open
        return content

    def sparse(self, size):
        """SIZE bytes of zero that take no room."""
        descriptor, path = tempfile.mkstemp(dir=self.folder, prefix="sparse-")
        os.truncate(descriptor, size)
        os.close(descriptor)
        content = FileContent(path)
        os.unlink(path)
        return content
