"""Verified matches of the shown predictions, in a script for each query, to be loaded on demand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vpr.report.pages import as_script
from vpr.reranking.verified_pairs import VerifiedPairs

SHARES = 10_000  # of width and height, in which matches.js expects places


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
