"""Run the body of a network in a lower precision and keep the promise that the picture does not suffer.

The layers that a network names (its last one) stay in float32, and so do its input and the residual base, because each
layer casts what it is given to the precision of its own weights and nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

RAMP_CODES = 0.9
"""The share of the distinct 10-bit codes of a smooth ramp that a lower precision must keep to be used above 8 bits."""


def leaves(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The layers of a network that have no layers inside, by name."""
    return [(name, module) for name, module in network.named_modules() if next(module.children(), None) is None]


def layers(network: nn.Module) -> list[nn.Module]:
    """The leaves of a network that have weights: those that take the time."""
    return [module for _, module in leaves(network) if next(module.parameters(recurse=False), None) is not None]


def lower(network: nn.Module, dtype: torch.dtype, keep: Collection[str]) -> nn.Module:
    """Convert the weights of every layer to ``dtype``, but for the layers named in ``keep``."""
    for name, module in leaves(network):
        if name not in keep:
            module.to(dtype)
    return network


def _cast(dtype: torch.dtype) -> Callable[[nn.Module, tuple[Any, ...]], tuple[Any, ...]]:
    def cast(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs)

    return cast


@contextmanager
def watched(network: nn.Module, before_layer: Callable[[], None]) -> Iterator[None]:
    """Inside, each of ``layers`` casts its input to its own precision, and before it ``before_layer`` is called.

    ``before_layer`` may raise: that is how work is stopped in the middle of a network.
    """
    handles = []
    try:
        for module in layers(network):
            handles.append(module.register_forward_pre_hook(_cast(next(module.parameters(recurse=False)).dtype)))
            handles.append(module.register_forward_pre_hook(lambda _module, _inputs: before_layer()))
        yield
    finally:
        for handle in handles:
            handle.remove()


def ramp(width: int = 256, height: int = 16) -> Tensor:
    """A smooth grey ramp ``(1, 3, height, width)`` over half of the 10-bit codes.

    Enlarged four times, it has two pixels for each code: too few for noise to hit the codes that banding loses.
    """
    line = torch.linspace(0.25, 0.75, width)
    return line.expand(1, 3, height, width).contiguous(memory_format=torch.channels_last)


def kept_codes(result: Tensor, reference: Tensor) -> float:
    """The share of the distinct 10-bit codes of a row of ``reference`` that the same row of ``result`` has."""
    row = reference.shape[-2] // 2

    def codes(picture: Tensor) -> set[int]:
        return set((picture[0, 1, row].float().clamp(0, 1) * 1023).round().int().tolist())

    wanted = codes(reference)
    return len(codes(result) & wanted) / len(wanted)
