"""Published sets, each as small as can be in exactly its layout, and each trap of a layout."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyproj import Transformer
from scipy.io import savemat

from vpr.datasets.tables import parse_tables
from vpr.importing.collection import Asked, Collection, Shot
from vpr.importing.drawer import find_form
from vpr.importing.forms.drives import Demosaiced
from vpr.importing.splitting import make_plan
from vpr.importing.writing import write_set

COPENHAGEN = Transformer.from_crs(4326, 32633, always_xy=True)


def draw(file: Path, level: int = 90) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 6), level).save(file)
    return file


def write(file: Path, *lines: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(source: Path, **asked: object) -> Collection:
    return find_form(source, None).read(source, Asked(**asked))  # type: ignore[arg-type]


def names(found: Collection) -> dict[str, Shot]:
    return {Path(shot.name).name: shot for shot in found.shots}


def make_city(folder: Path, places: dict[str, tuple[float, float]], *, shift_m: float = 0) -> None:
    """Write a city of MSLS: three database photos, of which one is a panorama, and two queries."""
    for side, keys in (("database", "abp"), ("query", "xy")):
        rows, metres, sequences = [], [], []
        for number, key in enumerate(keys):
            longitude, latitude = places[key]
            zone = 32_600 + int((longitude + 180) // 6) + 1
            convert = Transformer.from_crs(4326, zone, always_xy=True)
            east, north = convert.transform(longitude, latitude)
            rows.append(f"{number},{key},{longitude},{latitude},{370 - number},2018-06-1{number},"
                        f"{key == 'p'}")  # fmt: skip
            metres.append(f"{number},{key},{east + shift_m},{north},0,False,False,Forward")
            sequences.append(f"{number},{key},s{side},{len(keys) - number}")
            draw(folder / side / "images" / f"{key}.jpg")
        write(folder / side / "raw.csv", ",key,lon,lat,ca,captured_at,pano", *rows)
        write(
            folder / side / "postprocessed.csv",
            ",key,easting,northing,unique_cluster,control_panel,night,view_direction", *metres,
        )  # fmt: skip
        write(folder / side / "seq_info.csv", ",key,sequence_key,frame_number", *sequences)


NEAR = {key: (12.57 + 1e-4 * n, 55.67) for n, key in enumerate("abpxy")}


def test_msls_has_longitude_first_and_leaves_panoramas_out(tmp_path: Path) -> None:
    make_city(tmp_path / "train_val/cph", NEAR)
    found = read(tmp_path)
    assert (found.crs, found.radius_m) == ("EPSG:32633", 25)
    assert found.left_out.counts == {"panoramas": 1}
    shots = names(found)
    np.testing.assert_allclose(shots["a.jpg"].at, COPENHAGEN.transform(*NEAR["a"]), atol=1e-3)
    # Frames of a recording count downwards here, so b comes before a.
    assert [shot.name for shot in found.shots if shot.side == "database"] == [
        "cph/database/b.jpg", "cph/database/a.jpg"
    ]  # fmt: skip
    assert shots["a.jpg"].heading == 10 and shots["x.jpg"].sequence == "squery"
    assert shots["b.jpg"].time == 1_528_675_200  # 2018-06-11 in UTC
    with pytest.raises(ValueError, match="name one of its cities by --subset: cph"):
        read(tmp_path, subset="sf")


def test_msls_becomes_a_set_whose_positions_and_headings_are_those_of_its_tables(
    tmp_path: Path,
) -> None:
    make_city(tmp_path / "train_val/cph", NEAR)
    plan = make_plan([(None, read(tmp_path))], crs=None, labels=True)
    write_set(tmp_path / "set", plan)
    truth = parse_tables(tmp_path / "set/database.csv")
    expected = [COPENHAGEN.transform(*NEAR[key]) for key in "ba"]
    np.testing.assert_allclose(truth.database.coordinates, expected, atol=1e-3)
    assert truth.query.heading is not None and truth.query.sequence == ["squery"] * 2
    np.testing.assert_array_equal(truth.query.heading, [9, 10])


def test_msls_cities_of_several_zones_stay_apart_or_are_refused(tmp_path: Path) -> None:
    far = {key: (-122.4 + 1e-4 * n, 37.77) for n, key in enumerate("abpxy")}
    make_city(tmp_path / "train_val/cph", NEAR)
    make_city(tmp_path / "train_val/sf", far)
    found = read(tmp_path)
    assert found.crs is None and len(found.shots) == 8
    assert "there is no map" in " ".join(found.notes)
    same = {key: (18.57 + 1e-4 * n, 55.67) for n, key in enumerate("abpxy")}  # the next zone's
    make_city(tmp_path / "train_val/like", same)
    with pytest.raises(ValueError, match="cph and like are in different UTM zones"):
        read(tmp_path)


def test_msls_tables_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    make_city(tmp_path / "cph", NEAR, shift_m=40)
    with pytest.raises(ValueError, match="up to 40 m from easting and northing in EPSG:32633"):
        read(tmp_path / "cph")


def test_msls_test_cities_have_no_positions(tmp_path: Path) -> None:
    for side in ("database", "query"):
        draw(tmp_path / f"test/miami/{side}/images/k.jpg")
        write(tmp_path / f"test/miami/{side}/raw.csv", ",key,pano", "0,k,False")
        write(tmp_path / f"test/miami/{side}/postprocessed.csv", ",key,night", "0,k,False")
        write(tmp_path / f"test/miami/{side}/seq_info.csv", ",key,sequence_key,frame_number",
              "0,k,s,1")  # fmt: skip
    found = read(tmp_path)
    assert [shot.at for shot in found.shots] == [None, None]
    with pytest.raises(ValueError, match="2 without a position"):
        make_plan([(None, found)], crs=None, labels=True)


def test_gsv_cities_names_are_made_as_its_loader_makes_them(tmp_path: Path) -> None:
    write(
        tmp_path / "Dataframes/Boston.csv",
        "place_id,year,month,northdeg,city_id,lat,lon,panoid",
        "700012,2016,7,5,Boston,42.350,-71.060,-a_b",
        "700012.0,2017.0,11,359,Boston,42.35,-71.06,c",
        "700013,2017,11,90,Boston,42.36,-71.06,gone", "700014,,11,90,Boston,42.36,-71.06,x",
    )  # fmt: skip
    folder = tmp_path / "Images/Boston"
    draw(folder / "Boston_0000012_2016_07_005_42.35_-71.06_-a_b.jpg")
    draw(folder / "Boston_0000012_2017_11_359_42.35_-71.06_c.jpg")
    found = read(tmp_path)
    assert [(shot.at, shot.heading) for shot in found.shots] == [
        ((42.35, -71.06), 5), ((42.35, -71.06), 359)
    ]  # fmt: skip
    assert found.shots[1].time == 1_509_494_400  # 2017-11-01 in UTC
    assert found.left_out.counts == {"without an image": 1, "rows that lack a number": 1}
    write(tmp_path / "Dataframes/London.csv", "place_id")
    with pytest.raises(ValueError, match="its cities by --subset: Boston, London"):
        read(tmp_path)


def named(
    place: tuple[float, float], zone: str, letter: str, *, globe: str = "@",
    heading: str = "", note: str = "n",
) -> str:  # fmt: skip
    return f"@{place[0]}@{place[1]}@{zone}@{letter}@{globe}@pano@@{heading}@@@@201805@{note}@.jpg"


def test_names_of_one_zone_keep_their_metres_and_of_several_become_degrees(tmp_path: Path) -> None:
    place = 389_000.25, 5_818_000.5
    draw(tmp_path / "test/database" / named(place, "33", "U", heading="12.5"))
    draw(tmp_path / "test/queries_v1" / named(place, "33", "U", heading="F"))
    found = read(tmp_path)
    assert found.crs == "EPSG:32633" and {shot.at for shot in found.shots} == {place}
    assert {shot.side: shot.heading for shot in found.shots} == {"database": 12.5, "query": None}
    assert found.shots[0].time == 1_525_132_800  # May 2018
    draw(tmp_path / "test/queries_v2" / named(place, "33", "U"))
    with pytest.raises(ValueError, match=r"test/queries_v1, test/queries_v2\): name"):
        read(tmp_path)
    assert len(read(tmp_path, subset="queries_v2").shots) == 2
    draw(tmp_path / "val/database" / named(place, "33", "U"))
    with pytest.raises(ValueError, match=r"test/database, val/database\): name"):
        read(tmp_path, subset="queries_v2")
    (next((tmp_path / "val/database").iterdir())).unlink()
    over_the_border = Transformer.from_crs(32633, 32632).transform(*place)
    draw(tmp_path / "test/queries_v1" / named(over_the_border, "32", "U", note="m"))
    both = read(tmp_path, subset="queries_v1")
    assert both.crs == "EPSG:4326"
    latitudes = [shot.at[0] for shot in both.shots if shot.at]
    assert max(latitudes) - min(latitudes) < 1e-8


def test_names_of_zones_far_apart_keep_their_metres(tmp_path: Path) -> None:
    for side in ("database", "queries"):  # Copenhagen and San Francisco, as the downloader has MSLS
        draw(tmp_path / side / named((347_000.0, 6_172_000.0), "33", "U", note="day_forward_cph"))
        draw(tmp_path / side / named((551_000.0, 4_180_000.0), "10", "S", note="day_forward_sf"))
    found = read(tmp_path)
    assert found.crs is None and len(found.shots) == 4
    assert {shot.at for shot in found.shots} == {(347_000.0, 6_172_000.0), (551_000.0, 4_180_000.0)}


def test_a_letter_that_means_a_hemisphere_is_refused(tmp_path: Path) -> None:
    # Sao Paulo's S is the southern hemisphere; as a band of latitude it is 32 to 40 degrees north.
    draw(tmp_path / "database" / named((333_000.0, 7_395_000.0), "23", "S", globe="-23.5@-46.6"))
    draw(tmp_path / "database" / named((333_500.0, 7_395_000.0), "22", "S"))
    with pytest.raises(ValueError, match="give the zone by --crs"):
        read(tmp_path)


def save_mat(file: Path, database: list[str], query: list[str], places: object) -> None:
    """Write a set's `.mat` file; `places` are one easting and northing for all, or one of each."""
    utm = np.atleast_2d(np.array(places, dtype=float))
    fields = {
        "whichSet": "test", "dbImageFns": np.array([[name] for name in database], dtype=object),
        "utmDb": np.broadcast_to(utm, (len(database), 2)).T,
        "qImageFns": np.array([[name] for name in query], dtype=object),
        "utmQ": np.broadcast_to(utm, (len(query), 2)).T,
        "numImages": float(len(database)), "numQueries": float(len(query)),
        "posDistThr": 25.0, "posDistSqThr": 625.0,
    }  # fmt: skip
    savemat(file, {"dbStruct": fields})


def test_tokyos_png_files_are_found_though_the_mat_file_says_jpg(tmp_path: Path) -> None:
    save_mat(tmp_path / "tokyo247.mat", ["03814/381450.jpg"], ["00001.jpg"], (380_000, 3_950_000))
    image = draw(tmp_path / "03814/381450.png")
    query = draw(tmp_path / "247query_subset_v2/00001.jpg")
    write(tmp_path / "247query_subset_v2/00001.csv", "00001.jpg,35.66,139.70")
    found = read(tmp_path)
    assert [(shot.content, shot.side) for shot in found.shots] == [
        (image, "database"), (query, "query")
    ]  # fmt: skip
    assert found.shots[0].name == "database/03814/381450.png" and found.crs == "EPSG:32654"


def test_pittsburghs_queries_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    name = "000/000000_pitch1_yaw1.jpg"
    save_mat(tmp_path / "pitts30k_test.mat", [name], [name], (585_000, 4_477_000))
    save_mat(tmp_path / "pitts30k_val.mat", [name], [name], (585_000, 4_477_000))
    draw(tmp_path / name)
    query = draw(tmp_path / "queries_real" / name)
    found = read(tmp_path, subset="pitts30k_test")
    assert [shot.content for shot in found.shots if shot.side == "query"] == [query]
    assert (found.crs, found.radius_m) == ("EPSG:32617", 25)
    assert {shot.heading for shot in found.shots} == {None}  # a name's yaw is of no known north
    with pytest.raises(ValueError, match="its files by --subset: pitts30k_test, pitts30k_val"):
        read(tmp_path)


def test_nordlands_seasons_are_aligned_by_name_also_where_one_lacks_a_frame(tmp_path: Path) -> None:
    for season, frames in (("summer", (2, 9, 10)), ("winter_images_test", (2, 10))):
        for frame in frames:
            draw(tmp_path / season / "section1" / f"{frame}.png")
    found = read(tmp_path)
    placed = {(shot.side, Path(shot.name).name): shot.at for shot in found.shots}
    assert placed["database", "10.png"] == placed["query", "10.png"] == (2.0, 0.0)  # not as text
    assert found.crs is None
    swapped = read(tmp_path, subset="winter-summer")
    assert [shot.side for shot in swapped.shots].count("query") == 3
    with pytest.raises(ValueError, match="expected two of summer, winter"):
        read(tmp_path, subset="spring-fall")


def test_kittis_plane_is_x_and_z_and_frames_are_chosen_by_distance(tmp_path: Path) -> None:
    turn = "0 0 -1 {x} 0 1 0 -7 1 0 0 {z}"  # the camera looks along -x: to the left
    ahead = "1 0 0 {x} 0 1 0 -7 0 0 1 {z}"
    poses = [ahead.format(x=0, z=3 * n) for n in range(5)] + [turn.format(x=-9, z=12)]
    write(tmp_path / "poses/07.txt", *poses)
    write(tmp_path / "sequences/07/times.txt", *(f"{n}e-1" for n in range(6)))
    (tmp_path / "sequences/11").mkdir()  # a sequence without poses
    for frame in range(6):
        draw(tmp_path / f"sequences/07/image_2/{frame:06d}.png")
    found = read(tmp_path, spacing_m=6)
    assert [shot.at for shot in found.shots] == [(0, 0), (0, 6), (0, 12), (-9, 12)]
    assert [shot.heading for shot in found.shots] == [0, 0, 0, 270]
    assert found.crs is None and found.left_out.counts["nearer to another than --spacing"] == 2


def make_traversal(folder: Path, table: str = "ins") -> None:
    start = 1_418_132_504_000_000
    status = table == "ins"
    head = ["timestamp", *(["ins_status"] if status else []), "latitude", "longitude", "altitude",
            "northing", "easting", "down", "utm_zone", "velocity_north", "velocity_east",
            "velocity_down", "roll", "pitch", "yaw"]  # fmt: skip
    rows = []
    for second in range(8):
        if second in (4, 5):
            continue  # a tunnel
        latitude = 51.76 + 1e-4 * second
        cells = [start + second * 10**6, *(["INS_SOLUTION_GOOD" if second < 7 else "INS_INACTIVE"]
                 if status else []), latitude, -1.25, 100, 5_735_000, 620_000, -100, "30U", 0, 0, 0,
                 0, 0, np.pi / 2]  # fmt: skip
        rows.append(",".join(map(str, cells)))
    write(folder / f"gps/{table}.csv", ",".join(head), *rows)
    for half in range(16):
        draw(folder / f"stereo/centre/{start + half * 500_000}.png")


def test_robotcars_clock_angles_and_gaps(tmp_path: Path) -> None:
    make_traversal(tmp_path / "2014-12-09")
    found = read(tmp_path / "2014-12-09", spacing_m=0)
    placed = {shot.time: shot for shot in found.shots}
    # 0 to 3 s by halves, then a gap up to the fix at 6 s; the one at 7 s is not good.
    assert [time - 1_418_132_504 for time in placed if time] == [0, 0.5, 1, 1.5, 2, 2.5, 3]
    at = placed[1_418_132_504.5].at
    assert at == pytest.approx((51.76005, -1.25), abs=1e-9)  # north is not taken for east
    assert {round(shot.heading or 0, 6) for shot in found.shots} == {90}
    assert found.left_out.counts["outside the track, or in a gap of it"] == 9
    make_traversal(tmp_path / "rtk", table="rtk")
    # Here the fix at 7 s counts: there is no column of states. 11 m a second are driven.
    spread = [shot.time for shot in read(tmp_path / "rtk", spacing_m=10).shots]
    assert [time - 1_418_132_504 for time in spread if time] == [0, 1, 2, 3, 6.5]


@pytest.mark.parametrize("pattern", ["gbrg", "rggb"])
def test_a_bayer_pattern_becomes_colour(tmp_path: Path, pattern: str) -> None:
    level = {"r": 200, "g": 80, "b": 20}
    tile = np.array([level[letter] for letter in pattern], np.uint8).reshape(2, 2)
    Image.fromarray(np.tile(tile, (6, 8))).save(tmp_path / "1.png")
    made = Image.open(io.BytesIO(Demosaiced(tmp_path / "1.png", pattern)()))
    assert made.mode == "RGB" and made.getpixel((7, 5)) == (200, 80, 20)
    (tmp_path / "2.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="not a readable image"):
        Demosaiced(tmp_path / "2.png", pattern)()
