#!/usr/bin/python3
"""Does memory stay constant? One blob of 4 GiB, then 20,000 small ones, each under limits.memory_mib.

usage: tests/bench/memory.py [--decant PATH] [--gib 4] [--blobs 20000]

Prints a Markdown table: peak resident memory of the decant process as the kernel accounts it (wait4), beside the
limit. The tmpfs that holds the plaintext is not the process's memory. Exit code 1 if a limit is broken.
Speed is not judged here: the sandbox is written in Python and is the limit.
"""

import argparse
import base64
import http.client
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from sandbox import owner  # noqa: E402  the data owner's side

LIMIT_MIB = 64


class World:
    """A sandbox of its own, on loopback."""

    def __init__(self, work):
        self.process = subprocess.Popen([sys.executable, ROOT / "sandbox", "--state", work / "sandbox"],
                                        stdout=subprocess.DEVNULL)
        ready = work / "sandbox" / "sandbox.json"
        while not ready.exists():
            if self.process.poll() is not None:
                sys.exit("the sandbox did not start")
            time.sleep(0.1)
        self.addresses = json.loads(ready.read_text())
        self.connection = http.client.HTTPConnection(urlsplit(self.addresses["control"]).netloc)

    def control(self, call, **wish):
        self.connection.request("POST", "/" + call, json.dumps(wish))
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            sys.exit(f"{call}: {answer.status} {body.decode()}")
        return json.loads(body)


def run(decant, world, prefix, key, volume):
    addresses = world.addresses
    job = {
        "attestation": {"provider": addresses["attestation"], "evidence": "sidecar", "sidecar": addresses["sidecar"]},
        "keys": [{"kid": key["versionless"]}],
        "inputs": [{"from": f"{addresses['storage']}/bench/{prefix}/"}],
        "volume": {"path": str(volume)},
        "network": {"ca_file": addresses["ca_file"]},
        "limits": {"memory_mib": LIMIT_MIB},
    }
    environment = dict(os.environ, AZURE_POD_IDENTITY_AUTHORITY_HOST=addresses["identity"], DECANT_JOB=json.dumps(job))
    start = time.monotonic()
    process = subprocess.Popen([decant, "run", "--log-level", "error"], env=environment, stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"decant failed: {status}")
    return json.loads(output), usage.ru_maxrss / 1024, time.monotonic() - start


def make_large(world, work, key, gib):
    plain, cipher, meta = work / "plain", work / "cipher", work / "meta.json"
    with open(plain, "wb") as file:
        file.truncate(gib << 30)
    (work / "kek.pem").write_text(key["public_pem"])
    subprocess.run([sys.executable, ROOT / "sandbox/owner.py", "encrypt", "--kek-pem", work / "kek.pem", "--kid", key["kid"],
                    plain, cipher, meta], check=True, stdout=subprocess.DEVNULL)
    plain.unlink()
    world.control("blob", container="bench", name="large/blob", file=str(cipher),
                  metadata={"encryptiondata": meta.read_text()})


def make_small(world, work, key, count):
    plain, cipher, meta = work / "plain", work / "cipher", work / "meta.json"
    plain.write_bytes(b"small" * 819)
    subprocess.run([sys.executable, ROOT / "sandbox/owner.py", "encrypt", "--kek-pem", work / "kek.pem", "--kid", key["kid"],
                    plain, cipher, meta], check=True, stdout=subprocess.DEVNULL)
    metadata = {"encryptiondata": meta.read_text()}
    content = base64.b64encode(cipher.read_bytes()).decode()
    for index in range(count):
        world.control("blob", container="bench", name=f"small/{index:06}", base64=content, metadata=metadata)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--decant", default=ROOT / "build" / "decant")
    parser.add_argument("--gib", type=int, default=4)
    parser.add_argument("--blobs", type=int, default=20000)
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="decant-bench-"))
    volume = pathlib.Path(tempfile.mkdtemp(prefix="decant-bench-", dir="/dev/shm"))
    world = World(work)
    rows = []
    try:
        key = world.control("key", name="bench", kty="RSA", size=2048)
        world.control("public", container="bench")
        for name, prefix, make, amount in ((f"one blob of {options.gib} GiB", "large", make_large, options.gib),
                                           (f"{options.blobs} blobs of 4 KiB", "small", make_small, options.blobs)):
            make(world, work, key, amount)
            summary, peak, seconds = run(options.decant, world, prefix, key, volume)
            rows.append((name, summary["files"], summary["bytes"], peak, seconds))
            shutil.rmtree(volume)
            volume.mkdir()
    finally:
        world.process.terminate()
        world.process.wait()
        shutil.rmtree(work)
        shutil.rmtree(volume)
    print("| what | files | bytes | peak MiB | limit MiB | wall s |\n|---|---|---|---|---|---|")
    for name, files, size, peak, seconds in rows:
        print(f"| {name} | {files} | {size} | {peak:.1f} | {LIMIT_MIB} | {seconds:.1f} |")
    return any(peak > LIMIT_MIB for *_, peak, _ in rows)


if __name__ == "__main__":
    sys.exit(main())
