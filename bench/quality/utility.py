"""How many keypoints can be dropped at the same recall, by matcher: HEAPUtil's question.

Run from the repository's root: `python -m bench.quality.utility [MATCHER ...]`. It runs the
pipeline in a temporary clone that shares this repository's cache, on the sets that settings are
chosen on and on a harder demo, and prints the table of docs/experiments/reranking.md: recall@1
after re-ranking, and kilobytes of keypoints that the database keeps per image.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.quality.choices import HARD, sets_for_choosing
from bench.shared import markdown
from bench.shared.trials import run_trial, temporary_clone

MATCHERS = ("xfeat", "sift")
KEPT = ("all", "environment", "place", "both")


def measure(clone: Path, parameters: dict[str, object]) -> str:
    """Run one cell of the table."""
    metrics = run_trial(clone, parameters, target="evaluate")
    sizes = json.loads((clone / "data/utility/metrics.json").read_text())
    num_images = len((clone / "data/prepared/database.csv").read_text().splitlines()) - 1
    num_bytes = sizes["keypoint_bytes"] - sizes["keypoint_bytes_saved"]
    return f"{metrics['recall@1']:.3f}, {num_bytes / num_images / 1000:.0f}"


def main() -> None:
    """Print the table."""
    sets = sets_for_choosing() | HARD
    print(markdown.head(["`rerank.method`", "`utility.keep`", *sets]), flush=True)
    with temporary_clone() as clone:
        for matcher in sys.argv[1:] or MATCHERS:
            for keep in KEPT:
                changed = {"rerank.method": matcher, "utility.keep": keep}
                cells = [measure(clone, chosen | changed) for chosen in sets.values()]
                print(markdown.row([f"`{matcher}`", f"`{keep}`", *cells]), flush=True)


if __name__ == "__main__":
    main()
