"""The page, and the description of the API; both load nothing from other hosts.

The exception is the background of the page's map: tiles from an address, or from a PMTiles file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vpr.report import pages as report_pages
from vpr.web.parts import OF_PMTILES, SHARED_SCRIPTS, SHARED_STYLES, WEB

TEMPLATES = Path(__file__).parent / "templates"
STYLES = ("style.css", *SHARED_STYLES, "page.css")
SCRIPTS = (*SHARED_SCRIPTS, "ask.js", "photos.js", "answer.js", "page.js")
STATIC = {
    **dict.fromkeys(STYLES, "text/css"),
    **dict.fromkeys((*SCRIPTS, OF_PMTILES), "text/javascript"),
}
FOLDERS = (TEMPLATES, WEB, report_pages.TEMPLATES)  # of which the first that has it
SHOWN = ("url", "attribution", "deepest")  # to the page, of a background
LANGUAGES = {"en": "English", "ko": "한국어"}

SERVED = "background.pmtiles"  # address of the file
ADDRESS = re.compile(r"https?://[^/\s'\";,{}]+/\S*")
SLOTS = ("{z}", "{x}", "{y}")
# Header of PMTiles, version 3 (github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md).
MAGIC, TYPE, DEEPEST, VECTOR = b"PMTiles\x03", 99, 101, 1


@dataclass(frozen=True)
class Background:
    """What is drawn below the places.

    Args:
        url: Where the page finds it: an address with {z}, {x} and {y}, or `SERVED`.
        attribution: Whose it is, in HTML.
        deepest: The deepest zoom of the file; None of tiles from an address.
        file: The file; None likewise.
    """

    url: str
    attribution: str
    deepest: int | None
    file: Path | None

    @property
    def origin(self) -> str | None:
        """Scheme and host that the page loads it from; None: this service."""
        return None if self.file else "/".join(self.url.split("/")[:3])


def parse_background(tiles: str | None, attribution: str) -> Background | None:
    """Find the background that a person asked for.

    Args:
        tiles: An address, as https://HOST/{z}/{x}/{y}.png, or the path of a PMTiles file.
        attribution: Whose it is, in HTML.

    Returns:
        The background; None: there is none.

    Raises:
        ValueError: If it is neither, or only one of both is given.
    """
    if bool(tiles) != bool(attribution):
        raise ValueError("--tiles and --attribution: a background map needs both, or neither")
    if not tiles:
        return None
    if ADDRESS.fullmatch(tiles) and all(slot in tiles for slot in SLOTS):
        return Background(tiles, attribution, None, None)
    file = Path(tiles)
    if not file.is_file():
        raise ValueError(
            f"--tiles {tiles}: expected https://HOST/{{z}}/{{x}}/{{y}}.png, or a PMTiles file"
        )
    with file.open("rb") as stream:
        head = stream.read(DEEPEST + 1)
    if len(head) <= DEEPEST or not head.startswith(MAGIC) or head[TYPE] != VECTOR:
        raise ValueError(f"--tiles {tiles}: expected a PMTiles file, version 3, of vector tiles")
    return Background(SERVED, attribution, head[DEEPEST], file.resolve())


@cache
def read_static(name: str) -> str:
    """Read what pages load: some is shared with other pages, some is ours."""
    file = next(folder / name for folder in FOLDERS if (folder / name).is_file())
    return file.read_text(encoding="utf-8")


@cache
def load_words() -> dict[str, dict[str, str]]:
    """Load the page's words, by language and name."""
    words: dict[str, dict[str, str]] = json.loads((TEMPLATES / "words.json").read_bytes())
    return words


def choose_language(wanted: str | None, accepted: str) -> str:
    """Choose the language of the page.

    Args:
        wanted: By its address; None: the browser decides.
        accepted: The browser's languages (Accept-Language), best first.
    """
    names = [wanted or "", *re.findall(r"(?:^|,)\s*([a-z]{2})", accepted.lower())]
    return next((name for name in names if name in LANGUAGES), "en")


def front_page(wanted: str | None, accepted: str, background: Background | None) -> str:
    """Make the page on which a person asks.

    Args:
        wanted: Language by its address, or None.
        accepted: The browser's languages.
        background: Of the map; None: it has none.
    """
    return _render(choose_language(wanted, accepted), load_words(), background, has_docs=True)


def pages_without_service(own: dict[str, dict[str, str]]) -> dict[str, str]:
    """Make the files of the same page for a folder, by path; `ask.js` is left to its writer.

    Args:
        own: Words in place of the service's, by language and name.
    """
    words = {language: found | own[language] for language, found in load_words().items()}
    names = [name for name in (*STYLES, *SCRIPTS) if name != "ask.js"]
    files = {f"static/{name}": read_static(name) for name in names}
    return files | {"index.html": _render("en", words, None, has_docs=False)}


def _render(
    language: str,
    words: dict[str, dict[str, str]],
    background: Background | None,
    *,
    has_docs: bool,
) -> str:
    scripts = (OF_PMTILES, *SCRIPTS) if background and background.file else SCRIPTS
    tiles = background and {name: getattr(background, name) for name in SHOWN}
    template = report_pages.load_templates(TEMPLATES).get_template("page.html")
    return template.render(
        language=language, languages=LANGUAGES, words=words[language], styles=STYLES,
        scripts=scripts, words_json=json.dumps(words, ensure_ascii=False),
        tiles_json=json.dumps(tiles), has_docs=has_docs,
    )  # fmt: skip


def documentation(schema: dict[str, Any]) -> str:
    """Make a page of an OpenAPI description that needs no script.

    Args:
        schema: The description.
    """
    questions = [
        {"method": method.upper(), "path": path, **found}
        for path, methods in schema["paths"].items()
        for method, found in methods.items()
    ]
    template = report_pages.load_templates(TEMPLATES).get_template("docs.html")
    forms = {name: json.dumps(form, indent=2, ensure_ascii=False)
             for name, form in schema["components"]["schemas"].items()}  # fmt: skip
    return template.render(title=schema["info"]["title"], questions=questions, forms=forms)
