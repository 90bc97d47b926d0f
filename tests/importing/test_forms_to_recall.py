"""Every form that import reads, run to recall: import, stage prepare, a network, ranking, recall.

Four places 15 m apart, seen on two drives. What a picture shows tells where it was taken, so
positions are checked photo by photo, whatever an import called it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import GPS, Base
from pyproj import Transformer

from stages.prepare import prepare
from tests.importing.test_panoramas import GPANO
from tests.importing.test_photos import make_exif
from tests.importing.test_published_sets import make_city, named, save_mat, write
from tests.importing.test_ros_bags import START, Bag
from tests.importing.test_video import (
    METRES_PER_DEGREE,
    WIDTH,
    add_blackvue,
    add_camm,
    add_gpmf,
    av,
    gps5,
    gps9,
    rmc,
    write_track,
)
from tests.importing.test_zips import pack
from tests.support.repositories import ROOT
from vpr.commands.import_photos import import_
from vpr.evaluation.recall import recall_at
from vpr.features.local_features import features_of
from vpr.images.image_files import list_images
from vpr.importing.drawer import list_forms
from vpr.network.describing import Network, describe_photos, load_network
from vpr.network.initial_model import start_model
from vpr.places.index import load_index
from vpr.places.positives import load_positives
from vpr.retrieval.ranking import rank_database
from vpr.weights.checkpoints import load_starting_model

METRES = (0, 15, 30, 45)  # north of 52.5, 13.3
SPACING = {"spacing": 15.0}
DAYS = {"database": START - 20 * 86_400, "query": START}
RECALL_RADIUS_M = 4.0
HEIGHT, SHIFT_PX = 64, 6  # pixels that the picture moves on in a metre
WALL = np.kron(
    np.random.default_rng(7).integers(0, 256, (HEIGHT // 4, 200), dtype=np.uint8),
    np.ones((4, 4), np.uint8),
)

Asked = dict[str, Any]  # arguments of import_


def picture(metres: int, side: str) -> NDArray[np.uint8]:
    """What is seen at a place: on the second drive darker, and a little to the side."""
    aside = 1 if side == "query" else 0
    seen = WALL[:, SHIFT_PX * metres + aside : SHIFT_PX * metres + aside + WIDTH]
    return seen if side == "database" else (seen * 0.8 + 10).astype(np.uint8)


def save(file: Path, metres: int, side: str, **settings: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(metres, side)).convert("RGB").save(file, **settings)
    return file


def globe(metres: float) -> tuple[float, float]:
    return 52.5 + metres / METRES_PER_DEGREE, 13.3


def utm(metres: float) -> tuple[float, float]:
    east, north = Transformer.from_crs(4326, 32633).transform(*globe(metres))
    return float(east), float(north)


def taken(metres: int, side: str) -> Image.Exif:
    """EXIF data of a phone, ten seconds from place to place."""
    latitude, longitude = globe(metres)
    moment = datetime.fromtimestamp(DAYS[side] + metres, UTC)
    return make_exif(
        {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (latitude,),
         GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (longitude,)},
        {Base.DateTimeOriginal: f"{moment:%Y:%m:%d %H:%M:%S}", Base.OffsetTimeOriginal: "Z"},
    )  # fmt: skip


EVERY = [(metres, side) for side in DAYS for metres in METRES]


def phone() -> Asked:
    for metres, side in EVERY:
        save(Path(f"in/{side}-{metres}.jpg"), metres, side, exif=taken(metres, side))
    return {"sources": [Path("in")]}


def zipped() -> Asked:
    phone()
    pack(Path("in.zip"), {file.as_posix(): file.read_bytes() for file in Path("in").iterdir()})
    return {"sources": [Path("in.zip")]}


def heic() -> Asked:
    pillow_heif = pytest.importorskip("pillow_heif")
    for metres, side in EVERY:
        Path("in").mkdir(exist_ok=True)
        made = pillow_heif.from_pillow(Image.fromarray(picture(metres, side)).convert("RGB"))
        made.save(f"in/{side}-{metres}.heic", quality=90, exif=taken(metres, side).tobytes())
    return {"sources": [Path("in")]}


def takeout() -> Asked:
    for metres, side in EVERY:
        file = save(Path(f"in/{side}-{metres}.jpg"), metres, side)
        latitude, longitude = globe(metres)
        facts = {
            "title": file.name, "photoTakenTime": {"timestamp": str(int(DAYS[side]) + metres)},
            "geoData": {"latitude": latitude, "longitude": longitude, "altitude": 0.0},
        }  # fmt: skip
        Path(f"{file}.supplemental-metadata.json").write_text(json.dumps(facts))
    return {"sources": [Path("in")]}


def panoramas() -> Asked:
    for metres, side in EVERY:
        turned = Image.fromarray(np.tile(picture(metres, side), 2)[:, :256]).resize((256, 128))
        file = Path(f"in/{side}-{metres}.jpg")
        file.parent.mkdir(exist_ok=True)
        turned.convert("RGB").save(
            file, exif=taken(metres, side), xmp=GPANO.format(256, "").encode()
        )
    return {"sources": [Path("in")], "crops": 2}


def csv_table() -> Asked:
    rows = []
    for metres, side in EVERY:
        file = save(Path(f"in/{side}-{metres}.png"), metres, side)
        rows.append(";".join([file.name, *(f"{angle:.8f}" for angle in globe(metres)), side]))
    write(Path("in/photos.csv"), "Image;Lat;Lon;split", *rows)
    return {"sources": [Path("in/photos.csv")]}


def geojson() -> Asked:
    features = []
    for metres, side in EVERY:
        file = save(Path(f"in/{side}-{metres}.png"), metres, side)
        features.append({
            "type": "Feature", "properties": {"path": file.name, "side": side},
            "geometry": {"type": "Point", "coordinates": globe(metres)[::-1]},
        })  # fmt: skip
    Path("in/photos.geojson").write_text(json.dumps({"features": features}))
    return {"sources": [Path("in/photos.geojson")]}


@cache
def film_of(side: str) -> bytes:
    """A film of a drive at 10 m/s, a frame each metre."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as film:
        film.metadata["creation_time"] = datetime.fromtimestamp(START, UTC).isoformat()
        stream = film.add_stream("libx264", rate=10, options={"crf": "8", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for metres in range(METRES[-1] + 1):
            pixels = np.stack([picture(metres, side)] * 3, axis=-1)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        film.mux(stream.encode())
    return out.getvalue()


def films(add: Callable[[Path], object], **asked: object) -> Asked:
    """A film of each side, which gets its positions by `add`."""
    for side in DAYS:
        path = Path(f"{side}.mp4")
        path.write_bytes(film_of(side))
        add(path)
    sides = {"database": [Path("database.mp4")], "queries": [Path("query.mp4")]}
    return {**sides, **SPACING, **asked}


def gopro(packet: Callable[[int, int], bytes]) -> Asked:
    return films(lambda path: add_gpmf(path, path, [packet(second, 3) for second in range(6)]))


def gpx(path: Path) -> None:
    write_track(path.with_suffix(".gpx"), START + np.arange(6), np.arange(6) * 10)


def nmea(path: Path) -> None:
    write(path.with_suffix(".nmea"), *(rmc(second, second * 10) for second in range(6)))


def blackvue(path: Path) -> None:
    clock = [round((START + 7200 + second) * 1000) for second in range(6)]
    add_blackvue(path, [f"[{ms}]{rmc(n, n * 10)}" for n, ms in enumerate(clock)])


def bags(kind: str) -> Asked:
    for side in DAYS:
        Path(side).mkdir()
        bag = Bag(Path(side), kind)
        for second in range(6):
            bag.write_fix(START + second, second * 10)
        for metres in range(METRES[-1] + 1):
            out = io.BytesIO()
            Image.fromarray(picture(metres, side)).convert("RGB").save(out, "JPEG")
            bag.write_photo(START + metres / 10, out.getvalue())
        path = bag.close()
    return {"database": [Path("database", path.name)], "queries": [Path("query", path.name)],
            **SPACING}  # fmt: skip


def msls() -> Asked:
    keys = {"a": 0, "b": 30, "p": 45, "x": 0, "y": 30}
    make_city(Path("in/train_val/berlin"), {key: globe(m)[::-1] for key, m in keys.items()})
    for key, metres in keys.items():
        side = "query" if key in "xy" else "database"
        save(Path(f"in/train_val/berlin/{side}/images/{key}.jpg"), metres, side)
    return {"sources": [Path("in")]}


def gsv_cities() -> Asked:
    rows = []
    for metres, side in EVERY:
        latitude, longitude = map(repr, globe(metres))
        year, place = (2016, metres) if side == "database" else (2018, metres + 100)
        name = f"Berlin_{place:07d}_{year}_05_000_{latitude}_{longitude}_pano{place}.jpg"
        save(Path("in/Images/Berlin", name), metres, side)
        rows.append(f"{place},{year},5,0,Berlin,{latitude},{longitude},pano{place}")
    write(Path("in/Dataframes/Berlin.csv"),
          "place_id,year,month,northdeg,city_id,lat,lon,panoid", *rows)  # fmt: skip
    return {"sources": [Path("in")]}


def sf_xl() -> Asked:
    for metres, side in EVERY:
        folder = "database" if side == "database" else "queries_v1"
        save(Path("in/test", folder, named(utm(metres), "33", "U", heading="0")), metres, side)
    return {"sources": [Path("in")]}


def mat_file(name: str, folders: dict[str, str], suffix: str) -> Asked:
    listed = [f"000/{metres}.jpg" for metres in METRES]
    shown = {"tokyo": [f"{metres}.jpg" for metres in METRES]}.get(name[:5], listed)
    Path("in").mkdir()
    save_mat(Path("in", f"{name}.mat"), listed, shown, [utm(metres) for metres in METRES])
    for metres, side in EVERY:
        path = dict(zip(METRES, listed if side == "database" else shown, strict=True))[metres]
        save(Path("in", folders[side], path).with_suffix(suffix), metres, side)
    return {"sources": [Path("in")], "crs": "EPSG:32633"}


def nordland() -> Asked:
    for metres, side in EVERY:
        season = "summer" if side == "database" else "winter"
        save(Path(f"in/{season}/{metres:06d}.png"), metres, side)
    return {"sources": [Path("in")]}


def kitti() -> Asked:
    for side in DAYS:
        poses = [f"1 0 0 0 0 1 0 0 0 0 1 {metres}" for metres in METRES]
        write(Path(side, "poses/07.txt"), *poses)
        write(Path(side, "sequences/07/times.txt"), *map(str, METRES))
        for frame, metres in enumerate(METRES):
            save(Path(side, f"sequences/07/image_2/{frame:06d}.png"), metres, side)
    return {"database": [Path("database")], "queries": [Path("query")]}


def robotcar() -> Asked:
    for side, day in DAYS.items():
        head = "timestamp,ins_status,latitude,longitude,northing,easting,utm_zone,yaw"
        rows = [
            f"{round((day + m / 15) * 1e6)},INS_SOLUTION_GOOD,{latitude!r},{longitude!r},0,0,33U,0"
            for m in METRES for latitude, longitude in [globe(m)]
        ]  # fmt: skip
        write(Path(side, "gps/ins.csv"), head, *rows)
        for metres in METRES:  # a sensor behind a Bayer pattern sees grey as it is
            file = Path(side, f"stereo/centre/{round((day + metres / 15) * 1e6)}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture(metres, side)).save(file)
    return {"database": [Path("database")], "queries": [Path("query")]}


def colmap() -> Asked:
    """Cameras that look along z, and stand at x = metres."""
    lines = ["# IMAGE_ID, ..."]
    for number, (metres, side) in enumerate(EVERY):
        lines += [f"{number} 1 0 0 0 {-metres} 0 {-(metres % 2)} 1 {side}/{metres}.jpg", ""]
        save(Path(f"in/images/{side}/{metres}.jpg"), metres, side)
    write(Path("in/cameras.txt"), "# none")
    write(Path("in/images.txt"), *lines)
    return {"sources": [Path("in")]}


def kapture() -> Asked:
    for side, part in zip(DAYS, ("mapping", "query"), strict=True):
        sensors, poses, records = Path("in", part, "sensors"), [], []
        for metres in METRES:
            poses.append(f"{metres}, cam, 1, 0, 0, 0, {-metres}, 0, {-(metres % 2)}")
            records.append(f"{metres}, cam, {metres}.jpg")
            save(sensors / f"records_data/{metres}.jpg", metres, side)
        write(sensors / "trajectories.txt", "# kapture format: 1.1", *poses)
        write(sensors / "records_camera.txt", "# kapture format: 1.1", *records)
    return {"sources": [Path("in")]}


FORMS: dict[str, Callable[[], Asked]] = {
    "photos": phone, "photos in a zip": zipped, "photos, HEIC": heic, "photos, Takeout": takeout,
    "photos, 360 degrees": panoramas, "tables, CSV": csv_table, "tables, GeoJSON": geojson,
    "video, GPX": lambda: films(gpx, clock_offset=0.0),
    "video, NMEA": lambda: films(nmea, clock_offset=0.0),
    "video, GoPro": lambda: gopro(gps5), "video, GoPro HERO11": lambda: gopro(gps9),
    "video, CAMM": lambda: films(lambda path: add_camm(path, path)),
    "video, BlackVue": lambda: films(blackvue),
    "ros-bags, ROS 1": lambda: bags("bag"), "ros-bags, mcap": lambda: bags("mcap"),
    "ros-bags, sqlite3": lambda: bags("sqlite3"),
    "msls": msls, "gsv-cities": gsv_cities, "utm-names, SF-XL": sf_xl,
    "dbstruct, Pittsburgh":
        lambda: mat_file("pitts30k_test", {"database": "", "query": "queries_real"}, ".jpg"),
    "dbstruct, Tokyo":
        lambda: mat_file("tokyo247", {"database": "", "query": "247query_subset_v2"}, ".png"),
    "nordland": nordland, "drives, KITTI": kitti, "drives, RobotCar": robotcar,
    "models, COLMAP": colmap, "models, kapture": kapture,
}  # fmt: skip


def test_every_form_of_the_drawer_is_run() -> None:
    assert {name.split()[0].rstrip(",") for name in FORMS} == set(list_forms())


@pytest.fixture(scope="module")
def network() -> Network:
    """The pipeline's own encoder, and GeM, which needs no clusters."""
    model, _ = load_starting_model(
        Path("imagenet"), encoder="efficientnet_lite", variant="lite0", split="pool", seed=0
    )
    none = features_of(np.empty((0, 112), np.float32), np.empty((0, 2), int))
    device = torch.device("cpu")
    whole, _ = start_model(
        model, none, aggregator="gem", num_clusters=1, vlad_version=1, descriptor_dim=None, seed=0,
        device=device,
    )  # fmt: skip
    return load_network(whole, precision=torch.float32, scale_to=None, device=device)


def run_to_recall(network: Network) -> float:
    """Run stage prepare on the set that params.yaml names, and from there to recall@1."""
    names = (
        "positives.npz", "training_positives.npz", "database_images", "query_images", "radius.json",
        "notes.json", "database_thumbnails", "query_thumbnails",
    )  # fmt: skip
    outs = {name.partition(".")[0]: Path("data/prepared", name) for name in names}
    prepare(database=Path("data/prepared/database.csv"), query=Path("data/prepared/query.csv"),
            **outs)  # fmt: skip
    rows = [
        np.concatenate([found.descriptors for found in describe_photos(network, list_images(side))])
        for side in (outs["database_images"], outs["query_images"])
    ]
    ranking, _ = rank_database(*rows, top_k=1)
    positives = load_positives(outs["positives"])
    assert recall_at([1], ranking[::-1], positives)[1] == 0  # of other places
    return recall_at([1], ranking, positives)[1]


def seen_at(file: Path, side: str) -> int:
    """The place that a picture shows."""
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("L"), dtype=float)
    apart = {metres: np.abs(pixels - picture(metres, side)).mean() for metres in METRES}
    metres, least = min(apart.items(), key=lambda pair: pair[1])
    assert least < 20 and sorted(apart.values())[1] > 40
    return metres


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_imported_and_run_to_recall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: Network, form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    import_(Path("data/own"), use=True, **FORMS[form]())
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["prepare"]["radius_m"] = RECALL_RADIUS_M if form != "nordland" else 0.5
    Path("params.yaml").write_text(yaml.safe_dump(params))
    assert run_to_recall(network) == 1
    crs = params["dataset"]["crs"]
    for side in DAYS:
        index = load_index(Path(f"data/prepared/{side}.csv"))
        if "360" in form:  # its crops show parts of the picture
            shown = [int(Path(name).stem.split("-")[1].split(".")[0].split("_")[0])
                     for name in index.paths]  # fmt: skip
        else:
            files = sorted(Path(f"data/prepared/{side}_images").iterdir())
            shown = [seen_at(file, side) for file in files]
        meant = np.array([utm(metres) for metres in shown])
        if crs is None:  # of no place on Earth: how far each is from the first
            unit = 15 if form == "nordland" else 1
            gone = np.hypot(*(index.coordinates - index.coordinates[0]).T) * unit
            np.testing.assert_allclose(gone, np.abs(np.array(shown) - shown[0]), atol=0.1)
        else:
            assert crs == "EPSG:32633"
            np.testing.assert_allclose(index.coordinates, meant, atol=0.1)
