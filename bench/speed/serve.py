"""How fast the service answers, next to `locate` and slow senders, and whether its memory grows.

`python -m bench.speed.serve` prints the table of docs/experiments/serve.md, for the run in the
current folder: its queries as photos, sent by clients that keep their connections, on the same
machine.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from bench.shared import markdown
from bench.shared.measuring import machine

QUERIES = Path("data/images/query")
TOP = 5
HEAD = ("", "p50, ms", "p99, ms", "answers per second", "answers", "refused")
SECONDS_PER_BYTE = 3  # of a slow sender
RETRY_S = 1  # as a refusal's Retry-After says
WARM_UP = 100  # requests before anything is measured


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def service() -> Iterator[tuple[int, psutil.Process, float]]:
    """Run a service: its port, its process, and the seconds until its first answer."""
    port, start = free_port(), time.perf_counter()
    command = [sys.executable, "-m", "vpr", "serve", "--port", str(port)]
    with Path(os.devnull).open("w") as nowhere:
        process = subprocess.Popen(command, stderr=nowhere)
    try:
        while True:
            assert process.poll() is None, "the service ended: start it by hand to see why"
            try:
                Client(port).get("/healthz")
                break
            except OSError:
                time.sleep(0.02)
        yield port, psutil.Process(process.pid), time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


class Client:
    """A connection that is kept open."""

    def __init__(self, port: int) -> None:
        """Connect at the first request."""
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(self, path: str) -> None:
        """Send a request, and ignore the answer."""
        self.connection.request("GET", path)
        self.connection.getresponse().read()

    def locate(self, photo: bytes) -> list[dict[str, object]] | None:
        """Ask where a photo was taken: the matches; None: the service is busy."""
        self.connection.request("POST", "/v1/locate", photo, {"Content-Type": "image/jpeg"})
        reply = self.connection.getresponse()
        content = json.loads(reply.read())
        if reply.status == 503:
            return None
        assert reply.status == 200, content
        matches: list[dict[str, object]] = content["located"][0]["matches"]
        return matches


@contextmanager
def slow_senders(port: int, number: int) -> Iterator[None]:
    """Keep up connections that each send a byte of a photo every few seconds.

    Args:
        port: Port of the service.
        number: Number of connections; one that is answered is opened again.
    """
    stop, senders = threading.Event(), dict[int, socket.socket]()
    length = b"Content-Type: image/jpeg\r\nContent-Length: 9999\r\n\r\n"

    def send_on() -> None:
        while not stop.is_set():
            for key in range(number):
                if key not in senders:
                    senders[key] = socket.create_connection(("127.0.0.1", port))
                    senders[key].sendall(
                        b"POST /v1/locate HTTP/1.1\r\nHost: localhost\r\n" + length
                    )
                    senders[key].setblocking(False)
                try:
                    senders[key].send(b"a")
                    senders[key].recv(4096)
                    senders.pop(key).close()  # it was answered or cut
                except BlockingIOError:
                    pass
                except OSError:
                    senders.pop(key).close()
            stop.wait(SECONDS_PER_BYTE)
        for sender in senders.values():
            sender.close()

    thread = threading.Thread(target=send_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask_for(
    port: int, photos: Sequence[bytes], *, clients: int, seconds: float
) -> tuple[list[float], int]:
    """Milliseconds of each answer to several clients that ask one after another, and refusals.

    The clients send the photos in turn, all at once, for this many seconds.
    """
    found: list[float] = []
    refused: list[int] = []
    until = time.perf_counter() + seconds

    def ask_on(first: int) -> None:
        client = Client(port)
        number = first
        while (start := time.perf_counter()) < until:
            if client.locate(photos[number % len(photos)]) is None:
                refused.append(number)
                time.sleep(RETRY_S)
            else:
                found.append(1000 * (time.perf_counter() - start))
            number += clients

    threads = [threading.Thread(target=ask_on, args=(first,)) for first in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, len(refused)


def locate_all(files: Sequence[Path]) -> tuple[list[list[dict[str, object]]], float]:
    """Answers of `locate` for photos, and the seconds it takes for the first one only."""
    command = [sys.executable, "-m", "vpr", "locate", "--json", "--top", str(TOP)]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([*command, str(files[0])], capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    done = subprocess.run([*command, *map(str, files)], capture_output=True, check=True)
    found = [located["matches"] for located in json.loads(done.stdout)]
    for match in (match for matches in found for match in matches):
        del match["metres"], match["correct"]  # a photo that was sent has no known place
        match["picture"] = f"places/{match['image']}/picture"
    return found, float(np.median(seconds))


def memory_of(process: psutil.Process) -> float:
    """Resident megabytes of a service and its decoders, without files that they share."""
    files = [f"/proc/{one.pid}/status" for one in (process, *process.children())]
    found = [re.search(r"RssAnon:\s+(\d+)", Path(file).read_text()) for file in files]
    return sum(int(one[1]) for one in found if one) / 1000


def phone_photo(photo: bytes) -> bytes:
    """A photo of 12 megapixels."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo)).resize((4000, 3000)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def row(title: str, milliseconds: Sequence[float], refused: int, seconds: float) -> list[str]:
    """A row of the table."""
    half, most = np.percentile(milliseconds, [50, 99])
    rate = f"{len(milliseconds) / seconds:.1f}"
    return [title, f"{half:.0f}", f"{most:.0f}", rate, str(len(milliseconds)), str(refused)]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each measurement")
    parser.add_argument("--requests", type=int, default=2000, help="between the memory's two")
    given = parser.parse_args()
    files = sorted(QUERIES.iterdir())
    photos = [file.read_bytes() for file in files]
    expected, seconds_of_locate = locate_all(files)
    with service() as (port, process, start):
        client = Client(port)
        for number in range(WARM_UP):
            client.locate(photos[number % len(photos)])
        assert [client.locate(photo) for photo in photos] == expected, "not locate's answers"
        rows = []
        for title, sent, clients, senders in (
            ("one client", photos, 1, 0), ("16 clients at once", photos, 16, 0),
            ("one client, 12 megapixels", [phone_photo(photos[0])], 1, 0),
            ("one client beside 64 slow senders", photos, 1, 64),
            ("one client beside 640 slow senders", photos, 1, 640),
        ):  # fmt: skip
            with slow_senders(port, senders):
                found = ask_for(port, sent, clients=clients, seconds=given.seconds)
            rows.append(row(title, *found, given.seconds))
        client, before = Client(port), memory_of(process)  # the other was idle for too long
        for number in range(given.requests):
            client.locate(photos[number % len(photos)])
        after = memory_of(process)
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    print(markdown.table(HEAD, rows))
    print(f"`locate` takes {seconds_of_locate:.2f} s for one photo.")
    print(f"Start to first answer: {start:.1f} s. Answers: {len(photos)} equal `locate`'s.")
    print(f"Memory: {before:.0f} MB, after {given.requests} more requests {after:.0f} MB.")


if __name__ == "__main__":
    main()
