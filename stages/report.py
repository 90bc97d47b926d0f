"""Stage report: pages to look at, in a folder that can be opened from disk."""

from __future__ import annotations

import json
from pathlib import Path

from vpr.console.entry import run_stage

import pandas as pd

from vpr.evaluation.params import By
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.report.charts import collect_charts
from vpr.report.pages import write_plots_page, write_script
from vpr.report.params import ReportParams, list_changes, load_defaults
from vpr.report.queries import describe_places, describe_predictions, describe_set
from vpr.report.report import (
    copy_thumbnails,
    describe_metrics,
    draw_utility,
    draw_worst,
    find_worst,
    write_matches,
    write_pages,
)
from vpr.reranking.verified_pairs import load_verified
from vpr.retrieval.predictions import load_predictions
from vpr.runtime.artefacts import built_aside
from vpr.runtime.hashing import hash_file
from vpr.runtime.parameters import load_param, load_params, read_yaml


def report(
    *, predictions: Path, verified: Path, positives: Path, database: Path, query: Path, model: Path,
    utility: Path, recall: Path, details: Path, queries: Path, curves: Path, params: Path,
    database_thumbnails: Path, query_thumbnails: Path, environment: Path, report: Path,
    plots_page: Path,
) -> None:  # fmt: skip
    """Write the report.

    `report` and `plots_page` are written. `model` is read for its loss; `verified` has no queries
    where re-ranking is off. Utility is drawn if it was measured, curves as far as they exist.
    """
    shown = load_params("report", ReportParams)
    by: By = load_param("evaluate.accept_by", By)  # type: ignore[arg-type] # mypy: no type
    crs = load_param("dataset.crs", str | None)  # type: ignore[arg-type] # mypy: no type
    ranked, truth = load_predictions(predictions), load_positives(positives)
    places, queried = load_index(database), load_index(query)
    table = pd.read_csv(queries, dtype=str, keep_default_na=False, encoding="utf-8")
    pairs = load_verified(verified)
    first = describe_predictions(
        ranked, pairs, truth, places, queried, table, depth=shown.depth, by=by
    )
    metrics = json.loads(recall.read_text()) | json.loads(details.read_text())
    facts = describe_metrics(metrics, by) | {
        "charts": collect_charts([*sorted(curves.glob("*.csv")), model / "loss.csv"]),
        "facts": describe_set(places, queried, truth), "params": read_yaml(params),
        "changes": list_changes(load_defaults(), read_yaml(params)),
        "worst": find_worst(first, count=shown.num_worst),
        "versions": read_yaml(environment), "num_queries": len(queried.paths),
        "files": [
            (file.as_posix(), hash_file(file))  # by which dvc.lock and its history know it
            for file in (database, query, positives, model / "model.pt", predictions)
        ],
    }  # fmt: skip
    with built_aside(report, plots_page) as (aside, page):
        aside.mkdir()
        facts["utility"] = draw_utility(
            aside / "utility", utility, database_thumbnails, count=shown.num_utility
        )
        sides = {"database": describe_places(places, crs), "query": describe_places(queried, crs)}
        write_script(aside / "data.js", "REPORT", sides | {"top": first})
        write_pages(aside, facts)
        write_matches(aside / "matches", pairs, first["index"])
        used = {image for images in first["index"] for image in images}
        copy_thumbnails(database_thumbnails, used, aside / "thumbnails" / "database")
        copy_thumbnails(query_thumbnails, range(len(queried.paths)), aside / "thumbnails" / "query")
        draw_worst(aside / "worst", facts["worst"], first, aside / "thumbnails")
        write_plots_page(page)


if __name__ == "__main__":
    run_stage(report)
