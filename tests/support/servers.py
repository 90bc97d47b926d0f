"""Real servers on a free port of loopback, each for one folder, that remotes are tried with."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.repositories import require_program

PATIENCE_S = 30  # a busy machine starts slowly
SSHD = """
ListenAddress 127.0.0.1
Port {port}
HostKey {aside}/host_key
AuthorizedKeysFile {aside}/key.pub
PidFile {aside}/pid
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""
NGINX = """
daemon off;
error_log stderr;
pid {aside}/pid;
events {{}}
http {{
  access_log off;
  client_body_temp_path {aside}/body;
  proxy_temp_path {aside}/proxy;
  fastcgi_temp_path {aside}/fastcgi;
  uwsgi_temp_path {aside}/uwsgi;
  scgi_temp_path {aside}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {server}
  }}
}}
"""


def find_program(name: str) -> str:
    """Where a program is, among those of administrators too."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    require_program(found, name)
    return str(found)


@contextmanager
def listening(*command: str, port: int, log: Path) -> Iterator[None]:
    """Run a server in the foreground until the block ends; it listens when the block starts."""
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        until = time.monotonic() + PATIENCE_S
        while not _answers(port):
            assert server.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def s3_server(storage: Path, aside: Path, *, key: str, secret: str) -> Iterator[int]:
    """rclone: a folder's subfolders are the buckets."""
    port = free_port()
    command = [find_program("rclone"), "serve", "s3", "--config", os.devnull]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{key},{secret}", str(storage)]
    with listening(*command, port=port, log=aside / "s3.log"):
        yield port


@contextmanager
def ssh_server(aside: Path) -> Iterator[tuple[int, str, Path]]:
    """OpenSSH, SFTP alone, for the user who runs the tests: the port, that user and a key."""
    port = free_port()
    program = find_program("sshd")
    for name in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(aside / name)]
        subprocess.run(command, check=True)
    (aside / "sshd_config").write_text(SSHD.format(port=port, aside=aside))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd started by root wants this empty folder
    command = [program, "-D", "-e", "-f", str(aside / "sshd_config")]
    with listening(*command, port=port, log=aside / "sshd.log"):
        yield port, getpass.getuser(), aside / "key"


@contextmanager
def http_server(aside: Path, *, server: str) -> Iterator[int]:
    """Nginx with one server block: the text given here, on a port of loopback."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (aside / "nginx.conf").write_text(user + NGINX.format(aside=aside, port=port, server=server))
    command = [find_program("nginx"), "-c", str(aside / "nginx.conf"), "-e", "stderr"]
    with listening(*command, port=port, log=aside / "nginx.log"):
        yield port
