"""A service with small limits: what nobody would send in good faith, and senders that never end.

Also drives sent photo by photo, as requests and through a websocket.
"""

from __future__ import annotations

import http.client
import io
import json
import random
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image
from websocket import (
    ABNF,
    WebSocket,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    create_connection,
)

from tests.support.servers import PATIENCE_S
from tests.support.services import Reply, Service, as_form, serving

LIMITS = (
    "--megabytes", "1", "--megapixels", "1", "--photos", "3", "--seconds", "2", "--queue", "6",
    "--bodies", "8",
)  # fmt: skip
NAMES = ["<script>alert(1)</script>.jpg", "../../../etc/passwd", "C:\\secret\\a.jpg", "\x1b[2J.jpg",
         "a" * 5000, "길.jpg", "", "%00.jpg"]  # fmt: skip


@pytest.fixture(scope="module")
def service(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with small limits."""
    log = tmp_path_factory.mktemp("service") / "log"
    with serving(finished_pipeline, log, *LIMITS) as started:
        yield started


@pytest.fixture(scope="module")
def where(service: Service) -> str:
    """The route's path, as the service itself describes it."""
    paths = service.ask("GET", "/openapi.json").content["paths"]
    return next(path for path in paths if path.endswith("/track"))


@pytest.fixture(scope="module")
def photo(finished_pipeline: Path) -> bytes:
    """A photo that is answered."""
    return (finished_pipeline / "data/sample/queries/0003.jpg").read_bytes()


def encoded(kind: str, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    """A picture of noise, or, if it is large, of one colour."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    picture = Image.fromarray(noise) if size == (64, 48) else Image.new("RGB", size)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG, with its right checksum."""
    checked = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checked)


def png_that_claims(width: int, height: int, packed: bytes, *before: bytes) -> bytes:
    """A PNG whose header claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = png_chunk(b"IHDR", head) + b"".join(before) + png_chunk(b"IDAT", packed)
    return b"\x89PNG\r\n\x1a\n" + chunks + png_chunk(b"IEND", b"")


def hostile_photos(photo: bytes) -> list[bytes]:
    """Bodies that are no photo, or one that must not be decoded."""
    source = random.Random(0)  # noqa: S311
    kinds = {kind: encoded(kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM")}
    cut = [whole[: len(whole) * part // 20] for whole in kinds.values() for part in (1, 5, 10, 16)]
    flipped = []
    for whole in kinds.values():
        for _ in range(3):
            damaged = bytearray(whole)
            for _ in range(20):
                damaged[source.randrange(min(60, len(whole)))] = source.randrange(256)
            flipped.append(bytes(damaged))
    noise = [source.randbytes(length) for length in (1, 100, 50_000)]
    zeros = zlib.compress(bytes(10**7), 9)
    text = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8), 9))
    more = [Image.new("RGB", (64, 48), (shade, 0, 0)) for shade in range(9)]
    bombs = [
        encoded("PNG", (2000, 2000)), encoded("JPEG", (2000, 2000)),
        encoded("TIFF", (2000, 2000), compression="tiff_lzw"),
        encoded("WEBP", (2000, 2000)), png_that_claims(2**31 - 1, 2**31 - 1, zeros),
        png_that_claims(10**5, 10, zeros), png_that_claims(1000, 1000, zeros, text, text),
        png_that_claims(0, 0, zeros), b"P6\n99999999 99999999\n255\n", b"BM" + bytes(50),
        encoded("PNG", save_all=True, append_images=more),
        encoded("TIFF", save_all=True, append_images=more),
    ]  # fmt: skip
    script = b"<html><script>alert(1)</script></html>"
    polyglots = [
        b"%PDF-1.4\n" + photo, b"PK\x03\x04" + photo, b"GIF89a" + script, script + photo,
        b"#!/bin/sh\nrm -rf /\n" + photo, b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS\n(evil) run\n", b'{"photo": 1}', b"\0" * 1000, b"II*\0" + b"\xff" * 200,
        b"MM\0*" + b"\0\0\0\x08" * 60, b"RIFF\xff\xff\xff\xffWEBPVP8 " + b"\xff" * 90,
        b"\0\0\0\x18ftypheic" + bytes(90), b"\xff\xd8\xff\xe1\xff\xffExif\0\0" + b"A" * 9000,
    ]  # fmt: skip
    return [*cut, *flipped, *noise, *bombs, *polyglots]


def hostile_forms(photo: bytes) -> list[tuple[bytes, str]]:
    """Bodies that are no form, or one that asks for too much; with their Content-Type."""
    whole, kind = as_form([("a.jpg", photo)])
    edge = kind.partition("=")[2]
    several = as_form([("a.jpg", photo)] * 4)
    headers = b"--x\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n\r\n--x--\r\n"
    fields = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' for _ in range(2000)
    )
    shapes = [
        (whole, "multipart/form-data"), (whole, "multipart/form-data; boundary="),
        (whole, f"multipart/form-data; boundary={'z' * 3000}"), (whole[:-20], kind),
        (whole, "text/html"), (whole, "application/json"), (whole, ""), several,
        (headers, "multipart/form-data; boundary=x"),
        (fields + b"--x--\r\n", "multipart/form-data; boundary=x"), (b"", kind), (b"--", kind),
        (f"--{edge}--\r\n".encode(), kind), as_form([("a.jpg", b"")]), (b"\r\n" * 50_000, kind),
        (photo, "image/jpeg; " + "a" * 900), (b"", "image/jpeg"), (bytes(1_000_001), "image/jpeg"),
    ]  # fmt: skip
    return [shape for shape in shapes if shape[0] != photo]


def test_a_hundred_hostile_bodies_are_each_refused_in_one_sentence(
    service: Service, photo: bytes
) -> None:
    bodies: list[tuple[bytes, str]] = [(body, "image/jpeg") for body in hostile_photos(photo)]
    bodies += hostile_forms(photo)
    bodies.append(as_form([("x.jpg", b"no photo")]))
    process = psutil.Process(service.process.pid)

    def send(body: tuple[bytes, str]) -> Reply:
        return service.ask("POST", "/v1/locate", body[0], Content_Type=body[1])

    for one in bodies[::3]:
        send(one)
    files, memory = process.num_fds(), process.memory_info().rss
    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(send, bodies))
    answered = 0
    for reply, (body, kind) in zip(replies, bodies, strict=True):
        if reply.status == 200:  # what Pillow reads to the end, as locate does: flipped pixels
            answered += 1
            continue
        assert reply.status in (400, 413, 415, 422), (reply, body[:60], kind)
        sentence = reply.content["error"]
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 600
        assert "/proc" not in sentence and "/tmp" not in sentence and "Traceback" not in sentence  # noqa: S108
    assert answered < len(bodies) / 5
    assert service.post("/v1/locate", photo).status == 200
    assert process.num_fds() <= files + 2
    assert process.memory_info().rss < memory + 60e6
    assert "Traceback" not in service.log.read_text()


def test_names_come_back_as_text_without_folders_and_are_not_logged(
    service: Service, photo: bytes
) -> None:
    for name in NAMES:
        reply = service.post_form("/v1/locate?top=1", [(name, photo)])
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        if reply.status == 200:
            shown = reply.content["located"][0]["photo"]
            assert shown.isprintable() and len(shown) <= 120 and not set(shown) & set("/\\")
        else:
            assert reply.status == 400, reply
    assert not any(name and name in service.log.read_text() for name in NAMES[:-1])


def test_too_many_are_sent_away(service: Service) -> None:
    large = encoded("PNG", (300, 300))  # takes the network some time
    with ThreadPoolExecutor(12) as pool:
        replies = list(
            pool.map(lambda _: service.post("/v1/locate", large, "image/png"), range(12))
        )
    busy = [reply for reply in replies if reply.status != 200]
    assert {reply.status for reply in busy} == {503} and len(busy) < 12
    assert {reply.headers["retry-after"] for reply in busy} == {"1"}
    assert all("ask again later" in reply.content["error"] for reply in busy)


def test_slow_senders_keep_nobody_out_and_are_cut(
    service: Service, where: str, photo: bytes
) -> None:
    heads = [socket.create_connection(("127.0.0.1", service.port), 30) for _ in range(50)]
    for client in heads:  # heads of requests that never end
        client.sendall(b"POST /v1/locate HTTP/1.1\r\nHost: localhost\r\nX-A: ")
    message = create_connection(f"ws://127.0.0.1:{service.port}{where}", timeout=PATIENCE_S)
    message.sock.sendall(ABNF.create_frame(photo, ABNF.OPCODE_BINARY).format()[:100])
    assert service.post("/v1/locate", photo).status == 200
    head = (
        b"POST /v1/locate HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
        b"Content-Length: 9999\r\n\r\n"
    )
    slow = [socket.create_connection(("127.0.0.1", service.port), 20) for _ in range(30)]
    for client in slow:
        client.sendall(head + photo[:10])
    elsewhere = http.client.HTTPConnection(
        "127.0.0.1", service.port, timeout=20, source_address=("127.0.0.2", 0)
    )
    for _ in range(3):  # while half of the places are taken from one address
        elsewhere.request("POST", "/v1/locate", photo, {"Content-Type": "image/jpeg"})
        reply = elsewhere.getresponse()
        assert reply.status == 200, reply.read()
        reply.read()
    elsewhere.close()
    time.sleep(0.3)  # until even the slow have had their time
    start = time.monotonic()
    assert [service.post("/v1/locate", photo).status for _ in range(4)] == [200] * 4
    assert time.monotonic() < start + 2, "they were waited for"
    answers = [client.recv(4096).split()[1] for client in slow]
    assert answers.count(b"408") == 4 and answers.count(b"503") == 26
    late, until = heads, time.monotonic() + 20
    while (late := [client for client in late if still_open(client)]) and time.monotonic() < until:
        time.sleep(0.1)
    assert late == []
    with pytest.raises((WebSocketConnectionClosedException, ConnectionError)):
        message.recv()
    message.shutdown()
    for client in (*heads, *slow):
        client.close()


def still_open(client: socket.socket) -> bool:
    """Whether the service listens on: one more letter of the head is sent."""
    client.setblocking(False)
    try:
        client.send(b"a")
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_clients_that_hang_up_and_decoders_that_are_killed_cost_no_one_else_an_answer(
    service: Service, photo: bytes
) -> None:
    head = b"POST /v1/locate HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
    for length in (len(photo), len(photo) + 1):  # while it is answered, and while it is read
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(head + b"Content-Length: %d\r\n\r\n" % length + photo)
    decoders = psutil.Process(service.process.pid).children()
    for decoder in decoders:
        decoder.kill()
    while any(map(is_alive, decoders)):
        time.sleep(0.01)
    assert [service.post("/v1/locate", photo).status for _ in range(4)] == [200] * 4
    assert "Traceback" not in service.log.read_text()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one whose end nobody has asked about does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_photo_of_too_many_pixels_or_too_few_is_told_its_size(service: Service) -> None:
    large = service.post("/v1/locate?top=1", encoded("PNG", (1000, 1001)), "image/png")
    assert (large.status, large.content["error"]) == (
        422, "photo: it has 1000 x 1001 pixels, at most 1,000,000 are accepted.",
    )  # fmt: skip
    small = service.post("/v1/locate", encoded("PNG", (3, 3)), "image/png")
    assert small.status == 422 and "photo: 3x3 pixels are too few" in small.content["error"]


@pytest.fixture(scope="module")
def photos(finished_pipeline: Path) -> list[bytes]:
    return [
        file.read_bytes() for file in sorted((finished_pipeline / "data/images/query").iterdir())
    ]


def test_a_drive_is_followed_from_photo_to_photo(
    service: Service, where: str, photos: list[bytes]
) -> None:
    first = service.post(where, photos[2])
    assert first.status == 200, first.body
    session = first.content["session"]
    for number, photo in enumerate(photos[3:6], start=2):
        reply = service.post(f"{where}?session={session}&moved_m=7.5", photo)
        assert reply.status == 200, reply.body
        assert (reply.content["session"], reply.content["number"]) == (session, number)
        tracked = reply.content["tracked"]
        assert (tracked["position"] is None) == (tracked["state"] == "unknown")
    other = service.post_form(where, [("a.jpg", photos[2])])
    assert other.content["session"] != session
    assert other.content["tracked"] == first.content["tracked"] | {"photo": "a.jpg"}
    assert service.ask("DELETE", f"{where}/{session}").status == 204
    gone = service.post(f"{where}?session={session}", photos[2])
    assert gone.status == 404
    assert gone.content["error"].startswith("session: there is none of this name")


def test_hostile_messages_leave_a_session_where_it_was(
    service: Service, where: str, photos: list[bytes]
) -> None:
    session = service.post(where, photos[2]).content["session"]
    bodies = [b"", b"no photo", photos[2][:200], b"\xff\xd8" + bytes(999), bytes(1_000_001)]
    queries = [
        f"session={session}", f"session={session}&moved_m=nan", f"session={session}&moved_m=-1",
        f"session={session}&moved_m=1e999", f"session={session}&moved_m=x", f"session={'a' * 5000}",
        "session=", "session=%00", "session=..%2f..%2fetc", "session=%F0%9F%98%80",
    ]  # fmt: skip
    cases = [(queries[0], body) for body in bodies]
    for query, body in (*cases, *zip(queries[1:], 2 * bodies, strict=False)):
        form, kind = as_form([("a.jpg", body), ("b.jpg", body)])
        for reply in (
            service.post(f"{where}?{query}", body), service.post(f"{where}?{query}", form, kind)
        ):  # fmt: skip
            assert 400 <= reply.status < 500, (query, reply)
            assert list(reply.content) == ["error"]
    assert service.post(f"{where}?session={session}&moved_m=nan", photos[3]).status == 422
    assert service.post(f"{where}?session={session}", photos[3]).content["number"] == 2


@contextmanager
def connect(service: Service, where: str, **options: Any) -> Iterator[WebSocket]:  # noqa: ANN401
    address = f"ws://127.0.0.1:{service.port}{where}"
    socket = create_connection(address, timeout=PATIENCE_S, **options)
    try:
        yield socket
    finally:
        socket.close()
        socket.shutdown()  # which `close` leaves out where the other side closed


def tell(socket: WebSocket, photo: bytes) -> dict[str, Any]:
    socket.send_binary(photo)
    answer: dict[str, Any] = json.loads(socket.recv())
    return answer


def test_a_websocket_answers_as_requests_do(
    service: Service, where: str, photos: list[bytes]
) -> None:
    path = where
    requests = []
    for photo in photos[2:5]:
        requests.append(service.post(path, photo).content)
        path = f"{where}?session={requests[0]['session']}&moved_m=7.5"
    with connect(service, where, suppress_origin=True) as socket:
        answers = [tell(socket, photos[2])]
        for photo in photos[3:5]:
            socket.send("7.5")
            answers.append(tell(socket, photo))
    assert [one["tracked"] for one in answers] == [one["tracked"] for one in requests]
    session = f"{where}?session={answers[0]['session']}"
    with connect(service, session) as socket:  # the drive goes on where it was
        assert tell(socket, photos[5])["number"] == 4
    assert service.post(session, photos[6]).content["number"] == 5


def test_hostile_messages_leave_a_websocket_and_its_drive_where_they_were(
    service: Service, where: str, photos: list[bytes]
) -> None:
    texts = ["nan", "-1", "1e9", "", "{}", "9" * 5000, "\0", "길"]
    bodies = [b"", b"no photo", photos[2][:200], b"\xff\xd8" + bytes(999)]
    with connect(service, where) as socket:
        first = tell(socket, photos[2])
        for message in (*texts, *bodies, *texts):
            if isinstance(message, str):
                socket.send(message)
            else:
                socket.send_binary(message)
            refused = json.loads(socket.recv())
            assert refused.keys() == {"error", "status"}
            assert refused["status"] in (400, 422), refused
        socket.ping("x")
        assert tell(socket, photos[3]) | {"tracked": None} == first | {"number": 2, "tracked": None}
        socket.send_binary(bytes(1_000_001))
        code, data = socket.recv_data()
        assert (code, int.from_bytes(data[:2], "big")) == (ABNF.OPCODE_CLOSE, 1009)
    assert first["session"] not in service.log.read_text()


def test_websockets_are_bounded_in_number_and_origin(service: Service, where: str) -> None:
    with ExitStack() as opened:
        for _ in range(4):  # half of --bodies
            opened.enter_context(connect(service, where))
        with pytest.raises(WebSocketBadStatusException, match="503"):
            opened.enter_context(connect(service, where))
    for status, options in (
        ("403", {"origin": "https://evil.example"}),
        ("400", {"host": "evil.example", "suppress_origin": True}),
    ):
        with (
            pytest.raises(WebSocketBadStatusException, match=status),
            connect(service, where, **options),
        ):
            pass
