"""The page on which a person asks, in a real Chromium as large as a phone's and as a desktop's."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from selenium.webdriver.common.keys import Keys
from websocket import WebSocketBadStatusException, create_connection

from tests.support.browsing import Browser, chromium
from tests.support.servers import http_server
from tests.support.services import Service, serving
from vpr.commands.serve.pages import choose_language, load_words, parse_background

TOKEN = "a secret of the tests"  # noqa: S105
PHONE, DESKTOP = (390, 844), (1280, 900)
HOSTILE = "<img src=x onerror=alert(1)>&amp; 길.jpg"
ANSWERED = "!document.getElementById('answer').hidden && document.activeElement.id === 'verdict'"
GIVE = """((kind, field) => {
  const given = new DataTransfer();
  given.items.add(state.files[0]);
  const options = { [field]: given, bubbles: true, cancelable: true };
  const Kind = kind === "drop" ? DragEvent : ClipboardEvent;
  document.body.dispatchEvent(new Kind(kind, options));
})"""


@pytest.fixture(scope="module")
def service(finished_pipeline: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that asks for a token."""
    log = tmp_path_factory.mktemp("service") / "log"
    with serving(finished_pipeline, log, VPR_SERVE_TOKEN=TOKEN) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A window of Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture
def queries(finished_pipeline: Path) -> list[Path]:
    """The photos of the set."""
    return sorted((finished_pipeline / "data/sample/queries").glob("*.jpg"))


def open_page(browser: Browser, home: str, language: str = "en") -> None:
    """Open the page and give it the token, so that it knows the map."""
    browser.visit(f"{home}/?lang={language}")
    browser.wait("!document.getElementById('token-form').hidden")
    browser.run("document.getElementById('token').focus()")
    browser.press(TOKEN + "\n")
    browser.wait("state.map !== null")


def send(browser: Browser, *photos: Path) -> None:
    """Choose photos and wait for the answer."""
    browser.choose_file("#file", *photos)
    browser.wait(ANSWERED)


def test_without_the_token_only_the_page_is_given(service: Service) -> None:
    assert service.ask("GET", "/v1/version").status == 401
    assert service.ask("GET", "/v1/version", Authorization="Bearer of bad news").status == 401
    with pytest.raises(WebSocketBadStatusException, match="401"):
        create_connection(f"ws://127.0.0.1:{service.port}/v1/track")
    assert service.ask("GET", "/").status == 200


@pytest.mark.parametrize(
    ("size", "language"), [(PHONE, "ko"), (DESKTOP, "en")], ids=["phone", "desktop"]
)
def test_a_photo_is_answered_with_words_pictures_and_a_map(
    service: Service, browser: Browser, tmp_path: Path, queries: list[Path],
    size: tuple[int, int], language: str,
) -> None:  # fmt: skip
    home, words = f"http://127.0.0.1:{service.port}", load_words()[language]
    photo = tmp_path / HOSTILE
    shutil.copyfile(queries[3], photo)
    secret = {"Authorization": f"Bearer {TOKEN}"}
    reply = service.post_form("/v1/locate", [("a.jpg", photo.read_bytes())], **secret)
    found = reply.content["located"][0]
    browser.resize(*size)
    browser.visit(f"{home}/?lang={language}")
    browser.wait("!document.getElementById('token-form').hidden")
    assert browser.run("document.documentElement.lang") == language
    assert browser.run("document.getElementById('camera').getAttribute('capture')") == "environment"
    shown = browser.run("['camera', 'file'].map(id => document.getElementById(id).offsetWidth > 0)")
    assert shown == [size == PHONE, True]

    browser.choose_file("#file", photo)  # before the token: it waits for it
    browser.wait("document.activeElement.id === 'token'")
    assert browser.texts("#status") == [words["tokenNeeded"]]
    browser.press("a wrong one\n")
    browser.wait("!document.getElementById('problem').hidden")
    assert browser.texts("#problem .problem")[0].startswith(f"!\n{words['problem_401']}")
    browser.run("document.getElementById('token').value = ''")
    browser.press(TOKEN + "\n")
    browser.wait(ANSWERED)

    assert words["undecided"] in browser.texts("#verdict")[0]  # every query lies in its map
    place = found["position"]
    degrees = f"{place['latitude']:.6f}, {place['longitude']:.6f}"
    assert browser.texts("#coordinates") == [degrees]
    links = browser.run("['geo', 'osm'].map(id => document.getElementById(id).href)")
    assert links[0].startswith(f"geo:{degrees.replace(' ', '')}")
    assert degrees.split(", ")[1] in links[1] and "openstreetmap.org" in links[1]
    captions = browser.texts("#pair figcaption")
    assert HOSTILE in captions[0] and found["matches"][0]["database"] in captions[1]
    browser.run("document.getElementById('facts').open = true")
    rows = browser.texts("#facts tr")
    assert len(rows) == 6 and words["by_nothing"] in browser.texts("#reason")[0]
    for row, match in zip(rows[1:], found["matches"], strict=True):
        assert match["database"] in row and f"{match['distance']:.3f}" in row
    assert browser.load_images() == []
    assert browser.run("document.images.length") == 8  # with the hidden preview
    assert browser.run("document.querySelectorAll('.badge.number').length") == 5
    label = browser.run("document.getElementById('map').getAttribute('aria-label')")
    assert label == words["mapLabel"].replace("{num}", "12")
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert browser.run(
        "[...document.querySelectorAll('button, a, input')].every(found => found.textContent.trim()"
        " || found.getAttribute('aria-label') || found.labels?.[0].textContent.trim())"
    )
    said = browser.complaints(home=home)
    assert [line for line in said if "401" not in line] == []  # the browser notes that


def test_what_is_concluded_is_told_apart_and_switching_language_keeps_the_answer(
    service: Service, browser: Browser, queries: list[Path]
) -> None:
    home, words = f"http://127.0.0.1:{service.port}", load_words()
    browser.resize(*DESKTOP)
    open_page(browser, home)
    assert browser.texts("#legend") == [words["en"]["legendStart"].replace("{num}", "12")]
    send(browser, queries[3])
    # As a calibrated run answers, whose database has headings; and one without reference system.
    place = "{easting: 1, northing: 2, latitude: 52.5, longitude: 13.4, uncertainty_m: 7.5, "
    calibrated = (
        "show({...state.answer, threshold: {by: 'inliers', limit: -26.4}, located: "
        "[{...state.answer.located[0], state: '%s', probability: 0.9876, "
        "probability_interval: [0.9, 0.99], position: %s}]})"
    )
    browser.run(calibrated % ("known", place + "heading: 90}"))
    shown = browser.texts("#answer")[0]
    for part in ("This place is known.", "52.500000, 13.400000", "within 7.5 m", "about 90°"):
        assert part in shown
    assert browser.run("document.querySelectorAll('#map path.within').length") == 1
    turned = "document.querySelector('.badge.place path').getAttribute('transform')"
    assert browser.run(turned) == "rotate(90)"
    browser.run("document.getElementById('facts').open = true")
    assert "98.8 % (90.0 to 99.0 %)" in browser.texts("#reason")[0]
    assert "-26.4" in browser.texts("#reason")[0]

    browser.click("a[hreflang=ko]")
    assert words["ko"]["known"] in browser.texts("#verdict")[0]
    assert browser.texts("h1") == [words["ko"]["title"]]
    assert browser.run("location.search + document.documentElement.lang") == "?lang=koko"
    browser.click("a[hreflang=en]")

    colour = "getComputedStyle(document.getElementById('verdict')).color"
    colours = {browser.run(colour)}
    for state in ("unsure", "unknown"):
        browser.run(calibrated % (state, "null"))
        assert words["en"][state] in browser.texts("#verdict")[0]
        assert browser.texts("#advice") == [words["en"][f"advice_{state}"]]
        assert browser.texts("#coordinates") == []  # no place is given where there is none
        assert browser.run("document.querySelectorAll('.badge.place').length") == 0
        colours.add(browser.run(colour))
    assert len(colours) == 3
    nowhere = "{easting: 1.25, northing: 2, latitude: null, longitude: null, uncertainty_m: null, "
    browser.run(calibrated % ("known", nowhere + "heading: null}"))
    assert "1.3 E 2 N" in browser.texts("#answer")[0]
    assert words["en"]["circle_none"] in browser.texts("#answer")[0]
    assert browser.run("document.getElementById('osm')") is None


def test_a_person_copies_the_place_sends_a_walk_and_sees_what_matches(
    service: Service, browser: Browser, queries: list[Path]
) -> None:
    home = f"http://127.0.0.1:{service.port}"
    browser.resize(*DESKTOP)
    open_page(browser, home)
    rights = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    grant = {"permissions": rights, "origin": home}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", grant)
    browser.click("#example")
    browser.wait(ANSWERED)
    (shown,) = browser.texts("#coordinates")
    browser.click("#copy")
    browser.wait("document.getElementById('status').textContent.startsWith('Copied')")
    assert browser.run("navigator.clipboard.readText()") == shown

    send(browser, *queries[4:1:-1])  # in the order of their names
    assert browser.run("state.photos.map(photo => photo.name)") == [
        "0002.jpg", "0003.jpg", "0004.jpg"
    ]  # fmt: skip
    assert browser.run("document.querySelectorAll('#map path.walk').length") == 1
    browser.click("#walk button:nth-child(3)")
    assert "0004.jpg" in browser.texts("#pair figcaption")[0]
    browser.click("#others button:nth-child(2)")
    assert "Match 2" in browser.texts("#pair figcaption")[1]
    assert not browser.run("document.getElementById('lines').offsetWidth")  # nothing was verified
    browser.run("void (state.answer.located[2].matches[1].pairs = [[.1, .2, .3, .4]], render())")
    browser.click("#lines")
    browser.wait("document.querySelector('#pair.drawn canvas')")
    label = "document.querySelector('#pair canvas').getAttribute('aria-label')"
    assert browser.run(label) == "The photo beside match 2, 1 pairs of points joined by lines"
    assert [line for line in browser.complaints(home=home) if "401" not in line] == []


def test_the_page_is_used_by_keyboard_by_dropping_and_by_pasting(
    service: Service, browser: Browser, tmp_path: Path, queries: list[Path]
) -> None:
    browser.resize(*DESKTOP)
    open_page(browser, f"http://127.0.0.1:{service.port}")
    browser.run("document.querySelector('.skip').focus()")
    order = []
    for _ in range(5):
        browser.tap(Keys.TAB)
        order.append(browser.run("document.activeElement.id || document.activeElement.textContent"))
    assert order == ["English", "한국어", "API", "file", "example"]
    browser.run("document.getElementById('file').focus()")
    outline = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert browser.run(outline) == "solid"

    send(browser, queries[4])
    for button in ("all", "near"):
        browser.run("void state.map.setZoom(9, {animate: false})")
        browser.run(f"document.getElementById('{button}').focus()")
        browser.tap(Keys.SPACE)
        assert browser.run("state.map.getZoom()") > 9
    for kind, field in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        browser.run("document.querySelector('#pair').dataset.old = state.asked")
        browser.run(f"{GIVE}('{kind}', '{field}')")
        browser.wait(
            f"Number(document.querySelector('#pair').dataset.old) < state.asked && {ANSWERED}"
        )

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    browser.choose_file("#file", broken)
    browser.wait("!document.getElementById('problem').hidden")
    assert load_words()["en"]["problem_422"] in browser.texts("#problem")[0]
    browser.click("#problem summary")
    assert "broken.jpg: not a readable image" in browser.texts("#problem")[0]
    browser.click("a[hreflang=ko]")
    assert load_words()["ko"]["problem_422"] in browser.texts("#problem")[0]


def test_large_photos_are_turned_and_scaled_before_they_are_sent_and_others_stay_as_they_are(
    service: Service, browser: Browser, tmp_path: Path
) -> None:
    open_page(browser, f"http://127.0.0.1:{service.port}")
    turned, exif = tmp_path / "turned.jpg", Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: its left becomes its top
    picture = Image.new("RGB", (400, 300), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 200, 300))
    picture.filter(ImageFilter.BoxBlur(2)).save(turned, exif=exif)
    send(browser, turned)
    size = "createImageBitmap(blob).then(made => [made.width, made.height])"
    prepared = "prepare(state.files[0], {}).then(blob => {})"
    assert browser.run(prepared.format(200, size)) == [150, 200]
    top = (
        "createImageBitmap(blob).then(made => { const pen = new OffscreenCanvas(150, 200)"
        ".getContext('2d'); pen.drawImage(made, 0, 0);"
        " return [...pen.getImageData(75, 20, 1, 1).data].slice(0, 3); })"
    )
    red, _, blue = browser.run(prepared.format(200, top))
    assert red > 240 and blue < 15
    for longest in ("null", 400, 5000):
        assert browser.run(prepared.format(longest, "blob === state.files[0]"))


def test_the_description_needs_no_script(service: Service, browser: Browser) -> None:
    home = f"http://127.0.0.1:{service.port}"
    browser.complaints(home=home)
    browser.visit(f"{home}/docs")
    assert "POST /v1/sequence" in browser.texts("h2")
    assert browser.run("document.scripts.length") == 0
    assert browser.complaints(home=home) == []


def test_the_page_works_under_a_path(
    service: Service, browser: Browser, tmp_path: Path, queries: list[Path]
) -> None:
    block = f"location /vpr/ {{ proxy_pass http://127.0.0.1:{service.port}/; }}"
    browser.visit(f"http://127.0.0.1:{service.port}/")
    browser.complaints(home=f"http://127.0.0.1:{service.port}")  # of what was before
    with http_server(tmp_path, server=block) as port:
        home = f"http://127.0.0.1:{port}"
        open_page(browser, f"{home}/vpr")
        send(browser, queries[1])
        assert browser.load_images() == []
        assert [line for line in browser.complaints(home=home) if "401" not in line] == []


@pytest.mark.long
def test_a_background_map_is_loaded_only_from_where_its_owner_says(
    finished_pipeline: Path, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "tiles").mkdir()
    Image.new("RGB", (256, 256)).save(tmp_path / "tiles/tile.png")
    block = f"location / {{ root {tmp_path}/tiles; try_files /tile.png =404; }}"
    with http_server(tmp_path, server=block) as port:
        tiles = f"http://localhost:{port}"
        options = ("--tiles", f"{tiles}/{{z}}/{{x}}/{{y}}.png", "--attribution", "© <b>Owner</b>")
        with serving(finished_pipeline, tmp_path / "log", *options) as service:
            home = f"http://127.0.0.1:{service.port}"
            browser.visit(home)
            browser.complaints(home="")
            browser.visit(f"{home}/?lang=en")
            browser.wait("document.querySelector('#map img.leaflet-tile-loaded')")
            assert browser.texts(".leaflet-control-attribution") == ["© Owner"]
            asked = browser.complaints(home=home)
            assert asked and all(line.startswith(tiles) for line in asked)
            headers = service.ask("GET", "/").headers
            assert f"img-src 'self' blob: data: {tiles};" in headers["content-security-policy"]
            assert headers["referrer-policy"] == "strict-origin"


def vector_tile() -> bytes:
    """A tile of the form MVT whose layer `water` fills its middle with one polygon."""
    turns = bytes([9, 0x80, 0x10, 0x80, 0x10, 26, 0x80, 0x20, 0, 0, 0x80, 0x20, 0xFF, 0x1F, 0, 15])
    feature = b"\x18\x03\x22" + bytes([len(turns)]) + turns  # a polygon
    layer = b"\x0a\x05water\x12" + bytes([len(feature)]) + feature + b"\x28\x80\x20\x78\x02"
    return b"\x1a" + bytes([len(layer)]) + layer


def save_pmtiles(path: Path, tile: bytes) -> None:
    """Write a PMTiles file, version 3, in which the five tiles of zooms 0 and 1 are the same."""
    directory = bytes([1, 0, 5, len(tile), 1])  # entries, id, run, length, offset + 1
    parts = [(127, len(directory)), (127 + len(directory), 2), (0, 0)]
    parts.append((127 + len(directory) + 2, len(tile)))
    numbers = [number for part in parts for number in part] + [5, 1, 1]
    box = struct.pack("<4iB2i", -1800000000, -850000000, 1800000000, 850000000, 0, 0, 0)
    header = b"PMTiles\x03" + struct.pack("<11Q6B", *numbers, 1, 1, 1, 1, 0, 1) + box
    path.write_bytes(header + directory + b"{}" + tile)


@pytest.mark.long
def test_a_background_map_of_a_file_is_drawn_and_nothing_leaves_the_service(
    finished_pipeline: Path, browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "city.pmtiles"
    save_pmtiles(file, vector_tile())
    options = ("--tiles", str(file), "--attribution", "© Owner")
    with serving(finished_pipeline, tmp_path / "log", *options) as service:
        home = f"http://127.0.0.1:{service.port}"
        browser.visit(home)
        browser.complaints(home="")
        browser.visit(f"{home}/?lang=en")
        water = (  # of the light map: 80deea
            "[...document.querySelectorAll('#map canvas')].some(tile => new Uint32Array(tile"
            ".getContext('2d').getImageData(0, 0, tile.width, tile.height).data.buffer)"
            ".includes(0xffeade80))"
        )
        browser.wait("state.map !== null")
        browser.run("void state.map.setZoom(3, {animate: false})")
        browser.wait(water)
        assert browser.texts(".leaflet-control-attribution") == ["© Owner"]
        assert browser.complaints(home=home) == []
        assert service.ask("GET", "/").headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("tiles", "attribution", "sentence"),
    [
        ("https://HOST/{z}/{x}.png", "x", "expected https://HOST/{z}/{x}/{y}.png, or a PMTiles"),
        ("https://a.b/{z}/{x}/{y}.png", "", "a background map needs both"),
        ("raster.pmtiles", "x", "expected a PMTiles file, version 3, of vector tiles"),
    ],
)
def test_a_background_map_that_cannot_be_shown_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiles: str, attribution: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raster.pmtiles").write_bytes(b"PMTiles\x03" + bytes(119))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_background(tiles, attribution)


def test_both_languages_have_every_word_with_the_same_slots() -> None:
    english, korean = load_words()["en"], load_words()["ko"]
    assert english.keys() == korean.keys()
    slots = [{name: sorted(part.split("}")[0] for part in text.split("{")[1:])
              for name, text in words.items()} for words in (english, korean)]  # fmt: skip
    assert slots[0] == slots[1]
    assert all(json.dumps(text) for text in korean.values())


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [(None, "ko-KR,ko;q=0.9,en;q=0.8", "ko"), ("en", "ko", "en"), (None, "de, fr;q=0.5", "en"),
     ("xx", "fr,ko", "ko"), (None, "", "en")],
)  # fmt: skip
def test_the_language_is_the_reader_s(wanted: str | None, accepted: str, language: str) -> None:
    assert choose_language(wanted, accepted) == language
