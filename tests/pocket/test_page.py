"""The exported page locates photos in a real browser, without a network after the first visit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import made_once
from tests.support.browsing import Browser, chromium
from tests.support.node import run_node
from tests.support.pages import locate_in_page, served
from tests.support.pictures import texture
from vpr.commands.pocket import export_page
from vpr.images.image_files import list_images, path_of
from vpr.images.pixels import scaled_size
from vpr.network.describing import describe_photos
from vpr.pocket.page import fetch_package, write_runtime
from vpr.pocket.source import READERS, load_source
from vpr.run_files import DATABASE, QUERY_IMAGES

pytestmark = pytest.mark.long

RESIZE = """
const {resize, scaledSize} = await import(HOME + "pixels.js");
const told = sizes.map(([width, height]) => resize({data, width: 320, height: 240}, width, height));
console.log(JSON.stringify({
  sizes: shapes.map(([width, height, side]) => scaledSize(width, height, side, null)),
  images: told.map(({data}) => [...data]),
}));
"""


@pytest.fixture(scope="module")
def package(shared_folder: Path) -> Path:
    """The runtime, from npm's registry."""

    def fetch(folder: Path) -> None:
        folder.mkdir()
        try:
            fetch_package(folder)
        except ValueError as error:
            pytest.skip(str(error))

    return next(made_once(shared_folder / "npm", fetch).glob("*.tgz"))


@pytest.fixture(scope="module")
def site(finished_pipeline: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the finished pipeline."""
    out = tmp_path_factory.mktemp("pages") / "내 page"
    export_page(out, run=finished_pipeline, runtime=package)
    return out


def map_of(browser: Browser, address: str) -> str:
    browser.visit(address)
    browser.wait("document.getElementById('legend').textContent")
    return browser.texts("#legend")[0]


def problem_of(browser: Browser, address: str) -> str:
    browser.visit(address)
    browser.wait("!document.getElementById('problem').hidden")
    browser.click("#problem summary")
    return browser.texts("#problem p")[0]


def test_photos_are_located_without_a_network_as_by_the_pipeline(
    finished_pipeline: Path, site: Path, tmp_path: Path
) -> None:
    source, queries = load_source(finished_pipeline, dim=None), finished_pipeline / QUERY_IMAGES
    photos = {side: list_images(finished_pipeline / "data/images" / side)
              for side in ("database", "query")}  # fmt: skip
    rows = {
        side: np.concatenate([b.descriptors for b in describe_photos(source.network(), images)])
        for side, images in photos.items()
    }
    distances = np.sqrt(np.maximum(0, 2 - 2 * rows["query"] @ rows["database"].T))
    with chromium() as browser:
        with served(site, tmp_path / "log") as home:
            assert "12 places" in map_of(browser, home)
            browser.driver.execute_async_script(
                "const done = arguments[0]; navigator.serviceWorker.ready.then(() => done());"
            )
        assert "12 places" in map_of(browser, home)  # the server is gone
        for photo, far in zip(photos["query"], distances, strict=True):
            found = locate_in_page(browser, path_of(photo))
            assert found["matches"][0]["image"] == far.argmin()
            assert found["matches"][0]["distance"] == pytest.approx(far.min(), abs=1e-3)
        browser.choose_file("#file", next(queries.iterdir()))
        browser.wait("!document.getElementById('answer').hidden")
        browser.click("#facts summary")
        assert "Not verified by matching points" in browser.texts("#reason")[0]
        assert browser.load_images() == []
        assert browser.complaints(home=home) == []
        map_of(browser, f"{home}?lang=ko")
        assert browser.texts("h1") == ["이 사진은 어디에서 찍었을까요?"]
        assert "이 페이지가 아는 장소 12곳" in browser.texts("#legend")[0]


def test_damaged_and_mixed_pages_say_so_in_one_sentence(site: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(site, tmp_path / "page"))
    card = json.loads((site / "model.json").read_text())
    cut = (site / "descriptors.npy").read_bytes()[:-2]
    cases: list[tuple[str, bytes | None, str]] = [
        ("model.json", json.dumps(card | {"run": "f" * 16}).encode(),
         f"model.json: of run {'f' * 16}, the map is of {card['run']}"),
        ("model.json", json.dumps(card | {"sha256": "0" * 64}).encode(),
         "model.onnx: missing, damaged, or of another export than model.json"),
        ("descriptors.npy", cut,
         "descriptors.npy: missing, damaged, or of another map than map.json"),
        ("places.csv", None, "places.csv: File not found"),
    ]  # fmt: skip
    with chromium() as browser:
        for name, content, expected in cases:
            if content is None:
                (broken / name).unlink()
            else:
                (broken / name).write_bytes(content)
            with served(broken, tmp_path / "log") as home:  # on a port of its own, so no old files
                assert problem_of(browser, home) == expected
            shutil.copyfile(site / name, broken / name)


def test_a_run_without_positions_has_no_page(pipeline: Path, tmp_path: Path) -> None:
    table = pipeline / DATABASE
    rows = [row.split(",")[:2] for row in table.read_text().splitlines()]
    table.write_text("".join(",".join(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match="the positions of this run's database are unknown"):
        export_page(tmp_path / "page", run=pipeline)
    assert not (tmp_path / "page").exists()


def test_another_runtime_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.tgz").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"other\.tgz: expected onnxruntime-web@.*found sha512-"):
        write_runtime(tmp_path / "ort", tmp_path / "other.tgz")
    assert not (tmp_path / "ort").exists()


def test_a_registry_without_the_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path, tmp_path / "log") as home:
        monkeypatch.setenv("npm_config_registry", home)
        with pytest.raises(ValueError, match=rf"^{home}onnxruntime-web/-/onnx.*404.*--runtime$"):
            write_runtime(tmp_path / "ort", None)
    assert not (tmp_path / "ort").exists()


def test_photos_are_scaled_as_by_pillow_to_the_last_bit() -> None:
    pixels, sizes = texture(5), [(200, 150), (77, 240), (320, 51), (400, 300)]
    shapes = [(400, 300, 320), (1001, 333, 320), (45, 64, 30), (100, 100, None)]
    told = run_node(RESIZE, READERS, data=pixels.flatten().tolist(), sizes=sizes, shapes=shapes)
    for (width, height), found in zip(sizes, told["images"], strict=True):
        scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
        assert np.asarray(scaled).flatten().tolist() == found
    expected = [[*scaled_size((width, height), 1, side)][::-1] for width, height, side in shapes]
    assert told["sizes"] == expected
