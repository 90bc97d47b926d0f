"""The report's folder: pages, their scripts and small pictures, nothing to be fetched."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from plotly.offline import get_plotlyjs

from vpr.evaluation.details import list_recalls
from vpr.images.image_files import encoded_image, list_images
from vpr.images.thumbnails import thumbnail_name
from vpr.report.pages import TEMPLATES, load_templates
from vpr.runtime.hashing import hash_file

PAGES = ("index.html", "map.html", "gallery.html")
INTERVALS = {"block_bootstrap": "along the route", "wilson_if_independent": "if independent"}


def write_pages(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the pages, and beside them what they load.

    Args:
        folder: An existing folder to write to.
        facts: What the templates show.
    """
    environment = load_templates(TEMPLATES)
    for page in PAGES:
        text = environment.get_template(page).render(page=page, **facts)
        (folder / page).write_text(text, encoding="utf-8")
    for file in sorted([*TEMPLATES.glob("*.css"), *TEMPLATES.glob("*.js")]):
        shutil.copyfile(file, folder / file.name)
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")


def copy_thumbnails(source: Path, images: Iterable[int], folder: Path) -> None:
    """Copy the small pictures of some images, under the same names.

    Args:
        source: Folder of one side's small pictures.
        images: Indices of the images wanted.
        folder: The folder to create.
    """
    folder.mkdir(parents=True)
    pictures = list_images(source)
    for image in images:
        content = encoded_image(pictures[image]).content
        (folder / thumbnail_name(image)).write_bytes(content)


def headline(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Collect recall at each depth with its intervals.

    Args:
        metrics: What metrics/recall.json holds.

    Returns:
        For each N in the file `n`, `recall` and `intervals`: words and bounds of each.
    """
    return [
        {
            "n": one.n,
            "recall": one.value,
            "intervals": [
                (words, one.intervals[kind])
                for kind, words in INTERVALS.items()
                if kind in one.intervals
            ],
        }
        for one in list_recalls(metrics)
        if not one.is_of_sequences
    ]


def other_metrics(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List the metrics that the headline leaves out, as name and value in four digits."""
    return [
        (key, f"{value:.4g}" if isinstance(value, float) else str(value))
        for key, value in metrics.items()
        if not key.startswith("recall@") and not isinstance(value, (list, dict))
    ]


def fingerprints(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Compute the MD5 of each file, by which dvc.lock and its history know it."""
    return [(file.as_posix(), hash_file(file)) for file in files]
