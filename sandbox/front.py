"""The way in that looks like the Internet: a CONNECT proxy that leads every HOST:443 to one TLS listener, which tells
the services apart by host name."""

import os
import re
import selectors
import socket
import socketserver
import ssl
import time

from sandbox import pki
from sandbox.server import Handler, Listener, Refusal, Service

REGIONS = ("neu", "weu", "eus", "eus2", "wus", "cus", "uks", "sasia", "jpe", "weu.test", "eus2.test")
HOSTS = [
    "*.vault.azure.net",
    "*.managedhsm.azure.net",
    "*.vault.usgovcloudapi.net",
    "*.managedhsm.usgovcloudapi.net",
    "*.vault.azure.cn",
    "*.managedhsm.azure.cn",
    "*.blob.core.windows.net",
    "*.blob.core.usgovcloudapi.net",
    "*.blob.core.chinacloudapi.cn",
    "*.attest.azure.net",
    "*.attest.azure.us",
    *(f"*.{region}.attest.azure.net" for region in REGIONS),
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
    "kdsintf.amd.com",
    "localhost",
    "127.0.0.1",
]
ROUTES = (
    (r".+\.(vault|managedhsm)\.(azure\.net|usgovcloudapi\.net|azure\.cn)", "vault"),
    (r".+\.blob\.core\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)", "storage"),
    (r".+\.attest\.azure\.(net|us)", "attestation"),
    (r"login\.(microsoftonline\.(com|us)|chinacloudapi\.cn|partner\.microsoftonline\.cn)", "entra"),
    (r"kdsintf\.amd\.com", "kds"),
)


class Nowhere(Service):
    """What answers for a host that the sandbox does not play."""

    name = "front"

    def handle(self, request):
        raise Refusal(421, "MisdirectedRequest", f"The sandbox does not play {request.hostname}.")


class TlsHandler(Handler):
    scheme = "https"


class Front(Listener):
    """The TLS listener."""

    def __init__(self, world, services, chain_file, key_file):
        nowhere = Nowhere()

        def route(request):
            if request.host.endswith(":443"):
                request.host = request.host[:-4]
            name = next((to for pattern, to in ROUTES if re.fullmatch(pattern, request.hostname)), None)
            return services.get(name, nowhere)

        super().__init__(world, route, handler=TlsHandler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(chain_file, key_file)
        self.context.set_alpn_protocols(["http/1.1"])

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


def tls_front(world, services, state, keys, middle, root):
    """The front with a leaf for all hosts, below the sandbox's root; writes ca.pem."""
    key = keys.get("front")
    leaf = middle.issue("decant sandbox front", key, hosts=HOSTS, usages=[pki.SERVER_AUTH], days=(-1, 397))
    chain, key_file = os.path.join(state, "front-chain.pem"), os.path.join(keys.folder, "front.pem")
    pki.write(chain, pki.pem(leaf.certificate, middle.certificate))
    pki.write(os.path.join(state, "ca.pem"), pki.pem(root.certificate), 0o644)
    return Front(world, services, chain, key_file)


class ProxyHandler(socketserver.StreamRequestHandler):
    """CONNECT HOST:443, and nothing else."""

    disable_nagle_algorithm = True
    rbufsize = 0
    MAX_HEAD = 16384

    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.rfile.read(1)
            if not byte or len(head) > self.MAX_HEAD:
                return
            head += byte
        match = re.match(rb"CONNECT ([^\s:]+):(\d+) HTTP/1\.[01]\r\n", head)
        world = self.server.world
        target = head.split(b"\r\n")[0].split(b" ")[1].decode("latin-1") if head.count(b" ") > 1 else "?"
        action = world.faults.take("proxy", "CONNECT", target)
        status = 403 if not match or match[2] != b"443" else action.get("status", 200)
        world.log.add(service="proxy", method="CONNECT" if match else "?", path=target, status=status, range=None,
                      time=time.time())
        if action.get("drop"):
            return
        reason = {200: "Connection established", 403: "Only CONNECT to port 443"}.get(status, "Refused")
        self.connection.sendall(f"HTTP/1.1 {status} {reason}\r\n\r\n".encode())
        if status == 200:
            with socket.create_connection(("127.0.0.1", self.server.front_port)) as upstream:
                upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                splice(self.connection, upstream)


def splice(one, other):
    """Bytes both ways until either side has nothing more to say."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in selector.select():
                data = key.fileobj.recv(1 << 18)
                if not data:
                    return
                key.data.sendall(data)


class Proxy(Listener):
    def __init__(self, world, front_port):
        super().__init__(world, Nowhere(), handler=ProxyHandler)
        self.front_port = front_port
