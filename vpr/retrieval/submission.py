"""The challenge's file of results."""

from __future__ import annotations

import json
from pathlib import Path

from vpr.retrieval.predictions import Predictions, check_ranking

CHALLENGE_DEPTH = 20


def save_submission(path: Path, predictions: Predictions) -> None:
    """Write `{"Query": [{"id": 0, "positive": [...]}, ...]}`, best first, indented by 4.

    Ids are rows of the ground truth's query list, positives rows of its database list, both from
    zero, as in the challenge's own example.

    Raises:
        ValueError: If a query's predictions are not a valid ranking.
    """
    check_ranking(predictions.indices, predictions.num_database, source=path)
    entries = [
        {"id": query, "positive": ranking}
        for query, ranking in enumerate(predictions.indices.tolist())
    ]
    path.write_text(json.dumps({"Query": entries}, indent=4))
