#!/usr/bin/env python3
"""The list of components (SPDX 2.3, JSON) of the image, from what the linker took: usage: sbom.py LINKER-MAP ROOT

Each archive in the linker's map belongs to a Debian package, or to a source package that dependencies.sh built. One that
belongs to neither, or whose licence is not written here, fails the build.
"""

import datetime
import glob
import hashlib
import json
import os
import re
import subprocess
import sys

# Source package → licence of what of it is linked, as its debian/copyright says, in SPDX's words.
LICENCES = {
    "curl": "curl",
    "cjson": "MIT",
    "openssl": "Apache-2.0",
    "zlib": "Zlib",
    "libzstd": "BSD-3-Clause",
    "expat": "MIT",
    "libseccomp": "LGPL-2.1-only",
    "glibc": "LGPL-2.1-or-later",
    "gcc-14": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "ca-certificates": "MPL-2.0",
}
OWN = "/opt/static/lib/"  # what dependencies.sh built
SOURCES = {"crypto": "openssl", "ssl": "openssl"}  # where a library is not named after its source
BUILT = "/build/decant/"  # decant's rooms


def command(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def archives(link_map):
    """The archives and start files of which something is in the program."""
    with open(link_map, encoding="utf-8") as file:
        text = file.read()
    found = set(re.findall(r"^(/\S+\.a)\(", text, re.MULTILINE)) | set(re.findall(r"^LOAD (/\S+\.o)$", text, re.MULTILINE))
    return sorted(os.path.realpath(path) for path in found if not path.startswith(BUILT))


def built_here(path):
    """Name and version of the source package that an archive of ours was made from."""
    library = re.fullmatch(r"lib(\w+)\.a", os.path.basename(path))[1]
    name = SOURCES.get(library, library)
    folder = glob.glob(f"/build/source/{name}-*/")[0]
    return name, command("dpkg-parsechangelog", "-l", folder + "debian/changelog", "-S", "Version")


def debian(path):
    """The source package that a file of the system is from."""
    package = command("dpkg", "-S", path).split(":")[0]
    return tuple(command("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}\n", package).split("\n")[0].split())


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def package(name, version, licence, **more):
    return {"name": name, "SPDXID": f"SPDXRef-{re.sub('[^A-Za-z0-9.-]', '-', name)}", "versionInfo": version,
            "downloadLocation": "NOASSERTION", "filesAnalyzed": False, "licenseConcluded": licence,
            "licenseDeclared": licence, "copyrightText": "NOASSERTION", **more}


def component(name, version):
    if name not in LICENCES:
        sys.exit(f"sbom.py: {name} {version} is linked; write its licence into sbom.py")
    reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                 "referenceLocator": f"pkg:deb/debian/{name}@{version.replace('+', '%2B')}?arch=source&distro=trixie"}
    return package(name, version, LICENCES[name], supplier="Organization: Debian", externalRefs=[reference])


def document(link_map, root):
    program = os.path.join(root, "usr/bin/decant")
    linked = {built_here(path) if path.startswith(OWN) else debian(path) for path in archives(link_map)}
    parts = [component(*each) for each in sorted(linked)]
    certificates = component(*debian("/usr/sbin/update-ca-certificates"))
    version = command(program, "--version").split()[1]
    decant = package("decant", version, "Apache-2.0", primaryPackagePurpose="APPLICATION",
                     checksums=[{"algorithm": "SHA256", "checksumValue": digest(program)}])
    epoch = int(os.environ["SOURCE_DATE_EPOCH"])
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-decant")]
    relations += [("SPDXRef-decant", "STATIC_LINK", part["SPDXID"]) for part in parts]
    relations += [("SPDXRef-decant", "DEPENDS_ON", certificates["SPDXID"])]
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"decant-{version}",
            "documentNamespace": f"urn:decant:sbom:{digest(program)}",
            "creationInfo": {"created": created, "creators": ["Tool: decant-deploy-image-sbom"]},
            "packages": [decant, *parts, certificates],
            "relationships": [{"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b}
                              for a, kind, b in relations]}


if __name__ == "__main__":
    json.dump(document(sys.argv[1], sys.argv[2]), sys.stdout, indent=2)
    print()
