"""The network on the way out: each request of `decant seal`, broken in each way. All blobs come to be or none, and the files stay as they are."""

import os
import time

import network
import sealing
import table
from network import Request, lasting, passing

LARGE = (4 << 20) + 1   # of two regions: before such a file is sent, decant looks whether its name is free
GRACE_S = 90        # a failed seal takes back what it committed, and looks twice


def prepare(place, **more):
    place.files = {**sealing.FILES, **more}
    for name, content in place.files.items():
        path = os.path.join(place.volume, "results", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    place.box.control("public", container=place.container)
    output = {"from": "results", "to": place.url("out/"), "key": place.key.versionless, "manifest": True}
    return place.job(keys=[], attestation=None, outputs=[output], limits={"parallel": 2})


def prepare_large(place):
    return prepare(place, large=b"worthless-plaintext".ljust(LARGE, b"-"))


REQUESTS = (
    Request("seal: token", "identity", "GET", "resource=https%3A%2F%2Fstorage", 1, prepare, garbage=22, refusal=12),
    Request("seal: key", "vault", "GET", "/keys/", 1, prepare, garbage=14, refusal=13),
    Request("seal: is it there", "storage", "HEAD", "out/large", 0, prepare_large),
    Request("seal: block", "storage", "PUT", "out/a.*blockid", 0, prepare),
    Request("seal: commit", "storage", "PUT", "out/sub.*comp=blocklist", 0, prepare),
    Request("seal: the manifest's commit", "storage", "PUT", "manifest.*comp=blocklist", 0, prepare),
)


def faults_of(request):
    found = network.faults_of(request)
    if request.method == "PUT":
        found += [passing("done, but the answer gets lost", {"drop_answer": True}),
                  lasting("done, but the answer gets lost", {"drop_answer": True}),
                  lasting("refused: the account is full", {"status": 409, "code": "AccountRequiresMoreQuota"}, 21),
                  lasting("refused: no right to write", {"status": 403, "code": "AuthorizationPermissionMismatch"}, 21)]
    if "commit" in request.name:
        found += [lasting("no ETag", {"headers": {"ETag": None}}),
                  lasting("200 in the place of 201", {"status": 200}),
                  lasting("somebody else's blob is there", {"status": 409, "code": "BlobAlreadyExists"}, 42)]
    return found


def judged(place, result):
    """All blobs or none; the sources as they were."""
    place.judged(result)
    blobs = sealing.blobs_of(place.box, place.container)
    whole = {"out.manifest.json"} | {"out/" + name for name in place.files}
    place.assertEqual(blobs, whole if result.code == 0 else set(), result)
    there = {name: content for name, (mode, content) in network.harness.tree(place.volume).items()
             if mode[0] != "d" and not name.startswith(".decant/")}
    place.assertEqual(there, {"results/" + name: content for name, content in place.files.items()}, result)
    return result


def play(place, request, fault):
    job = request.prepare(place)
    action, times = dict(fault.action), min(3, request.tries - 1) if "a few" in fault.name else 1
    if "redirect" in action:
        action["redirect"] = place.box["control"] + "/trap"
    place.box.fault(action, service=request.service, method=request.method, path=request.path, times=times if fault.once else -1)
    limit = [] if fault.once or fault.slow else ["--timeout", str(network.LIMITS_S[0])]
    start = time.monotonic()
    result = place.seal(job, *limit)
    place.assertLess(time.monotonic() - start, network.LIMITS_S[0] + GRACE_S if limit else 10 * GRACE_S, result)
    place.assertEqual(place.box.log("control", None, "trap"), [], "a redirect was followed")
    asked = len(place.box.log(request.service, request.method, request.path))
    place.assertGreater(asked + ("delay_ms" in action), 0, "the request was never made")
    place.assertLess(asked, network.TRIES_MAX, "tries without end")
    return judged(place, result)


def cases():
    found = []
    for request in REQUESTS:
        for fault in faults_of(request):
            code = fault.code if isinstance(fault.code, int) else getattr(request, fault.code)
            found.append(table.Case(request.name, fault.name, code,
                                    lambda place, request=request, fault=fault: play(place, request, fault), slow=fault.slow))
    return found


CASES = cases()
