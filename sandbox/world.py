"""Everything together: the parts are made, their ports opened, their addresses written down."""

import base64
import json
import os
import secrets
import threading

from sandbox import attestation, chip, control, faults, front, identity, pki, release, sidecar, storage, thim, vault
from sandbox.access import ACCOUNT
from sandbox.blobs import Store
from sandbox.server import Listener


class World:
    """One sandbox. `start` opens it, `close` ends it."""

    def __init__(self, state, keys=None, imds_address=None):
        """STATE: the folder for its files. KEYS: a folder of keys that several sandboxes share, or None."""
        self.state = os.path.abspath(state)
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.keys = keys = pki.KeyStore(keys or os.path.join(self.state, "keys"))
        self.faults, self.log, self.throttle = faults.Faults(), faults.Log(), faults.Throttle()
        self.lies = faults.Lies(control.LIES)
        self.account_key = self._account_key()
        self.chip = chip.Chip(self.state, keys)
        root = pki.Authority.root("decant sandbox root CA", keys.get("root"))
        middle = root.issue("decant sandbox issuing CA", keys.get("issuing"), ca=True)
        self.directory = identity.Directory(keys)
        self.attestation = attestation.Attestation(self.chip, keys, self.lies)
        self.vault = vault.Vault(
            self.directory, self.attestation, release.Signer(keys, root, middle), self.lies, self.throttle
        )
        self.store = Store(os.path.join(self.state, "blobs"))
        self.storage = storage.Storage(self.directory, self.store, self.account_key)
        self.services = self._services()
        self.listeners = self._listeners(root, middle, imds_address)
        self.addresses = {name: listener.url for name, listener in self.listeners.items()}
        self.attestation.url = self.addresses["attestation"]
        self.vault.kinds[self.addresses["hsm"].split("//")[1]] = "hsm"

    def _account_key(self):
        path = os.path.join(self.keys.folder, "account.key")
        if not os.path.exists(path):
            pki.write(path, base64.b64encode(secrets.token_bytes(64)))
        with open(path, encoding="ascii") as file:
            return file.read()

    def _services(self):
        made = [
            identity.Imds(self.directory),
            identity.Entra(self.directory),
            thim.Thim(self.chip),
            thim.Kds(self.chip),
            sidecar.Sidecar(self.chip, self.attestation, self.vault, self.directory),
            self.attestation,
            self.vault,
            self.storage,
            control.Control(self),
        ]
        return {service.name: service for service in made}

    def _listeners(self, root, middle, imds_address):
        def metadata(request):
            return self.services["thim" if request.path.lower().startswith("/metadata/thim") else "identity"]

        routes = {**self.services, "hsm": self.vault, "identity": metadata}
        listeners = {name: Listener(self, route) for name, route in routes.items() if name != "thim"}
        if imds_address:
            host, _, port = imds_address.rpartition(":")
            listeners["imds"] = Listener(self, metadata, (host, int(port)))
        listeners["front"] = front.tls_front(self, self.services, self.state, self.keys, middle, root)
        listeners["proxy"] = front.Proxy(self, listeners["front"].port)
        return listeners

    # ---- Files ----

    def path(self, name):
        return os.path.join(self.state, name)

    def write_federated_token(self, **changes):
        pki.write(self.path("federated-token"), self.directory.federated_token(**changes).encode())

    def release_policy(self):
        """What this platform's token has to say: the authorities are the loopback service and two public names."""
        claims = {
            "x-ms-attestation-type": "sevsnpvm",
            "x-ms-compliance-status": "azure-compliant-uvm",
            "x-ms-sevsnpvm-hostdata": self.chip.host_data.hex(),
            "x-ms-sevsnpvm-is-debuggable": "false",
        }
        conditions = [{"claim": name, "equals": value} for name, value in claims.items()]
        authorities = (
            self.addresses["attestation"],
            "https://sharedneu.neu.attest.azure.net",
            "https://sharedweu.weu.attest.azure.net",
        )
        return {"version": "1.0.0", "anyOf": [{"authority": each, "allOf": conditions} for each in authorities]}

    def description(self):
        """sandbox.json."""
        urls = {name: url for name, url in self.addresses.items() if name not in ("front", "imds")}
        return {
            **urls,
            "thim": self.addresses["identity"] + "/metadata/THIM/amd/certification",
            "storage": f"{self.addresses['storage']}/{ACCOUNT}",
            "account_key": self.account_key,
            "front_port": self.listeners["front"].port,
            "ca_file": self.path("ca.pem"),
            "device": {"vcek_key": self.path("vcek.pem"), "report_template": self.path("report_template.bin")},
            "security_context": self.path("security-context-sandbox"),
            "federated_token_file": self.path("federated-token"),
            "tenant": identity.TENANT,
            "client_id": identity.CLIENT_ID,
            "client_secret": identity.CLIENT_SECRET,
            "host_data": self.chip.host_data.hex(),
            "release_policy": self.release_policy(),
            "pid": os.getpid(),
        }

    def start(self):
        self.chip.write()
        self.write_federated_token()
        for listener in self.listeners.values():
            listener.start()
        pki.write(self.path("sandbox.json"), json.dumps(self.description(), indent=2).encode() + b"\n")

    def close(self):
        enders = [threading.Thread(target=listener.shutdown) for listener in self.listeners.values()]
        for ender in enders:
            ender.start()
        for ender, listener in zip(enders, self.listeners.values()):
            ender.join()
            listener.server_close()
        if os.path.exists(self.path("sandbox.json")):
            os.unlink(self.path("sandbox.json"))
