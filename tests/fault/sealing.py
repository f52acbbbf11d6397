"""The same for `decant seal`: three files, encrypted for a key of the vault, as blobs; all of them or none."""

import itertools
import json
import os
import urllib.request
from urllib.parse import unquote
from xml.etree import ElementTree

import scene

FILES = {"a": b"worthless-plaintext-a " * 50, "sub/b": b"worthless-plaintext-b " * 70, "empty": b""}
BLOBS = {"out/" + name for name in FILES} | {"out.manifest.json"}


def blobs_of(box, container):
    """The names in a container that is open for everybody to list."""
    url = f"{box['storage']}/{container}?restype=container&comp=list"
    request = urllib.request.Request(url, headers={"x-ms-version": "2021-12-02"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        root = ElementTree.fromstring(answer.read())
    return {unquote(each.findtext("Name")) for each in root.iter("Blob")}


class Scene(scene.Scene):
    def sealing_job(self, volume, container):
        job = self.job(volume)
        del job["attestation"], job["inputs"]
        to = f"{self.box['storage']}/{container}/out/"
        return {**job, "keys": [], "outputs": [{"from": "results", "to": to, "key": self.key.versionless, "manifest": True}]}


class Lane(scene.Lane):
    """A container of its own for each run, open for everybody to list."""

    scene_of, command = Scene, "seal"
    numbers = itertools.count()     # of containers; a sandbox may see more than one campaign

    def empty(self):
        super().empty()
        for name, content in FILES.items():
            path = os.path.join(self.volume, "results", name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
        self.container = f"sealed-{next(self.numbers)}"
        self.scene.box.control("public", container=self.container)
        with open(self.job, "w", encoding="ascii") as file:
            json.dump(self.scene.sealing_job(self.volume, self.container), file)

    def blobs(self):
        return blobs_of(self.scene.box, self.container)

    def untouched(self):
        found = {name: content for name, content in self.contents().items() if not name.startswith(".decant/")}
        return found == {"results/" + name: content for name, content in FILES.items()}

    def after_success(self):
        if self.blobs() != BLOBS:
            return f"blobs {sorted(self.blobs())}, not all"
        return None if self.untouched() else "the files that were sealed are others now"

    def after_failure(self, result):
        if self.blobs():
            return f"committed {sorted(self.blobs())} with exit code {result.code}"
        return None if self.untouched() else "the files that were to be sealed are others now"
