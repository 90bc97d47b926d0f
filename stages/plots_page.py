"""Stage plots_page: the page of `dvc plots show`, with Vega inside, so that it opens offline."""

from __future__ import annotations

from pathlib import Path

from vpr.runtime.entry import run_stage

from vl_convert import javascript_bundle

from vpr.runtime.artefacts import built_aside

VEGA_LITE = "5.20"  # DVC's templates are of version 5
SLOT = "{vega}"


def plots_page(*, template: Path, page: Path) -> None:
    """Put Vega, Vega-Lite and Vega-Embed into DVC's page in place of their addresses.

    Args:
        template: The page, with slots for DVC's plots and for the scripts.
        page: The page to write; `.dvc/config` names it in `plots.html_template`.

    Raises:
        ValueError: If the template has no slot for the scripts.
    """
    text = template.read_text(encoding="utf-8")
    if SLOT not in text:
        raise ValueError(f"{template}: expected a slot {SLOT} for the scripts, found none")
    bundle = javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg] # its stub errs
    script = bundle.replace("</script", "<\\/script")
    with built_aside(page) as (aside,):
        aside.write_text(text.replace(SLOT, script), encoding="utf-8")


if __name__ == "__main__":
    run_stage(plots_page)
