"""Tables of images keep each name, or refuse it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vpr.places.index import ImageIndex, load_index, parse_index, save_index

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


def test_speed_and_time_are_metres_travelled_in_each_recording(tmp_path: Path) -> None:
    table = tmp_path / "query.csv"
    rows = ["a.jpg,x,10,4", "b.jpg,y,0,1", "c.jpg,x,12,6", "d.jpg,y,3,1", "e.jpg,x,12,6"]
    table.write_text("\n".join(["path,sequence,time,speed", *rows]) + "\n")
    index = parse_index(table)
    assert index.odometry is not None
    assert index.odometry.tolist() == [0, 0, 10, 3, 10]  # of x: 2 s at 4 to 6 m/s; of y: 3 s at 1
    moments = {f",{n},": f",2024-05-01T10:00:{n:02}.000Z," for n in (0, 3, 10, 12)}
    for number, moment in moments.items():  # as `import` writes them
        rows = [row.replace(number, moment) for row in rows]
    iso = tmp_path / "iso.csv"
    iso.write_text("\n".join(["path,sequence,time,speed", *rows]) + "\n")
    assert parse_index(iso).odometry.tolist() == [0, 0, 10, 3, 10]
    table.write_text(table.read_text().replace("12,6\nd", "9,6\nd"))
    with pytest.raises(
        ValueError, match=r"query.csv: row 2, column time: .* found 9 after a later"
    ):
        parse_index(table)
    table.write_text("path,time,speed,odometry\na.jpg,0,1,5\nb.jpg,1,1,9\n")
    assert parse_index(table).odometry.tolist() == [5, 9]  # measured metres come first
