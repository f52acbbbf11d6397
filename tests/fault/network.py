"""The network: each request to each service, broken in each way and at each phase.

A passing fault (once) has to be got over: exit code 0. A lasting one ends the run with the contract's code. REQUESTS and FAULTS
are the table; EXCEPTIONS says where a service's meaning makes another code the right one.
"""

import dataclasses
import time
import typing

import table
from scene import harness

LIMITS_S = (4, 30)          # of runs that are to end by their time limit; the second where the first was over too early
GRACE_S = 60                # how much later such a run may end here
TRIES_MAX = 60
NOBODY = "http://127.0.0.1:9"
SIZE = 5000                 # of the blob: a body of 5 KiB
MANIFEST_SIZE = 2048        # of its text, padded
LARGE = 10 << 20


@dataclasses.dataclass
class Request:
    name: str
    service: str
    method: str
    path: str
    body_kib: int                       # of its answer
    prepare: typing.Callable            # (place) → job, environment
    refused: typing.Callable = None     # (place, job, environment): nobody listens where it goes
    refused_code: int = 22
    garbage: int = 22                   # what an answer that cannot be understood means
    refusal: int = 22                   # and one that says no, such as a redirect
    tries: int = 5


# ---- The runs that make these requests ----

def whole(place, **parts):
    return place.job(place.url("s/a"), **parts), {}


def quick(place):
    return place.quick_job(place.url("s/a")), {}


def listed(place):
    return place.quick_job(place.url("s/")), {}


def by_secret(place):
    environment = {"AZURE_CLIENT_ID": place.box["client_id"], "AZURE_TENANT_ID": place.box["tenant"],
                   "AZURE_AUTHORITY_HOST": place.box["entra"], "AZURE_CLIENT_SECRET": place.box["client_secret"]}
    return place.job(place.url("s/a"), identity={"type": "client_secret"}), environment


def by_thim(place):
    place.box.control("platform", file_chain="missing")
    return whole(place, attestation={"certificates": place.box["thim"]})


def by_kds(place):
    place.box.control("platform", file_chain="missing", thim_chain="missing")
    return whole(place, attestation={"certificates": place.box["thim"]}, network={"proxy": place.box["proxy"]})


def by_sidecar(place):
    job, _ = whole(place, attestation={"evidence": "sidecar", "sidecar": place.box["sidecar"]})
    return job, {"DOUBLE_SEV": ""}


def key_from_sidecar(place):
    key = {"kid": place.key.versionless, "source": "sidecar"}
    return whole(place, keys=[key], attestation={"evidence": None, "sidecar": place.box["sidecar"]})


def with_manifest(place):
    text = harness.json.dumps({"files": [{"name": "a", "size": SIZE, "sha256": harness.sha256(place.files["a"])}]}).encode()
    text = text.ljust(MANIFEST_SIZE)    # a try goes on where the last one was cut: ten bytes each must not reach the end in time
    place.store("list.json", text)
    manifest = {"from": place.url("list.json"), "sha256": harness.sha256(text)}
    return place.quick_job({"from": place.url("s/"), "manifest": manifest}), {}


# ---- Nobody listens ----

def no_identity(_, job, environment):
    environment["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = NOBODY


def no_entra(_, job, environment):
    environment["AZURE_AUTHORITY_HOST"] = NOBODY


def no_thim(place, job, environment):
    job["attestation"]["certificates"] = NOBODY
    place.box.fault({"status": 403}, service="proxy", times=-1)
    job["network"]["proxy"] = place.box["proxy"]


def no_proxy(_, job, environment):
    job["network"]["proxy"] = NOBODY


def no_provider(_, job, environment):
    job["attestation"]["provider"] = NOBODY


def no_vault(place, job, environment):
    """A key that only that vault has."""
    kid = f"{NOBODY}/keys/kek"
    place.put("s/a", place.files["a"], kid=kid)
    job["keys"] = [{"kid": kid}]


def no_storage(_, job, environment):
    source = job["inputs"][0]
    source["from"] = NOBODY + "/devaccount/" + source["from"].split("/devaccount/")[1]


def no_sidecar(_, job, environment):
    job["attestation"]["sidecar"] = NOBODY


REQUESTS = (
    Request("identity: token for the vault", "identity", "GET", "resource=https%3A%2F%2Fvault", 1, whole, no_identity, 12, 22, 12),
    Request("identity: token for storage", "identity", "GET", "resource=https%3A%2F%2Fstorage", 1, whole, None, 12, 22, 12),
    Request("entra: token", "entra", "POST", "token", 1, by_secret, no_entra, 22, 12, 12),
    Request("thim: certificates", "thim", "GET", "", 6, by_thim, no_thim, 10, 10, 10, 3),
    Request("kds: VCEK", "kds", "GET", "blSPL", 1, by_kds, no_proxy, 10, 10, 10, 3),
    Request("kds: chain", "kds", "GET", "cert_chain", 4, by_kds, None, 10, 10, 10, 3),
    Request("attestation: token", "attestation", "POST", "SevSnpVm", 4, whole, no_provider, 22, 11, 11),
    Request("vault: release", "vault", "POST", "/release", 9, whole, no_vault, 22, 14, 13),
    Request("sidecar: evidence", "sidecar", "POST", "/attest/combined", 12, by_sidecar, no_sidecar, 22, 10, 10),
    Request("sidecar: key", "sidecar", "POST", "/key/release", 2, key_from_sidecar, no_sidecar, 22, 14, 13),
    Request("storage: listing", "storage", "GET", "comp=list", 2, listed, no_storage),
    Request("storage: properties", "storage", "HEAD", "/s/a", 0, quick, no_storage),
    Request("storage: range", "storage", "GET", "/s/a", 5, listed),
    Request("storage: manifest", "storage", "GET", "/list.json", 2, with_manifest),
)


@dataclasses.dataclass
class Fault:
    name: str
    action: dict
    once: bool
    code: typing.Any                    # or a name of Request's: garbage
    only: tuple = ()                    # methods, or services
    slow: bool = False


def passing(name, action, **more):
    return Fault(name + ", once", action, True, 0, **more)


def lasting(name, action, code=22, **more):
    return Fault(name, action, False, code, **more)


def faults_of(request):
    """Every fault that makes sense for REQUEST."""
    head = [1, 12, 17, 40, 100]
    found = [
        passing("closed without an answer", {"drop": True}), lasting("closed without an answer", {"drop": True}),
        passing("reset", {"reset": True}), lasting("reset", {"reset": True}),
        *(passing(f"cut after {n} bytes of the headers", {"cut_head_after": n}) for n in head),
        lasting("cut in the headers", {"cut_head_after": 40}),
        passing("status 500", {"status": 500}), passing("status 503, a few times", {"status": 503, "code": "ServerBusy"}),
        passing("status 429, a few times", {"status": 429, "code": "Throttled", "retry_after": 1}),
        lasting("status 503", {"status": 503, "code": "ServerBusy"}),
        lasting("status 429", {"status": 429, "code": "Throttled", "retry_after": 1}),
        lasting("status 503, no time limit", {"status": 503, "code": "ServerBusy"}, slow=True),
        lasting("headers at 1 byte/s", {"slow_head_bps": 1}),
        lasting("no answer in time", {"delay_ms": 15000}),
        lasting("redirected", {"redirect": "TRAP"}, "refusal"),
        lasting("40 KiB of headers", {"headers": {"X-Long": "x" * 40960}}),
    ]
    if request.method in ("GET", "POST"):    # the others' answers have no body
        found += [passing(f"cut after {n} KiB of the body", {"cut_after": n * 1024}) for n in range(request.body_kib)]
        found += [lasting("cut in the body", {"cut_after": 10}), lasting("body at 1 byte/s", {"slow_bps": 1}),
                  lasting("gzip that nobody asked for", {"gzip": True}),
                  lasting("10 MiB", {"body_bytes": LARGE}),
                  lasting("a page of a proxy in its place", {"body": "<html>log in here</html>"}, "garbage"),
                  lasting("an empty body", {"body": ""}, "garbage"),
                  lasting("a length that is too great", {"headers": {"Content-Length": "100000"}}),
                  lasting("a length that is too small", {"headers": {"Content-Length": "100"}}, "garbage")]
    if request.name == "storage: range":
        found += [lasting("200 and the whole blob", {"ignore_range": True}),
                  lasting("another range, told truthfully", {"wrong_range": True}),
                  lasting("a wrong Content-Range", {"wrong_range": "header"}),
                  lasting("a wrong total size", {"wrong_range": "total"}),
                  lasting("no Content-Range", {"headers": {"Content-Range": None}}),
                  lasting("another ETag", {"etag": '"0xOTHER"'}), lasting("no ETag", {"headers": {"ETag": None}}),
                  lasting("412: the blob is another", {"status": 412, "code": "ConditionNotMet"}, 31),
                  lasting("416: the blob is shorter", {"status": 416, "code": "InvalidRange"}, 31),
                  lasting("a flipped byte", {"flip_byte": 2000}, 30)]
    if request.name == "storage: properties":
        found += [lasting("another ETag", {"etag": '"0xOTHER"'}, 31), lasting("no ETag", {"headers": {"ETag": None}}),
                  lasting("no length", {"headers": {"Content-Length": "x"}}),
                  lasting("a length that is too great", {"headers": {"Content-Length": "100000"}}),
                  lasting("a length that is too small", {"headers": {"Content-Length": "100"}})]
    return found


# (request, fault) → code, where the request's meaning makes another code the right one, and why.
EXCEPTIONS = {
    # Certificates that are no use are as good as none: the next place is asked, and none is left.
    (request, fault): 10 for request in ("thim: certificates", "kds: VCEK", "kds: chain")
    for fault in ("40 KiB of headers", "gzip that nobody asked for", "10 MiB")
}


def prepared(place, request):
    place.files = {"a": place.plain(SIZE)}
    place.put("s/a", place.files["a"])
    return request.prepare(place)


def play_for(place, request, fault, limit):
    """Result, seconds, and how often the request was made."""
    job, environment = prepared(place, request)
    action, times = dict(fault.action), min(3, request.tries - 1) if "a few" in fault.name else 1
    if "redirect" in action:
        action["redirect"] = place.box["control"] + "/trap"
    place.box.fault(action, service=request.service, method=request.method, path=request.path, times=times if fault.once else -1)
    start = time.monotonic()
    result = place.run_decant(*(["--timeout", str(limit)] if limit else []), job=job, environment=environment)
    return result, time.monotonic() - start, len(place.box.log(request.service, request.method, request.path))


def play(place, request, fault):
    for limit in [None] if fault.once or fault.slow else LIMITS_S:
        result, took, asked = play_for(place, request, fault, limit)
        if asked > 0 or "delay_ms" in fault.action:     # the sandbox notes a request when it answers
            break
        place.fresh()                   # a busy machine did not even get there
    if limit:
        place.assertLess(took, limit + GRACE_S, result)
    place.assertEqual(place.box.log("control", None, "trap"), [], "a redirect was followed")
    place.assertGreater(asked + ("delay_ms" in fault.action), 0, "the request was never made")
    place.assertLess(asked, TRIES_MAX, "tries without end")
    return place.ended(result, result.code, place.files)


def refuse(place, request):
    job, environment = prepared(place, request)
    request.refused(place, job, environment)
    limit = LIMITS_S[1] if request.service in ("thim", "kds") else LIMITS_S[0]
    return place.ended(place.run_decant("--timeout", str(limit), job=job, environment=environment),
                       (request.refused_code, 22), place.files)


def cases():
    found = []
    for request in REQUESTS:
        if request.refused:
            found.append(table.Case(request.name, "nobody listens", request.refused_code,
                                    lambda place, request=request: refuse(place, request)))
        for fault in faults_of(request):
            code = EXCEPTIONS.get((request.name, fault.name), fault.code)
            found.append(table.Case(request.name, fault.name, code if isinstance(code, int) else getattr(request, code),
                                    lambda place, request=request, fault=fault: play(place, request, fault), slow=fault.slow))
    return found


CASES = cases()
