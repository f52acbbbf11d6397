#!/usr/bin/env python3
"""Writes docs/decant.1: what is said here, and every command and option as the program's own --help has it.
usage: scripts/manual.py PATH-OF-DECANT [--check]

--check changes nothing and fails if the page is not what would be written.
"""

import os
import re
import subprocess
import sys
import textwrap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "decant.1")
OPTION = re.compile(r"(?:-(?P<letter>\w), )?--(?P<name>[a-z][a-z-]*)"
                    r"(?: (?P<value>[A-Z][A-Z0-9/-]*|[a-z]+(?:\|[a-z]+)+)(?=\s|$))?\s*")
EXAMPLE = re.compile(r"  (decant|[A-Z_]+=)")

HEAD = r""".\" Written by scripts/manual.py from the program's --help: change that, or the script.
.Dd November 24, 2026
.Dt DECANT 1
.Os
.Sh NAME
.Nm decant
.Nd pour encrypted Azure blobs into a confidential container
.Sh SYNOPSIS
.Nm
.Ar command
.Op Ar options
.Op Fl - Ar program Op Ar arguments
.Nm
.Fl -version | -help
.Nm
.Ar command
.Fl -help
.Sh DESCRIPTION
.Nm
asks the AMD SEV-SNP hardware for evidence,
has Microsoft Azure Attestation vouch for it,
gets a key released from Azure Key Vault or Managed HSM,
downloads client-side-encrypted blobs,
decrypts and verifies them onto a volume of the confidential container group,
and exits with a code that says what happened.
A file has its name only after every byte of it was authenticated;
a failed run publishes nothing.
.Pp
The job is JSON: a file
.Pq Fl c ,
standard input
.Pq Fl c Cm - ,
the variable
.Ev DECANT_JOB ,
or
.Pa /etc/decant/job.json .
.Pa job.schema.json
is its schema.
.Sh COMMANDS
"""

TAIL = r""".Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev DECANT_JOB
The job, as JSON or base64 of it.
.It Ev AZURE_CLIENT_ID , AZURE_TENANT_ID , AZURE_CLIENT_SECRET , AZURE_FEDERATED_TOKEN_FILE , AZURE_AUTHORITY_HOST , \
AZURE_POD_IDENTITY_AUTHORITY_HOST
As for the Azure SDKs.
.It Ev UVM_SECURITY_CONTEXT_DIR
Where the platform put its certificates, its endorsement of the utility VM,
and the container policy.
.It Ev THIM_ENDPOINT , Fabric_NodeIPOrFQDN
Where the platform's certificate service is.
.It Ev JOB_COMPLETION_INDEX
The part of an Indexed Job of Kubernetes, with
.Va limits.shards .
.El
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/decant/job.json
The job, if none is given.
.It Pa .decant/ready.json
Below the volume: appears last, and lists every file.
.It Pa /dev/termination-log
Gets the last sentence of a failure, where it exists.
.It Pa /dev/sev-guest , /dev/sev , /sys/kernel/config/tsm
The sources of evidence.
.El
.Sh EXIT STATUS
.Bl -tag -width "130, 143"
"""

END = r""".El
.Pp
22, 130 and 143 are worth a retry.
.Sh SEE ALSO
.Pa operations.md
has the usual causes and a remedy for each exit code.
"""


def escaped(text):
    """TEXT as a line of mdoc's text."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def sentence(text):
    """Each sentence on lines of its own, as mandoc wants it."""
    parts = re.split(r"(?<=\w[.!?]) +(?=[A-Z])", text.strip())
    return "\n".join(escaped(line) for part in parts
                     for line in textwrap.wrap(part, 70, break_long_words=False, break_on_hyphens=False))


class Section:
    """One command's help, line by line, as mdoc."""

    def __init__(self, text):
        title, _, rest = text.partition("\n")
        name, _, about = title.partition(": ")
        self.out = [f".Ss {name}", sentence(about[:1].upper() + about[1:] + ".")]
        self.listing = self.literal = False
        self.prose = []
        for line in rest.splitlines():
            self.line(line)
        self.close()

    def flush(self):
        if self.prose:
            self.out.append(sentence(" ".join(self.prose)))
            self.prose = []

    def close(self):
        self.flush()
        if self.listing:
            self.out.append(".El")
        if self.literal:
            self.out.append(".Ed")
        self.listing = self.literal = False

    def option(self, line):
        self.flush()
        if self.literal:
            self.close()
        if not self.listing:
            self.out.append(".Bl -tag -width Ds")
            self.listing = True
        rest = line.strip()
        while found := OPTION.match(rest):
            letter = f"Fl {found['letter']} , " if found["letter"] else ""
            value = f" Ar {found['value']}" if found["value"] else ""
            self.out.append(f".It {letter}Fl -{found['name']}{value}")
            rest = rest[found.end():]
        self.prose = [rest] if rest else []

    def line(self, line):
        if not line.strip():
            self.close()
        elif self.literal and line.startswith("  "):
            self.example(line)
        elif OPTION.match(line.strip()):
            self.option(line)
        elif self.listing and line.startswith("   "):
            self.prose.append(line.strip())
        elif EXAMPLE.match(line):
            self.example(line)
        else:
            if self.listing or self.literal:
                self.close()
            if not self.prose:
                self.out.append(".Pp")
            self.prose.append(line.strip())

    def example(self, line):
        if not self.literal:
            self.close()
            self.out.append(".Bd -literal -offset indent")
            self.literal = True
        self.out.append(escaped(line[2:]))


def text_of(decant, *arguments):
    return subprocess.run([decant, *arguments], capture_output=True, text=True, check=True).stdout


def commands(decant):
    listed = text_of(decant, "--help").partition("\nCommands:\n")[2].partition("\n\n")[0]
    return re.findall(r"^  ([a-z]+) ", listed, re.MULTILINE)


def exit_codes():
    with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as file:
        table = file.read().partition("## Exit codes")[2].partition("\n## ")[0]
    return re.findall(r"^\| (\d[\d, ]*?) \| ([^|]+?) \|", table, re.MULTILINE)


def page(decant):
    sections = [part for name in commands(decant) for part in Section(text_of(decant, name, "--help")).out]
    codes = [f".It {code.replace(', ', ' , ')}\n{sentence(re.sub('[`*]', '', text[0].upper() + text[1:]) + '.')}" for code, text in exit_codes()]
    return HEAD + "\n".join(sections) + "\n" + TAIL + "\n".join(codes) + "\n" + END


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    text = page(arguments[0])
    if len(arguments) == 1:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
        return
    with open(PAGE, encoding="utf-8") as file:
        if file.read() != text:
            sys.exit("docs/decant.1 is not what scripts/manual.py writes: run it with the program, and commit the page")


if __name__ == "__main__":
    main(sys.argv[1:])
