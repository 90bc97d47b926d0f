"""Published methods read slowly from their authors' files: plain torch under the authors' names."""

from __future__ import annotations

import math

import numpy as np
import timm
import torch
from PIL import Image
from timm.models import register_model
from torch import Tensor, nn

MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


@register_model
def shallow_dinov2(pretrained: bool = False, **settings: object) -> nn.Module:
    return timm.create_model("vit_base_patch14_dinov2", depth=2, mlp_ratio=1 / 4, **settings)


@register_model
def shallow_resnet50(pretrained: bool = False, **settings: object) -> nn.Module:
    return timm.create_model("resnet50", layers=(1, 1, 1, 1), base_width=16, **settings)


@register_model
def narrow_vgg16(pretrained: bool = False, **settings: object) -> nn.Module:
    return timm.create_model("vgg16", mlp_ratio=1 / 64, **settings)


class File:
    """Tensors by the authors' names, which remembers those that were asked for."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        """Keep them."""
        self.tensors, self.left = tensors, set(tensors)

    def __getitem__(self, name: str) -> Tensor:
        """Give a tensor."""
        self.left.discard(name)
        return self.tensors[name]

    def below(self, prefix: str) -> dict[str, Tensor]:
        """Give all tensors whose names begin so, without that beginning."""
        names = [name for name in self.tensors if name.startswith(prefix)]
        return {name.removeprefix(prefix): self[name] for name in names}

    def linear(self, name: str, rows: Tensor) -> Tensor:
        """W x + b of each row; W may be a 1x1 convolution."""
        return rows @ self[f"{name}.weight"].flatten(1).T + self[f"{name}.bias"]

    def norm(self, name: str, rows: Tensor, eps: float = 1e-5) -> Tensor:
        """LayerNorm of each row."""
        centred = rows - rows.mean(dim=-1, keepdim=True)
        unit = centred / (centred.pow(2).mean(dim=-1, keepdim=True) + eps).sqrt()
        return unit * self[f"{name}.weight"] + self[f"{name}.bias"]

    def attention(self, name: str, asked: Tensor, seen: Tensor) -> Tensor:
        """What rows (Q, d) find in rows (P, d), with heads of 64 channels."""
        packed = self[f"{name}.in_proj_weight"].chunk(3), self[f"{name}.in_proj_bias"].chunk(3)
        queries, keys, values = (
            rows @ weight.T + bias
            for rows, weight, bias in zip((asked, seen, seen), *packed, strict=True)
        )
        heads = []
        for own in torch.arange(asked.shape[1]).split(64):
            scores = (queries[:, own] @ keys[:, own].T / 8).exp()
            heads.append(scores / scores.sum(dim=1, keepdim=True) @ values[:, own])
        return self.linear(f"{name}.out_proj", torch.cat(heads, dim=1))


def unit(values: Tensor) -> Tensor:
    return values / values.pow(2).sum().sqrt()


def triangle(t: float) -> float:
    return max(0.0, 1 - abs(t))


def keys(t: float, a: float = -0.5) -> float:
    """Keys' cubic kernel, with a as Pillow has it."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0


def resizing(out: int, side: int, kernel: str) -> Tensor:
    """Matrix (out, side) of resizing with antialiasing: weights of a kernel, widened to shrink."""
    weigh, reach = {"bilinear": (triangle, 1), "bicubic": (keys, 2)}[kernel]
    step = side / out
    wide = max(1.0, step)
    rows = torch.zeros(out, side)
    for place in range(out):
        centre = (place + 0.5) * step
        first, last = int(centre - reach * wide + 0.5), int(centre + reach * wide + 0.5)
        for near in range(max(0, first), min(side, last)):
            rows[place, near] = weigh((near + 0.5 - centre) / wide)
    return rows / rows.sum(dim=1, keepdim=True)


def photo_input(photo: np.ndarray, size: tuple[int, int], kernel: str, kind: str) -> Tensor:
    """Image (3, H', W') of a photo, resized as bytes by Pillow or as numbers in [0, 1]."""
    if kind == "bytes":
        resample = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
        photo = np.asarray(Image.fromarray(photo).resize(size[::-1], resample[kernel]))
    image = torch.tensor(photo).permute(2, 0, 1) / 255
    if kind == "numbers":
        down, across = (
            resizing(n, side, kernel) for n, side in zip(size, photo.shape, strict=False)
        )
        image = down @ image @ across.T
    return (image - MEAN) / STD


def dinov2_positions(table: Tensor, height: int, width: int) -> Tensor:
    """Positions (H, W, C) of a square table (side, side, C), as DINOv2's own code resamples it.

    Bicubic by loops over the kernel with torch's a, at (H + 0.1) / side.
    """

    def matrix(out: int, side: int) -> Tensor:
        rows = torch.zeros(out, side)
        for place in range(out):
            source = (place + 0.5) * side / (out + 0.1) - 0.5
            for near in range(math.floor(source) - 1, math.floor(source) + 3):
                rows[place, min(max(near, 0), side - 1)] += keys(source - near, a=-0.75)
        return rows

    side = len(table)
    return torch.einsum("hy,wx,yxc->hwc", matrix(height, side), matrix(width, side), table)


def dinov2_tokens(network: nn.Module, images: Tensor) -> Tensor:
    """All tokens of DINOv2's blocks, before the last norm."""
    patches = network.patch_embed.proj(images)  # (N, C, H, W)
    table = network.pos_embed[0, 1:].reshape(37, 37, -1)
    grid = dinov2_positions(table, *patches.shape[2:])
    tokens = patches.flatten(2).transpose(1, 2) + grid.flatten(0, 1)
    first = (network.cls_token + network.pos_embed[:, :1]).expand(len(images), -1, -1)
    return network.blocks(torch.cat([first, tokens], dim=1))


def salad(file: File, token: Tensor, rows: Tensor, prefix: str) -> Tensor:
    """SALAD of a token (C,) and positions (n, C): 64 clusters by three steps of transport."""

    def two(first: str, second: str, values: Tensor) -> Tensor:
        return file.linear(prefix + second, file.linear(prefix + first, values).relu())

    count, mass = len(rows), 1 / (len(rows) + 64)
    scores = two("score.0", "score.3", rows).T
    full = torch.cat([scores, file[f"{prefix}dust_bin"].expand(1, count)]).double().exp()
    down, across = torch.ones(65).double(), torch.ones(count).double()
    masses = torch.tensor([mass] * 64 + [mass * (count - 64)]).double()
    for _ in range(3):
        down = masses / (full @ across)
        across = mass / (down @ full)
    shares = ((down[:, None] * full * across)[:-1] / mass).float()
    clusters = two("cluster_features.0", "cluster_features.3", rows).T @ shares.T  # (l, 64)
    clusters = torch.stack([unit(column) for column in clusters.T], dim=1)
    first = unit(two("token_features.0", "token_features.2", token))
    return unit(torch.cat([first, clusters.flatten()]))


def boq(file: File, maps: Tensor) -> Tensor:
    """BoQ of a map (C, H, W)."""
    mixed = nn.functional.conv2d(
        maps[None], file["aggregator.proj_c.weight"], file["aggregator.proj_c.bias"], padding=1
    )
    rows = file.norm("aggregator.norm_input", mixed[0].flatten(1).T)
    answers = []
    for block in ("aggregator.boqs.0.", "aggregator.boqs.1."):
        layer = f"{block}encoder."
        rows = rows + file.attention(f"{layer}self_attn", rows, rows)
        rows = file.norm(f"{layer}norm1", rows)
        rows = rows + file.linear(f"{layer}linear2", file.linear(f"{layer}linear1", rows).relu())
        rows = file.norm(f"{layer}norm2", rows)
        queries = file[f"{block}queries"][0]
        queries = queries + file.attention(f"{block}self_attn", queries, queries)
        queries = file.norm(f"{block}norm_q", queries)
        found = file.attention(f"{block}cross_attn", queries, rows)
        answers.append(file.norm(f"{block}norm_out", found))
    return unit(file.linear("aggregator.fc", torch.cat(answers).T).flatten())


def gem(file: File, maps: Tensor) -> Tensor:
    """GeM of unit features of a map (C, H, W), with a linear layer."""
    p = file["aggregation.1.p"]
    rows = torch.stack([unit(row) for row in maps.flatten(1).T]).clamp(min=1e-6)
    return unit(file.linear("aggregation.3", rows.pow(p).mean(dim=0).pow(1 / p)))


def mixvpr(file: File, maps: Tensor) -> Tensor:
    """MixVPR of a map (C, H, W)."""
    rows = maps.flatten(1)
    for number in range(4):
        name = f"aggregator.mix.{number}.mix"
        hidden = file.linear(f"{name}.1", file.norm(f"{name}.0", rows)).relu()
        rows = rows + file.linear(f"{name}.3", hidden)
    mixed = file.linear("aggregator.channel_proj", rows.T).T
    return unit(file.linear("aggregator.row_proj", mixed).flatten())


def convap(file: File, maps: Tensor) -> Tensor:
    """Conv-AP of a map (C, H, W) with sides that 2 divides."""
    mixed = file.linear("aggregator.channel_pool", maps.permute(1, 2, 0)).permute(2, 0, 1)
    height, width = (side // 2 for side in mixed.shape[1:])
    cells = [
        mixed[:, y : y + height, x : x + width].mean(dim=(1, 2))
        for y in (0, height) for x in (0, width)
    ]  # fmt: skip
    return unit(torch.stack(cells, dim=1).flatten())
