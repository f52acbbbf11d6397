"""What the documentation's commands find: the sandbox under Azure's public names, files that the pages speak of, stand-ins for
Azure's and Kubernetes' tools."""

import os
import re
import sys
from base64 import b64encode

from cryptography.hazmat.primitives import serialization

import blocks
from blocks import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from harness import DECANT, Box, owner, preload  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
VAULT, ACCOUNT, KEY = "contoso.vault.azure.net", "contoso", "dataset-kek"
STORAGE = f"https://{ACCOUNT}.blob.core.windows.net"


class World:
    def __init__(self):
        self.box = Box()
        self.box.control("reset")
        self.kek = self.box.key(KEY, host=VAULT)
        for name in ("data", "models", "results"):
            self.box.control("container", account=ACCOUNT, name=name)
        self.upload()

    def close(self):
        pass  # the sandbox ends with the process

    def upload(self):
        """The sample data set below data/train/."""
        top = os.path.join(ROOT, "samples", "dataset")
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    stored, metadata = owner.encrypt_bytes(file.read(), self.kek.kek, self.kek.kid)
                self.box.control("blob", account=ACCOUNT, container="data", name="train/" + os.path.relpath(path, top),
                                 base64=b64encode(stored).decode(), metadata={"encryptiondata": metadata})

    def environment(self, folder):
        tools = os.path.join(folder, ".tools")
        return {"PATH": f"{tools}:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": folder, "LANG": "C.UTF-8",
                "HTTPS_PROXY": self.box["proxy"], "SSL_CERT_FILE": self.box["ca_file"],
                "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.box["identity"],
                "SANDBOX_CONTROL": self.box["control"], "UVM_SECURITY_CONTEXT_DIR": self.box["security_context"]}

    def furnish(self, page, folder):
        """The tools and the files of a page."""
        tools = os.path.join(folder, ".tools")
        os.mkdir(tools)
        device = {"DOUBLE_SEV": "guest", "DOUBLE_SEV_KEY": self.box["device"]["vcek_key"],
                  "DOUBLE_SEV_REPORT": self.box["device"]["report_template"], "LD_PRELOAD": preload("sev_device", "files"),
                  "ASAN_OPTIONS": "detect_leaks=0", "DECANT_HARDENING": "on"}
        settings = " ".join(f"{name}='{value}'" for name, value in device.items())
        # What a page shows with its output was typed at a terminal.
        self.tool(tools, "decant", f"""env {settings} {DECANT} "$@" """,
                  first='[ -z "$SHOWN" ] || { command=$1; shift; set -- "$command" --log-format text "$@"; }')
        for name in ("az", "kubectl"):
            self.tool(tools, name, f"/usr/bin/python3 {HERE}/azure.py {name} \"$@\"")
        for name in ("samples", "deploy", "docs", "scripts", "sandbox"):
            if os.path.exists(os.path.join(ROOT, name)):
                os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
        for name, text in [*self.owners_files(), *self.files_of(page)]:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)

    def owners_files(self):
        """What somebody has who may upload a data set: a SAS, and the public half of its key."""
        private = serialization.load_pem_private_key(self.kek.private_pem.encode(), None)
        yield "dataset-kek.pem", private.public_key().public_bytes(serialization.Encoding.PEM,
                                                                   serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        yield "sas.txt", self.box.control("sas", account=ACCOUNT, container="data", permissions="rlcwd")["sas"]

    @staticmethod
    def tool(folder, name, line, first="true"):
        path = os.path.join(folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{first}\nexec {line}\n")
        os.chmod(path, 0o755)

    @staticmethod
    def files_of(page):
        """A file that a page, or README.md, shows with `$ cat NAME` is what the page shows."""
        for each in ("README.md", page):
            for command in blocks.commands(each):
                shown = re.fullmatch(r"cat ([\w.-]+)", command.text.strip())
                if shown:
                    yield shown[1], command.shown
