"""Where was this photo taken, over HTTP: a real service on a real run."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import numpy as np
import psutil
import pytest
from PIL import Image
from websocket import create_connection

from tests.support.repositories import ROOT, change, run
from tests.support.services import Service, proxied, serving
from vpr.commands.locate.outputs import as_json
from vpr.commands.serve.admission import Limits
from vpr.commands.serve.command import _listen, find_services, serve
from vpr.commands.serve.run import load_served_run
from vpr.commands.serve.service import Service as Answering
from vpr.commands.serve.slow_senders import CONNECTIONS
from vpr.images.image_files import EncodedImage
from vpr.locating.matches import locate_ranked
from vpr.locating.ranking import rank_photos
from vpr.locating.run import load_places, load_ranker
from vpr.places.index import load_index
from vpr.repository.locked_run import locked_params
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.predictions import load_predictions
from vpr.retrieval.sequences import find_distances, rank_descriptors

MAPS = "https://maps.example"


@pytest.fixture(scope="module")
def served(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished pipeline, which stays as it is up to the last test of the service."""
    folder = tmp_path_factory.mktemp("served") / "repo"
    return Path(shutil.copytree(finished_pipeline, folder, symlinks=True))


@pytest.fixture(scope="module")
def service(served: Path) -> Iterator[Service]:
    """A service that answers from a finished pipeline, pages of another origin too."""
    with serving(served, served.with_name("log"), "--origin", MAPS) as started:
        yield started


@pytest.fixture(scope="module")
def photos(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Photos of every kind that phones and cameras write: turned, grey, deep, with a palette."""
    folder = tmp_path_factory.mktemp("photos")
    source = Image.open(finished_pipeline / "data/sample/queries/0003.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    source.save(folder / "turned.jpg", exif=turned)
    source.convert("CMYK").save(folder / "cmyk.jpg")
    source.quantize(16).save(folder / "palette.png")
    source.resize((90, 50)).save(folder / "other size.webp")
    deep = np.asarray(source.convert("L"), dtype=np.uint16) * 257
    Image.fromarray(deep).save(folder / "deep.png")
    for number in range(6):
        name = f"{number:04d}.jpg"
        shutil.copyfile(finished_pipeline / "data/sample/queries" / name, folder / name)
    return sorted(folder.iterdir())


def locate_here(folder: Path, photos: list[Path]) -> list[Any]:
    """What `locate` says of each photo alone at --top 5: with its name, and matches' pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (_, places), ranker = load_places(Path()), load_ranker(Path())
        found = []
        for photo in photos:
            ranked = list(rank_photos(ranker, [photo], top=5, with_responses=False))
            located = locate_ranked([photo], ranked, places, [None], top=5)
            (one,) = json.loads(as_json(located))
            found.append(as_served(one, photo))
    return found


def as_served(located: dict[str, Any], photo: Path) -> dict[str, Any]:
    """What the service makes of an object that `locate --json` writes."""
    matches = [{**of, "picture": f"places/{of['image']}/picture"} for of in located["matches"]]
    return {**located, "photo": photo.name, "matches": matches}


@pytest.fixture(scope="module")
def expected(finished_pipeline: Path, photos: list[Path]) -> list[Any]:
    """What `locate` says of each photo in the finished pipeline."""
    return locate_here(finished_pipeline, photos)


def test_each_photo_gets_the_answer_of_locate_whether_others_ask_or_not(
    finished_pipeline: Path, service: Service, photos: list[Path], expected: list[Any]
) -> None:
    text = run(finished_pipeline, "python", "-m", "vpr", "locate", str(photos[0]), "--json")
    (by_command,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
    assert expected[0] == as_served(by_command, photos[0])

    def ask(photo: Path) -> Any:  # noqa: ANN401
        reply = service.post_form("/v1/locate", [(photo.name, photo.read_bytes())])
        assert reply.status == 200, reply.body
        return reply.content["located"][0]

    assert [ask(photo) for photo in photos] == expected
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(ask, photos * 2))
    assert together == expected * 2

    raw = service.post("/v1/locate?top=3", photos[0].read_bytes(), "image/whatever").content
    assert raw["located"][0] == {**expected[0], "photo": "photo",
                                 "matches": expected[0]["matches"][:3]}  # fmt: skip
    metrics = json.loads((finished_pipeline / "metrics/details.json").read_text())
    assert metrics["accept_calibrated"] is False  # every query lies in the map
    assert raw["threshold"] == {"by": "distance", "limit": None}
    assert raw["located"][0]["state"] is raw["located"][0]["probability"] is None
    position = raw["located"][0]["position"]
    first = raw["located"][0]["matches"][0]  # by distance, the position is that of the first match
    assert [position["easting"], position["northing"]] == [first["easting"], first["northing"]]
    assert position["latitude"] == pytest.approx(first["latitude"])
    assert all(value >= 0 for value in raw["timings_ms"].values())


def test_photos_that_arrive_together_reach_the_network_one_at_a_time(
    finished_pipeline: Path,
    photos: list[Path],
    expected: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In a batch the bits of most descriptors change here, though some distances agree by chance.
    monkeypatch.chdir(finished_pipeline)
    loaded, numbers = load_served_run(), []
    for part in (loaded.ranker.network.trunk, loaded.ranker.network.head):
        part.register_forward_pre_hook(lambda _, given: numbers.append(len(given[0])))

    async def ask_at_once() -> list[Any]:
        service = Answering(loaded, Limits(10**7, 10**7, 2, 10.0, 64, 64))
        uploads = [EncodedImage(Path(photo.name), photo.read_bytes()) for photo in photos]
        asked = (service.locate([upload], top=5, length=1, pairs=False) for upload in uploads)
        answers = await asyncio.gather(*asked)
        service.stop()
        return [answer["located"][0] for answer in answers]

    assert asyncio.run(ask_at_once()) == expected
    assert numbers == [1] * 2 * len(photos)


def test_photos_in_order_are_ranked_by_lines_as_the_stage_sequence_ranks(
    finished_pipeline: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished_pipeline)
    files = sorted(Path("data/sample/queries").glob("*.jpg"))
    form = [(file.name, file.read_bytes()) for file in files]
    params = locked_params("order", "sequence", SequenceParams)
    database, query = (np.load(f"data/whitened/{side}.npy") for side in ("database", "query"))
    indices = rank_descriptors(
        database, query, [np.arange(8)], [np.arange(12)], length=3, velocities=params.velocities,
        reach=params.contrast_reach, top_k=4,
    )  # fmt: skip
    found = service.post_form("/v1/sequence?top=4&length=3", form).content["located"]
    assert [one["photo"] for one in found] == [file.name for file in files]
    assert [[m["image"] for m in one["matches"]] for one in found] == indices.tolist()
    distances = [[match["distance"] for match in one["matches"]] for one in found]
    np.testing.assert_allclose(distances, find_distances(database, query, indices), atol=1e-5)

    alone = [service.post_form("/v1/locate?top=4", [one]).content["located"][0] for one in form]
    assert service.post_form("/v1/sequence?top=4", form).content["located"] == alone


def test_photos_in_order_are_followed_where_the_run_follows_its_queries(
    finished_pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished_pipeline)
    files = sorted(Path("data/sample/queries").glob("*.jpg"))
    loaded = load_served_run()
    smoothed = replace(loaded, sequence=replace(loaded.sequence, method="smoother"))
    uploads = [EncodedImage(Path(file.name), file.read_bytes()) for file in files]

    async def ask() -> list[dict[str, object]]:
        service = Answering(smoothed, Limits(10**7, 10**7, 20, 10.0, 64, 64))
        answer = await service.locate(uploads, top=4, length=None, pairs=False)
        service.stop()
        return list(answer["located"])

    found = asyncio.run(ask())
    follower, query = smoothed.tracker.follower, np.load("data/whitened/query.npy")
    ranked = load_predictions(Path("data/predictions.npz")).indices
    pairs = load_verified(Path("data/verified"))
    verified = (pairs.candidates, pairs.log10_nfa) if pairs.candidates.size else None
    beliefs = follower.follow_all(
        query, ranked, [np.arange(len(query))], None, verified, smooth=True
    )
    indices = follower.rank(beliefs, query, 4)
    assert [[m["image"] for m in one["matches"]] for one in found] == indices.tolist()
    for one, belief in zip(found, beliefs, strict=True):
        estimate = follower.estimate(belief)
        assert one["state"] == estimate.state
        assert one["probability"] == pytest.approx(estimate.probability, abs=1e-4)
        assert (one["position"] is None) == (estimate.state == "unknown")


def test_the_run_is_named_by_its_hashes_and_nothing_tells_where_the_machine_keeps_it(
    served: Path, service: Service
) -> None:
    version = service.ask("GET", "/v1/version").content
    lock = (served / "dvc.lock").read_text()
    assert all(md5 in lock for md5 in version["hashes"].values())
    assert version["commit"] == run(served, "git", "rev-parse", "HEAD").strip()
    assert version["encoder"] == {"name": "vgg16", "model": None}
    assert version["dataset"] == {"name": "sample", "crs": "EPSG:32633", "num_places": 12}
    places = service.ask("GET", "/v1/places").content
    index = load_index(served / "data/prepared/database.csv")
    assert (
        np.stack([places["easting"], places["northing"]], 1).tolist() == index.coordinates.tolist()
    )
    picture = service.ask("GET", "/v1/places/3/picture")
    assert picture.body == (served / "data/thumbnails/database/000003.jpg").read_bytes()
    for path in (
        "/v1/version", "/v1/places", "/docs", "/openapi.json", "/", "/nowhere",
        "/v1/places/12/picture", "/v1/places/x/picture", "/static/..%2fcommand.py",
    ):  # fmt: skip
        body = service.ask("GET", path).body
        assert str(served).encode() not in body and b"/proc" not in body
    assert service.ask("GET", "/v1/places/12/picture").status == 404
    assert service.ask("GET", "/static/..%2fcommand.py").status == 404


def test_the_description_opens_offline_and_has_every_question_form_and_refusal(
    service: Service, photos: list[Path]
) -> None:
    schema = service.ask("GET", "/openapi.json").content
    page = service.ask("GET", "/docs").body.decode()
    assert "/v1/sequence" in schema["paths"] and "http" not in page.replace("http-equiv", "")
    for path, methods in schema["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    photo = photos[0].read_bytes()
    located = schema["paths"]["/v1/locate"]["post"]
    example = located["responses"]["200"]["content"]["application/json"]["example"]
    answer = service.post("/v1/locate?pairs=true", photo).content
    forms = schema["components"]["schemas"]
    for found in (answer, example):
        one = found["located"][0]
        for form, part in {
            "Answer": found, "LocatedPhoto": one, "Position": one["position"],
            "Pictured": one["matches"][0], "Threshold": found["threshold"],
        }.items():  # fmt: skip
            assert set(part) <= set(forms[form]["properties"]), form
    (scheme,) = located["security"][0]
    assert schema["components"]["securitySchemes"][scheme]["scheme"] == "bearer"
    for method, path, status, headers in (
        ("post", "/v1/locate", 400, {}), ("post", "/v1/locate", 415, {"Content_Type": "text/html"}),
        ("post", "/v1/locate?top=99", 422, {}), ("post", "/v1/sequence?top=x", 422, {}),
        ("post", "/v1/locate", 403, {"Sec_Fetch_Site": "cross-site"}),
        ("get", "/v1/places/12/picture", 404, {}),
        ("post", "/v1/track?session=nobody", 404, {}), ("post", "/v1/track", 400, {}),
    ):  # fmt: skip
        body = photo if "?" in path else b""
        refused = service.ask(
            method.upper(), path, body, **{"Content_Type": "image/jpeg"} | headers
        )
        route = path.partition("?")[0].replace("/12/", "/{image}/")
        described = schema["paths"][route][method]["responses"][str(status)]
        assert refused.status == status and refused.content.keys() == {"error"}
        assert described["content"]["application/json"]["example"].keys() == {"error"}


def test_a_request_that_another_page_makes_is_refused(service: Service) -> None:
    assert service.ask("GET", "/v1/version", Host="evil.example").status == 400
    assert service.ask("GET", "/v1/version", Host="localhost:1").status == 200
    assert service.ask("GET", "/v1/version", Host="[::1]:1").status == 200
    for origin in ("https://evil.example", f"{MAPS}.evil.example", "null"):
        crossed = service.post("/v1/locate", b"x", Sec_Fetch_Site="cross-site", Origin=origin)
        assert (crossed.status, set(crossed.content)) == (403, {"error"})
        assert "access-control-allow-origin" not in crossed.headers


def test_pages_of_a_listed_origin_may_ask(service: Service, photos: list[Path]) -> None:
    page = {"Origin": MAPS, "Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "cors"}
    asked = service.ask(
        "OPTIONS", "/v1/locate", **page, Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization, content-type",
    )  # fmt: skip
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (200, MAPS)
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    answered = service.post("/v1/locate", photos[0].read_bytes(), **page)
    assert (answered.status, answered.headers["access-control-allow-origin"]) == (200, MAPS)


@pytest.mark.parametrize("origin", ["maps.example", "https://maps.example/", "*"])
def test_an_origin_is_a_scheme_and_a_host(origin: str) -> None:
    words = f"--origin {origin}: expected a scheme and a host, as https://HOST"
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        serve(origin=[origin])


def test_behind_a_proxy_under_a_path_everything_is_found(
    service: Service, photos: list[Path], tmp_path: Path
) -> None:
    photo = photos[0].read_bytes()
    with ExitStack() as stack:
        proxy = stack.enter_context(proxied(service, tmp_path))
        trusted = ssl.create_default_context(cafile=str(proxy.certificate))
        client = stack.enter_context(
            closing(http.client.HTTPSConnection("localhost", proxy.port, context=trusted))
        )

        def ask(path: str, body: bytes | None = None) -> tuple[int, bytes]:
            target = urljoin("/vpr/", path)
            kind = {"Content-Type": "image/jpeg"}
            client.request("GET" if body is None else "POST", target, body, kind)
            reply = client.getresponse()
            return reply.status, reply.read()

        for page in ("", "docs"):
            links = re.findall(r'(?:href|src)="([^"#][^"]*)"', ask(page)[1].decode())
            assert {ask(link)[0] for link in links if not link.startswith("data:")} == {200}
        status, answer = ask("v1/locate?top=3", photo)
        direct = service.post("/v1/locate?top=3", photo)
        assert (status, json.loads(answer)["located"]) == (200, direct.content["located"])
        (server,) = json.loads(ask("openapi.json")[1])["servers"]
        assert urljoin("/vpr/openapi.json", server["url"]) == "/vpr/"
        assert ask("v1/locate/")[0] == 404  # no redirect to an address behind the proxy
        assert ask("v1/locate", bytes(16 * 1024 * 1024 + 1))[0] == 413
        assert ask("v1/locate", bytes(16_000_000))[0] == 422  # which reaches the service
        assert list((tmp_path / "body").iterdir()) == []  # and no disk on its way
        address = f"wss://localhost:{proxy.port}/vpr/v1/track"
        with closing(create_connection(address, sslopt={"context": trusted})) as socket:
            socket.send_binary(photo)
            assert json.loads(socket.recv())["number"] == 1


def test_a_port_in_use_is_said_before_the_run_is_loaded(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = ["python", "-m", "vpr", "serve", "--port", str(service.port)]
    output = run(tmp_path, *command, code=1)  # a folder without a run
    assert output == (
        f"error: --host 127.0.0.1 --port {service.port}: cannot listen there: Address already in "
        f"use: take another --port, or end what uses this one (`ss -ltnp 'sport = :{service.port}'"
        "` names it)\n"
    )


def test_one_address_cannot_take_all_connections(service: Service, photos: list[Path]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * CONNECTIONS), hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        first, *_, last = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", service.port), 20, ("127.0.0.3", 0))
            )
            for _ in range(CONNECTIONS // 2 + 1)
        ]
        assert last.recv(1) == b""  # cut at once: the first, which waits for longer, is not
        first.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert first.recv(4096).startswith(b"HTTP/1.1 200")
        assert service.post("/v1/locate", photos[0].read_bytes()).status == 200


def test_another_address_needs_a_token_or_so_many_words(finished_pipeline: Path) -> None:
    command = ["python", "-m", "vpr", "serve", "--host", "::"]
    output = run(finished_pipeline, *command, code=1)
    assert output.startswith("error: --host ::: others can reach this address: set VPR_SERVE_TOKEN")
    assert "--without-token" in output


@pytest.fixture
def shipped(finished_pipeline: Path, tmp_path: Path) -> Path:
    """A folder with just what `.dockerignore` lets into an image."""
    folder = tmp_path / "shipped"
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        source = finished_pipeline / line[1:]
        if line.startswith("!") and source.is_dir():
            shutil.copytree(source, folder / line[1:])
        elif line.startswith("!") and source.is_file():
            (folder / line[1:]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / line[1:])
    return folder


@pytest.mark.long
def test_after_kill_9_the_next_start_answers_right_and_sigterm_lets_what_runs_be_finished(
    shipped: Path, photos: list[Path], expected: list[Any], tmp_path: Path
) -> None:
    form, files = [(photos[0].name, photos[0].read_bytes())], files_of(shipped)
    with serving(shipped, tmp_path / "log", VPR_COMMIT="of the image") as service:
        assert service.ask("GET", "/v1/version").content["commit"] == "of the image"
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(service.post_form, "/v1/locate", form) for _ in range(30)]
            while not asked[0].done():
                time.sleep(0.005)
            decoders = psutil.Process(service.process.pid).children()
            service.signal(signal.SIGKILL)
            assert any(one.exception() for one in asked)
        assert psutil.wait_procs(decoders, timeout=10)[1] == []  # none outlives it
    with serving(shipped, tmp_path / "log2") as again:
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(again.post_form, "/v1/locate", form) for _ in range(12)]
            while not any(one.done() for one in asked):
                time.sleep(0.005)
            decoders = psutil.Process(again.process.pid).children()
            again.signal(signal.SIGTERM)
            replies = [one.result() for one in asked]
        assert [reply.content["located"] for reply in replies] == [expected[:1]] * 12
        again.process.wait(30)
        assert psutil.wait_procs(decoders, timeout=10)[1] == []
    assert files_of(shipped) == files


def files_of(folder: Path) -> list[Path]:
    """All files of a folder but Python's own."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in str(path))


def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_new_run_is_taken_over_without_a_lost_request_and_a_damaged_one_is_not(
    served: Path, service: Service, photos: list[Path], expected: list[Any]
) -> None:
    model = served / "data/whitened/database.npy"
    content, state = model.read_bytes(), model.stat()
    model.write_bytes(content)  # in place, where answers are made from
    one = photos[0].read_bytes()
    assert service.post("/v1/locate", one).status == 500
    service.wait_for("data/whitened/database.npy: written to in place")
    os.utime(model, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert service.post("/v1/locate", one).status == 200
    model.unlink()
    model.write_bytes(content[:-1] + b"\0")
    service.signal(signal.SIGHUP)
    service.wait_for("data/whitened/database.npy: expected MD5")
    model.write_bytes(content)

    change(served, "dim: 0 #", "dim: 6 #")
    change(served, "method: none", "method: sift")
    run(served, "dvc", "repro", "order")
    after = locate_here(served, photos)
    assert all("inliers" in one["matches"][0] for one in after)
    assert [one["matches"] for one in after] != [one["matches"] for one in expected]
    answers, stop = [], threading.Event()

    def ask_on() -> None:
        for number in range(10**6):
            if stop.is_set():
                return
            photo = photos[number % len(photos)]
            reply = service.post_form("/v1/locate", [(photo.name, photo.read_bytes())])
            answers.append((number % len(photos), reply.status, reply.content["located"][0]))

    clients = [threading.Thread(target=ask_on) for _ in range(4)]
    for client in clients:
        client.start()
    assert find_services(served) == [service.process.pid]
    service.signal(signal.SIGHUP)
    service.wait_for("Answering from the run that was loaded now")
    seen = len(answers)
    while len(answers) < seen + 40:
        time.sleep(0.01)
    stop.set()
    for client in clients:
        client.join()
    assert {status for _, status, _ in answers} == {200}
    assert all(found in (expected[photo], after[photo]) for photo, _, found in answers)
    assert all(found == after[photo] for photo, _, found in answers[-8:])
