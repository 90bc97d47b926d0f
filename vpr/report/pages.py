"""Pages that open from disk: templates that escape all text, data in plain scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vpr.runtime.environment import installed_version
from vpr.runtime.store import content_key, open_store

# What could end a script, begin markup in it, or break its lines.
ESCAPES = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
TEMPLATES = Path(__file__).parent / "templates"
VEGA_LITE = "5.20"  # DVC's templates are of version 5


def load_templates(folder: Path) -> Environment:
    """Load the templates of a folder, which escape whatever is put into them."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["as_script"] = as_script
    return environment


def write_single_page(path: Path, folder: Path, **facts: Any) -> None:  # noqa: ANN401 - as templates take
    """Write the page of a folder's template `page.html`: it opens from disk and fetches nothing.

    Args:
        path: The file to write.
        folder: Where the template is; it puts `style`, the report's, into the page.
        facts: Facts that the template shows.
    """
    style = Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own
    text = load_templates(folder).get_template("page.html").render(style=style, **facts)
    path.write_text(text, encoding="utf-8")


def as_script(value: object) -> Markup:
    """Write a value as JavaScript that cannot end its script element.

    Raises:
        ValueError: If it holds a number that is not finite: JSON has none.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    return Markup(text.translate(ESCAPES))  # noqa: S704 - cannot hold markup now


def write_script(path: Path, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    """Write a script that sets a global constant: pages from disk may fetch no data.

    Args:
        path: The file to write.
        name: Name of the constant.
        value: Anything that JSON can hold.
    """
    path.write_text(f"const {name} = {as_script(value)};\n", encoding="utf-8")


def write_plots_page(path: Path) -> None:
    """Write DVC's page with Vega's scripts in place of their addresses.

    Args:
        path: The page to write; `.dvc/config` names it in `plots.html_template`.
    """
    text = (TEMPLATES / "plots.html").read_text(encoding="utf-8")
    script = _bundle_vega().replace("</script", "<\\/script")
    path.write_text(text.replace("{vega}", script), encoding="utf-8")


def _bundle_vega() -> str:
    """Bundle Vega, Vega-Lite and Vega-Embed, or find them in the store."""
    store, version = open_store(), installed_version("vl-convert-python")
    key = content_key(b"vega", VEGA_LITE.encode(), str(version).encode())
    kept = store.find(key) if store else None
    if kept is not None:
        return kept.decode("utf-8")
    from vl_convert import javascript_bundle  # takes two seconds with the bundle

    bundle = str(javascript_bundle(vl_version=VEGA_LITE))  # type: ignore[call-arg] # its stub errs
    if store:
        store.keep(key, bundle.encode("utf-8"))
    return bundle
