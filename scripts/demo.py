#!/usr/bin/python3
"""The whole way on one machine: a data owner encrypts and uploads a small data set, decant pours it.

usage: scripts/demo.py PATH-OF-DECANT

Everything runs against the sandbox (sandbox/README.md): real cryptography, made-up hardware. The evidence comes
from the sandbox's stand-in for the SKR sidecar, because this machine has no SEV-SNP device.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent


def say(text):
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def start_sandbox(state):
    process = subprocess.Popen([sys.executable, ROOT / "sandbox", "--state", state], stdout=subprocess.DEVNULL)
    for _ in range(3000):  # a busy machine takes its time to make keys
        if (state / "sandbox.json").exists():
            return process, json.loads((state / "sandbox.json").read_text())
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    sys.exit("the sandbox did not start")


def control(world, call, **wish):
    request = urllib.request.Request(f"{world['control']}/{call}", json.dumps(wish).encode())
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def show(command, **options):
    print("$", " ".join(str(word).replace(str(ROOT) + "/", "") for word in command), flush=True)
    return subprocess.run(command, check=False, **options).returncode


def make_key(world, work):
    key = control(world, "key", name="dataset-kek", kty="RSA", size=2048)
    (work / "kek.pem").write_text(key["public_pem"])
    return key


def write_job(world, work, volume, key):
    job = {
        "attestation": {"provider": world["attestation"], "evidence": "sidecar", "sidecar": world["sidecar"]},
        "keys": [{"kid": key["versionless"]}],
        "inputs": [{"from": world["storage"] + "/data/train/", "to": "train"}],
        "volume": {"path": str(volume)},
        "network": {"ca_file": world["ca_file"]},
    }
    (work / "job.json").write_text(json.dumps(job, indent=2) + "\n")


def demo(decant, work, volume, world):
    say("The vault holds a key that is released only to this platform; the data owner has its public half")
    key = make_key(world, work)
    print(key["versionless"])

    say("The data owner encrypts a small data set (client-side encryption 2.0) and uploads it")
    control(world, "container", name="data")
    sas = control(world, "sas", container="data", permissions="rwl")["sas"]
    code = show([sys.executable, ROOT / "sandbox/owner.py", "upload", "--url", world["storage"] + "/data", "--sas", sas,
                 "--kek-pem", work / "kek.pem", "--kid", key["kid"], ROOT / "samples/dataset", "train/"])

    say("The job")
    write_job(world, work, volume, key)
    print((work / "job.json").read_text(), end="")

    say("decant attests, gets the key released, downloads, decrypts, verifies, publishes")
    environment = dict(os.environ, AZURE_POD_IDENTITY_AUTHORITY_HOST=world["identity"])
    code = code or show([decant, "run", "-c", work / "job.json", "--log-format", "text"], env=environment)

    say("What was published")
    for path in sorted(path for path in volume.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:>9}  {path.relative_to(volume)}")
    same = show(["diff", "-r", ROOT / "samples/dataset", volume / "train"])
    print("the plaintext is the data set, byte for byte" if same == 0 else "THE PLAINTEXT DIFFERS")
    return code or same


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    work = pathlib.Path(tempfile.mkdtemp(prefix="decant-demo-"))
    volume = pathlib.Path(tempfile.mkdtemp(prefix="decant-demo-", dir="/dev/shm"))
    say("The sandbox plays the platform, the attestation service, the vault and the storage")
    sandbox, world = start_sandbox(work / "sandbox")
    print("running on loopback")
    try:
        return demo(pathlib.Path(sys.argv[1]).resolve(), work, volume, world)
    finally:
        sandbox.terminate()
        sandbox.wait()
        shutil.rmtree(volume, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
        say("The sandbox is stopped, the volume is gone")


if __name__ == "__main__":
    sys.exit(main())
