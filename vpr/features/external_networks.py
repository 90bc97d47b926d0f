"""Networks of other libraries: run under their own names, taken apart and measured by running."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights

from vpr.runtime.external_code import external_code

Key = tuple[int, int]  # of a tensor at one time: its identity, and how often it was written to

REGISTRIES = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")


class Adopted(nn.Module, ABC):
    """A module whose tensors have a network's own names: the registries are the network's own.

    Args:
        network: The network; what it has at this time.
        subject: What messages about it begin with.
    """

    network: Any  # has methods of its own

    def __init__(self, network: nn.Module, subject: str) -> None:
        """Share the registries."""
        super().__init__()
        for registry in REGISTRIES:
            self.__dict__[registry] = network.__dict__[registry]
        self.__dict__["network"] = network  # not as a module, which would add to the names
        self.subject = subject

    def forward(self, values: Tensor) -> Tensor:
        """Run the network.

        Raises:
            ValueError: If its code raises anything.
        """
        with external_code(self.subject):
            return self.run(values)

    @abstractmethod
    def run(self, values: Tensor) -> Tensor:
        """Run the network; what its code raises is left as it is."""


class Chain(Adopted):
    """Layers of a network that run one after the other; all others are removed.

    Args:
        network: The network, changed in place.
        layers: Their names in it.
        subject: Beginning of error messages.
    """

    def __init__(self, network: nn.Module, layers: tuple[str, ...], subject: str) -> None:
        """Keep the layers."""
        keep_layers(network, layers)
        super().__init__(network, subject)
        self.layers = layers

    def run(self, values: Tensor) -> Tensor:
        """Run the layers."""
        for name in self.layers:
            values = self.get_submodule(name)(values)
        return values


def keep_layers(network: nn.Module, layers: tuple[str, ...]) -> None:
    """Remove all layers except those named; the network changes in place."""
    for name, module in list(network.named_modules()):
        inside = any(name == layer or name.startswith(f"{layer}.") for layer in layers)
        above = not name or any(layer.startswith(f"{name}.") for layer in layers)
        if above and not inside:
            module._parameters.clear()
            module._buffers.clear()
        if not above and not inside:
            parent, _, child = name.rpartition(".")
            try:
                del network.get_submodule(parent)._modules[child]
            except AttributeError:  # went with its parent
                continue


class FrozenNorm(nn.Module):
    """BatchNorm that stays as it was trained, its scales and shifts included if it has some."""

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, trained: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        """Keep its tensors as buffers."""
        super().__init__()
        self.eps = trained.eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            tensor = getattr(trained, name)
            self.register_buffer(name, None if tensor is None else tensor.detach())

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (N, C, ...)."""
        return functional.batch_norm(
            values, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
        )  # fmt: skip


def freeze_norms(network: nn.Module, kind: type[nn.BatchNorm1d | nn.BatchNorm2d]) -> None:
    """Replace every normalisation of a kind by a `FrozenNorm`."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, kind):
                module.add_module(name, FrozenNorm(child))


def fold_norm(conv: Any, norm: Any) -> None:  # noqa: ANN401 - modules of other libraries
    """Fold a frozen normalisation into the weights of the convolution before it."""
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight,
        norm.bias,
    )  # fmt: skip


def run_measured(
    network: nn.Module, run: Callable[[], Tensor], *, num_pixels: int
) -> tuple[Tensor, int]:
    """Run a network, and count the values that it holds at once for each pixel, at most.

    Twice the input and output of the widest layer, since a shortcut may be held as well, with the
    image beside them. Attention is taken to be fused, as torch's is: it holds no value for each
    pair of tokens.

    Args:
        network: The network.
        run: Runs it once.
        num_pixels: Of the image that it is run on.

    Returns:
        What it made, and the count.
    """
    sizes = [0]

    def after(module: nn.Module, taken: tuple[object, ...], given: object) -> None:
        tensors = [one for one in (*taken, given) if isinstance(one, Tensor)]
        sizes.append(sum(tensor.numel() for tensor in tensors))

    leaves = [one for one in network.modules() if not any(True for _ in one.children())]
    hooks = [module.register_forward_hook(after) for module in leaves]
    with torch.no_grad():
        made = run()
    for hook in hooks:
        hook.remove()
    return made, 2 * -(-max(sizes) // num_pixels) + 6


def find_chain(network: nn.Module, images: Tensor, run: Callable[[], Tensor]) -> tuple[str, ...]:
    """Find modules that make a tensor of images one after the other, as many as there are.

    What one call gives and another takes is the same tensor if it is the same object that was not
    written to in between; so the modules that are found make the output, whatever the network's
    own code does beside them.

    Args:
        network: The network.
        images: What the first module takes.
        run: Runs the network on them, and gives the output.

    Returns:
        Their names in order; none if the output is not made by modules alone.
    """
    best: dict[Key, tuple[str, ...]] = {_key(images): ()}
    calls, made = _watch(network, run)
    for name, taken, given in calls:
        if taken in best and given != taken and len(best[taken]) >= len(best.get(given, ())):
            best[given] = (*best[taken], name)
    return best.get(_key(made), ())


def _watch(
    network: nn.Module, run: Callable[[], Tensor]
) -> tuple[list[tuple[str, Key, Key]], Tensor]:
    """Calls of modules that make one tensor of one, in the order they end, and the output."""
    calls: list[tuple[str, Key, Key]] = []
    waiting: list[Key | None] = []
    alive: list[Any] = []  # so that no object takes another's place

    def before(module: nn.Module, taken: tuple[Any, ...], more: dict[str, Any]) -> None:
        alive.append(taken)
        is_one = len(taken) == 1 and isinstance(taken[0], Tensor) and not more
        waiting.append(_key(taken[0]) if is_one else None)

    def after(module: nn.Module, taken: tuple[Any, ...], given: Any) -> None:  # noqa: ANN401
        alive.append(given)
        key = waiting.pop()
        if key is not None and isinstance(given, Tensor):
            calls.append((names[module], key, _key(given)))

    names = {module: name for name, module in network.named_modules()}
    hooks = [module.register_forward_pre_hook(before, with_kwargs=True) for module in names]
    hooks += [module.register_forward_hook(after) for module in names]
    try:
        return calls, run()
    finally:
        for hook in hooks:
            hook.remove()


def _key(tensor: Tensor) -> Key:
    return id(tensor), tensor._version
