"""The page for people, and the description for programmers; nothing in them is from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from vpr.commands.serve.background import Background
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
    scripts = SCRIPTS if background is None or background.origin else (OF_PMTILES, *SCRIPTS)
    tiles = None
    if background is not None:
        tiles = {name: getattr(background, name) for name in SHOWN}
    return _render(choose_language(wanted, accepted), load_words(), scripts, tiles, has_docs=True)


def pages_without_service(own: dict[str, dict[str, str]]) -> dict[str, str]:
    """Make the files of the same page for a folder, by path; `ask.js` is left to its writer.

    Args:
        own: Words in place of the service's, by language and name.
    """
    words = {language: found | own[language] for language, found in load_words().items()}
    names = [name for name in (*STYLES, *SCRIPTS) if name != "ask.js"]
    files = {f"static/{name}": read_static(name) for name in names}
    return files | {"index.html": _render("en", words, SCRIPTS, None, has_docs=False)}


def _render(
    language: str, words: dict[str, dict[str, str]], scripts: Sequence[str],
    tiles: dict[str, Any] | None, *, has_docs: bool,
) -> str:  # fmt: skip
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
