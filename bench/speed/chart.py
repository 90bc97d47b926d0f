"""The figures as a chart: speed as a multiple of the plain loop's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vl_convert


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
