"""What the doctor says about a data set's images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vpr.commands.doctor.finding import Finding
from vpr.commands.doctor.image_facts import ImageFacts, usable
from vpr.images.pixels import ScaleTo

NUM_NAMED = 3  # images named in one line
TREATMENT = {
    "L": "greyscale: converted to RGB",
    "LA": "greyscale with transparency: converted to RGB, transparency dropped",
    "RGBA": "with transparency: it is dropped and the colour below shows",
    "CMYK": "CMYK: converted to RGB",
    "P": "with a palette: converted to RGB", "1": "black and white: converted to RGB",
    "I;16": "16-bit greyscale: scaled to 8 bits", "I;16B": "16-bit greyscale: scaled to 8 bits",
    "I": "32-bit greyscale: scaled to 8 bits by the range it fills",
    "F": "floating-point greyscale: scaled to 8 bits by the range it fills",
}  # fmt: skip
DARK = 32  # of 255: nothing is seen below it
SMALLEST_PX = 16  # VGG16 up to conv5 halves four times


def check_missing(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are not in the data set's folder."""
    missing = [one for one in facts if one.file is None]
    if missing:
        return Finding("missing images", _listed(missing, len(facts)), ok=False)
    return Finding("missing images", f"none of {len(facts)}", ok=True)


def check_decoding(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that do not decode to the end."""
    damaged = [one for one in facts if one.file is not None and one.problem is not None]
    if damaged:
        words = _listed(damaged, len(facts)) + ": replace them or remove them from the set"
        return Finding("damaged images", words, ok=False)
    return Finding("damaged images", "none", ok=True)


def check_duplicates(facts: Sequence[ImageFacts]) -> Finding:
    """Report images with the same bytes, above all queries that the database has too."""
    groups: dict[str, list[ImageFacts]] = {}
    for one in usable(facts):
        groups.setdefault(one.digest, []).append(one)
    twins = [group for group in groups.values() if len(group) > 1]
    if not twins:
        return Finding("equal images", "none", ok=True)
    both = [group for group in twins if len({one.label.split()[0] for one in group}) == 2]
    first = " = ".join(one.label for one in (both or twins)[0][:NUM_NAMED])
    words = f"{len(twins)} images occur more than once ({first})"
    if both:
        words += f"; {len(both)} are on both sides, which inflates recall"
    return Finding("equal images", words + ": remove the copies", ok=True, is_note=True)


def check_sizes(facts: Sequence[ImageFacts]) -> Finding:
    """Report image sizes, and images too small for the network."""
    small = [one for one in usable(facts) if min(one.size_px) < SMALLEST_PX]
    if small:
        words = f"{_listed(small, len(facts))}: smaller than {SMALLEST_PX} pixels: remove them"
        return Finding("image sizes", words, ok=False)
    counts = Counter(one.size_px for one in usable(facts))
    words = ", ".join(f"{w}x{h} ({n} images)" for (w, h), n in counts.most_common(4))
    if len(counts) > 4:
        words += f" and {len(counts) - 4} more"
    if len(counts) > 1:
        words += ": nothing to do; only images of equal size share a batch"
    return Finding("image sizes", words or "no image to measure", ok=True)


def check_large(facts: Sequence[ImageFacts], scale_to: ScaleTo) -> Finding:
    """Report images so large that they are decoded only where they are scaled down."""
    large = [one for one in usable(facts) if one.is_large]
    if not large:
        return Finding("large images", "none", ok=True)
    words = _listed(large, len(facts))
    if scale_to is None:
        return Finding("large images", f"{words}: set trunk.max_side_px", ok=False)
    size = " x ".join(map(str, scale_to)) if isinstance(scale_to, tuple) else scale_to
    return Finding("large images", f"{words}: scaled down to {size} pixels", ok=True)


def check_darkness(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are nearly black, as those that fill a part of 16 bits are."""
    dark = [one for one in usable(facts) if one.brightest < DARK]
    if not dark:
        return Finding("dark images", "none", ok=True)
    words = f"{_listed(dark, len(facts))}: no pixel is brighter than {DARK} of 255"
    if any(one.mode.startswith("I;16") for one in dark):
        words += "; 16-bit levels are read as 0 to 65535: rescale them to that range"
    return Finding("dark images", words, ok=True, is_note=True)


def check_conversions(facts: Sequence[ImageFacts]) -> Finding:
    """Report images that are not plain upright RGB, and how they are converted."""
    modes = [one.mode for one in usable(facts) if one.mode != "RGB"]
    counts = Counter(TREATMENT.get(mode, f"{mode}: converted to RGB") for mode in modes)
    turned = sum(one.is_turned for one in usable(facts))
    words = [f"{number} {treatment}" for treatment, number in counts.most_common()]
    words += [f"{turned} rotated by EXIF: read upright"] if turned else []
    return Finding("pixel formats", "; ".join(words) or "all upright RGB", ok=True)


def _listed(some: Sequence[ImageFacts], total: int) -> str:
    named = ", ".join(f"{one.label}: {one.problem}" if one.problem else one.label
                      for one in some[:NUM_NAMED])  # fmt: skip
    more = f" and {len(some) - NUM_NAMED} more" if len(some) > NUM_NAMED else ""
    return f"{len(some)} of {total}: {named}{more}"
