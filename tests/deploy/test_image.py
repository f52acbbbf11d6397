"""The image is built for real and is what deploy/README.md says: nothing but decant and the certificates, small, static,
reproducible, and at home without a user, a writable root or a capability. DECANT_IMAGE: its tag; IMAGE_OUT: what
deploy/image/build.sh --out gave.
"""

import hashlib
import json
import os
import ssl
import subprocess
import tarfile
import time
import unittest

IMAGE = os.environ["DECANT_IMAGE"]
OUT = os.environ["IMAGE_OUT"]
BUILD_STAGE = os.environ["DECANT_BUILD_STAGE"]
MIB = 1 << 20
HARDENED = ("--read-only", "--cap-drop", "all", "--network", "none", "--security-opt", "no-new-privileges")


def podman(*words, code=0):
    result = subprocess.run(["podman", *words], capture_output=True, text=True, timeout=300)
    if result.returncode != code:
        raise AssertionError(f"podman {' '.join(words)}: {result.returncode}, not {code}\n{result.stdout}{result.stderr}")
    return result.stdout


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def out(name):
    return os.path.join(OUT, name)


class Image(unittest.TestCase):
    def test_contents(self):
        """Every file of every layer."""
        files = []
        with tarfile.open(out("image.tar")) as archive:
            for member in archive.getmembers():
                if not member.isfile() or member.size < 2:
                    continue
                try:
                    with tarfile.open(fileobj=archive.extractfile(member)) as layer:
                        files += [row.name for row in layer.getmembers() if not row.isdir()]
                except tarfile.ReadError:
                    continue  # a manifest
        self.assertEqual(sorted(files), ["etc/ssl/certs/ca-certificates.crt", "usr/bin/decant", "usr/lib/ssl/cert.pem",
                                         "usr/share/doc/decant/LICENSE", "usr/share/doc/decant/sbom.spdx.json"])

    def test_sizes(self):
        self.assertLessEqual(os.path.getsize(out("image.tar")), 4 * MIB)
        self.assertLessEqual(os.path.getsize(out("decant")), 9 * MIB)

    def test_static(self):
        headers = subprocess.run(["readelf", "-dlW", out("decant")], capture_output=True, text=True, check=True).stdout
        for word in ("INTERP", "NEEDED"):
            self.assertNotIn(word, headers)
        for word in ("Elf file type is DYN", "GNU_RELRO", "FLAGS_1"):  # position-independent, relocations read-only
            self.assertIn(word, headers)

    def test_user(self):
        settings = json.loads(podman("image", "inspect", IMAGE))[0]["Config"]
        self.assertEqual("65532:65532", settings["User"])
        self.assertEqual(["/usr/bin/decant"], settings["Entrypoint"])

    def test_runs_hardened(self):
        self.assertRegex(podman("run", "--rm", *HARDENED, IMAGE, "--version"), r"^decant \d+\.\d+\.\d+\n$")

    def test_certificates(self):
        """The bundle, and Debian's OpenSSL finds it where it looks."""
        made = podman("create", IMAGE).strip()
        self.addCleanup(podman, "rm", made)
        folder = podman("mount", made).strip()
        self.addCleanup(podman, "umount", made)
        with open(os.path.join(folder, "etc/ssl/certs/ca-certificates.crt"), encoding="ascii") as file:
            self.assertGreater(len(ssl.create_default_context(cadata=file.read()).get_ca_certs()), 100)
        self.assertEqual("/etc/ssl/certs/ca-certificates.crt", os.readlink(os.path.join(folder, "usr/lib/ssl/cert.pem")))
        with open(out("decant"), "rb") as file:
            self.assertIn(b"/usr/lib/ssl", file.read())

    def test_components(self):
        """Each archive that was linked is named with version and licence; OpenSSL is new enough to be fast."""
        with open(out("sbom.spdx.json"), encoding="utf-8") as file:
            sbom = json.load(file)
        parts = {part["name"]: part for part in sbom["packages"]}
        self.assertLessEqual({"curl", "cjson", "openssl", "zlib", "expat", "libseccomp", "glibc", "gcc-14",
                              "ca-certificates"}, set(parts))
        for part in parts.values():
            self.assertTrue(part["versionInfo"] and part["licenseConcluded"] not in ("", "NOASSERTION"), part)
        self.assertGreaterEqual(tuple(int(n) for n in parts["openssl"]["versionInfo"].split(".")[:2]), (3, 5))
        self.assertEqual(digest(out("decant")), parts["decant"]["checksums"][0]["checksumValue"])

    def test_the_same_again(self):
        """Built once more, from a source that lies elsewhere."""
        again = podman("run", "--rm", "--network", "none", BUILD_STAGE, "sh", "-c",
                       "cp -r /src /elsewhere && /build/program.sh /elsewhere >&2 && sha256sum /out/usr/bin/decant")
        self.assertEqual(digest(out("decant")), again.split()[0])

    def test_start_up_is_told(self):
        """The fastest of ten; no limit, because what is slower is the machine. Cold: the file's pages are dropped before each start."""
        warm, cold = ([self.start(drop) for _ in range(10)] for drop in (False, True))
        print(f"decant --version: {min(warm):.1f} ms; {min(cold):.1f} ms when the file must be read first")

    def start(self, drop):
        """Milliseconds from fork to exit."""
        if drop:
            with open(out("decant"), "rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        subprocess.run([out("decant"), "--version"], check=True, stdout=subprocess.DEVNULL)
        return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    unittest.main(verbosity=1)
