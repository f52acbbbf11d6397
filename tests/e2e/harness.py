"""What the end-to-end tests share: the sandbox, a volume per test, the program and what it must never do.

DECANT is the program, DOUBLES the folder with the libraries that play devices and files. One sandbox serves all tests of a
process; each test starts with `reset` and works in a container of its own.
"""

import atexit
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from base64 import b64decode, b64encode
from urllib.parse import quote, unquote

from cryptography.hazmat.primitives import serialization

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT)

from sandbox import owner  # noqa: E402

DECANT = os.environ.get("DECANT", os.path.join(ROOT, "build-check", "decant"))
DOUBLES = os.environ.get("DOUBLES", os.path.join(ROOT, "build-check", "tests", "double"))
SANITIZER_EXIT = 99
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "LeakSanitizer has encountered")
TIMEOUT_S = 120
SOON_S = 8                      # what ends at once has ended, on a busy machine too; whatever else it could wait for takes longer
LARGE = 8 << 20
MARK = os.path.join(".decant", "failed.json")
ALL_CODES = (1, 2, 10, 11, 12, 13, 14, 20, 21, 22, 30, 31, 40, 41, 42, 130, 143)
TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{20,}")
SIGNATURE = re.compile(r"[?&]sig=(?!REDACTED|\*)[^\s\"&]+")
counter = itertools.count(1)


def asan_library():
    """libasan.so if the program is linked with it: it wants to be the first library."""
    linked = subprocess.run(["ldd", DECANT], capture_output=True, text=True, check=False).stdout
    found = re.search(r"libasan\S* => (\S+)", linked)
    return [found[1]] if found else []


PRELOAD = asan_library()


def preload(*names):
    return " ".join(PRELOAD + [os.path.join(DOUBLES, f"libdouble_{name}.so") for name in names])


class Key:
    """A key in the sandbox's vault, or one of our own."""

    def __init__(self, kid, *, private_pem=None, octets=None, jwk=None):
        self.kid, self.private_pem, self.octets, self.jwk = kid, private_pem, octets, jwk
        self.versionless = re.sub(r"(/keys/[^/]+)/[0-9a-f]+$", r"\1", kid)

    @property
    def kek(self):
        """What owner.py encrypts with."""
        if self.octets is not None:
            return self.octets
        return serialization.load_pem_private_key(self.private_pem.encode(), None).public_key()


class Box:
    """The sandbox, in a process of its own."""

    def __init__(self, *options):
        self.state = tempfile.mkdtemp(prefix="decant-e2e-")
        self.keys = {}
        self.reset_at = 0
        self.process = subprocess.Popen([sys.executable, os.path.join(ROOT, "sandbox"), "--state", self.state, *options],
                                        stdout=subprocess.PIPE, text=True)
        atexit.register(self.stop)
        line = self.process.stdout.readline()
        if "ready" not in line:
            raise RuntimeError(f"the sandbox does not start: {line}")
        with open(os.path.join(self.state, "sandbox.json"), encoding="ascii") as file:
            self.about = json.load(file)

    def __getitem__(self, name):
        return self.about[name]

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
        shutil.rmtree(self.state, ignore_errors=True)

    def control(self, call, /, **wish):
        if call == "reset":
            self.reset_at = time.time()
        request = urllib.request.Request(f"{self['control']}/{call}", json.dumps(wish).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"control {call}: {error.read().decode()}") from None

    def key(self, name="kek", **wish):
        """A key, made once for each name and kind."""
        which = (name, json.dumps(wish, sort_keys=True))
        if which not in self.keys:
            made = self.control("key", name=name, **wish)
            octets = b64decode(made["raw_base64"]) if "raw_base64" in made else None
            self.keys[which] = Key(made["kid"], private_pem=made.get("private_pem"), octets=octets)
        return self.keys[which]

    def fault(self, action, *, service="storage", method=None, path="", skip=0, times=1):
        self.control("fault", service=service, path=path, skip=skip, times=times, action=action,
                     **({"method": method} if method else {}))

    def log(self, service=None, method=None, path=""):
        """Requests since the last reset; one that an earlier run left hanging may be answered, and noted, after it."""
        return [entry for entry in self.control("log")
                if entry["time"] >= self.reset_at and service in (None, entry["service"])
                and method in (None, entry["method"]) and re.search(path, entry["path"])]


class Singleton:
    box = None


def box():
    if Singleton.box is None:
        Singleton.box = Box()
    return Singleton.box


class Result:
    """What one run left behind: exit code, outputs, and its last words."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = (128 - code if code < 0 else code), out, err
        lines = [line for line in err.splitlines() if line.strip()]
        self.last = lines[-1] if lines else ""
        self.sentence = self.last
        if self.last.startswith("{"):
            self.sentence = json.loads(self.last).get("message", "")

    @property
    def summary(self):
        return json.loads(self.out)

    def events(self):
        return [json.loads(line) for line in self.err.splitlines() if line.startswith("{")]

    def __str__(self):
        return f"exit {self.code}\nstdout: {self.out}\nstderr: {self.err}"


def note_code(code, arguments):
    """For scripts/coverage.py, which wants to see every exit code: a line "CODE COMMAND" in the file EXIT_CODES. (Not if a shell ran it.)"""
    if "EXIT_CODES" in os.environ and DECANT in arguments:
        command = arguments[arguments.index(DECANT) + 1:][:1]
        with open(os.environ["EXIT_CODES"], "a", encoding="ascii") as file:
            file.write(f"{code} {' '.join(command)}\n")


def tree(folder):
    """Everything below FOLDER: relative path → (kind and mode, what it holds); but for a failed run's mark."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(root, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = file.read()
            found[os.path.relpath(path, folder)] = (stat.filemode(status.st_mode), content)
    if found.pop(MARK, None) and not any(name.startswith(".decant/") for name in found):
        del found[".decant"]
    return found


class Case(unittest.TestCase):
    """A test with a fresh volume, a fresh container and a reset sandbox."""

    maxDiff = 2000
    container_public = None

    def setUp(self):
        self.box = box()
        self.box.control("reset")
        self.number = next(counter)
        self.container = f"test{self.number}"
        self.box.control("container", name=self.container)
        self.volume = self.temporary("/dev/shm")
        self.folder = self.temporary(None)
        self.secrets = [self.box["client_secret"], self.box["account_key"]]
        self.plaintexts = []

    def empty(self):
        """An empty volume again, so that nothing can be kept."""
        for name in os.listdir(self.volume):
            path = os.path.join(self.volume, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

    def temporary(self, where):
        folder = tempfile.mkdtemp(prefix="decant-e2e-", dir=where)
        os.chmod(folder, 0o755)
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        return folder

    # ---- What a job needs ----

    @property
    def key(self):
        return self.box.key("kek")

    def plain(self, size=100):
        """SIZE bytes that can be found again wherever they should not be."""
        mark = f"worthless-plaintext-{self.number}-{len(self.plaintexts)}-".encode()
        text = (mark * (size // len(mark) + 1))[:size]
        self.plaintexts.append(text)
        return text

    def own_key(self, kid, private_pem):
        return Key(kid, private_pem=private_pem)

    def encrypt(self, plaintext, key=None, kid=None, **details):
        key = key or self.key
        details.setdefault("region", 1 << 16)
        return owner.encrypt_bytes(plaintext, key.kek, kid or key.kid, **details)

    def store(self, name, data, metadata=None, account=None, container=None):
        """DATA as it is, with the value of `encryptiondata`."""
        content = {"base64": b64encode(data).decode()}
        if len(data) > LARGE:
            content = {"file": self.file(f"blob-{next(counter)}", data)}
        return self.box.control("blob", container=container or self.container, name=name, **content,
                                **({"account": account} if account else {}),
                                metadata={"encryptiondata": metadata} if metadata is not None else {})

    def put(self, name, plaintext, key=None, account=None, container=None, **details):
        """PLAINTEXT encrypted and stored."""
        stored, metadata = self.encrypt(plaintext, key, **details)
        self.store(name, stored, metadata, account, container)
        return stored, metadata

    def url(self, name="", container=None):
        return f"{self.box['storage']}/{container or self.container}/{quote(name)}"

    def sas(self, **wish):
        text = self.box.control("sas", container=self.container, **wish)["sas"]
        signature = re.search(r"sig=([^&]+)", text)[1]
        self.secrets += [signature, unquote(signature)]
        return text

    def token(self, audience, **wish):
        token = self.box.control("token", audience=audience, **wish)["token"]
        self.secrets.append(token)
        return token

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path

    def job(self, *inputs, keys=None, **parts):
        """A job for INPUTS (URLs or objects); PARTS are merged into it, None takes one away."""
        job = {"attestation": {"provider": self.box["attestation"], "evidence": "device"},
               "identity": {"type": "managed"},
               "keys": [{"kid": self.key.versionless}] if keys is None else keys,
               "inputs": [each if isinstance(each, dict) else {"from": each} for each in inputs],
               "volume": {"path": self.volume}, "network": {"ca_file": self.box["ca_file"]}}
        for name, value in parts.items():
            if isinstance(value, dict) and isinstance(job.get(name), dict):
                job[name] = {member: each for member, each in {**job[name], **value}.items() if each is not None}
            else:
                job[name] = value
        return {name: value for name, value in job.items() if value is not None}

    def key_file(self, key=None):
        """The private half in a file: for tests that are about something else than its release."""
        key = key or self.key
        if key.jwk is not None:
            return self.file(f"key-{next(counter)}.json", json.dumps(key.jwk))
        return self.file(f"key-{next(counter)}.pem", key.private_pem)

    def quick_job(self, *inputs, key=None, **parts):
        """A job without attestation: the key comes from a file."""
        key = key or self.key
        parts.setdefault("keys", [{"kid": key.versionless, "file": self.key_file(key)}])
        return self.job(*inputs, attestation=None, **parts)

    # ---- Running ----

    def environment(self, **changes):
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "LD_PRELOAD": preload("sev_device", "files"),
                     "ASAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:detect_leaks=1",
                     "UBSAN_OPTIONS": f"exitcode={SANITIZER_EXIT}:halt_on_error=1:print_stacktrace=1",
                     "DOUBLE_SEV": "guest", "DOUBLE_SEV_KEY": self.box["device"]["vcek_key"],
                     "DOUBLE_SEV_REPORT": self.box["device"]["report_template"],
                     "UVM_SECURITY_CONTEXT_DIR": self.box["security_context"],
                     "AZURE_POD_IDENTITY_AUTHORITY_HOST": self.box["identity"], **changes}
        return {name: value for name, value in variables.items() if value is not None}

    def environment_of_another(self):
        """For a run as another user: a build that counts its lines may write the counts there, and else complains in the midst of the log."""
        counts = os.path.join(self.folder, "counts")
        os.makedirs(counts, exist_ok=True)
        os.chmod(counts, 0o777)
        return self.environment(GCOV_PREFIX=counts)

    def start(self, arguments, job=None, environment=None, stdin=subprocess.PIPE):
        if job is not None:
            path = self.file(f"job-{next(counter)}.json", json.dumps(job))
            arguments = ["run", "-c", path, *arguments]
        return subprocess.Popen([DECANT, *arguments], env=self.environment(**(environment or {})), stdin=stdin,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)

    def finish(self, process, data=b""):
        try:
            out, err = process.communicate(data, TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            self.fail(f"it did not end: {err.decode()}")
        result = Result(process.returncode, out.decode(), err.decode())
        note_code(result.code, process.args)
        return self.judged(result)

    def run_decant(self, *arguments, job=None, environment=None, data=b""):
        return self.finish(self.start(list(arguments), job, environment), data)

    def judged(self, result):
        """What holds for every run, whatever came of it."""
        self.assertNotEqual(result.code, SANITIZER_EXIT, result)
        for word in SANITIZER_WORDS:
            self.assertNotIn(word, result.err, result)
        self.assert_no_secret(result.out + result.err)
        return result

    def assert_no_secret(self, text):
        self.assertIsNone(TOKEN.search(text), f"a token in the output: {text}")
        self.assertIsNone(SIGNATURE.search(text), f"a signature in the output: {text}")
        self.assertNotIn("PRIVATE KEY", text)
        for secret in self.secrets:
            self.assertNotIn(secret, text)
        self.assertNotIn("worthless-plaintext-", text)

    # ---- What is asserted ----

    def good(self, *arguments, job=None, files=None, environment=None, data=b"", volume=None):
        """A run that succeeds and leaves FILES (name → plaintext) and nothing else."""
        result = self.run_decant(*arguments, job=job, environment=environment, data=data)
        self.assertEqual(result.code, 0, result)
        self.assertEqual(result.out.count("\n"), 1, result)
        self.assertEqual(result.summary["result"], "dry-run" if "--dry-run" in arguments else "done")
        if files is not None:
            self.assert_files(files, volume)
        return result

    def assert_files(self, files, volume=None):
        volume = volume or self.volume
        found = {name: content for name, (mode, content) in tree(volume).items()
                 if mode[0] != "d" and not name.startswith(".decant/")}
        self.assertEqual(set(found), set(files))
        for name, content in files.items():
            self.assertTrue(found[name] == content, f"{name} is not what it should be")
        ready = self.ready(volume)
        self.assertEqual({each["name"]: each["size"] for each in ready["files"]},
                         {name: len(content) for name, content in files.items()})
        left = set(os.listdir(os.path.join(volume, ".decant")))
        self.assertEqual(left - {os.path.basename(MARK)}, {"ready.json"})

    def ready(self, volume=None):
        with open(os.path.join(volume or self.volume, ".decant", "ready.json"), encoding="utf-8") as file:
            return json.load(file)

    def bad(self, code, *words, arguments=(), job=None, environment=None, data=b"", untouched=True):
        """A run that fails with CODE and a sentence that has WORDS (regular expressions), and changes nothing."""
        before = tree(self.volume)
        result = self.run_decant(*arguments, job=job, environment=environment, data=data)
        self.check_failure(result, code, *words)
        if untouched:
            self.assertEqual(tree(self.volume), before, "the volume was touched")
        return result

    def check_failure(self, result, code, *words):
        self.assertEqual(result.code, code, result)
        self.assertEqual(result.out, "", result)
        self.assertTrue(result.sentence.startswith("decant "), result)
        self.assertTrue(result.sentence.endswith("."), result)
        for word in words:
            self.assertRegex(result.sentence, word)

    def reads(self):
        """The ranged reads of the log."""
        return [entry for entry in self.box.log("storage", "GET") if entry["range"]]

    def asked(self):
        """The services that were asked anything."""
        return [entry["service"] for entry in self.box.log() if entry["service"] != "control"]

    def releases(self):
        return self.box.log("vault", "POST", "/release")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


__all__ = ["ALL_CODES", "Case", "DECANT", "DOUBLES", "Key", "MARK", "Result", "box", "owner", "preload", "sha256", "signal", "time",
           "tree"]
