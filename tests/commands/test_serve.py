"""Where was this photo taken, over HTTP: a real service on a real run."""

from __future__ import annotations

import json
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.support.repositories import ROOT, change, run
from tests.support.services import Service, serving
from vpr.commands.locate.outputs import as_json
from vpr.locating.loading import load_places, load_ranker
from vpr.locating.matches import locate_ranked
from vpr.locating.ranking import rank_photos
from vpr.places.index import load_index
from vpr.repository.locked_run import locked_params
from vpr.retrieval.descriptors import load_descriptors
from vpr.retrieval.params import SequenceParams
from vpr.retrieval.sequence_ranking import find_distances, rank_descriptors
from vpr.run_files import WHITENED

TOKEN = "a secret of the tests"  # noqa: S105


@pytest.fixture(scope="module")
def service(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that answers from the finished pipeline."""
    with serving(finished_pipeline, tmp_path_factory.mktemp("service") / "log") as started:
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


def locate_by_command(folder: Path, *photos: Path, top: int = 5) -> list[Any]:
    """What `locate --json` says of each photo alone, with its name for its path."""
    found = []
    for photo in photos:
        text = run(folder, "python", "-m", "vpr", "locate", str(photo), "--json", "--top", str(top))
        (one,) = json.loads(text[text.index("[\n") : text.rindex("]") + 1])
        found.append({**one, "photo": photo.name})
    return found


def locate_here(
    folder: Path, photos: list[Path], top: int, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """What `locate` says of each photo alone, without a start of Python for each."""
    monkeypatch.chdir(folder)
    (_, places), ranker = load_places(Path()), load_ranker(Path(), load_descriptors(WHITENED))
    found = []
    for photo in photos:
        ranked = list(rank_photos(ranker, [photo], top=top, with_responses=False))
        (one,) = json.loads(as_json(locate_ranked([photo], ranked, places, [None])))
        found.append({**one, "photo": photo.name})
    return found


def test_each_photo_gets_the_answer_of_locate_whether_others_ask_or_not(
    finished_pipeline: Path, service: Service, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = locate_here(finished_pipeline, photos, 5, monkeypatch)
    assert expected[0] == locate_by_command(finished_pipeline, photos[0])[0]

    def ask(photo: Path) -> Any:  # noqa: ANN401
        reply = service.post_form("/locate", [(photo.name, photo.read_bytes())])
        assert reply.status == 200, reply.body
        return reply.content["located"][0]

    assert [ask(photo) for photo in photos] == expected
    with ThreadPoolExecutor(16) as pool:  # the second time batches of this size are known
        together = list(pool.map(ask, photos * 6))
    assert together == expected * 6

    raw = service.post("/locate?top=3", photos[0].read_bytes(), "image/whatever").content
    assert raw["located"][0] == {**expected[0], "photo": "photo",
                                 "matches": expected[0]["matches"][:3]}  # fmt: skip
    metrics = json.loads((finished_pipeline / "metrics/details.json").read_text())
    assert metrics["accept_calibrated"] is False  # every query lies in the map
    assert raw["threshold"] == {"by": "distance", "limit": None}
    assert raw["located"][0]["accepted"] is None
    assert all(value >= 0 for value in raw["timings_ms"].values())


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
    found = service.post_form("/locate/sequence?top=4&length=3", form).content["located"]
    assert [one["photo"] for one in found] == [file.name for file in files]
    assert [[m["image"] for m in one["matches"]] for one in found] == indices.tolist()
    distances = [[match["distance"] for match in one["matches"]] for one in found]
    np.testing.assert_allclose(distances, find_distances(database, query, indices), atol=1e-5)

    alone = [service.post_form("/locate?top=4", [one]).content["located"][0] for one in form]
    assert service.post_form("/locate/sequence?top=4", form).content["located"] == alone


def test_the_run_is_named_by_its_hashes_and_nothing_tells_where_the_machine_keeps_it(
    finished_pipeline: Path, service: Service
) -> None:
    version = service.ask("GET", "/version").content
    lock = (finished_pipeline / "dvc.lock").read_text()
    assert all(md5 in lock for md5 in version["hashes"].values())
    assert version["commit"] == run(finished_pipeline, "git", "rev-parse", "HEAD").strip()
    assert version["encoder"] == {"name": "vgg16", "model": None}
    assert version["dataset"] == {"name": "sample", "crs": "EPSG:32633", "num_places": 12}
    places = service.ask("GET", "/places").content
    index = load_index(finished_pipeline / "data/prepared/database.csv")
    assert (
        np.stack([places["easting"], places["northing"]], 1).tolist() == index.coordinates.tolist()
    )
    picture = service.ask("GET", "/places/3/picture")
    assert picture.body == (finished_pipeline / "data/thumbnails/database/000003.jpg").read_bytes()
    for path in (
        "/version", "/places", "/docs", "/openapi.json", "/", "/nowhere", "/places/12/picture",
        "/places/x/picture", "/static/..%2fcommand.py",
    ):  # fmt: skip
        body = service.ask("GET", path).body
        assert str(finished_pipeline).encode() not in body and b"/proc" not in body
    assert service.ask("GET", "/places/12/picture").status == 404
    assert service.ask("GET", "/static/..%2fcommand.py").status == 404


def test_the_description_opens_offline_and_names_every_question(service: Service) -> None:
    schema = service.ask("GET", "/openapi.json").content
    page = service.ask("GET", "/docs").body.decode()
    assert "/locate/sequence" in schema["paths"] and "http" not in page.replace("http-equiv", "")
    for path, methods in schema["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    matches = schema["components"]["schemas"]["Match"]["properties"]
    assert {"rank", "easting", "latitude", "distance", "inliers"} <= set(matches)


def test_a_request_that_another_page_makes_is_refused(service: Service) -> None:
    assert service.ask("GET", "/version", Host="evil.example").status == 421
    assert service.ask("GET", "/version", Host="localhost:1").status == 200
    crossed = service.post("/locate", b"x", Sec_Fetch_Site="cross-site")
    assert (crossed.status, set(crossed.content)) == (403, {"error"})


def test_what_runs_is_finished_after_sigterm(
    finished_pipeline: Path, photos: list[Path], tmp_path: Path
) -> None:
    with serving(finished_pipeline, tmp_path / "log") as service:
        with ThreadPoolExecutor(12) as pool:
            asked = [pool.submit(service.post, "/locate", photos[0].read_bytes())
                     for _ in range(12)]  # fmt: skip
            while service.ask("GET", "/healthz").status != 200 or not any(a.done() for a in asked):
                pass
            decoders = psutil.Process(service.process.pid).children()
            service.signal(signal.SIGTERM)
            replies = [one.result() for one in asked]
        assert [reply.status for reply in replies] == [200] * 12
        service.process.wait(30)
        assert psutil.wait_procs(decoders, timeout=10)[1] == []


def test_another_address_needs_a_token_or_so_many_words(finished_pipeline: Path) -> None:
    command = ["python", "-m", "vpr", "serve", "--host", "::"]
    output = run(finished_pipeline, *command, code=1)
    assert output.startswith("error: --host ::: others can reach this address: set VPR_SERVE_TOKEN")
    assert "--without-token" in output


def test_a_new_run_is_taken_over_without_a_lost_request_and_a_damaged_one_is_not(
    pipeline: Path, tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(pipeline, tmp_path / "log", VPR_SERVE_TOKEN=TOKEN) as service:
        secret = {"Authorization": f"Bearer {TOKEN}"}
        assert service.ask("GET", "/version").status == 401
        assert service.ask("GET", "/version", Authorization="Bearer of bad news").status == 401
        assert service.ask("GET", "/").status == 200
        before = locate_here(pipeline, photos, 5, monkeypatch)
        model = pipeline / "data/whitened/database.npy"
        content = model.read_bytes()
        model.unlink()
        model.write_bytes(content[:-1] + b"\0")
        service.signal(signal.SIGHUP)
        service.wait_for("data/whitened/database.npy: expected MD5")
        model.write_bytes(content)

        change(pipeline, "dim: 0 #", "dim: 6 #")
        change(pipeline, "method: none", "method: sift")
        run(pipeline, "dvc", "repro", "evaluate", "thumbnails")
        after = locate_here(pipeline, photos, 5, monkeypatch)
        assert all("inliers" in one["matches"][0] for one in after)
        assert [one["matches"] for one in after] != [one["matches"] for one in before]
        answers, stop = [], threading.Event()

        def ask_on() -> None:
            for number in range(10**6):
                if stop.is_set():
                    return
                photo = photos[number % len(photos)]
                reply = service.post_form("/locate", [(photo.name, photo.read_bytes())], **secret)
                answers.append((number % len(photos), reply.status, reply.content["located"][0]))

        clients = [threading.Thread(target=ask_on) for _ in range(4)]
        for client in clients:
            client.start()
        service.signal(signal.SIGHUP)
        service.wait_for("Answering from the run that was loaded now")
        seen = len(answers)
        while len(answers) < seen + 40:
            time.sleep(0.01)
        stop.set()
        for client in clients:
            client.join()
    assert {status for _, status, _ in answers} == {200}
    assert all(found in (before[photo], after[photo]) for photo, _, found in answers)
    assert all(found == after[photo] for photo, _, found in answers[-8:])


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


def test_after_kill_9_under_load_the_next_start_answers_right_and_nothing_is_left(
    shipped: Path, photos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = locate_here(shipped, photos[:1], 5, monkeypatch)
    form, files = [(photos[0].name, photos[0].read_bytes())], files_of(shipped)
    with serving(shipped, tmp_path / "log", VPR_COMMIT="of the image") as service:
        assert service.ask("GET", "/version").content["commit"] == "of the image"
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(service.post_form, "/locate", form) for _ in range(30)]
            while not asked[0].done():
                time.sleep(0.005)
            decoders = psutil.Process(service.process.pid).children()
            service.signal(signal.SIGKILL)
            assert any(one.exception() for one in asked)
        assert psutil.wait_procs(decoders, timeout=10)[1] == []  # none outlives it
    with serving(shipped, tmp_path / "log2") as again:
        assert again.post_form("/locate", form).content["located"] == expected
    assert files_of(shipped) == files


def files_of(folder: Path) -> list[Path]:
    """All files of a folder but Python's own."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in str(path))
