"""Stage submit: predictions -> the challenge's file."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.retrieval.predictions import CHALLENGE_DEPTH, load_predictions, save_submission
from vpr.runtime.artefacts import built_aside


def submit(*, predictions: Path, submission: Path) -> None:
    """Write the predictions in the challenge's format."""
    ranked = load_predictions(predictions)
    depth = ranked.indices.shape[1]
    if depth != CHALLENGE_DEPTH:
        print(f"note: {depth} predictions per query; the challenge asks for {CHALLENGE_DEPTH}")
    with built_aside(submission) as (aside,):
        save_submission(aside, ranked)


if __name__ == "__main__":
    run_stage(submit)
