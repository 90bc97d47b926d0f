"""The figures as tables in Markdown, to paste into docs/experiments/speed.md, and as a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vl_convert

from bench.shared.markdown import table


def as_table(found: dict[str, Any]) -> str:
    """All tables of a run, each under its heading, without parts that were not measured."""
    parts = [
        f"### {name}\n\n{TABLES[name](found[name])}" for name in TABLES if name in found
    ]  # fmt: skip
    facts = ", ".join(f"{key} {value}" for key, value in found["machine"].items())
    return "\n\n".join([facts, *parts])


def _extraction(found: dict[str, Any]) -> str:
    rates = found["images_per_second"]
    rows = [
        [name, rate, rate / rates["plain"], found["share_of_peak"].get(name)]
        for name, rate in rates.items()
    ]
    return table(["way", "images/s", "of the plain loop's", "share of matrix peak"], rows)


def _training(found: dict[str, Any]) -> str:
    seconds = found["seconds_per_epoch_of_314"]
    rows = [[name, taken, seconds["plain"] / taken] for name, taken in seconds.items()]
    return table(["way", "s for an epoch of 314 photos", "plain loop over it"], rows)


def _search(found: dict[str, Any]) -> str:
    rows = [
        [size, method, result["queries_per_second"], result["peak_memory_mb"]]
        for size, methods in found.items()
        for method, result in methods.items()
        if isinstance(result, dict)
    ]
    return table(["database", "method", "queries/s", "peak MB"], rows)


def _memory(found: dict[str, Any]) -> str:
    header = ["stage", *(f"MB at {factor}x" for factor in found["factors"]), "last over first"]
    rows = [
        [stage, *values, found["growth"][stage]]
        for stage, values in found["peak_memory_mb"].items()
    ]
    return table(header, rows)


def _whole_job(found: dict[str, Any]) -> str:
    plain = found["plain_seconds_extrapolated"]
    rows = [["plain loop, extrapolated", plain, None]]
    rows += [
        [name, taken, found["plain_over_ours"][name]] for name, taken in found["seconds"].items()
    ]
    highest = max(found["peak_memory_mb"], key=found["peak_memory_mb"].__getitem__)
    peak = found["peak_memory_mb"][highest]
    photos = " + ".join(map(str, found["photos"]))
    note = f"{photos} photos, {found['epochs']} epochs; highest peak: {highest}, {peak:.0f} MB"
    return f"{table(['experiment', 's', 'plain loop over it'], rows)}\n\n{note}"


TABLES = {
    "extraction": _extraction,
    "training": _training,
    "whole job": _whole_job,
    "search": _search,
    "memory": _memory,
}


def draw_chart(found: dict[str, Any], path: Path) -> None:
    """Write an SVG chart with a bar for each ratio to the plain loop."""
    extraction, training = found["extraction"], found["training"]
    ratios = {
        "extraction, float32": extraction["float32_over_plain"],
        "extraction, bfloat16": extraction["bfloat16_over_plain"],
        "epoch, float32": training["plain_over_float32"],
        "epoch, bfloat16": training["plain_over_bfloat16"],
    } | {f"job, {name}": ratio for name, ratio in found["whole job"]["plain_over_ours"].items()}
    bars = {
        "data": {"values": [{"what": name, "times": ratio} for name, ratio in ratios.items()]},
        "encoding": {
            "y": {"field": "what", "sort": None, "title": None},
            "x": {
                "field": "times", "type": "quantitative", "scale": {"type": "log", "zero": False},
                "title": "times as fast as the plain loop",
            },
        },
        "layer": [
            {"mark": "bar", "encoding": {"x2": {"datum": 1}}},
            {
                "mark": {"type": "text", "align": "left", "dx": 3},
                "encoding": {"text": {"field": "times", "format": ".1f"}},
            },
        ],
    }  # fmt: skip
    path.write_text(vl_convert.vegalite_to_svg(bars) + "\n")
