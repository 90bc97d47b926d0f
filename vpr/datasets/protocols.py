"""Published protocols by name: what a set must hold, what is a positive, which queries count.

A number is comparable with a published one only if all of these agree. Sets whose counts no source
that we could read states are not listed: pitts250k-test, sf-xl-v2; eynsham, whose queries are what
download_eynsham.py of VPR-datasets-downloader leaves of the panoramas after 4,787 for the database;
and all of MSLS-val, since format_mapillary.py leaves out some of 11,120 queries (its issue 18).
"""

from __future__ import annotations

from dataclasses import dataclass

from vpr.runtime.parameters import suggest


@dataclass(frozen=True)
class NamedProtocol:
    """The rules of a published protocol.

    Args:
        num_database: Number of database images.
        num_query: Number of queries in the published list.
        radius: Metres, or the unit of the coordinates where frames are counted.
        source: Where the counts and the rule were read.
        frames: Positives are at most so many frames away; 0: pairs. None: metres count.
        num_counted: Queries that have a positive, where only they are in the denominator.
        database: Word in the names of the database that tells it from the queries, such as a
            season; None where the source states no order.
        query: The same word of the queries.
        images: Size or form of the images, where it changes the numbers.
    """

    num_database: int
    num_query: int
    radius: float
    source: str
    frames: int | None = None
    num_counted: int | None = None
    database: str | None = None
    query: str | None = None
    images: str = ""

    @property
    def rule(self) -> str:
        """What a positive is, in words."""
        if self.frames is None:
            return f"within {self.radius:g} m"
        return f"at most {self.frames} frames away" if self.frames else "the image of its pair"

    @property
    def denominator(self) -> str:
        """Which queries count, in words."""
        counted = self.num_counted
        return "every query counts" if counted is None else f"the {counted} with a positive count"

    def describe(self) -> str:
        """Put counts, rule, denominator and order in one line."""
        order = f"; {self.database} is the database" if self.database else ""
        images = f"; {self.images}" if self.images else ""
        return (
            f"{self.num_database:,} database and {self.num_query:,} query images, positives "
            f"{self.rule}, {self.denominator}{order}{images}"
        )


_NORDLAND = 27_592
PROTOCOLS = {
    "pitts30k-test": NamedProtocol(
        10_000, 6_816, 25, "lists of Patch-NetVLAD", images="480x640 pixels"
    ),
    "msls-val": NamedProtocol(
        18_871, 747, 25, "gsv-cities msls_val; mapillary_sls issue 31; MixVPR issue 5",
        num_counted=740,
    ),
    "tokyo247": NamedProtocol(
        75_984, 315, 25, "NetVLAD dbTokyo247.m", images="the database's files are PNG"
    ),
    "nordland-patchnetvlad": NamedProtocol(
        _NORDLAND, _NORDLAND, 10, "lists of Patch-NetVLAD: radius 10 of places (i, i)", frames=7
    ),
    "nordland-10": NamedProtocol(
        _NORDLAND, _NORDLAND, 25, "VPR-datasets-downloader download_nordland.py", frames=10,
        database="summer", query="winter", images="JPEG of the PNG files",
    ),
    "nordland-1": NamedProtocol(
        _NORDLAND, 2_760, 1, "VPR-Bench; SALAD", frames=1, database="winter", query="summer"
    ),
    "nordland-selavpr": NamedProtocol(3_450, 3_450, 2, "SelaVPR issue 6", frames=2),
    "sf-xl-v1": NamedProtocol(
        2_805_815, 1_000, 25, "CosPlace issue 15", images="about 10 files are damaged"
    ),
    "sf-xl-val": NamedProtocol(8_015, 7_983, 25, "EigenPlaces issue 11"),
    "st-lucia": NamedProtocol(1_549, 1_464, 25, "AnyLoc README"),
    "svox": NamedProtocol(17_166, 14_278, 25, "VPR-datasets-downloader download_svox.py"),
    "amstertime": NamedProtocol(
        1_231, 1_231, 0.5, "VPR-datasets-downloader download_amstertime.py", frames=0,
        images="the database's PNG files as JPEG",
    ),
    "sped": NamedProtocol(607, 607, 0.5, "VPR-Bench", frames=0),
    "gardens-point": NamedProtocol(200, 200, 2, "VPR-Bench", frames=2),
    "berlin-kudamm": NamedProtocol(314, 280, 50, "berlin.mat of the challenge"),
}  # fmt: skip


def check_name(name: str) -> str:
    """Return the name of a protocol if there is one of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in PROTOCOLS:
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"no protocol of this name{suggest(name, PROTOCOLS)}; known are {known}")
    return name
