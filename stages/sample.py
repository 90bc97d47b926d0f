"""Stage sample: the demo set, a street drawn from a seed, in the challenge's format."""

from __future__ import annotations

from pathlib import Path

from vpr.console.entry import run_stage

from vpr.datasets.dbstruct import save_dbstruct
from vpr.demo.drawing import draw_set
from vpr.demo.params import SampleParams
from vpr.runtime.artefacts import built_aside
from vpr.runtime.parameters import load_params


def sample(*, out: Path) -> None:
    """Draw the demo set: `sample.mat`, `database/` and `queries/`."""
    params = load_params("sample", SampleParams)
    with built_aside(out) as (aside,):
        database, query = draw_set(
            aside, num_database=params.num_database, num_query=params.num_query,
            num_off_map=params.off_map, length_m=params.num_database * params.spacing_m,
            size_px=(params.width_px, params.height_px), difficulty=params.difficulty,
            seed=params.seed,
        )  # fmt: skip
        save_dbstruct(
            aside / "sample.mat", database=database, query=query, radius_m=params.radius_m
        )


if __name__ == "__main__":
    run_stage(sample)
