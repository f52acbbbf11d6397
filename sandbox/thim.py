"""Certificates of the processor: the host's service (THIM) and AMD's key distribution service (KDS)."""

from sandbox import pki
from sandbox.chip import PARTS, TCB_NOW, TCB_STALE
from sandbox.server import Answer, Refusal, Service


class Thim(Service):
    """GET /metadata/THIM/amd/certification."""

    name = "thim"

    def __init__(self, chip):
        self.chip = chip

    def handle(self, request):
        if request.path.lower() != "/metadata/thim/amd/certification" or self.chip.thim_chain == "missing":
            raise Refusal(404, "NotFound", "There is nothing here.")
        if request.method != "GET":
            raise Refusal(405, "MethodNotAllowed", "GET is the only method.", {"Allow": "GET"})
        if (request.header("Metadata") or "").lower() != "true":
            raise Refusal(400, "BadRequest", "The header Metadata: true is missing.")
        return Answer(json_body=self.chip.certification(self.chip.thim_chain))


class Kds(Service):
    """GET /vcek/v1/Milan/<chip id>?blSPL=… and /vcek/v1/Milan/cert_chain."""

    name = "kds"

    def __init__(self, chip):
        self.chip = chip

    def refusal(self, error):
        return Answer(
            error.status, {"Content-Type": "text/html"}, f"<html><h1>{error.status} {error.message}</h1></html>"
        )

    def handle(self, request):
        parts = request.segments()
        if request.method != "GET" or parts[:3] != ["vcek", "v1", "Milan"] or len(parts) != 4:
            raise Refusal(404, "NotFound", "Not Found")
        if parts[3] == "cert_chain":
            return Answer(200, {"Content-Type": "application/x-pem-file"}, self.chip.chain_pem())
        if len(parts[3]) != 128:
            raise Refusal(400, "BadRequest", "Bad Request")
        if parts[3].lower() != self.chip.chip_id.hex():
            raise Refusal(404, "NotFound", "Not Found")
        return Answer(200, {"Content-Type": "application/octet-stream"}, pki.der(self.vcek(request.query)))

    def vcek(self, query):
        if set(query) - set(PARTS) or not all(value.isdigit() and int(value) < 256 for value in query.values()):
            raise Refusal(400, "BadRequest", "Bad Request")
        asked = {part: int(query.get(part, 0)) for part in PARTS}
        for which, tcb in (("now", TCB_NOW), ("stale", TCB_STALE)):
            if asked == tcb:
                return self.chip.vceks[which]
        raise Refusal(404, "NotFound", "Not Found")
