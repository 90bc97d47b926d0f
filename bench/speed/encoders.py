"""Seconds per image of each encoder, and the gains by folding and by memory layout.

`python -m bench.speed.encoders` prints the table of docs/experiments/encoders.md: random pixels of
640x480, batches of four, random weights (on which the time does not depend), the ways taking turns.
torch.compile needs a C++ compiler; OpenVINO is tried where it is installed. With `--transformer` it
measures MegaLoc's network alone, with an image of 224 pixels beside timm's own forward pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import nn

from bench.shared import markdown
from bench.shared.measuring import interleaved, machine
from vpr.features.encoder import POOL, Encoder, load_encoder

BATCH, HEIGHT_PX, WIDTH_PX = 4, 480, 640
PRECISIONS = (torch.float32, torch.bfloat16)
# Name of a row, the encoder, whether it is folded, and whether channels are last in memory.
WAYS = (
    ("EfficientNet-Lite0 up to stride 16, as timm builds it", "efficientnet_lite", False, False),
    ("channels_last", "efficientnet_lite", False, True),
    ("BatchNorm folded", "efficientnet_lite", True, False),
    ("both (what the trunk does)", "efficientnet_lite", True, True),
    ("XFeat's dense map", "xfeat", True, True),
    ("VGG16 up to conv5_3", "vgg16", True, True),
)


def make_part(encoder: Encoder, *, precision: torch.dtype, folded: bool, last: bool) -> nn.Module:
    """Make a whole encoder with random weights, ready to run."""
    part = encoder.frozen(POOL)
    state, _ = encoder.initial_state("random", 0)
    part.load_state_dict({name.removeprefix("encoder."): state[name] for name in state})
    if folded:
        encoder.fold(part)
    if not last:  # pixels come with channels last, and convolutions keep the layout
        first = next(module for module in part.modules() if isinstance(module, nn.Conv2d))
        first.register_forward_pre_hook(lambda module, taken: (taken[0].contiguous(),))
    layout = torch.channels_last if last else torch.contiguous_format
    return part.eval().to(precision).to(memory_format=layout)


def run_once(part: Callable[[torch.Tensor], object], pixels: torch.Tensor) -> None:
    """Compute the maps of a batch."""
    with torch.inference_mode():
        part(pixels)


def compile_by_torch(part: nn.Module) -> Callable[[torch.Tensor], object]:
    """Compile a part with TorchInductor."""
    compiled: Callable[[torch.Tensor], object] = torch.compile(part)
    return partial(run_once, compiled)


def compile_by_openvino(part: nn.Module) -> Callable[[torch.Tensor], object]:
    """Compile a float32 part with OpenVINO, which computes in bfloat16 if the part was in it."""
    import openvino

    precision = next(part.parameters()).dtype
    example = torch.zeros(BATCH, HEIGHT_PX, WIDTH_PX, 3, dtype=torch.uint8)
    model = openvino.convert_model(part.float(), example_input=example)
    hint = "f32" if precision == torch.float32 else "bf16"
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": hint})
    return lambda pixels: compiled([pixels.numpy()])


def compiled_runs(pixels: torch.Tensor) -> dict[str, Callable[[], object]]:
    """The part as the trunk runs it, by each compiler."""
    makers = {"the same by torch.compile": compile_by_torch}
    if find_spec("openvino"):
        makers["the same by OpenVINO"] = compile_by_openvino
    runs: dict[str, Callable[[], object]] = {}
    for title, make in makers.items():
        for precision in PRECISIONS:
            part = make_part(
                load_encoder("efficientnet_lite", None), precision=precision, folded=True, last=True
            )
            runs[f"{title}, {precision}"] = partial(make(part), pixels)
    return runs


def transformer_runs() -> dict[str, Callable[[], object]]:
    """MegaLoc's ViT-B/14 with one image of 224 pixels, as the trunk and as timm run it."""
    import timm

    pixels = torch.randint(0, 256, (1, 224, 224, 3), dtype=torch.uint8)
    runs: dict[str, Callable[[], object]] = {}
    for precision in PRECISIONS:
        part = make_part(load_encoder("megaloc", None), precision=precision, folded=True, last=True)
        network = timm.create_model("vit_base_patch14_dinov2", dynamic_img_size=True).eval()
        images = torch.randn(1, 3, 224, 224, dtype=precision)
        runs[f"megaloc's network, {precision}"] = partial(run_once, part, pixels)
        forward = network.to(precision).forward_features
        runs[f"timm's forward_features, {precision}"] = partial(run_once, forward, images)
    return runs


def main(*, transformer: bool) -> None:
    """Measure, and print the table."""
    if transformer:
        print_table(transformer_runs(), batch=1)
        return
    source = torch.Generator().manual_seed(0)
    shape = (BATCH, HEIGHT_PX, WIDTH_PX, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=source)
    runs: dict[str, Callable[[], object]] = {}
    for title, name, folded, last in WAYS:
        for precision in PRECISIONS:
            part = make_part(
                load_encoder(name, None), precision=precision, folded=folded, last=last
            )
            runs[f"{title}, {precision}"] = partial(run_once, part, pixels)
    print_table(runs | compiled_runs(pixels), batch=BATCH)


def print_table(runs: dict[str, Callable[[], object]], *, batch: int) -> None:
    """Let ways take turns, and print the seconds of each for an image."""
    for run in runs.values():
        run()
    seconds = interleaved(runs, repeats=5)
    print(", ".join(f"{key} {value}" for key, value in machine().items()))
    rows = [
        [title, *(f"{seconds[f'{title}, {precision}'] / batch:.3f}" for precision in PRECISIONS)]
        for title in dict.fromkeys(name.rsplit(", ", 1)[0] for name in runs)
    ]
    print(markdown.table(["seconds for each image", "float32", "bfloat16"], rows))


if __name__ == "__main__":
    main(transformer="--transformer" in sys.argv[1:])
