"""The page on which a person asks, in a real Chromium as large as a phone's and as a desktop's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageFilter
from selenium.webdriver.common.keys import Keys

from tests.support.browsing import Browser, chromium
from tests.support.servers import http_server
from tests.support.services import Service, serving
from vpr.commands.serve.pages import choose_language, load_words

TOKEN = "a secret of the tests"  # noqa: S105
PHONE, DESKTOP = (390, 844), (1280, 900)
HOSTILE = "<img src=x onerror=alert(1)>&amp; 길.jpg"
DROP = """(() => {
  const given = new DataTransfer();
  given.items.add(document.getElementById("file").files[0]);
  const options = { dataTransfer: given, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("drop", options));
})()"""


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


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_photo_is_answered_with_words_pictures_and_a_map(
    finished_pipeline: Path, service: Service, browser: Browser, tmp_path: Path,
    size: tuple[int, int], language: str,
) -> None:  # fmt: skip
    home, words = f"http://127.0.0.1:{service.port}", load_words()[language]
    source = finished_pipeline / "data/sample/queries/0003.jpg"
    photo = tmp_path / HOSTILE
    shutil.copyfile(source, photo)
    reply = service.post_form(
        "/v1/locate", [("a.jpg", source.read_bytes())], Authorization=f"Bearer {TOKEN}"
    )
    found = reply.content["located"][0]
    browser.resize(*size)
    browser.visit(f"{home}/?lang={language}")
    assert browser.run("document.documentElement.lang") == language
    capture = "document.getElementById('camera').getAttribute('capture')"
    assert browser.run(capture) == "environment"

    browser.choose_file("#camera", photo)
    browser.wait("document.activeElement.id === 'token'")
    assert browser.texts("#status") == [words["tokenNeeded"]]
    browser.press(TOKEN + "\n")
    browser.wait("document.activeElement.id === 'verdict'")

    verdict = words["undecided"]  # every query of this run lies in its map
    assert browser.texts("#verdict") == [verdict]
    assert browser.texts("#reason")[0].endswith(words["by_nothing"])
    colours = "['#verdict', 'body'].map(n => getComputedStyle(document.querySelector(n)).color)"
    assert len(set(browser.run(colours))) == 1  # neither green nor red
    # A run that is calibrated: green, red, and what the limit is of.
    states = browser.run("[...VERDICTS].map(([state, [name, look]]) => [state, words(name), look])")
    assert states == [
        ["known", words["known"], "right"], ["unsure", words["unsure"], "unsure"],
        ["unknown", words["unknown"], "unknown"], [None, words["undecided"], "undecided"],
    ]  # fmt: skip
    place = "{easting: 1.25, northing: 2, uncertainty_m: 7.5}"
    sure = browser.run(f"positionOf({{state: 'known', probability: 0.9876, position: {place}}})")
    assert "98.8 %" in sure and "7.5 m" in sure
    unsaid = browser.run(
        f"positionOf({{probability: null, position: {place.replace('7.5', 'null')}}})"
    )
    assert unsaid.strip().endswith(words["circle_none"])
    assert browser.run("positionOf({state: 'unknown', position: null})") == ""
    first, threshold = "{inliers: 60, log10_nfa: -31.54}", "{by: 'inliers', limit: -26.4}"
    reason = browser.run(f"reasonOf({first}, {threshold})")
    assert "60" in reason and "-31.5" in reason and "-26.4" in reason
    reason = browser.run("reasonOf({distance: 1.2345}, {by: 'distance', limit: 1.1})")
    assert "1.234" in reason or "1.235" in reason
    assert "1.100" in reason
    assert browser.texts("#status") == [
        words["done"].replace("{verdict}", verdict).replace("{num}", "5")
    ]
    captions = browser.texts("figcaption")
    assert len(captions) == 6 and HOSTILE in captions[0]
    for caption, match in zip(captions[1:], found["matches"], strict=True):
        assert caption.startswith(f"{match['rank']}.") and match["database"] in caption
        assert f"{match['latitude']:.6f}, {match['longitude']:.6f}" in caption
    assert browser.load_images() == []
    assert browser.run("document.images.length") == 6
    assert browser.run("[...document.images].every(image => image.alt)")
    label = browser.run("document.querySelector('#map svg').getAttribute('aria-label')")
    assert words["mapLabel"].split("{num}")[1].split(".")[0][:4] in label and "12" in label
    assert browser.texts("#map text") == ["5", "4", "3", "2", "1"]  # the best on top
    assert (
        browser.run("document.querySelector('.database').getAttribute('d').split('M').length") == 13
    )
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    tops = browser.run("[...document.querySelectorAll('figure img')].slice(0, 2)"
                       ".map(i => Math.round(i.getBoundingClientRect().top))")  # fmt: skip
    assert tops[0] == tops[1]  # side by side
    said = browser.complaints(home=home)
    assert [line for line in said if "401" not in line] == []  # the browser notes that


def test_the_page_is_used_by_keyboard_and_by_dropping(
    finished_pipeline: Path, service: Service, browser: Browser, tmp_path: Path
) -> None:
    browser.resize(*DESKTOP)
    browser.visit(f"http://127.0.0.1:{service.port}/?lang=en")
    order = []
    for _ in range(6):
        browser.tap(Keys.TAB)
        order.append(browser.run("document.activeElement.id || document.activeElement.textContent"))
    assert order == ["Skip to the content", "English", "한국어", "API", "camera", "file"]
    outline = "getComputedStyle(document.activeElement.parentElement).outlineStyle"
    assert browser.run(outline) == "solid"

    # Its matches lie in a part of the street.
    browser.choose_file("#file", finished_pipeline / "data/sample/queries/0004.jpg")
    browser.wait("document.activeElement.id === 'token'")
    browser.press(TOKEN + "\n")
    browser.wait("document.activeElement.id === 'verdict'")
    near = browser.run("document.querySelector('#map svg').getAttribute('viewBox')")
    browser.run("document.getElementById('all').focus()")
    browser.tap(Keys.SPACE)
    assert browser.run("document.querySelector('#map svg').getAttribute('viewBox')") != near

    unlike = tmp_path / "unlike.png"
    Image.effect_noise((96, 96), 90).filter(ImageFilter.BLUR).convert("RGB").save(unlike)
    browser.choose_file("#file", unlike)
    browser.wait("document.querySelector('figcaption').textContent.includes('unlike.png')")
    browser.run("document.querySelector('figcaption').dataset.old = 'yes'")
    browser.run(DROP)
    browser.wait("!document.querySelector('figcaption').dataset.old")
    assert "unlike.png" in browser.texts("figcaption")[0]

    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    browser.choose_file("#file", broken)
    browser.wait("document.getElementById('answer').hidden")
    assert browser.texts("#status")[0].startswith("No answer: broken.jpg: not a readable image")


def test_the_description_needs_no_script(service: Service, browser: Browser) -> None:
    home = f"http://127.0.0.1:{service.port}"
    browser.complaints(home=home)
    browser.visit(f"{home}/docs")
    assert "POST /v1/sequence" in browser.texts("h2")
    assert browser.run("document.scripts.length") == 0
    assert browser.complaints(home=home) == []


def test_the_page_works_under_a_path(
    finished_pipeline: Path, service: Service, browser: Browser, tmp_path: Path
) -> None:
    block = f"location /vpr/ {{ proxy_pass http://127.0.0.1:{service.port}/; }}"
    browser.visit(f"http://127.0.0.1:{service.port}/")
    browser.complaints(home=f"http://127.0.0.1:{service.port}")  # of what was before
    with http_server(tmp_path, server=block) as port:
        home = f"http://127.0.0.1:{port}"
        browser.visit(f"{home}/vpr/?lang=en")
        browser.choose_file("#file", finished_pipeline / "data/sample/queries/0001.jpg")
        browser.wait("document.activeElement.id === 'token'")
        browser.press(TOKEN + "\n")
        browser.wait("document.activeElement.id === 'verdict'")
        assert browser.load_images() == [] and len(browser.texts("figcaption")) == 6
        assert [line for line in browser.complaints(home=home) if "401" not in line] == []


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
