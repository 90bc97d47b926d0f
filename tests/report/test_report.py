"""The report opens from disk, works by mouse and keys, and trusts no file name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.support.browsing import Browser, chromium
from tests.support.repositories import ROOT
from tests.support.synthetic_run import HOSTILE, make_report, write_run
from vpr.places.crs import latitude_longitude
from vpr.report.pages import as_script, load_templates
from vpr.report.params import DEFAULTS
from vpr.report.report import find_worst, headline
from vpr.runtime.parameters import read_yaml

NAMES = [f"drive/{number:03d}.jpg" for number in range(113)] + HOSTILE
NUM_WRONG = 40  # of 120 queries every third is answered wrong


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("report") / "a run"
    write_run(home, num_database=80, names=NAMES)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return make_report()


@pytest.mark.parametrize("page", ["index.html", "map.html", "gallery.html"])
def test_every_page_loads_without_network_and_names_each_control_and_image(
    browser: Browser, folder: Path, page: str
) -> None:
    browser.open(folder / page, "#query=1")
    assert browser.load_images() == []
    assert browser.complaints() == []
    tree = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"button", "link", "radio", "combobox", "searchbox", "spinbutton", "image", "img"}
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value"))
        for node in tree
        if not node["ignored"] and node["role"]["value"] in roles
    ]
    assert nodes
    assert [role for role, name in nodes if not name] == []
    assert [n for n in tree if not n["ignored"] and n["role"]["value"] == "main"]


@pytest.fixture
def overview(browser: Browser, folder: Path) -> Browser:
    """The overview, as the test before left it where that read it too."""
    if browser.driver.current_url != (folder / "index.html").as_uri():
        browser.open(folder / "index.html")
    return browser


def test_the_overview_shows_recall_its_interval_and_every_curve(overview: Browser) -> None:
    (card,) = overview.texts(".card")
    assert card.split("\n") == ["recall@1", "67.0 %", "50.0 % to 80.0 % along the route"]
    notes = overview.texts("section[aria-labelledby=headline] .note")
    assert notes[1] == "Protocol st-lucia: 1,549 database images."
    charts = ["scores", "recall", "errors", "precision-recall", "risk-coverage", "loss"]
    assert overview.run("[...document.querySelectorAll('.chart')].map(c => c.id)") == charts
    overview.wait("document.querySelectorAll('.chart .scatterlayer .trace').length === 5")
    assert overview.run("document.querySelector('#recall').layout.yaxis.range") == pytest.approx(
        [0.665, 0.705]  # not from 0
    )
    assert overview.run("document.querySelector('#recall').data[0].y") == [0.67, 0.7]


def test_only_parameters_off_the_default_are_open(overview: Browser) -> None:
    (section,) = overview.texts("section[aria-labelledby=params]")
    assert section.split("\n") == [
        "Parameters", "not the default value default", "evaluate.accept_by distance inliers",
        "All parameters",
    ]  # fmt: skip
    overview.click("section[aria-labelledby=params] summary")
    assert "batch_triplets" in overview.texts("section[aria-labelledby=params]")[0]


def test_what_changes_the_numbers_stands_below_them(overview: Browser) -> None:
    (note,) = overview.texts("section[aria-labelledby=notes] li")
    assert note == "near copies: 3 queries nearly equal <b>a database photo</b>"


def test_an_overview_of_a_calibrated_run_says_its_limit(overview: Browser) -> None:
    (section,) = overview.texts("section[aria-labelledby=acceptance]")
    assert section.split("\n") == [
        "Known, unsure or unknown: calibrated",
        "Is it this map? Of 420 photos from outside it 0.5 % are accepted (0.1 % to 1.7 %).",
        "answer queries photos from elsewhere", "known 75.0 % 0.0 %",
        "unsure 25.0 % 5.0 %", "unknown 0.0 % 95.0 %",
    ]  # fmt: skip


def test_utility_is_drawn_where_it_was_measured(overview: Browser, folder: Path) -> None:
    assert overview.texts(".pictures li") == [
        f"database image {number}" for number in (0, 16, 32, 47, 63, 79)
    ]
    with Image.open(folder / "utility" / "000047.jpg") as picture:
        left, right = (picture.getpixel((x, 24)) for x in (8, 56))
    assert left[0] > 1.5 * left[2]  # it glows
    assert max(right) - min(right) < 8  # grey


def test_dark_readers_get_a_dark_page(overview: Browser) -> None:
    scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
    overview.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    overview.wait("getComputedStyle(document.body).backgroundColor === 'rgb(18, 22, 27)'")
    overview.wait("document.querySelector('#recall').layout.paper_bgcolor === '#1b2128'")
    overview.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_overview_pictures_the_worst_queries_and_leads_to_them(overview: Browser) -> None:
    assert len(overview.texts(".failures li")) == 8
    metres = overview.run(
        "ALL_WRONG = REPORT.top.metres.filter((_, i) => !isRight(i)).map(m => m[0])"
    )
    assert overview.texts(".failures li")[0].split("\n")[0].endswith(f"{max(metres):.1f} m away")
    query = overview.run("WORST[0]")
    overview.click(".failures a")
    overview.wait(f"document.activeElement.querySelector('h2')?.id === 'query-{query}'")


def headings(browser: Browser) -> list[str]:
    """The queries of the gallery, by one question."""
    found: list[str] = browser.run(
        "[...document.querySelectorAll('article h2')].map(h => h.textContent)"
    )
    return found


def click_at(browser: Browser, element: str) -> None:
    """Click the middle of an element as a mouse does, whatever lies over it."""
    box = f"{element}.getBoundingClientRect()"
    browser.run(f"{element}.scrollIntoView({{block: 'center'}})")
    x, y = browser.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({box})")
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def test_right_and_wrong_scores_are_drawn_with_the_threshold(
    browser: Browser, folder: Path
) -> None:
    browser.open(folder / "index.html")
    browser.wait("document.querySelectorAll('#scores .bars .point').length > 0")
    drawn = "document.querySelector('#scores')"
    names = browser.run(f"{drawn}.data.map(trace => trace.name)")
    assert names == ["right (80)", f"wrong ({NUM_WRONG})", "no place of the map (0)"]
    assert browser.run(f"{drawn}.layout.shapes.map(line => line.x0)") == [0.8]  # in DETAILS
    assert browser.run("COUNTS.map(counts => counts.reduce((a, b) => a + b))") == [80, NUM_WRONG, 0]
    # Right ones have a distance of 0.5, wrong ones of 0.8; a bar holds its upper end.
    assert browser.run("[BINS.ends[0], BINS.ends.at(-1)]") == [0.5, 0.8]
    bars = "document.querySelectorAll('#scores .trace.bars')[1].querySelectorAll('.point path')"
    click_at(browser, f"[...{bars}].at(-1)")
    browser.wait("location.pathname.endsWith('gallery.html')")
    assert browser.texts("#status") == [f"{NUM_WRONG} of 120 queries, page 1 of 1"]
    assert all("✗ wrong" in text for text in headings(browser))
    browser.click("#all")
    browser.wait("document.querySelector('#asked').hidden")
    assert browser.texts("#status") == ["120 of 120 queries, page 1 of 3"]


@pytest.mark.parametrize(
    ("chart", "words", "count"),
    [
        ("recall", "without a right prediction among the first 1", NUM_WRONG),
        ("errors", "whose first prediction is more than 1 m away", 120),
        ("precision-recall", "whose first prediction has a score of at most 0.5", 80),
    ],
)
def test_a_point_leads_to_its_queries(
    browser: Browser, folder: Path, chart: str, words: str, count: int
) -> None:
    browser.open(folder / "index.html")
    browser.wait(f"document.querySelectorAll('#{chart} .point').length === 2")
    link = browser.run(
        f"document.querySelector('#{chart}-title').parentElement.querySelector('a').hash"
    )
    click_at(browser, f"document.querySelector('#{chart} .point')")
    browser.wait("document.querySelector('#asked-words')")
    assert browser.texts("#asked-words") == [f"Only queries {words}."]
    assert browser.texts("#status")[0].startswith(f"{count} of 120 queries")
    browser.open(folder / "gallery.html", link)  # of the table, for keys and screen readers
    assert browser.texts("#asked-words") == [f"Only queries {words}."]


def test_the_defaults_are_the_projects_parameters() -> None:
    values = read_yaml(ROOT / "params.yaml")
    lines = [f"  {json.dumps(name)}: {json.dumps(section)}" for name, section in values.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    assert DEFAULTS.read_text() == text, f"write this to {DEFAULTS}:\n{text}"


def test_a_run_that_is_not_calibrated_calls_no_query_accepted(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run", num_database=20, names=NAMES[:12])
    monkeypatch.chdir(tmp_path / "run")
    details = {
        "accept_calibrated": False, "num_negatives": 7, "num_foreign": 2,
        "num_negatives_needed": 299,
    }  # fmt: skip
    Path("details.json").write_text(json.dumps(details | {"notes": []}))
    table = pd.read_csv("queries.csv")
    table.assign(accepted=None).to_csv("queries.csv", index=False)
    report = make_report()
    browser.open(report / "index.html")
    (section,) = browser.texts("section[aria-labelledby=acceptance]")
    assert section.startswith("Known, unsure or unknown: not calibrated\n")
    assert (
        "at least 299\nphotos" in section.replace(" photos", "\nphotos")
        and "this run has 9" in section
    )
    browser.open(report / "gallery.html")
    assert not any("accepted" in text for text in headings(browser))
    assert browser.texts("[data-count=accepted-wrong]") == ["(not calibrated)"]
    assert browser.run("document.querySelector('[value=accepted-wrong]').disabled")
    assert browser.complaints() == []


def test_filters_show_the_queries_they_name(browser: Browser, folder: Path) -> None:
    browser.open(folder / "gallery.html")
    assert browser.texts("#status") == ["120 of 120 queries, page 1 of 3"]
    browser.click("input[value=wrong]")
    assert browser.texts("#status") == [f"{NUM_WRONG} of 120 queries, page 1 of 1"]
    assert all("✗ wrong" in text for text in headings(browser))
    assert headings(browser)[0].startswith("Query 2: drive/002.jpg")
    browser.click("input[value=right]")
    assert browser.texts("#status") == ["80 of 120 queries, page 1 of 2"]
    browser.click("input[value=accepted-wrong]")
    assert browser.texts("#status") == [f"{NUM_WRONG // 2} of 120 queries, page 1 of 1"]
    assert not any("not accepted" in text for text in headings(browser))


def test_search_and_sorting_find_a_query(browser: Browser, folder: Path) -> None:
    browser.open(folder / "gallery.html")
    browser.type("#name", "DRIVE/07")
    assert browser.texts("#status") == ["10 of 120 queries, page 1 of 1"]
    browser.type("#name", "한국어")
    assert [text.split("\n")[0] for text in browser.texts("article h2")] == [
        "Query 116: 한국어 사진 이름.jpg"
    ]
    browser.open(folder / "gallery.html")
    browser.run("document.querySelector('#sort option[value=error]').selected = true")
    browser.run(
        "document.querySelector('#sort').dispatchEvent(new Event('input', {bubbles: true}))"
    )
    errors = browser.run("shown.map(query => REPORT.top.metres[query][0])")
    assert errors == sorted(errors, reverse=True)
    assert browser.run("isRight(shown[0])") is False


def test_keys_walk_from_query_to_query_and_over_the_end_of_a_page(
    browser: Browser, folder: Path
) -> None:
    focus = "document.activeElement.querySelector('h2')?.id"
    browser.open(folder / "gallery.html")
    browser.press("\ue014")  # right arrow
    assert browser.run(focus) == "query-0"
    browser.press("jj")
    assert browser.run(focus) == "query-2"
    browser.press("\ue012")  # left arrow
    assert browser.run(focus) == "query-1"
    browser.press("j" * 50)
    assert browser.run(focus) == "query-51"
    assert browser.texts("#status") == ["120 of 120 queries, page 2 of 3"]
    browser.click("#name")
    browser.press("j")
    assert browser.run("document.activeElement.value") == "j"


def test_a_query_has_an_address(browser: Browser, folder: Path) -> None:
    browser.open(folder / "gallery.html", "#query=101")
    assert browser.run("document.activeElement.querySelector('h2').id") == "query-101"
    browser.click("article.current a")
    browser.wait("document.querySelector('#chosen')?.textContent.startsWith('Query 101')")


def click_on_map(browser: Browser, spot: str) -> None:
    """Zoom in on a spot of the map and click it."""
    browser.run(f"map.setView({spot}, map.getMaxZoom() - 2, {{animate: false}}).getZoom()")
    click_at(browser, "document.querySelector('#map')")


def test_the_map_draws_every_query_and_shows_the_one_that_is_clicked(
    browser: Browser, folder: Path
) -> None:
    browser.open(folder / "map.html")
    browser.wait("document.querySelectorAll('#map canvas').length > 1")  # places and queries
    assert browser.texts("#legend label") == [f"○ wrong ({NUM_WRONG})", "● right (80)"]
    drawn = "map.marks.getLayers().map(kind => kind.getLayers().length)"
    assert browser.run(drawn) == [2 * NUM_WRONG, 2 * 80]  # a line and a point each
    # Every fourth place has no heading; east is 91.3 degrees from grid north, west of 15 E.
    assert browser.run("REPORT.database.towards.slice(0, 2)") == [None, 91.3]
    click_on_map(browser, "pairOf(6)[0]")  # a right query
    browser.wait("document.querySelector('#chosen').textContent === 'Query 6: drive/006.jpg'")
    browser.click("#next-wrong")
    assert browser.texts("#chosen") == ["Query 8: drive/008.jpg"]
    browser.type("#number", "3\n")
    assert browser.texts("#chosen") == ["Query 3: drive/003.jpg"]
    assert browser.load_images() == []
    assert browser.run("document.images.length") == 2
    click_on_map(browser, "map.spots[79]")
    browser.wait("document.querySelector('#chosen').textContent === 'db/79.jpg'")
    browser.click("#legend input")
    assert browser.run(drawn) == [2 * 80]
    link = browser.run("document.querySelector('#details a').hash")
    browser.open(folder / "gallery.html", link)
    count = browser.run("REPORT.top.index.filter(row => row[0] === 79).length")
    assert browser.texts("#status") == [f"{count} of 120 queries, page 1 of 1"]
    assert browser.texts("#asked-words") == ["Only queries whose first prediction is db/79.jpg."]


def test_hostile_names_are_only_text(browser: Browser, folder: Path) -> None:
    browser.open(folder / "gallery.html", "#query=113")
    shown = headings(browser)
    for number, name in enumerate(HOSTILE, start=113):
        assert any(text.startswith(f"Query {number}: {name}✓") or
                   text.startswith(f"Query {number}: {name}✗") for text in shown)  # fmt: skip
    browser.open(folder / "map.html")
    for number, name in enumerate(HOSTILE, start=113):
        browser.run(f"location.hash = '#query={number}'")
        browser.wait(f"document.querySelector('#chosen').textContent.startsWith('Query {number}')")
        assert browser.run("document.querySelector('#chosen').textContent").endswith(name)
    assert "owned" not in browser.run("document.title")
    assert browser.load_images() == []
    assert browser.complaints() == []


@pytest.mark.parametrize("page", ["index.html", "map.html#query=2", "gallery.html"])
def test_nothing_is_wider_than_a_phone(browser: Browser, folder: Path, page: str) -> None:
    browser.resize(360, 740)
    name, _, query = page.partition("#")
    browser.open(folder / name, f"#{query}" if query else "")
    assert browser.run("document.documentElement.scrollWidth") <= 360
    browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_matches_of_a_prediction_are_drawn_when_they_are_asked_for(
    browser: Browser, folder: Path
) -> None:
    browser.open(folder / "gallery.html")
    buttons = "document.querySelectorAll('article')[1].querySelectorAll('figure button')"
    assert browser.run(f"[...{buttons}].map(b => [b.textContent, b.disabled])") == [
        ["2 inliers", False], ["0 inliers", True],  # the other three were not verified
    ]  # fmt: skip
    assert browser.run("document.scripts.length") == 5  # no numbers are loaded yet
    browser.run(f"{buttons}[0].click()")
    browser.wait("document.querySelectorAll('canvas').length === 1")
    assert browser.run("MATCHES[1][0]") == [[0, 0, 5000, 5000], [5000, 5000, 0, 10000]]
    drawn = "document.querySelector('canvas')"
    assert browser.run(f"[{drawn}.width, {drawn}.height]") == [128, 48]
    assert browser.run(f"{drawn}.getAttribute('aria-label')") == (
        "Query photo drive/001.jpg beside database photo db/1.jpg, "
        "2 pairs of points joined by lines"
    )
    browser.run(f"{buttons}[0].click()")  # again: away
    browser.wait("document.querySelectorAll('canvas').length === 0")
    assert browser.complaints() == []


def test_equal_runs_give_equal_reports(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "again", num_database=80, names=NAMES)
    monkeypatch.chdir(tmp_path / "again")
    again = make_report()
    files = [file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file()]
    assert len(files) > 200
    for file in files:
        assert (again / file).read_bytes() == (folder / file).read_bytes(), file


def test_the_pages_data_is_what_the_run_predicted(folder: Path) -> None:
    text = (folder / "data.js").read_text(encoding="utf-8")
    data = json.loads(text.removeprefix("const REPORT = ").removesuffix(";\n"))
    assert data["query"]["path"] == NAMES
    assert data["top"]["correct"][0] == [True, True, True, False, False]  # 3, 5, 10, 15 m away
    assert data["top"]["index"][1] == [1, 2, 3, 4, 5]
    assert data["top"]["metres"][0] == [3.0, 5.831, 10.44, 15.297, 20.224]  # sqrt(3^2 + (5 k)^2)
    assert data["top"]["margin"][0] == 0.01


def test_a_script_cannot_be_closed_by_its_data() -> None:
    script = as_script({"name": "</script><!--", "end": "\u2028"})
    assert "<" not in script
    assert "\u2028" not in script
    assert json.loads(script)["name"] == "</script><!--"


def test_templates_escape_what_is_put_into_them(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p title='{{ name }}'>{{ name }}</p>")
    text = load_templates(tmp_path).get_template("page.html").render(name="<b>'\"")
    assert text == "<p title='&lt;b&gt;&#39;&#34;'>&lt;b&gt;&#39;&#34;</p>"


def test_utm_becomes_latitude_and_longitude() -> None:
    # The zone's central meridian at the equator, by definition of UTM; Brandenburg Gate by maps.
    places = np.array([[500_000.0, 0.0], [389_910.0, 5_819_700.0]])
    globe = latitude_longitude(places, "EPSG:32633")
    np.testing.assert_allclose(globe[0], [0, 15], atol=1e-9)
    np.testing.assert_allclose(globe[1], [52.5163, 13.3777], atol=2e-3)


@pytest.mark.parametrize(("crs", "words"), [("UTM 33", "knows no such"), ("EPSG:32633", "image 0")])
def test_a_wrong_reference_system_is_named(crs: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        latitude_longitude(np.array([[1e12, 1e12]]), crs)


def test_headline_takes_each_depth_with_its_intervals() -> None:
    metrics = {"recall@10": 0.5, "recall@1": 0.25, "recall@1_answerable": 0.3,
               "recall@1_block_bootstrap": [0.1, 0.4]}  # fmt: skip
    assert headline(metrics) == [
        {"n": 1, "recall": 0.25, "answerable": 0.3,
         "intervals": [("along the route", (0.1, 0.4))]},
        {"n": 10, "recall": 0.5, "answerable": None, "intervals": []},
    ]  # fmt: skip


def test_the_worst_queries_are_wrong_and_far() -> None:
    top = {"metres": [[5.0], [900.0], [30.0], [70.0], [500.0]], "positives": [1, 1, 2, 1, 0],
           "correct": [[True], [True], [False], [False], [False]]}  # fmt: skip
    assert find_worst(top, count=4) == [3, 2, 4]  # the last has no positive
