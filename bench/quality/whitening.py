"""Costs and gains of PCA-whitening, by encoder.

Run from the repository's root: `python -m bench.quality.whitening`. It runs the pipeline in a
temporary clone that shares this repository's cache, on the sets that settings are chosen on, and
prints the table of docs/experiments/encoders.md: recall@1 and, after the slash, recall@5.
"""

from __future__ import annotations

from bench.quality.choices import sets_for_choosing
from bench.quality.results import DENSE_ROOTSIFT, XFEAT
from bench.shared import markdown
from bench.shared.trials import CHALLENGE, run_trial, temporary_clone

ENCODERS: dict[str, dict[str, object]] = {
    "`efficientnet_lite`, lite0 at 320 px": {},
    "`xfeat` at 320 px": XFEAT,
    "`dense_rootsift`": DENSE_ROOTSIFT,
    "`vgg16`, random weights, 16 clusters": CHALLENGE | {"finetune.epochs": 0},
}
DIMS = (0, 32, 64)  # 0: off; the smallest set has 96 database images, which allow at most 95


def main() -> None:
    """Print the table."""
    sets = sets_for_choosing()
    rows = []
    with temporary_clone() as clone:
        for encoder, parameters in ENCODERS.items():
            for dim in DIMS:
                cells: list[object] = [encoder, dim or "off"]
                for chosen in sets.values():
                    changed = chosen | parameters | {"whiten.dim": dim}
                    found = run_trial(clone, changed, target="evaluate")
                    cells.append(f"{found['recall@1']:.3f} / {found['recall@5']:.3f}")
                rows.append(cells)
                print(markdown.row(cells), flush=True)
    print(markdown.table(["encoder", "`whiten.dim`", *sets], rows))


if __name__ == "__main__":
    main()
