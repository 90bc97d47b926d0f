"""Recall before training, with the challenge's settings, with hard mining, and whitened.

Run from the repository's root: `python -m bench.quality.training` uses the demo,
`python -m bench.quality.training DIR INDEX [--max-side-px N]` another set, such as Gardens Point.
All other parameters are as committed in params.yaml. It prints a table.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench.shared import markdown
from bench.shared.trials import CHALLENGE, run_trial, temporary_clone
from vpr.evaluation.recall import STANDARD_DEPTHS

SLOW = {"finetune.lr": 1e-5, "finetune.mining": "random", "finetune.positive": "random"}
WHITENED = {"whiten.dim": 64}
ROWS: dict[str, dict[str, object]] = {
    "before training": {"finetune.epochs": 0},
    "challenge's settings": SLOW,
    "mining: hard": {"finetune.mining": "hard"},
    "before training, whitened": {"finetune.epochs": 0, **WHITENED},
    "mining: hard, whitened": {"finetune.mining": "hard", **WHITENED},
}


def row_of(name: str, metrics: dict[str, Any]) -> str:
    """A line of the table, with the block bootstrap's interval of recall@1."""
    low, high = metrics["recall@1_block_bootstrap"]
    recalls = [metrics[f"recall@{n}"] for n in STANDARD_DEPTHS]
    return markdown.row([name, *recalls, f"{low:.2f} to {high:.2f}"], form=".3f")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("dir", nargs="?", help="folder of a data set, absolute")
    parser.add_argument("index", nargs="?", help="its ground truth")
    parser.add_argument("--max-side-px", type=int, help="scale larger images down to this")
    asked = parser.parse_args()
    data: dict[str, object] = {"trunk.max_side_px": asked.max_side_px} if asked.max_side_px else {}
    if asked.dir:
        data |= {"dataset.dir": asked.dir, "dataset.index": asked.index, "dataset.crs": None}
    print(markdown.head(["", "recall@1", "@5", "@10", "@20", "recall@1, 95 %"]))
    with temporary_clone() as clone:
        for name, changes in ROWS.items():
            metrics = run_trial(clone, CHALLENGE | data | changes, target="evaluate")
            print(row_of(name, metrics), flush=True)


if __name__ == "__main__":
    main()
