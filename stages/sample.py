"""Stage sample: the demo set, a street drawn from a seed, in the challenge's own form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vpr.runtime.entry import run_stage

from pydantic import Field

from vpr.datasets.dbstruct import save_dbstruct
from vpr.demo.drawing import draw_set
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


@dataclass(frozen=True)
class SampleParams:
    """Parameters of the stage sample."""

    num_database: Annotated[int, Field(ge=2)]
    num_query: Annotated[int, Field(ge=2)]
    spacing_m: Annotated[float, Field(gt=0, le=100)]
    radius_m: Annotated[float, Field(gt=0)]
    width_px: Annotated[int, Field(ge=32, le=4096)]
    height_px: Annotated[int, Field(ge=32, le=4096)]
    difficulty: Annotated[float, Field(ge=0, le=1)]
    seed: Annotated[int, Field(ge=0)]


def sample(*, out: Path) -> None:
    """Draw the demo set: `sample.mat`, `database/` and `queries/`.

    Args:
        out: The folder to write.
    """
    params = load_params("sample", SampleParams)
    with built_aside(out) as (aside,):
        database, query = draw_set(
            aside, num_database=params.num_database, num_query=params.num_query,
            length_m=params.num_database * params.spacing_m,
            size_px=(params.width_px, params.height_px), difficulty=params.difficulty,
            seed=params.seed,
        )  # fmt: skip
        save_dbstruct(
            aside / "sample.mat", database=database, query=query, radius_m=params.radius_m
        )


if __name__ == "__main__":
    run_stage(sample)
