"""What scripts/release.sh made in the folder RELEASE."""

import glob
import gzip
import json
import os
import re
import subprocess
import tarfile
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.environ["RELEASE"]
INSTALLED = {
    "usr/bin/decant", "usr/share/man/man1/decant.1", "usr/share/decant/job.schema.json", "usr/share/doc/decant/README.md",
    "usr/share/doc/decant/CHANGELOG.md", "usr/share/doc/decant/copyright", "usr/share/doc/decant/operations.md",
    "usr/share/bash-completion/completions/decant", "usr/share/zsh/vendor-completions/_decant",
    "usr/share/fish/vendor_completions.d/decant.fish",
}


def output(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120, **options).stdout


def one(pattern):
    found = glob.glob(os.path.join(RELEASE, pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def files(folder):
    return {os.path.relpath(os.path.join(root, name), folder) for root, _, names in os.walk(folder) for name in names}


class Release(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.version = re.search(r"project\(decant VERSION ([\d.]+)", open_text("CMakeLists.txt"))[1]

    def test_checksums(self):
        output("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=RELEASE)
        with open(one("SHA256SUMS"), encoding="ascii") as file:
            named = {line.split()[1] for line in file}
        self.assertEqual(set(os.listdir(RELEASE)) - {"SHA256SUMS"}, named)

    def test_a_changed_file_is_noticed(self):
        with open(one("SHA256SUMS"), encoding="ascii") as file:
            changed = file.read().replace("0", "1").replace("a", "b")
        result = subprocess.run(["sha256sum", "--check", "-"], input=changed, text=True, capture_output=True, cwd=RELEASE)
        self.assertNotEqual(0, result.returncode)

    def test_package_installs(self):
        output("dpkg-deb", "-x", one("decant_*.deb"), self.folder.name)
        self.assertLessEqual(INSTALLED, files(self.folder.name))
        self.assertEqual(f"decant {self.version}\n", output(os.path.join(self.folder.name, "usr/bin/decant"), "--version"))
        self.assertNotIn(".debug_info", output("readelf", "-SW", os.path.join(self.folder.name, "usr/bin/decant")))

    def test_package_says_what_it_needs(self):
        fields = dict(re.findall(r"^([A-Z][\w-]+): (.*)", output("dpkg-deb", "-f", one("decant_*.deb")), re.MULTILINE))
        self.assertEqual(("decant", self.version), (fields["Package"], fields["Version"]))
        for library in ("libc6", "libssl3", "libcurl4", "libcjson1", "libexpat1", "zlib1g", "ca-certificates"):
            self.assertRegex(fields["Depends"], rf"(^|, ){library}\b")

    def test_dpkg_takes_it(self):
        """Into a root of its own; the dependencies are not there, so they are not asked for."""
        root = self.folder.name
        os.makedirs(os.path.join(root, "var/lib/dpkg/updates"))
        os.makedirs(os.path.join(root, "var/lib/dpkg/info"))
        for name in ("status", "available"):
            with open(os.path.join(root, "var/lib/dpkg", name), "w", encoding="ascii"):
                pass
        output("dpkg", f"--root={root}", "--force-depends", "--force-not-root", "-i", one("decant_*.deb"))
        self.assertIn("install ok installed", output("dpkg-query", f"--admindir={root}/var/lib/dpkg", "-s", "decant"))

    def test_package_installs_in_a_clean_debian(self):
        """Of the release that it was built on, with what it depends on from there and nothing else."""
        with open("/etc/os-release", encoding="ascii") as file:
            suite = re.search(r"VERSION_CODENAME=(\w+)", file.read())[1]
        install = 'chroot "$1" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends /decant.deb'
        said = subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", suite, "/dev/null",
                               f'--customize-hook=cp {one("decant_*.deb")} "$1/decant.deb"', f"--customize-hook={install} >&2",
                               '--customize-hook=chroot "$1" /usr/bin/decant --version >&2',
                               '--customize-hook=chroot "$1" test -s /etc/ssl/certs/ca-certificates.crt'],
                              capture_output=True, text=True, check=False, timeout=900)
        self.assertEqual(0, said.returncode, said.stderr[-3000:])
        self.assertIn(f"\ndecant {self.version}\n", said.stderr)

    def test_tarball_is_the_commit_and_always_the_same(self):
        made = one("decant-*.tar.gz")
        with gzip.open(made) as file:
            ours = file.read()
        theirs = subprocess.run(["git", "archive", "--format=tar", f"--prefix=decant-{self.version}/", "HEAD"],
                                cwd=ROOT, capture_output=True, check=True).stdout
        self.assertEqual(theirs, ours)
        with open(made, "rb") as file:
            self.assertEqual(b"\0\0\0\0", file.read(8)[4:])  # gzip's own time stamp

    def test_static_program_is_the_image_s(self):
        program = one("decant-*-linux-*")
        self.assertEqual(f"decant {self.version}\n", output(program, "--version", env={}))
        with tarfile.open(one("decant-*-image.tar")) as archive:
            self.assertIn("index.json", archive.getnames())
        with open(one("decant-*.spdx.json"), encoding="utf-8") as file:
            parts = {part["name"]: part for part in json.load(file)["packages"]}
        self.assertEqual(output("sha256sum", program).split()[0], parts["decant"]["checksums"][0]["checksumValue"])


def open_text(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    unittest.main()
