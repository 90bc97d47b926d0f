"""The network equals a literal rendition of the paper's equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models import vgg16

from vpr.aggregators.netvlad import NetVLAD
from vpr.encoders.vgg16 import build_layers, make_encoder, random_weights
from vpr.features.encoder import find_split, tensor_shapes
from vpr.features.input_rules import MEAN, STD, normalise
from vpr.features.model import Model
from vpr.network.head import load_head
from vpr.network.initial_clusters import initial_pool


def literal_vlad(
    features: np.ndarray, weight: np.ndarray, centroids: np.ndarray, bias: np.ndarray
) -> np.ndarray:
    """NetVLAD of one image's features (P, C) by loops, float64 (CVPR 2016, equation 4)."""
    num_clusters, dim = centroids.shape
    vlad = np.zeros((num_clusters, dim))
    for feature in features.astype(np.float64):
        x = feature / np.sqrt(sum(value**2 for value in feature))
        scores = [
            np.exp(sum(w * v for w, v in zip(row, x, strict=True)) + b)
            for row, b in zip(weight, bias, strict=True)
        ]
        for k in range(num_clusters):
            vlad[k] += scores[k] / sum(scores) * (x - centroids[k])
    for k in range(num_clusters):
        vlad[k] /= np.linalg.norm(vlad[k])
    return vlad.reshape(-1) / np.linalg.norm(vlad)


@pytest.mark.parametrize("with_bias", [False, True])
def test_netvlad_equals_the_loops_for_any_batch(with_bias: bool) -> None:
    torch.manual_seed(0)
    layer = NetVLAD(3, 5, with_bias=with_bias)
    torch.nn.init.normal_(layer.centroids)
    features = torch.randn(4, 5, 2, 3)
    together = layer(features).detach().numpy()
    weight = layer.conv.weight.detach().numpy()[:, :, 0, 0]
    centroids = layer.centroids.detach().numpy()
    bias = layer.conv.bias.detach().numpy() if with_bias else np.zeros(3)
    for image, ours in zip(features.numpy(), together, strict=True):
        literal = literal_vlad(image.reshape(5, -1).T, weight, centroids, bias)
        np.testing.assert_allclose(ours, literal, atol=1e-6)


def test_encoder_is_torchvisions_vgg16_without_its_last_two_modules() -> None:
    state = random_weights(0)
    reference = vgg16(weights=None).features[:-2].eval()
    reference.load_state_dict({k.removeprefix("encoder."): v for k, v in state.items()})
    frozen, tail = build_layers(0, 24).eval(), build_layers(24, 29).eval()
    for part in (frozen, tail):
        names = part.state_dict()
        part.load_state_dict({name: state[f"encoder.{name}"] for name in names})
    image = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        torch.testing.assert_close(tail(frozen(image)), reference(image), atol=1e-5, rtol=1e-5)
        assert tuple(frozen(image).shape[1:]) == make_encoder().map_shape("conv5_1", 48, 64)


def test_pixels_are_normalised_as_torchvision_does() -> None:
    pixels = torch.tensor([[[[255, 0, 128]]]], dtype=torch.uint8)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    torch.testing.assert_close(normalise(pixels, MEAN, STD)[0, :, 0, 0], torch.tensor(expected))


def test_random_weights_repeat_and_have_he_deviation() -> None:
    first, again, other = random_weights(1), random_weights(1), random_weights(2)
    assert {name: tuple(tensor.shape) for name, tensor in first.items()} == tensor_shapes(
        make_encoder()
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.0.weight"], other["encoder.0.weight"])
    assert float(first["encoder.28.weight"].std()) == pytest.approx((2 / 4608) ** 0.5, rel=0.01)


def test_first_clusters_are_the_means_and_the_second_weighs_a_hundredth() -> None:
    rng = np.random.default_rng(0)
    means = np.eye(8, dtype=np.float32)[:3]
    samples = np.repeat(means, 50, axis=0) + rng.normal(0, 0.02, (150, 8)).astype(np.float32)
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    pool = initial_pool(samples, num_clusters=3, vlad_version=1, seed=0)
    found = pool["pool.centroids"].numpy()
    assert sorted(found.argmax(axis=1).tolist()) == [0, 1, 2]
    assert np.abs(np.sort(found.max(axis=1)) - 1).max() < 0.05
    weight = pool["pool.conv.weight"][:, :, 0, 0].numpy()
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosines = np.sort(samples @ unit.T, axis=1)
    alpha = -np.log(0.01) / np.mean(cosines[:, -1] - cosines[:, -2])
    np.testing.assert_allclose(weight, alpha * unit, rtol=1e-4)
    scores = np.sort(samples @ weight.T, axis=1)
    assert np.mean(scores[:, -1] - scores[:, -2]) == pytest.approx(np.log(100), rel=1e-3)


@pytest.mark.parametrize("vlad_version", [1, 2])
def test_features_without_length_form_no_cluster(vlad_version: int) -> None:
    # A third of the positions is dark. A cluster of them would point anywhere, at full weight.
    samples = np.abs(np.random.default_rng(0).normal(size=(600, 16))).astype(np.float32)
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    dark = samples.copy()
    dark[::3] = 0
    pool, expected = (
        initial_pool(rows, num_clusters=8, vlad_version=vlad_version, seed=0)
        for rows in (dark, np.delete(samples, np.s_[::3], axis=0))
    )
    for name, tensor in expected.items():
        torch.testing.assert_close(pool[name], tensor, rtol=0, atol=0)
    assert pool["pool.centroids"].norm(dim=1).min() > 0.5


def test_clusters_of_version_2_assign_by_squared_distance() -> None:
    rng = np.random.default_rng(1)
    samples = rng.normal(0.3, 1, (200, 6)).astype(np.float32)
    samples /= np.linalg.norm(samples, axis=1, keepdims=True)
    pool = initial_pool(samples, num_clusters=4, vlad_version=2, seed=0)
    centroids = pool["pool.centroids"].numpy()
    squares = ((samples[:, None] - centroids) ** 2).sum(axis=2)  # (200, 4)
    nearest = np.sort(squares, axis=1)
    alpha = -np.log(0.01) / np.mean(nearest[:, 1] - nearest[:, 0])
    expected = np.exp(-alpha * squares)
    expected /= expected.sum(axis=1, keepdims=True)
    scores = torch.from_numpy(samples) @ pool["pool.conv.weight"][:, :, 0, 0].T
    assigned = (scores + pool["pool.conv.bias"]).softmax(dim=1).numpy()
    np.testing.assert_allclose(assigned, expected, atol=2e-5)


def test_too_few_or_equal_samples_for_clusters_are_refused() -> None:
    with pytest.raises(ValueError, match="num_clusters = 4"):
        initial_pool(np.eye(3, dtype=np.float32), num_clusters=4, vlad_version=1, seed=0)


@pytest.mark.parametrize("value", ["conv1_1", "conv6_1", "24"])
def test_the_encoder_is_split_only_at_a_layer_that_can_train(value: str) -> None:
    with pytest.raises(ValueError, match=f"trainable_from = {value}: .*conv5_1.*pool"):
        find_split("vgg16", None, value)


def test_a_model_of_another_form_is_refused_by_tensor() -> None:
    state = random_weights(0) | {
        "pool.centroids": torch.zeros(2, 512),
        "pool.conv.weight": torch.zeros(3, 512, 1, 1),
    }
    with pytest.raises(ValueError, match=r"pool\.conv\.weight"):
        load_head(Model("vgg16", None, "conv5_1", state))
    with pytest.raises(ValueError, match="never initialised"):
        load_head(Model("vgg16", None, "conv5_1", random_weights(0)))
