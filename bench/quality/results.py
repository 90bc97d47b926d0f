"""What each part gains: encoder, training, whitening, re-ranking, sequences, on each data set.

Run from the repository's root: `python -m bench.quality.results` (`make table`). It runs the
pipeline for each row in a temporary clone that shares this repository's cache, and writes
docs/experiments/results.md. Gardens Point is run where the environment variable VPR_REAL_DATA
names the folder it lies in.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.quality.rows import Measured, measure
from bench.shared import markdown
from bench.shared.trials import CHALLENGE, ROOT, temporary_clone
from vpr.evaluation.comparison import compare_ranks
from vpr.evaluation.params import EvaluateParams
from vpr.evaluation.recall import STANDARD_DEPTHS
from vpr.evaluation.uncertainty import block_bootstrap_interval
from vpr.runtime.parameters import load_params

DENSE_ROOTSIFT: dict[str, object] = {
    "pretrained.weights": "random", "trunk.encoder": "dense_rootsift", "trunk.model": None,
    "trunk.max_side_px": None,
}  # fmt: skip
XFEAT: dict[str, object] = {"trunk.encoder": "xfeat", "trunk.model": None}
WHITENED: dict[str, object] = {"whiten.dim": 64}
RERANKED: dict[str, object] = {"rerank.method": "xfeat"}
OF_USE: dict[str, object] = {"utility.keep": "both"}
ALONG: dict[str, object] = {"sequence.length": 11}

# Name of a row, its parameters, and the row that it differs from in one thing.
ROWS: tuple[tuple[str, dict[str, object], int | None], ...] = (
    ("EfficientNet-Lite0 at 320 px, 64 clusters (the default but for re-ranking)", {}, None),
    ("1, photos at their own size", {"trunk.max_side_px": None}, 1),
    ("1, 16 clusters", {"finetune.num_clusters": 16}, 1),
    ("1, whitened to 64 dimensions", WHITENED, 1),
    ("1, re-ranked by XFeat's points", RERANKED, 1),
    ("5, points on clusters of use", RERANKED | OF_USE, 5),
    ("5, but SIFT's points", {"rerank.method": "sift"}, 5),
    ("1, sequences of 11 (another protocol)", ALONG, 1),
    ("1, but XFeat's map", XFEAT, 1),
    ("1, but dense RootSIFT", DENSE_ROOTSIFT, 1),
    ("VGG16 of random weights, 16 clusters", CHALLENGE | {"finetune.epochs": 0}, 1),
)


@dataclass(frozen=True)
class DataSet:
    """A data set with its parameters.

    Args:
        name: Heading of its table.
        parameters: Parameters that choose it.
        note: Text below the heading.
        along: Parameters of its sequences, known before any result.
    """

    name: str
    parameters: dict[str, object]
    note: str
    along: dict[str, object] = field(default_factory=dict)


def data_sets() -> list[DataSet]:
    """The demo, and Gardens Point and the webcams where VPR_REAL_DATA is set."""
    sets = [DataSet("Demo", {}, "Drawn by the stage `sample`. Settings were chosen here.")]
    real = os.environ.get("VPR_REAL_DATA")
    sides = {"day": "from the other side of the path", "night": "from the same side, by night"}
    for light in sides if real else ():
        chosen: dict[str, object] = {
            "dataset.dir": str(Path(str(real)).resolve() / "webcams_dev" / light),
            "dataset.index": None, "dataset.crs": None, "prepare.radius_m": 10.0,
        }  # fmt: skip
        note = "Fixed cameras, a place is a camera. Settings were chosen here, too."
        sets.append(DataSet(f"Webcams, {light}", chosen, note))
    sides = {"day": "from the other side of the path", "night": "from the same side, by night"}
    for light in sides if real else ():
        chosen = {
            "dataset.dir": str(Path(str(real)).resolve() / "gardens_point"),
            "dataset.index": f"{light}.mat", "dataset.crs": None,
        }  # fmt: skip
        note = (
            f"Queries {sides[light]}, positives within 2 frames; settings as fixed "
            "on the sets above; run once. Both walks are aligned frame by frame, so the sequences' "
            "slope is known in advance to be 1, and is given (`sequence.velocities: [1.0]`)."
        )
        sets.append(
            DataSet(f"Gardens Point, {light}", chosen, note, {"sequence.velocities": [1.0]})
        )
    return sets


def gardens_point() -> dict[str, dict[str, object]]:
    """Parameters of Gardens Point's sets, by name; none where VPR_REAL_DATA is not set."""
    return {one.name: one.parameters for one in data_sets() if "Gardens" in one.name}


def tabulate(measured: list[Measured], params: EvaluateParams) -> list[str]:
    """The table as lines of Markdown."""
    drawn = {"block_length": params.block_length, "num_samples": params.num_samples,
             "confidence": params.confidence, "seed": params.seed}  # fmt: skip
    recalls = [f"recall@{n}" for n in STANDARD_DEPTHS]
    costs = ["s per query", "bytes per image"]
    lines = [markdown.head(["", "configuration", *recalls, "recall@1 against row", *costs])]
    for number, ((name, _, base), row) in enumerate(zip(ROWS, measured, strict=True), start=1):
        cells: list[object] = [number, name]
        for n in STANDARD_DEPTHS:
            hits = row.ranks <= n
            low, high = block_bootstrap_interval(hits, **drawn)  # type: ignore[arg-type]
            cells.append(f"{hits.mean():.3f} ({low:.2f}–{high:.2f})")
        against = "–" if base is None else _against(base, measured[base - 1], row, drawn)
        cells += [against, row.seconds, f"{row.num_bytes:,.0f}"]
        lines.append(markdown.row(cells, form=".3f"))
    return lines


def _against(base: int, before: Measured, row: Measured, drawn: dict[str, float]) -> str:
    (paired,) = compare_ranks(before.ranks, row.ranks, ns=[1], **drawn)  # type: ignore[arg-type]
    low, high = paired.interval
    return (
        f"{base}: {paired.difference:+.3f} ({low:+.2f} to {high:+.2f}), "
        f"{len(paired.gained)} gained, {len(paired.lost)} lost, p = {paired.p_value:.2g}"
    )


def measure_set(clone: Path, one: DataSet) -> list[Measured]:
    """Measure every row on a set, and print each as it is done."""
    rows = []
    for name, parameters, _ in ROWS:
        extra = one.along if "sequence.length" in parameters else {}
        rows.append(measure(clone, one.parameters | parameters | extra))
        print(f"{one.name}: {name}: recall@1 {(rows[-1].ranks <= 1).mean():.3f}", flush=True)
    return rows


def main() -> None:
    """Run every row on every set, and write docs/experiments/results.md."""
    params = load_params("evaluate", EvaluateParams, path=ROOT / "params.yaml")
    lines = [
        "# What each part buys", "",
        f"Written by `make table` on {os.cpu_count()} cores. In brackets the "
        f"{params.confidence:.0%} interval of a block bootstrap (blocks of {params.block_length} "
        "neighbouring queries); each row is compared query by query with the one that it differs "
        "from in one thing: difference with its interval, queries gained and lost, exact McNemar "
        "(which takes queries for independent: along a route the interval counts). Seconds are of "
        "trunk, head, search and what follows, without the start of processes and without "
        "whitening; bytes are those of the descriptor, for re-ranking with the keypoints that are "
        "kept (`utility.keep`: all, or `both` in row 6). Seconds are of one pass on a machine that "
        "may have been busy with other work too: do not compare them finely.",
    ]  # fmt: skip
    with temporary_clone() as clone:
        for data_set in data_sets():
            lines += ["", f"## {data_set.name}", "", data_set.note, ""]
            lines += tabulate(measure_set(clone, data_set), params)
    page = ROOT / "docs" / "experiments" / "results.md"
    page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
