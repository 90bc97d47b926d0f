"""The page of `dvc plots show`, with Vega inside, so that it opens offline."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from vpr.report.pages import TEMPLATES
from vpr.runtime.environment import installed_version
from vpr.runtime.store import content_key, open_store

VEGA_LITE = "5.20"  # DVC's templates are of version 5
SLOT = "{vega}"


@contextmanager
def bundled_vega() -> Iterator[Future[str]]:
    """Bundle Vega, Vega-Lite and Vega-Embed, or find them in the store, beside other work."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_bundle)


def write_plots_page(path: Path, vega: str, *, template: Path = TEMPLATES / "plots.html") -> None:
    """Put the scripts into DVC's page in place of their addresses.

    Args:
        path: The page to write; `.dvc/config` names it in `plots.html_template`.
        vega: The scripts.
        template: The page, with slots for DVC's plots and for the scripts.

    Raises:
        ValueError: If the template has no slot for the scripts.
    """
    text = template.read_text(encoding="utf-8")
    if SLOT not in text:
        raise ValueError(f"{template}: expected a slot {SLOT} for the scripts, found none")
    script = vega.replace("</script", "<\\/script")
    path.write_text(text.replace(SLOT, script), encoding="utf-8")


def _bundle() -> str:
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
