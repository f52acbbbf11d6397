"""The sandbox's own interface: faults, lies, keys, blobs, the log. POST JSON; GET /log works, too."""

import base64
import json

from sandbox import attestation, faults, pki, release, sas
from sandbox.blobs import Blob, FileContent
from sandbox.server import Answer, Content, Refusal, Service
from sandbox.access import ACCOUNT

LIES = {"vault": release.LIES, "attestation": attestation.LIES}
PLATFORM = {
    "file_chain": ("now", "stale", "expired", "expiring", "early", "missing"),
    "thim_chain": ("now", "stale", "expired", "expiring", "early", "missing"),
    "debug": (True, False),
    "masked": (True, False),
    "other_measurement": (True, False),
    "other_host_data": (True, False),
}


class Control(Service):
    name = "control"

    def __init__(self, world):
        self.world = world

    def handle(self, request):
        handler = getattr(self, "do_" + request.path[1:], None)
        if handler is None or request.method not in ("POST", "GET"):
            calls = ", ".join("/" + name[3:] for name in dir(self) if name.startswith("do_"))
            raise Refusal(404, "NotFound", f"The control calls are: {calls}")
        limit = 64 << 20
        body = request.body(limit) if request.method == "POST" else b""
        request.size = len(body)
        try:
            answer = handler(self.parse(body))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise Refusal(400, "BadRequest", f"{type(error).__name__}: {error}") from None
        return Answer(json_body=answer if answer is not None else {})

    @staticmethod
    def parse(body):
        value = json.loads(body) if body else {}
        if not isinstance(value, dict):
            raise ValueError("the body is no JSON object")
        return value

    def do_reset(self, _):
        """No faults, no lies, an empty log, the platform as it should be; keys and blobs stay."""
        world = self.world
        for each in (world.faults, world.lies, world.log):
            each.clear()
        world.throttle.set(None)
        world.chip.restore()
        world.chip.write()
        world.directory.restore()
        world.write_federated_token()

    def do_fault(self, wish):
        self.world.faults.add(wish)

    def do_log(self, _):
        return self.world.log.read()

    def do_tamper(self, wish):
        self.world.lies.set(wish["service"], wish.get("what"), wish.get("times", -1))

    def do_throttle(self, wish):
        """{"limit": 10, "per_s": 10} for releases; limit null: off."""
        self.world.throttle.set(wish.get("limit", 10), wish.get("per_s", 10))

    def do_platform(self, wish):
        chip = self.world.chip
        wish = dict(wish)
        absent = wish.pop("absent", None)
        for short, (name, value) in {
            "stale_chain": ("file_chain", "stale"),
            "missing_chain": ("file_chain", "missing"),
        }.items():
            if short in wish:
                wish[name] = value if wish.pop(short) else "now"
        for name, value in wish.items():
            if value not in PLATFORM.get(name, ()):
                raise ValueError(f"platform takes absent (list of files), stale_chain, missing_chain and: {PLATFORM}")
        for name, value in wish.items():
            setattr(chip, name, value)
        if absent is not None:
            chip.absent = set(absent)
        chip.write()

    def do_identity(self, wish):
        """{"expires_in": seconds} of new tokens; {"federated": {claims}} rewrites the federated token."""
        if "expires_in" in wish:
            self.world.directory.lifetime_s = int(wish["expires_in"])
        if "federated" in wish:
            self.world.write_federated_token(**wish["federated"])

    def do_token(self, wish):
        return {"token": self.world.directory.token(wish["audience"], wish.get("seconds"))}

    def do_key(self, wish):
        version = self.world.vault.preload(
            wish, self.world.addresses[wish.get("vault", "vault")], self.world.release_policy()
        )
        answer = {"kid": version.kid, "versionless": version.kid.rsplit("/", 1)[0], "key": version.public_members()}
        if isinstance(version.key, bytes):
            return {**answer, "raw_base64": base64.b64encode(version.key).decode()}
        return {
            **answer,
            "public_pem": pki.public_pem(version.key).decode(),
            "private_pem": pki.key_pem(version.key).decode(),
        }

    def do_policy(self, _):
        """The release policy that this platform meets."""
        return self.world.release_policy()

    def do_container(self, wish):
        self.world.store.make(wish.get("account", ACCOUNT), wish["name"], wish.get("public"))

    def do_public(self, wish):
        self.world.store.make(wish.get("account", ACCOUNT), wish["container"], wish.get("public", True))

    def do_blob(self, wish):
        """{container, name, and one of: base64, text, file (path, not copied), zeros (size)}, metadata?, account?"""
        container = self.world.store.make(wish.get("account", ACCOUNT), wish["container"])
        if "file" in wish:
            content = FileContent(wish["file"])
        elif "zeros" in wish:
            content = self.world.store.sparse(int(wish["zeros"]))
        else:
            content = Content(base64.b64decode(wish["base64"]) if "base64" in wish else wish["text"].encode())
        blob = Blob(content, wish.get("metadata"))
        container.blobs[wish["name"]] = blob
        return {"etag": f'"{blob.etag}"', "size": content.size}

    def do_sas(self, wish):
        text = sas.mint(
            self.world.account_key,
            wish.get("account", ACCOUNT),
            wish["container"],
            wish.get("blob"),
            wish.get("permissions", "rl"),
            int(wish.get("seconds", 3600)),
        )
        return {"sas": text}

    def do_actions(self, _):
        """What can be asked of /fault and /tamper."""
        return {
            "fault": faults.ACTIONS,
            "tamper": LIES,
            "platform": {name: list(values) for name, values in PLATFORM.items()},
        }
