"""The model's folder: model.pt, and how its training went."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
from torch import Tensor

from vpr.head import Head
from vpr.model_files import save_state
from vpr.training import EpochRecord


def save_model(
    folder: Path, start: dict[str, Tensor], head: Head, records: Iterable[EpochRecord]
) -> None:
    """Train to the end, and write the model with its log.

    Args:
        folder: The folder to create: `model.pt` (all layers), `loss.csv` (a row per epoch) and
            `metrics.json` (of the last epoch).
        start: The tensors that training started from; those not in the head are kept.
        head: What trains while the records are drawn.
        records: Of each epoch.
    """
    folder.mkdir()
    rows = []
    for number, record in enumerate(records, start=1):
        rows.append({"epoch": number, **asdict(record)})
        print(
            f"epoch {number}: loss {record.loss:.4f}, {record.num_triplets} triplets "
            f"({record.active_share:.0%} active), {record.num_skipped} anchors skipped"
        )
    columns = ["epoch", *(field.name for field in fields(EpochRecord))]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "loss.csv", index=False)
    summary = {"epochs": len(rows), "num_clusters": len(head.pool.centroids)}
    if rows:
        summary |= {f"last_{name}": rows[-1][name] for name in ("loss", "active_share")}
    (folder / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    save_state(folder / "model.pt", start | head.state_dict())
