"""A small matcher of transformers, with random weights, in a folder that loads offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

SIZE = {"height": 96, "width": 128}


def write_model(folder: Path, kind: str) -> Any:  # noqa: ANN401
    """Write one of `vpr.matchers.transformers.KINDS` as the library saves it, and return it."""
    import transformers

    detector = transformers.SuperPointConfig(
        encoder_hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=16, descriptor_decoder_dim=32,
        keypoint_threshold=0.02,
    )  # fmt: skip
    shared = {"keypoint_detector_config": detector.to_dict(), "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if kind == "superglue":
            config = transformers.SuperGlueConfig(
                **shared, hidden_size=32, keypoint_encoder_sizes=[16], matching_threshold=0.0,
                gnn_layers_types=["self", "cross"], sinkhorn_iterations=20,
            )  # fmt: skip
            model = transformers.SuperGlueForKeypointMatching(config)
            processor = transformers.SuperGlueImageProcessor(size=SIZE)
        else:
            config = transformers.LightGlueConfig(
                **shared, descriptor_dim=32, num_hidden_layers=3, filter_threshold=0.0
            )
            model = transformers.LightGlueForKeypointMatching(config)
            processor = transformers.LightGlueImageProcessor(size=SIZE)
        # The library's own random weights are so small that all points tie.
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                gain = 2.0 if "keypoint_detector" in name else 0.5
                torch.nn.init.xavier_normal_(parameter, gain=gain)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor


def write_loftr(folder: Path, photos: list[NDArray[np.uint8]]) -> Any:  # noqa: ANN401
    """Write an EfficientLoFTR whose random weights tell cells of two photos apart; return it."""
    import transformers

    processor = transformers.EfficientLoFTRImageProcessor(size={"height": 192, "width": 256})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        config = transformers.EfficientLoFTRConfig(
            stage_num_blocks=[1, 1, 1, 1], out_features=[16, 16, 24, 32], hidden_size=32,
            num_attention_layers=1, coarse_matching_threshold=0.0,
            coarse_matching_temperature=2e-5, fine_matching_slice_dim=4,
        )  # fmt: skip
        model = transformers.EfficientLoFTRForKeypointMatching(config)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                torch.nn.init.xavier_normal_(parameter)
            if "layer_norm" in name:  # little attention: what a cell sees counts, not where it is
                parameter.data.mul_(0.02)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # means and deviations of these photos
    with torch.inference_mode():
        model.train()(**processor(photos, return_tensors="pt"))
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return model, processor
