"""Drives sent photo by photo: the sessions of a real service, and their bounds."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websocket import (
    ABNF,
    WebSocket,
    WebSocketBadStatusException,
    WebSocketConnectionClosedException,
    create_connection,
)

from tests.support.servers import PATIENCE_S
from tests.support.services import Service, as_form, serving
from vpr.commands.serve import sessions as module
from vpr.commands.serve.admission import Refusal
from vpr.commands.serve.sessions import MOST, Sessions
from vpr.retrieval.filtering import Belief

BEFORE = (Belief(np.arange(1), np.ones(1), 0.0, np.ones(1), 0.0, None), np.ones(1, np.float32))


@pytest.fixture(scope="module")
def service(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("service") / "log"
    limits = ("--megabytes", "1", "--megapixels", "1", "--seconds", "2", "--bodies", "4")
    with serving(finished_pipeline, log, *limits) as started:
        yield started


@pytest.fixture(scope="module")
def where(service: Service) -> str:
    """The route's path, as the service itself describes it."""
    paths = service.ask("GET", "/openapi.json").content["paths"]
    return next(path for path in paths if path.endswith("/track"))


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


def test_three_hundred_hostile_messages_leave_a_session_where_it_was(
    service: Service, where: str, photos: list[bytes]
) -> None:
    session = service.post(where, photos[2]).content["session"]
    source = random.Random(0)  # noqa: S311
    bodies = [b"", b"no photo", photos[2][:200], b"\xff\xd8" + bytes(999), bytes(1_000_001)]
    queries = [
        f"session={session}", f"session={session}&moved_m=nan", f"session={session}&moved_m=-1",
        f"session={session}&moved_m=1e999", f"session={session}&moved_m=x", f"session={'a' * 5000}",
        "session=", "session=%00", "session=..%2f..%2fetc", "session=%F0%9F%98%80",
    ]  # fmt: skip
    for number in range(300):
        query, body = queries[number % len(queries)], source.choice(bodies)
        if number % 3 == 0:
            form, kind = as_form([("a.jpg", body), ("b.jpg", body)])
            reply = service.post(f"{where}?{query}", form, kind)
        else:
            reply = service.post(f"{where}?{query}", body)
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
    source = random.Random(0)  # noqa: S311
    with connect(service, where) as socket:
        first = tell(socket, photos[2])
        for _ in range(100):
            text = source.choice(["nan", "-1", "1e9", "", "{}", "9" * 5000, "\0", "길"])
            body = source.choice([b"", b"no photo", photos[2][:200], b"\xff\xd8" + bytes(999)])
            if source.random() < 0.5:
                socket.send(text)
            else:
                socket.send_binary(body)
            refused = json.loads(socket.recv())
            assert refused.keys() == {"error", "status"}
            assert refused["status"] in (400, 422), refused
        socket.ping("x")
        assert tell(socket, photos[3]) | {"tracked": None} == first | {"number": 2, "tracked": None}
        socket.send_binary(bytes(1_000_001))
        code, data = socket.recv_data()
        assert (code, int.from_bytes(data[:2], "big")) == (ABNF.OPCODE_CLOSE, 1009)
    assert first["session"] not in service.log.read_text()


def test_websockets_are_bounded_in_number_time_and_origin(
    service: Service, where: str, photos: list[bytes]
) -> None:
    with ExitStack() as opened:
        for _ in range(2):  # half of --bodies
            opened.enter_context(connect(service, where))
        with pytest.raises(WebSocketBadStatusException, match="503"):
            opened.enter_context(connect(service, where))
    with connect(service, where) as socket:
        frame = ABNF.create_frame(photos[2], ABNF.OPCODE_BINARY).format()
        socket.sock.sendall(frame[:100])
        with pytest.raises((WebSocketConnectionClosedException, ConnectionError)):
            socket.recv()
    for status, options in (
        ("403", {"origin": "https://evil.example"}),
        ("400", {"host": "evil.example", "suppress_origin": True}),
    ):
        with (
            pytest.raises(WebSocketBadStatusException, match=status),
            connect(service, where, **options),
        ):
            pass


def test_sessions_are_bounded_in_number_for_one_client_and_for_all() -> None:
    sessions = Sessions()
    names = []
    for number in range(2 * MOST):
        with sessions.open(None, "one", 1.0) as drive:
            drive.number, drive.before = 1, BEFORE
        names.append(drive.name)
        assert len(sessions.drives) == min(number + 1, MOST // 2)
    with (
        pytest.raises(Refusal, match="there is none of this name"),
        sessions.open(names[0], "one", 1.0),
    ):
        pass
    for number in range(2 * MOST):
        with sessions.open(None, f"address {number}", 1.0) as drive:
            drive.number, drive.before = 1, BEFORE
    assert len(sessions.drives) == MOST


def test_drives_that_are_looked_at_are_not_ended_for_others() -> None:
    sessions = Sessions()
    with ExitStack() as busy:
        for _ in range(MOST // 2):
            busy.enter_context(sessions.open(None, "one", 1.0))
        with pytest.raises(Refusal) as refused, sessions.open(None, "one", 1.0):
            pass
        assert refused.value.status == 503
        assert refused.value.response().headers["retry-after"] == "1"
        drive = busy.enter_context(sessions.open(None, "other", 1.0))
        with pytest.raises(Refusal) as refused, sessions.open(drive.name, "other", 1.0):
            pass
        assert refused.value.status == 409
    assert not sessions.drives  # none of their first photos was answered


def test_sessions_end_by_age_and_with_their_run(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    with sessions.open(None, "one", 1.0) as drive:
        drive.number = 1
    with pytest.raises(Refusal) as refused, sessions.open(drive.name, "one", 2.0):
        pass
    assert refused.value.status == 410
    assert not sessions.drives
    with sessions.open(None, "one", 1.0) as drive:
        drive.number = 1
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    time.sleep(0.01)
    with (
        pytest.raises(Refusal, match="there is none"),
        sessions.open(drive.name, "one", 1.0),
    ):
        pass
