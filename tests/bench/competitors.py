"""Who is measured. Each says why it cannot take part in a row, what it prepares, and the commands of a run."""

import dataclasses
import json
import os
import re
import shutil
import subprocess

import data
from measure import Command, Failed, MIB

HERE = os.path.dirname(os.path.abspath(__file__))
SIGNED = "sv=2021-12-02&sig=worthless"  # for clients that want a SAS before they ask; nginx does not look at it


@dataclasses.dataclass
class Run:
    """One competitor, one row."""
    row: object
    data: object
    base: str  # URL of the container
    sas: str
    ca_file: str
    store: object
    work: str  # for what is prepared
    out: str  # empty, on the tmpfs
    tools: str
    decant: str  # the build that counts, where a competitor brings none of its own

    def url(self, blob, sas=None):
        sas = self.sas if sas is None else sas
        return f"{self.base}/{blob.name}" + (f"?{sas}" if sas else "")

    @property
    def one(self):
        return self.data.blobs[0]


class Competitor:
    key = label = ""
    decrypts = True
    seals = False  # takes part in the rows that upload, and only there
    needs = ()  # programs

    def concerns(self, row):
        """Those that were made for some rows only are not missed in the others."""
        return True

    def why_not(self, row):
        """A reason for which it cannot take part where it would be of interest."""
        return next((f"{program} is not installed" for program in self.needs if shutil.which(program) is None), None)

    def prepare(self, run):
        """Before the clock starts, once per row."""

    def before(self, run):
        """Before the clock starts, each time; after the memory was warmed."""

    def commands(self, run):
        raise NotImplementedError

    def refine(self, run, sample):
        """What is not simply wall time."""
        return sample

    def check(self, run):
        """Is the result right? After the first run."""
        if self.decrypts and run.data.sha256:
            if digest(largest(run.out)) != run.data.sha256:
                raise Failed("what came out is wrong")
        elif size_of(run.out) != (run.data.plain_size if self.decrypts else run.data.stored):
            raise Failed(f"{size_of(run.out)} bytes came out")


def files_in(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names if ".decant" not in place]


def size_of(folder):
    return sum(os.path.getsize(path) for path in files_in(folder))


def largest(folder):
    return max(files_in(folder), key=os.path.getsize)


def digest(path):
    return subprocess.run(["openssl", "dgst", "-sha256", "-r", path], check=True, capture_output=True,
                          text=True).stdout.split()[0]


class Decant(Competitor):
    key, label = "decant", "**decant**"
    form = "auto"

    def __init__(self, name="", program=None):
        """NAME and PROGRAM: of another build (--also), measured beside the one that counts."""
        self.program = program
        if name:
            self.key, self.label = f"{self.key}@{name}", f"{self.label} ({name})"

    def why_not(self, row):
        return None if self.program is None or os.access(self.program, os.X_OK) else f"{self.program} is not there"

    def argv(self, run, command="run"):
        return [self.program or run.decant, command, "--log-level", "error"]

    def wish(self, run):
        row, many = run.row, run.row.count > 1
        wish = {"from": f"{run.base}/data/" if many else run.url(run.one, sas=""), "format": self.form}
        if run.sas:
            wish["sas_env"] = "BENCH_SAS"
        if row.sha256:
            wish["sha256"] = run.data.sha256
        if row.gzip and self.decrypts:
            wish["decompress"] = "gzip"
        return wish

    def commands(self, run):
        job = {"identity": {"type": "none"}, "keys": [{"kid": data.KID, "file": run.data.kek_file}], "inputs": [self.wish(run)],
               "volume": {"path": run.out}, "network": {"ca_file": run.ca_file} if run.ca_file else {}}
        return [Command(self.argv(run), {"DECANT_JOB": json.dumps(job), "BENCH_SAS": run.sas})]


class DecantPlain(Decant):
    key, label, decrypts, form = "decant-plain", "decant, `\"format\": \"plain\"` (does not decrypt)", False, "plain"

    def concerns(self, row):
        return not row.sha256


class DecantPinned(Decant):
    """The same blobs, demanded by a manifest that pins each one's content key."""
    key, label = "decant-pinned", "decant, pinned by a manifest of `key_sha256`"

    def concerns(self, row):
        return row.count > 1 and row.way == "http"

    def prepare(self, run):
        self.digest = run.store.write_manifest(run.data)

    def wish(self, run):
        return {**super().wish(run), "manifest": {"from": f"{run.base}/{data.MANIFEST}", "sha256": self.digest}}


class DecantRerun(Decant):
    """All files are there already, and right: what does it cost to see that?"""
    key, label = "decant-rerun", "decant, a rerun that keeps all"

    def concerns(self, row):
        return row.key in ("1g-http", "files", "small")

    def before(self, run):
        subprocess.run(self.commands(run)[0].argv, env={**os.environ, **self.commands(run)[0].environment}, check=True,
                       capture_output=True)

    def refine(self, run, sample):
        kept = json.loads(sample.output)["kept"]
        if kept != run.row.count:
            raise Failed(f"only {kept} of {run.row.count} files were kept")
        return sample


class Curl(Competitor):
    """N processes, one connection each: ranges of one blob, or every Nth blob of many, one after the other."""
    decrypts, needs = False, ("curl",)

    def __init__(self, count):
        self.count, self.key, self.label = count, f"curl-{count}", f"curl, {count} at once"

    def concerns(self, row):
        return not (row.sha256 or row.gzip) and (self.count == 16 or row.way != "slow")

    def options(self, run):
        return ["curl", "-sSf", "-q", "--noproxy", "*", *(["--cacert", run.ca_file] if run.ca_file else [])]

    def prepare(self, run):
        for index in range(self.count):
            with open(os.path.join(run.work, f"{self.key}.{index}"), "w", encoding="utf-8") as file:
                for blob in run.data.blobs[index::self.count]:
                    file.write(f'url = "{run.url(blob)}"\noutput = "{run.out}/{os.path.basename(blob.name)}"\n')

    def commands(self, run):
        if run.row.count > 1:
            return [Command([*self.options(run), "-K", os.path.join(run.work, f"{self.key}.{index}")])
                    for index in range(self.count)]
        size, step = run.one.stored, -(-run.one.stored // self.count)
        return [Command([*self.options(run), "-r", f"{at}-{min(at + step, size) - 1}", "-o", f"{run.out}/part.{index:02}",
                         run.url(run.one)]) for index, at in enumerate(range(0, size, step))]


class CurlParallel(Curl):
    """One process with sixteen connections."""

    def __init__(self):
        super().__init__(1)
        self.key, self.label = "curl-parallel", "curl --parallel, 16 connections"

    def concerns(self, row):
        return row.count > 1

    def commands(self, run):
        return [Command([*self.options(run), "--parallel", "--parallel-immediate", "--parallel-max", "16", "-K",
                         os.path.join(run.work, f"{self.key}.0")])]


class CurlSha256(Curl):
    def __init__(self):
        super().__init__(2)
        self.key, self.label, self.needs = "curl-sha256", "curl, 2 at once, then SHA-256 (openssl)", ("curl", "openssl")

    def concerns(self, row):
        return row.sha256

    def commands(self, run):
        parts = " & ".join(" ".join(f"'{word}'" for word in command.argv) for command in super().commands(run))
        return [Command(["sh", "-c", f"{parts} & wait; cat '{run.out}'/part.* | openssl dgst -sha256"])]


class CurlGunzip(Curl):
    """The stored bytes are encrypted, so what is inflated here is the same gzip stream, which lies beside them."""
    decrypts = True

    def __init__(self):
        super().__init__(1)
        self.key, self.label, self.needs = "curl-gunzip", "curl \\| gzip -d (not encrypted)", ("curl", "gzip")

    def concerns(self, row):
        return row.gzip

    def prepare(self, run):
        pass  # the Store made it

    def commands(self, run):
        options = " ".join(f"'{word}'" for word in self.options(run))
        return [Command(["sh", "-c", f"{options} '{run.base}/plain.gz' | gzip -d >'{run.out}/blob'"])]


class Wrk(Competitor):
    """Keep-alive requests and nothing else: no listing, no keys, no files."""
    key, label, needs, decrypts = "wrk", "wrk, 16 connections (rate, writes nothing)", ("wrk",), False
    seconds = 3

    def concerns(self, row):
        return row.size < MIB

    def prepare(self, run):
        path = f"/{run.base.split('/', 3)[3]}/data/%06d"
        with open(os.path.join(run.work, "wrk.lua"), "w", encoding="ascii") as file:
            file.write(f"local i = 0\nfunction request()\n  i = (i + 1) % {run.row.count}\n"
                       f'  return wrk.format("GET", string.format("{path}", i))\nend\n')

    def commands(self, run):
        return [Command(["wrk", "-t", "2", "-c", "16", "-d", f"{self.seconds}s", "-s", os.path.join(run.work, "wrk.lua"),
                         run.base])]

    def refine(self, run, sample):
        found = re.search(r"(\d+) requests in", sample.output), re.search(r"Requests/sec:\s+([\d.]+)", sample.output)
        if None in found or "Non-2xx" in sample.output:
            raise Failed("wrk counts no good answers")
        sample.wall = run.row.count / float(found[1][1])
        sample.cpu *= run.row.count / int(found[0][1])
        return sample

    def check(self, run):
        pass


class Sdk(Competitor):
    key, label = "sdk", "Azure SDK for Python, decrypting"
    most = 1000  # blobs of a many-blob row; the result is scaled

    def concerns(self, row):
        return not (row.sha256 or row.gzip)  # it does neither

    def commands(self, run):
        wish = {"base": run.base, "sas": run.sas, "ca_file": run.ca_file, "kid": data.KID, "kek": run.data.kek_file,
                "out": run.out, "names": [blob.name for blob in run.data.blobs[:self.most]]}
        path = os.path.join(run.work, "sdk.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(wish, file)
        return [Command([os.path.join(run.tools, "venv", "bin", "python"), os.path.join(HERE, "sdk.py"), "download", path])]

    def refine(self, run, sample):
        if run.row.count > self.most:
            sample.wall, sample.cpu = sample.wall * run.row.count / self.most, sample.cpu * run.row.count / self.most
        return sample

    def check(self, run):
        if run.row.count == 1:
            super().check(run)
        elif size_of(run.out) != min(run.row.count, self.most) * run.row.size:
            raise Failed(f"{size_of(run.out)} bytes came out")


class Azcopy(Competitor):
    key, label, decrypts = "azcopy", "azcopy, not decrypting", False

    def concerns(self, row):
        return row.size >= MIB and row.way == "http" and not (row.sha256 or row.gzip)

    def copy(self, run, source, target, kind, *options):
        program = os.path.join(run.tools, "node_modules", "@azure-tools", "azcopy-linux", "dist", "bin", "azcopy_linux_amd64")
        os.chmod(program, 0o755)
        logs = os.path.join(run.work, "azcopy")
        return Command([program, "copy", source, target, "--from-to", kind, "--skip-version-check", "--log-level", "NONE",
                        "--output-level", "essential", *options],
                       {"AZCOPY_LOG_LOCATION": logs, "AZCOPY_JOB_PLAN_LOCATION": logs})

    def commands(self, run):
        source = f"{run.base}/data/*?{run.sas or SIGNED}" if run.row.count > 1 else run.url(run.one, run.sas or SIGNED)
        return [self.copy(run, source, run.out if run.row.count > 1 else f"{run.out}/blob", "BlobLocal")]


class Rclone(Competitor):
    key, label, needs = "rclone", "rclone crypt, 4 streams", ("rclone",)

    def concerns(self, row):
        return row.count == 1 and row.way == "http" and not (row.sha256 or row.gzip or row.azurite)

    def settings(self, run, remote):
        secret = subprocess.run(["rclone", "obscure", "worthless test password"], check=True, capture_output=True, text=True)
        return {"RCLONE_CONFIG": os.path.join(run.work, "rclone.conf"), "RCLONE_CONFIG_STORE_TYPE": "azureblob",
                "RCLONE_CONFIG_STORE_SAS_URL": f"{run.base}?{SIGNED}", "RCLONE_CONFIG_SECRET_TYPE": "crypt",
                "RCLONE_CONFIG_SECRET_REMOTE": remote, "RCLONE_CONFIG_SECRET_PASSWORD": secret.stdout.strip(),
                "RCLONE_CONFIG_SECRET_FILENAME_ENCRYPTION": "off", "RCLONE_CONFIG_SECRET_DIRECTORY_NAME_ENCRYPTION": "false"}

    def prepare(self, run):
        with open(os.path.join(run.work, "rclone.conf"), "wb"):
            pass
        folder = os.path.dirname(run.store.place(run.data.container, "rclone/blob"))
        if not os.path.exists(os.path.join(folder, "blob.bin")):
            encrypt(run, ["rclone", "rcat", "-q", "secret:blob"], self.settings(run, folder))
        self.environment = self.settings(run, f"store:{run.data.container}/rclone")

    def commands(self, run):
        return [Command(["rclone", "copyto", "secret:blob", f"{run.out}/blob", "--multi-thread-streams", "4",
                         "--multi-thread-cutoff", "1M", "--retries", "1"], self.environment)]


class Age(Competitor):
    key, label, needs = "age", "curl \\| age -d", ("age", "age-keygen", "curl")
    concerns = Rclone.concerns

    def prepare(self, run):
        path, self.key_file = run.store.place(run.data.container, "blob.age"), os.path.join(run.work, "age.key")
        if not os.path.exists(self.key_file):  # one for all rows: age-keygen does not overwrite
            subprocess.run(["age-keygen", "-o", self.key_file], check=True, capture_output=True)
        if not os.path.exists(path):
            public = subprocess.run(["age-keygen", "-y", self.key_file], check=True, capture_output=True, text=True).stdout.strip()
            encrypt(run, ["age", "-r", public, "-o", path], {})

    def commands(self, run):
        return [Command(["sh", "-c", f"curl -sSf -q --noproxy '*' '{run.base}/blob.age' | "
                                     f"age -d -i '{self.key_file}' -o '{run.out}/blob'"])]


def encrypt(run, argv, environment):
    """The row's plaintext into ARGV's standard input."""
    source = data.Plaintext(run.row.size)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={**os.environ, **environment}) as process:
        while piece := source.read(4 * MIB):
            process.stdin.write(piece)
        process.stdin.close()
        if process.wait() != 0:
            raise Failed(f"{argv[0]} cannot encrypt")


def all_competitors(also):
    """ALSO: name → program, further builds of decant."""
    return [Decant(), *(Decant(name, program) for name, program in also.items()), DecantPlain(), DecantPinned(), DecantRerun(),
            *(Curl(count) for count in (1, 2, 4, 16)), CurlParallel(), CurlSha256(), CurlGunzip(), Wrk(), Sdk(), Azcopy(),
            Rclone(), Age()]
