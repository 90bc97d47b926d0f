"""Fixtures of the matchers' tests."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.pictures import drawn_views


@pytest.fixture(scope="module", params=["drawn", "photos"])
def views(request: pytest.FixtureRequest) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two views of one place: parts of a texture, or of two photos from both sides of a path."""
    if request.param == "drawn":
        return drawn_views()
    folder = request.getfixturevalue("real_data") / "gardens_point"
    first, second = (
        np.asarray(Image.open(folder / side / "060.jpg").convert("RGB"))[64:224, 128:352]
        for side in ("day_left", "day_right")
    )
    return first, second
