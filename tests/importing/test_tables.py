"""Tables as programs and spreadsheets write them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vpr.importing.collection import NO_POSITION, Asked, Collection
from vpr.importing.drawer import find_form
from vpr.importing.exif import NOT_A_NUMBER, OUT_OF_RANGE, ZERO

PLACE = (52.504167, 13.335833)


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Collection]:
    """Write a table beside photos named 0 to 3, and read it."""

    def read(text: str | bytes, name: str = "photos.csv", **asked: Any) -> Collection:  # noqa: ANN401
        for number in range(4):
            (tmp_path / f"{number}.jpg").write_bytes(b"%d" % number)
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return find_form(path, None).read(path, Asked(**asked))

    return read


@pytest.mark.parametrize(
    "text",
    [
        "path,latitude,longitude\n0.jpg,52.504167,13.335833\n",
        "\ufeffFile Name,Lat,Lng\r\n0.jpg,52.504167,13.335833\r\n",
        "image;Longitude;Latitude\n0.jpg;13,335833;52,504167\n",
        "filename\tGPSLatitude\tGPSLongitude\n0\t52.504167\t13.335833\n",
        "img,X,Y\n0.jpg,13.335833,52.504167\n",
        'path,lon,lat,note\n".\\0.jpg",13.335833,52.504167,"a, b"\n',
        "path,lat,lon,easting,northing\n0.jpg,52.504167,13.335833,1,2\n",
    ],
)
def test_degrees_are_found_under_the_names_that_they_have(
    table: Callable[..., Collection], text: str
) -> None:
    found = table(text)
    (shot,) = found.shots
    assert (shot.at, found.crs) == (PLACE, "EPSG:4326")


@pytest.mark.parametrize(
    ("text", "crs", "expected"),
    [
        ("path,easting,northing\n0.jpg,389000.5,5817000.25\n", "EPSG:32633", "EPSG:32633"),
        ("path,X,Y\n0.jpg,389000.5,5817000.25\n", "EPSG:25833", "EPSG:25833"),
        ("path,east,north\n0.jpg,389000.5,5817000.25\n", "none", None),
    ],
)
def test_metres_keep_their_bits_and_name_their_system(
    table: Callable[..., Collection], text: str, crs: str, expected: str | None
) -> None:
    found = table(text, crs=crs)
    assert (found.shots[0].at, found.crs) == ((389000.5, 5817000.25), expected)


def test_other_columns_are_read(table: Callable[..., Collection]) -> None:
    (shot,) = table(
        "path,lat,lon,heading,time,accuracy,sequence,split\n"
        "0.jpg,52.504167,13.335833,361,2026-10-02T12:00:00+02:00,3.5,north,queries\n"
    ).shots
    assert (shot.heading, shot.time, shot.accuracy_m) == (1.0, 1790935200.0, 3.5)
    assert (shot.sequence, shot.side) == ("north", "query")


@pytest.mark.parametrize(
    "text", ["1790935200", "1790935200000", "1790935200000000", "2026-10-02T10:00:00Z",
             "2026-10-02 10:00:00"],
)  # fmt: skip
def test_times_are_seconds_since_1970_or_dates(table: Callable[..., Collection], text: str) -> None:
    assert table(f"path,lat,lon,time\n0.jpg,52,13,{text}\n").shots[0].time == 1790935200


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0.jpg,,", NO_POSITION),
        ("0.jpg,NA,NA", NOT_A_NUMBER),
        ("0.jpg,4.737.012,13", NOT_A_NUMBER),
        ("0.jpg,nan,13", NOT_A_NUMBER),
        ("0.jpg,95,13", OUT_OF_RANGE),
        ("0.jpg,0,0.0", ZERO),
        ("0.jpg,52", "lines with too many or too few fields"),
        ("no.jpg,52,13", "missing"),
        ("0\0.jpg,52,13", "missing"),
        ("photos.csv,52,13", "in a format that is not read, .csv"),
    ],
)
def test_a_row_that_cannot_be_used_is_left_out_with_its_reason(
    table: Callable[..., Collection], row: str, reason: str
) -> None:
    found = table(f"path,lat,lon\n1.jpg,52,13\n{row}\n2.jpg,52,13\n")
    assert [shot.name for shot in found.shots] == ["1.jpg", "2.jpg"]
    assert found.left_out.counts == {reason: 1}


@pytest.mark.parametrize(
    ("text", "asked", "words"),
    [
        ("path,lat,lon\n", {}, "the table is empty"),
        ("a,lat,lon\nx,1,2\n", {}, "--column path=NAME"),
        ("path,a,b\n0.jpg,1,2\n", {}, "--column latitude=NAME"),
        ("path,x,y\n0.jpg,1,2\n1.jpg,30,40\n", {}, "could be degrees or metres"),
        ("path,easting,northing\n0.jpg,1,2\n", {}, "--crs EPSG:32633"),
        ("path,lat,lon\nno.jpg,1,2\n", {}, "--images names their folder"),
        ("path,lat,lon\n0.jpg,1,2\n", {"columns": {"latitude": "phi"}}, "phi"),
        ("path,lat,lon\n0.jpg,1,2\n", {"columns": {"phi": "lat"}}, "phi"),
        (b"path,lat,lon\n\xfcber.jpg,1,2\n", {}, "not in UTF-8"),
    ],
)
def test_a_table_that_does_not_say_what_it_means_is_refused_in_one_sentence(
    table: Callable[..., Collection], text: str | bytes, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        table(text, **asked)


def test_columns_can_be_named(table: Callable[..., Collection]) -> None:
    columns = {"latitude": "phi", "longitude": "lambda"}
    found = table("path,lat,phi,lambda\n0.jpg,1,52.504167,13.335833\n", columns=columns)
    assert found.shots[0].at == PLACE


def test_a_table_without_positions_is_read_without_labels(
    table: Callable[..., Collection],
) -> None:
    assert table("path\n0.jpg\n", labels=False).shots[0].at is None


def test_the_points_of_a_geojson_file_are_read(table: Callable[..., Collection]) -> None:
    point = {"type": "Point", "coordinates": [PLACE[1], PLACE[0], 34.0]}
    line = {"type": "LineString", "coordinates": [[1.0, 2.0], [3.0, 4.0]]}
    features = [
        {"type": "Feature", "geometry": point, "properties": {"image": "0.jpg", "heading": 90}},
        {"type": "Feature", "geometry": line, "properties": {"image": "1.jpg"}},
        {"type": "Feature", "geometry": None, "properties": None},
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features})
    found = table(content, "photos.geojson")
    (shot,) = found.shots
    assert (shot.at, shot.heading) == (PLACE, 90.0)
    assert found.left_out.counts == {"features that are not points with properties": 2}


def test_names_that_look_like_numbers_or_nothing_stay_as_they_are(
    table: Callable[..., Collection], tmp_path: Path
) -> None:
    found = table("path,lat,lon,sequence\n0.jpg,52,13,0012\n1.jpg,52,13,NA\n2.jpg,52,13,1e3\n")
    assert [shot.sequence for shot in found.shots] == ["0012", "NA", "1e3"]


@pytest.mark.parametrize("count", [10_000, pytest.param(10**6, marks=pytest.mark.soak)])
def test_of_many_lines_those_with_errors_are_left_out(
    table: Callable[..., Collection], count: int
) -> None:
    lines = [f"{row % 3}.jpg,{52 + row * 1e-7:.7f},13" for row in range(count)]
    lines[5], lines[count // 2], lines[-1] = "0.jpg,52", "0.jpg,north,13", '"0.jpg,52,13'
    found = table("path,lat,lon\n" + "\n".join(lines) + "\n")
    assert len(found.shots) == count - 3
    assert found.shots[-1].at == (round(52 + (count - 2) * 1e-7, 7), 13)
    assert found.left_out.counts == {
        "lines with too many or too few fields": 2, NOT_A_NUMBER: 1,
    }  # fmt: skip
    assert found.left_out.first["lines with too many or too few fields"] == "line 7"


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"features": 1}'])
def test_other_json_is_refused(table: Callable[..., Collection], text: str) -> None:
    with pytest.raises(ValueError, match="not a readable FeatureCollection"):
        table(text, "photos.geojson")
