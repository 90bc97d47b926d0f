"""Tables of images keep each name, or refuse it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vpr.places.index import ImageIndex, load_index, save_index

PLACES = np.array([[0.1, 1.0], [2.0, 3.0]])
NAMES = ['a, "b".jpg', "line\nbreak.jpg"]


def test_a_table_is_these_bytes_and_reads_back(tmp_path: Path) -> None:
    save_index(tmp_path / "query.csv", ImageIndex(NAMES, PLACES, ["north", "süd"]))
    assert (tmp_path / "query.csv").read_bytes() == (
        b"index,path,easting,northing,sequence\n"
        b'0,"a, ""b"".jpg",0.1,1.0,north\n'
        b'1,"line\nbreak.jpg",2.0,3.0,s\xc3\xbcd\n'
    )
    loaded = load_index(tmp_path / "query.csv")
    assert (loaded.paths, loaded.sequence) == (NAMES, ["north", "süd"])
    np.testing.assert_array_equal(loaded.coordinates, PLACES)


@pytest.mark.parametrize("side", [(["a\r.jpg", "b"], None), (["a", "b"], ["fine", "a\r.jpg"])])
def test_a_carriage_return_is_refused_by_name(
    tmp_path: Path, side: tuple[list[str], list[str] | None]
) -> None:
    with pytest.raises(ValueError, match=r"query\.csv: 'a\\r\.jpg' has a carriage return.*rename"):
        save_index(tmp_path / "query.csv", ImageIndex(side[0], PLACES, side[1]))
