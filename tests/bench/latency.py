"""How many round trips does one small blob take? The sandbox answers each request after a fixed delay; what a run takes longer,
divided by the delay, is the number of requests that wait for each other. That is counted with a delay of a second: the time
to make an RSA pair varies by more than several short ones.

Evidence comes from the sandbox's sidecar, which is not delayed: in a container it is a device on the same machine.
"""

import base64
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization

from measure import Failed
from sandbox import owner

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DELAY_MS = 50
COUNTED_MS = 1000
DELAYED = ("identity", "thim", "attestation", "vault", "storage")
TARGET = 4
START_S = 30


class Sandbox:
    def __init__(self, folder):
        self.process = subprocess.Popen([sys.executable, os.path.join(ROOT, "sandbox"), "--state", folder],
                                        stdout=subprocess.DEVNULL)
        ready, deadline = os.path.join(folder, "sandbox.json"), time.monotonic() + START_S
        while not os.path.exists(ready):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise Failed("the sandbox does not start")
            time.sleep(0.1)
        with open(ready, encoding="utf-8") as file:
            self.addresses = json.load(file)

    def control(self, call, **wish):
        connection = http.client.HTTPConnection(urlsplit(self.addresses["control"]).netloc)
        connection.request(*(("POST", f"/{call}", json.dumps(wish)) if wish else ("GET", f"/{call}")))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise Failed(f"{call}: {body.decode()}")
        return json.loads(body)

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def upload(sandbox):
    """One small blob; the key's id comes back."""
    key = sandbox.control("key", name="bench", kty="RSA", size=2048)
    public = serialization.load_pem_public_key(key["public_pem"].encode())
    stored, metadata = owner.encrypt_bytes(b"small" * 800, public, key["kid"])
    sandbox.control("container", name="bench")
    sandbox.control("blob", container="bench", name="blob", base64=base64.b64encode(stored).decode(),
                    metadata={"encryptiondata": metadata})
    return key["versionless"]


def run(decant, sandbox, kid, volume):
    addresses = sandbox.addresses
    job = {"attestation": {"provider": addresses["attestation"], "evidence": "sidecar", "sidecar": addresses["sidecar"]},
           "keys": [{"kid": kid}], "inputs": [{"from": f"{addresses['storage']}/bench/blob"}], "volume": {"path": volume},
           "network": {"ca_file": addresses["ca_file"]}}
    shutil.rmtree(volume, ignore_errors=True)
    os.mkdir(volume)
    begin = time.monotonic()
    done = subprocess.run([decant, "run", "--log-level", "error"], capture_output=True, text=True, check=False, env={
        **os.environ, "DECANT_JOB": json.dumps(job), "AZURE_POD_IDENTITY_AUTHORITY_HOST": addresses["identity"]})
    if done.returncode != 0:
        raise Failed(done.stderr.strip().splitlines()[-1])
    return time.monotonic() - begin


def wall_with(decant, sandbox, kid, volume, delay_ms, repeat):
    sandbox.control("reset", again=True) if delay_ms else None
    for service in DELAYED if delay_ms else ():
        sandbox.control("fault", service=service, times=-1, action={"delay_ms": delay_ms})
    return statistics.median(run(decant, sandbox, kid, volume) for _ in range(repeat))


def measure_latency(decant, folder, repeat):
    """{"plain_s", "delayed_s", "round_trips", "requests"}, or {"not_run"}."""
    os.makedirs(folder)
    sandbox = None
    try:
        sandbox = Sandbox(os.path.join(folder, "sandbox"))
        kid, volume = upload(sandbox), os.path.join(folder, "volume")
        plain, delayed, counted = (wall_with(decant, sandbox, kid, volume, delay, repeat) for delay in (0, DELAY_MS, COUNTED_MS))
        return {"plain_s": plain, "delayed_s": delayed, "round_trips": (counted - plain) * 1000 / COUNTED_MS}
    except (Failed, OSError) as error:
        return {"not_run": str(error)}
    finally:
        if sandbox is not None:
            sandbox.stop()
