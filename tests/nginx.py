"""A private nginx for the tests, made from the machine's own program: the demo behind a proxy."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo_app import free_port

PLACES = ("/usr/sbin/nginx", "/opt/homebrew/bin/nginx", "/usr/local/bin/nginx")
# what README.md tells people to write
COMMON = """
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_http_version 1.1;
    proxy_buffering off;
    client_max_body_size 100m;
"""
CONFIG = """
daemon off;
{user}
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  {servers}
}}
"""


def program() -> str | None:
    found = [shutil.which("nginx"), *PLACES]
    return next((place for place in found if place and os.access(place, os.X_OK)), None)


def certificate(folder: Path) -> bool:
    """Makes folder/key.pem and folder/cert.pem; False where there is no openssl."""
    if not shutil.which("openssl"):
        return False
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    return subprocess.run(["openssl", "req", *options, *files], capture_output=True, check=False).returncode == 0


@contextmanager
def nginx(folder: Path, *servers: tuple[str, bool]) -> Iterator[list[int]]:
    """The ports of servers with these (contents, TLS), while they run."""
    ports = [free_port() for _ in servers]
    tls = f"ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;"
    texts = [
        f"server {{ listen 127.0.0.1:{port}{' ssl' if secure else ''}; {tls if secure else ''} {contents} }}"
        for port, (contents, secure) in zip(ports, servers, strict=True)
    ]
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(CONFIG.format(user=user, servers="\n  ".join(texts)))
    command = [str(program()), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    with subprocess.Popen(command) as process:
        try:
            for port in ports:
                _wait(port, process)
            yield ports
        finally:
            process.terminate()


def _wait(port: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("nginx did not start: see its lines above")
