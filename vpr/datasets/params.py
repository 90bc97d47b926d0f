"""The section of params.yaml that names the data set: more than the stage prepare reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator

from vpr.datasets.protocols import check_name


@dataclass(frozen=True)
class DatasetParams:
    """Which data set is used."""

    dir: str
    index: str | None
    crs: str | None
    protocol: Annotated[str, AfterValidator(check_name)] | None
