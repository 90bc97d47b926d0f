"""A real `python -m vpr serve` on a free port of loopback, and a client of the standard library."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.repositories import ROOT, dvc_environment
from tests.support.servers import PATIENCE_S, find_program, free_port, http_server


@dataclass(frozen=True)
class Reply:
    """An answer.

    Args:
        status: Of HTTP.
        headers: By name, in small letters.
        body: As it came.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> Any:  # noqa: ANN401 - any JSON
        """The body, read as JSON."""
        return json.loads(self.body)


class Service:
    """A running service.

    Args:
        process: That was started.
        port: That it listens on.
        log: What it printed.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        """Keep them."""
        self.process, self.port, self.log = process, port, log

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        """Ask once, on a connection of its own; `Content_Type` stands for Content-Type."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            client.request(method, path, body, named)
            reply = client.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Reply(reply.status, found, reply.read())
        finally:
            client.close()

    def post(self, path: str, photo: bytes, kind: str = "image/jpeg", **headers: str) -> Reply:
        """Send a photo as it is."""
        return self.ask("POST", path, photo, Content_Type=kind, **headers)

    def post_form(self, path: str, photos: Sequence[tuple[str, bytes]], **headers: str) -> Reply:
        """Send photos in a form."""
        body, kind = as_form(photos)
        return self.ask("POST", path, body, Content_Type=kind, **headers)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def wait_for(self, words: str) -> None:
        """Wait until the log has some words."""
        until = time.monotonic() + PATIENCE_S
        while words not in self.log.read_text():
            assert self.process.poll() is None and time.monotonic() < until, self.log.read_text()
            time.sleep(0.02)


def as_form(photos: Sequence[tuple[str, bytes]]) -> tuple[bytes, str]:
    """Body and Content-Type of a form that holds photos."""
    edge = uuid.uuid4().hex
    kind = f'--{edge}\r\nContent-Disposition: form-data; name="photo"; filename='
    parts = [
        f'{kind}"{name}"\r\n\r\n'.encode() + photo + b"\r\n"
        for name, photo in photos
    ]  # fmt: skip
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def start_service(folder: Path, log: Path, *options: str, port: int, **environment: str) -> Service:
    """Start a service that answers from the run in a folder, and wait until it answers."""
    command = [sys.executable, "-m", "vpr", "serve", "--port", str(port), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**dvc_environment(), **environment}, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    service = Service(process, port, log)
    until = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None and time.monotonic() < until, log.read_text()
        try:
            if service.ask("GET", "/healthz").status == 200:
                return service
        except OSError:
            time.sleep(0.05)


@contextmanager
def serving(folder: Path, log: Path, *options: str, **environment: str) -> Iterator[Service]:
    """Run a service on a free port until the block ends."""
    service = start_service(folder, log, *options, port=free_port(), **environment)
    try:
        yield service
    finally:
        service.process.terminate()
        service.process.wait(PATIENCE_S)


@dataclass(frozen=True)
class Proxy:
    """An nginx in front of a service, which is at /vpr/ there, as docs/serve.nginx.conf has it.

    Args:
        port: That it listens on, by HTTPS.
        certificate: That the proxy shows, signed by itself.
    """

    port: int
    certificate: Path


@contextmanager
def proxied(service: Service, aside: Path) -> Iterator[Proxy]:
    """Run nginx in front of a service until the block ends."""
    certificate, key, port = aside / "certificate.pem", aside / "key.pem", free_port()
    command = [find_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    text = (ROOT / "docs/serve.nginx.conf").read_text()
    block = text[text.index("server {") + len("server {") : text.rindex("}")]
    for old, new in {
        "443 ssl": f"127.0.0.1:{port} ssl",
        "vpr.example.org;": "localhost;",
        "/etc/ssl/certs/vpr.example.org.pem": str(certificate),
        "/etc/ssl/private/vpr.example.org.key": str(key),
        "127.0.0.1:8000": f"127.0.0.1:{service.port}",
    }.items():
        assert old in block
        block = block.replace(old, new)
    with http_server(aside, server=block):
        yield Proxy(port, certificate)
