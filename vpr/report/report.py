"""The report's folder: pages, their scripts and small pictures, nothing to be fetched."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plotly.offline import get_plotlyjs

from vpr.evaluation.acceptance import LIMITS
from vpr.evaluation.details import ANSWERABLE, list_recalls
from vpr.evaluation.params import By
from vpr.images.image_files import encoded_image, read_image
from vpr.images.numbered import NumberedImages
from vpr.images.thumbnails import thumbnail_name
from vpr.report.pages import TEMPLATES, as_script, load_templates
from vpr.report.pictures import PLAIN, Tile, colour_of, draw_sheet, overlay
from vpr.reranking.utility_files import is_measured, load_utility_maps
from vpr.reranking.verified_pairs import VerifiedPairs
from vpr.web.parts import SHARED_SCRIPTS, SHARED_STYLES, WEB

SHARES = 10_000  # of width and height, in which matches.js expects places
PAGES = ("index.html", "map.html", "gallery.html")
SENTENCES = {  # of a share, its interval, and the number it is of
    "map_false_acceptance": "Is it this map? Of {3} photos from outside it {0} are accepted "
    "({1} to {2}).",
    "place_false_acceptance": "Which place of it? Of {3} wrong places, each the best where the "
    "right one is masked, {0} would be known ({1} to {2}).",
    "circles_hold": "Where? Of {3} stated 90 % circles {0} hold the true position ({1} to {2}).",
}
SCORES: Mapping[By, tuple[str, str]] = {  # title of the axis, and what it means
    "distance": ("distance", "the distance of the descriptors"),
    "inliers": ("log10 NFA", "how often chance would give so many inliers, as log10"),
}
INTERVALS = {"block_bootstrap": "along the route", "wilson_if_independent": "if independent"}


def write_pages(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the pages, and next to them what they load.

    Args:
        folder: An existing folder to write to.
        facts: Facts that the templates show.
    """
    environment = load_templates(TEMPLATES)
    for page in PAGES:
        text = environment.get_template(page).render(page=page, **facts)
        (folder / page).write_text(text, encoding="utf-8")
    shared = [WEB / name for name in (*SHARED_STYLES, *SHARED_SCRIPTS)]
    for file in sorted([*TEMPLATES.glob("*.css"), *TEMPLATES.glob("*.js"), *shared]):
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
    pictures = NumberedImages(source)
    for image in images:
        content = encoded_image(pictures[image]).content
        (folder / thumbnail_name(image)).write_bytes(content)


def write_matches(folder: Path, verified: VerifiedPairs, shown: Sequence[Sequence[int]]) -> None:
    """Write a script for each query that adds its matches to those known to the page.

    Args:
        folder: The folder to create; it is not where nothing was verified.
        verified: The run's verified pairs.
        shown: Database indices of the predictions that the gallery shows, a row for each query.
    """
    if not verified.candidates.size:
        return
    folder.mkdir()
    for query, images in enumerate(shown):
        places = [
            np.rint(verified.of(query, image) * SHARES).astype(int).reshape(-1, 4).tolist()
            for image in images
        ]
        text = f"MATCHES[{query}] = {as_script(places)};\n"
        (folder / f"{query:06d}.js").write_text(text, encoding="utf-8")


def draw_utility(folder: Path, utility: Path, thumbnails: Path, *, count: int) -> list[int]:
    """Write pictures of database images spread evenly over the route, named as their thumbnails.

    A position glows by the place-specific utility of its cluster; those of clusters that the image
    does not keep stay grey. Of several scales the mean is shown.

    Args:
        folder: The folder to create.
        utility: Folder of utility.
        thumbnails: Folder of the database's small pictures.
        count: At most so many pictures; none if utility was not measured.

    Returns:
        The images that are shown.
    """
    if count == 0 or not is_measured(utility):
        return []
    folder.mkdir(parents=True)
    pictures = NumberedImages(thumbnails)
    num_images = len(pictures)
    spread = np.linspace(0, num_images - 1, min(count, num_images)).round().astype(int)
    shown: list[int] = np.unique(spread).tolist()
    for image, scales in zip(shown, load_utility_maps(utility, shown), strict=True):
        photo = read_image(pictures[image], scale_to=None)
        picture = overlay(photo, scales.mean(axis=0))
        picture.save(folder / thumbnail_name(image), "JPEG", quality=85)
    return shown


def find_worst(top: Mapping[str, Any], *, count: int) -> list[int]:
    """Queries whose first prediction is wrong and farthest away, the farthest first.

    Those without a positive, which no prediction could have answered, come after the others.

    Args:
        top: Columns `metres`, `correct` and `positives` over queries, as the report's.
        count: At most so many.
    """
    metres = np.array([row[0] for row in top["metres"]], dtype=np.float64)
    correct = np.array([row[0] for row in top["correct"]])
    wrong = np.flatnonzero(~correct & ~np.isnan(metres))
    order = np.lexsort((-metres[wrong], np.array(top["positives"])[wrong] == 0))
    worst: list[int] = wrong[order[:count]].tolist()
    return worst


def draw_worst(
    folder: Path, worst: Sequence[int], top: Mapping[str, Any], thumbnails: Path
) -> None:
    """Write a picture of each of the worst queries: `00_query_17.jpg`, the worst first.

    Args:
        folder: The folder to create.
        worst: The queries.
        top: Columns `index`, `metres`, `distance` and `correct` over queries, as the report's.
        thumbnails: Folder of both sides' pictures, `query` and `database`.
    """
    folder.mkdir(parents=True)
    for place, query in enumerate(worst):
        tiles = [Tile(thumbnails / "query" / thumbnail_name(query), f"query {query}", PLAIN)]
        columns = (top[name][query] for name in ("index", "metres", "distance", "correct"))
        for rank, (image, far, distance, right) in enumerate(zip(*columns, strict=True), start=1):
            file = thumbnails / "database" / thumbnail_name(image)
            tiles.append(Tile(file, f"{rank}: {far:,.1f} m, {distance:.3f}", colour_of(right)))
        draw_sheet([tiles]).save(folder / f"{place:02d}_query_{query}.jpg", quality=85)


def describe_metrics(metrics: Mapping[str, Any], by: By) -> dict[str, Any]:
    """Collect what the overview says of the metrics.

    Args:
        metrics: Content of metrics/recall.json and metrics/details.json.
        by: Source of the doubts.

    Returns:
        `headline`; `notes` on the set; `metrics`, names of all others with values in four digits;
        `scores`, what the doubts about first predictions mean, and their limit; `answers`.
    """
    title, meaning = SCORES[by]
    others = [
        (key, f"{value:.4g}" if isinstance(value, float) else str(value))
        for key, value in metrics.items()
        if not key.startswith("recall@") and not isinstance(value, (list, dict))
    ]
    return {
        "headline": headline(metrics),
        "notes": metrics.get("notes", []),
        "metrics": others,
        "scores": {"title": title, "meaning": meaning, "limit": metrics.get(LIMITS[by])},
        "answers": _describe_answers(metrics),
    }


def headline(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Collect recall at each depth with its intervals.

    Args:
        metrics: Content of metrics/recall.json and metrics/details.json.

    Returns:
        For each N in the file `n`, `recall`, `answerable` (recall over the queries that have a
        positive; None if all have one) and `intervals`: words and bounds of each.
    """
    return [
        {
            "n": recall.n,
            "recall": recall.value,
            "answerable": metrics.get(recall.name + ANSWERABLE),
            "intervals": [
                (title, recall.intervals[kind])
                for kind, title in INTERVALS.items()
                if kind in recall.intervals
            ],
        }
        for recall in list_recalls(metrics)
        if not recall.is_of_sequences
    ]


def _describe_answers(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what the overview says of known, unsure and unknown places.

    Args:
        metrics: Content of metrics/details.json.

    Returns:
        Whether answers are calibrated, the number of queries without a positive, of all negatives
        and of those needed, sentences on both questions, and
        rows `answer, share of the queries, photos from elsewhere`.
    """
    sentences = []
    for name, words in SENTENCES.items():
        if name in metrics:
            shares = map(_percent, [metrics[name], *metrics[f"{name}_interval"]])
            sentences.append(words.format(*shares, metrics[f"{name}_of"]))
    rows = [
        (state, _percent(metrics[f"share_{state}"]), _percent(metrics.get(f"foreign_{state}")))
        for state in ("known", "unsure", "unknown")
        if f"share_{state}" in metrics
    ]
    return {
        "calibrated": metrics["accept_calibrated"],
        "num_without_positives": metrics["num_negatives"],
        "num_negatives": metrics["num_negatives"] + metrics["num_foreign"],
        "num_needed": metrics["num_negatives_needed"],
        "sentences": sentences,
        "rows": rows,
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
