"""The servers: an nginx that plays a fast blob service out of memory, and Azurite."""

import base64
import json
import os
import re
import secrets
import socket
import subprocess
import time

from data import ACCOUNT

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = "/usr/lib/nginx/modules"
LATENCY_MS = 20
START_S = 30
# The sink's buffers for bodies stay with the process: it is not page faults of the server that should be measured.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "17179869184"}

CONFIGURATION = """
load_module {modules}/ngx_http_headers_more_filter_module.so;
load_module {modules}/ngx_http_echo_module.so;
{user}
daemon off;
worker_processes auto;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    sendfile on; tcp_nopush on; tcp_nodelay on;
    output_buffers 2 512k; # for TLS, where sendfile cannot be used
    keepalive_timeout 600s; keepalive_requests 100000000;
    default_type application/octet-stream; types {{ application/xml xml; }}
    root {root};

    map_hash_max_size 65536; map_hash_bucket_size 256;
    # Azure's clients ask with x-ms-range; nginx knows Range.
    map $http_x_ms_range $wanted_range {{ default $http_x_ms_range; "" $http_range; }}
    more_set_input_headers "Range: $wanted_range";
    # azcopy sends the ETag as the listing has it, without quotes.
    map $http_if_match $wanted_match {{ default $http_if_match; '~^[^"]' '"$http_if_match"'; }}
    more_set_input_headers "If-Match: $wanted_match";
    map $uri $encryptiondata {{ default ""; include {folder}/metadata; }}
    map $arg_marker $page {{ default $arg_marker; "" first; }}
    map "$uri $arg_comp" $listing {{
        default "";
        "~^/{account}/(?<container>[a-z0-9-]+)/? list$" /lists/$container/$page.xml;
    }}
    add_header x-ms-version 2021-12-02;
    add_header x-ms-request-id $request_id;
    add_header x-ms-blob-type BlockBlob;
    add_header x-ms-server-encrypted true;
    add_header x-ms-meta-encryptiondata $encryptiondata; # left out where it is empty

    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    ssl_session_cache shared:tls:1m;

    server {{
        listen 127.0.0.1:{http} reuseport; listen 127.0.0.1:{https} ssl reuseport;
        if ($listing != "") {{ rewrite ^ $listing break; }}
        location ~ ^/{account}/[^/]+/data/?$ {{ return 404; }} # a folder here, nothing there
    }}
    server {{ # the same with latency: each request waits before it is looked at
        listen 127.0.0.1:{slow} reuseport;
        if ($listing != "") {{ rewrite ^ $listing break; }}
        location / {{ echo_sleep {latency}; echo_exec @now; }}
        location @now {{ }}
    }}
    server {{ # takes what is uploaded, into memory, and forgets it
        listen 127.0.0.1:{sink} reuseport;
        client_max_body_size 0; client_body_buffer_size 64m;
        if ($request_method !~ ^PUT$) {{ return 404; }}
        add_header ETag '"0x8DD000000000000"';
        add_header Last-Modified "Thu, 01 Jan 2026 00:00:00 GMT";
        add_header x-ms-version 2021-12-02;
        add_header x-ms-request-id $request_id;
        add_header x-ms-request-server-encrypted true;
        location / {{ echo_read_request_body; echo_status 201; echo -n ""; }}
    }}
}}
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def stop(process):
    process.terminate()
    process.wait(30)


def wait_for_port(port, process, log):
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    process.kill()
    with open(log, encoding="utf-8", errors="replace") as file:
        raise RuntimeError(f"{process.args[0]} does not start: {file.read()[-500:]}")


class Nginx:
    """Serves a Store over http, https (TLS 1.3, AES-256-GCM) and http with latency; takes uploads."""

    def sas(self, container):
        return ""

    def __init__(self, store):
        self.folder = os.path.join(store.folder, "nginx")
        os.mkdir(self.folder)
        self.ca_file = os.path.join(self.folder, "server.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=worthless test server", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", os.path.join(self.folder, "server.key"), "-out", self.ca_file], check=True,
                       stderr=subprocess.DEVNULL)
        with open(os.path.join(self.folder, "metadata"), "w", encoding="ascii") as file:
            file.write(store.metadata_map())
        http, https, slow, sink = free_ports(4)
        configuration, log = os.path.join(self.folder, "nginx.conf"), os.path.join(self.folder, "error.log")
        with open(configuration, "w", encoding="ascii") as file:
            file.write(CONFIGURATION.format(
                modules=MODULES, folder=self.folder, root=store.root, account=ACCOUNT, http=http, https=https, slow=slow,
                sink=sink, latency=LATENCY_MS / 1000, user="user root;" if os.geteuid() == 0 else ""))
        with open(log, "wb") as out:
            self.process = subprocess.Popen(["nginx", "-e", log, "-p", self.folder, "-c", configuration], stderr=out,
                                            env={**os.environ, **KEEP_MEMORY})
        wait_for_port(http, self.process, log)
        self.endpoints = {"http": f"http://127.0.0.1:{http}/{ACCOUNT}", "https": f"https://127.0.0.1:{https}/{ACCOUNT}",
                          "slow": f"http://127.0.0.1:{slow}/{ACCOUNT}", "sink": f"http://127.0.0.1:{sink}/{ACCOUNT}"}

    def stop(self):
        stop(self.process)


class Azurite:
    """The official emulator, out of memory; its clients come with a SAS."""

    ca_file = None

    def __init__(self, folder, tools):
        self.folder = os.path.join(folder, "azurite")
        os.mkdir(self.folder)
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.log = os.path.join(self.folder, "log")
        program = os.path.join(tools, "node_modules", "azurite", "dist", "src", "blob", "main.js")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["node", program, "--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1",
                 "--blobPort", "0", "--location", self.folder], stdout=log, stderr=log,
                env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"})
        self.endpoints = {"http": f"{self.wait()}/{ACCOUNT}"}
        self.tools, self.signatures = tools, {}

    def sas(self, container):
        return self.signatures[container]

    def make(self, container, blob):
        """The container, with BLOB in it unless it is None, and a SAS for it. Once."""
        if container in self.signatures:
            return
        wish = {"base": f"{self.endpoints['http']}/{container}", "key": self.key}
        if blob:
            wish.update(name=blob.name, file=blob.path, metadata=blob.metadata)
        path = os.path.join(self.folder, "wish.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(wish, file)
        self.signatures[container] = subprocess.run(
            [os.path.join(self.tools, "venv", "bin", "python"), os.path.join(HERE, "sdk.py"), "make", path],
            check=True, capture_output=True, text=True).stdout.strip()

    def wait(self):
        deadline, said = time.monotonic() + START_S, ""
        while time.monotonic() < deadline and self.process.poll() is None:
            with open(self.log, encoding="utf-8") as log:
                said = log.read()
            if found := re.search(r"successfully listens on (http://\S+)\n", said):
                return found[1]
            time.sleep(0.05)
        raise RuntimeError(f"Azurite does not start: {said[-500:]}")

    def stop(self):
        stop(self.process)
