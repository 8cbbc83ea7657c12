"""Which way from frames to frames belongs to which network, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from restore import catalog
from restore.colour import ddcolor, deoldify, small
from restore.networks import colour_small
from restore.networks import ddcolor as ddcolor_network
from restore.networks import deoldify as deoldify_network

SAMPLE_SIDE = 128
"""Pixels. With the networks of DDColor and DeOldify, PSNR between two precisions is within 1.5 dB of that at full size.
"""


@dataclass(frozen=True)
class Method:
    """The way of one kind of network."""

    colourise: Callable[[nn.Module, Tensor, int], Tensor]
    """The published result for frames ``(N, 3, H, W)`` in [0, 1], with a network and a render factor."""

    sample: Callable[[nn.Module, Tensor, int], Tensor] | None
    """A coarse version of that, from a square of ``SAMPLE_SIDE``: it shows what a lower precision does to the picture.
    ``None`` for a network that always runs in float32."""

    side: Callable[[int], int]
    """Side of the square that the network sees, for a render factor."""

    macs_per_pixel: Callable[[Mapping[str, Any]], float]
    """Multiply-accumulate operations for each pixel of that square, by the arguments of the checkpoint."""


METHODS: Mapping[str, Method] = {
    "deoldify": Method(
        deoldify.colourise,
        lambda network, frames, _factor: deoldify.colourise(network, frames, SAMPLE_SIDE // deoldify.PIXELS_PER_FACTOR),
        lambda factor: deoldify.PIXELS_PER_FACTOR * factor,
        lambda arguments: deoldify_network.MACS_PER_PIXEL[arguments["kind"]],
    ),
    "ddcolor": Method(
        lambda network, frames, _factor: ddcolor.colourise(network, frames),
        lambda network, frames, _factor: ddcolor.colourise(network, frames, SAMPLE_SIDE),
        lambda _factor: ddcolor.SIDE,
        lambda arguments: ddcolor_network.MACS_PER_PIXEL[arguments["encoder"]],
    ),
    "colour-small": Method(
        lambda network, frames, _factor: small.colourise(network, frames),
        None,
        lambda _factor: small.SIDE,
        lambda _arguments: colour_small.MACS_PER_PIXEL,
    ),
}
"""By the kind of network."""


def method_of(model: str) -> Method:
    """The way of the model ``model``."""
    return METHODS[catalog.checkpoint(model).network]


def macs(model: str, render_factor: int) -> float:
    """Multiply-accumulate operations that ``model`` takes for a frame, whatever the frame's size."""
    method = method_of(model)
    return method.side(render_factor) ** 2 * method.macs_per_pixel(catalog.checkpoint(model).arguments)
