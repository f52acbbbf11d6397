"""One small complete run that is made to fail in many ways: the sandbox, two blobs (one of them gzip), a job.

The key is released by the sandbox's vault after attestation with the double of the device; the ephemeral RSA pair is ready
made, so that a run is short and makes the same calls each time.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import harness  # noqa: E402
from preload import State  # noqa: E402

FAULT = os.environ.get("FAULT", os.path.join(os.path.dirname(harness.DOUBLES), "fault", "libfault.so"))
FILES = {"plain/a.txt": b"worthless-plaintext-a " * 40, "b.txt": b"worthless-plaintext-b " * 60}
TIMEOUT_S = 30


def pair_file(folder):
    path = os.path.join(folder, "pair.pem")
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return path


class Scene:
    """What all runs share."""

    def __init__(self, box=None):
        self.box = box or harness.box()
        self.box.control("reset")
        self.folder = tempfile.mkdtemp(prefix="decant-fault-")
        self.pair = pair_file(self.folder)
        self.key = self.box.key("kek")
        self.box.control("container", name="fault")
        self.put("plain/a.txt", FILES["plain/a.txt"])
        self.put("b.gz", gzip.compress(FILES["b.txt"]))

    def put(self, name, plaintext):
        stored, metadata = harness.owner.encrypt_bytes(plaintext, self.key.kek, self.key.kid, region=512)
        self.box.control("blob", container="fault", name=name, base64=harness.b64encode(stored).decode(),
                         metadata={"encryptiondata": metadata})

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def job(self, volume):
        base = f"{self.box['storage']}/fault"
        return {"attestation": {"provider": self.box["attestation"], "evidence": "device"},
                "identity": {"type": "managed"}, "keys": [{"kid": self.key.versionless}],
                "inputs": [{"from": f"{base}/plain/", "to": "plain"},
                           {"from": f"{base}/b.gz", "to": "b.txt", "decompress": "gzip",
                            "sha256": harness.sha256(FILES["b.txt"])}],
                "volume": {"path": volume}, "network": {"ca_file": self.box["ca_file"]},
                "limits": {"parallel": 2, "timeout_s": 20}}

    def environment(self, **changes):
        box = self.box
        variables = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "FAULT_PAIR": self.pair,
                     "LD_PRELOAD": " ".join([FAULT, harness.preload("sev_device")]),
                     "ASAN_OPTIONS": f"exitcode={harness.SANITIZER_EXIT}:detect_leaks=1:verify_asan_link_order=0:"
                                     "allocator_may_return_null=1:handle_segv=1",
                     "LSAN_OPTIONS": f"exitcode={harness.SANITIZER_EXIT}",
                     "UBSAN_OPTIONS": f"exitcode={harness.SANITIZER_EXIT}:halt_on_error=1:print_stacktrace=1",
                     "DOUBLE_SEV": "guest", "DOUBLE_SEV_KEY": box["device"]["vcek_key"],
                     "DOUBLE_SEV_REPORT": box["device"]["report_template"],
                     "UVM_SECURITY_CONTEXT_DIR": box["security_context"],
                     "AZURE_POD_IDENTITY_AUTHORITY_HOST": box["identity"], **changes}
        return {name: value for name, value in variables.items() if value is not None}


class Lane:
    """One place where runs follow one another: a volume, a state file, a job."""

    scene_of, command = Scene, "run"

    def __init__(self, scene, name):
        self.scene = scene
        self.volume = tempfile.mkdtemp(prefix="decant-fault-", dir="/dev/shm")
        os.chmod(self.volume, 0o755)
        self.state = State(os.path.join(scene.folder, f"state-{name}"))
        self.job = os.path.join(scene.folder, f"job-{name}.json")
        with open(self.job, "w", encoding="ascii") as file:
            json.dump(scene.job(self.volume), file)

    def close(self):
        shutil.rmtree(self.volume, ignore_errors=True)

    def empty(self):
        for name in os.listdir(self.volume):
            path = os.path.join(self.volume, name)
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def run(self, call=None, number=0):
        """One run in which the call with this number fails; the state says whether it was reached."""
        self.state.clear()
        wish = {"FAULT_STATE": self.state.path}
        if call:
            wish |= {"FAULT_CALL": call, "FAULT_NUMBER": str(number)}
        process = subprocess.run([harness.DECANT, self.command, "-c", self.job], env=self.scene.environment(**wish),
                                 stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False)
        self.state.read()
        return harness.Result(process.returncode, process.stdout.decode(errors="replace"),
                              process.stderr.decode(errors="replace"))

    def contents(self):
        return {name: content for name, (mode, content) in harness.tree(self.volume).items() if mode[0] != "d"}

    def after_success(self):
        """What is wrong with the volume after a run that says it succeeded, or None."""
        found = self.contents()
        if found.pop(".decant/ready.json", None) is None:
            return "no ready.json"
        if found != FILES:
            return f"files {sorted(found)}, not the right ones"
        return None

    def after_failure(self, result):
        """The same after one that says it failed."""
        named = [name for name in self.contents() if not name.startswith(".decant/stage/")]
        if named:
            return f"published {named} with exit code {result.code}"
        if harness.tree(self.volume):
            return f"left {sorted(harness.tree(self.volume))}"
        return None
