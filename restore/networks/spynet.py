"""SPyNet: optical flow from coarse to fine, as the networks for clips carry it inside.

Ranjan and Black 2017, https://arxiv.org/abs/1611.00850. The published networks hold it in three forms, which differ
in the layers of a level and in the names of their weights; what happens around the layers is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.flow_warp import flow_warp
from restore.networks.residual import SLOPE

MULTIPLE = 32
"""The sides of the frames are resized to multiples of this, whatever the number of levels."""

WIDTHS_7X7 = (8, 32, 64, 32, 16, 2)
"""Channels between the 7x7 convolutions of a level of the original network."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PlainLevel(nn.Module):
    """The layers of a level under BasicSR's names: convolutions and ReLUs counted in one row."""

    def __init__(self) -> None:
        super().__init__()
        rows: list[nn.Module] = []
        for before, after in pairwise(WIDTHS_7X7):
            rows += [nn.Conv2d(before, after, 7, padding=3), nn.ReLU()]
        self.basic_module = nn.Sequential(*rows[:-1])

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.basic_module(x)
        return result


class Layer(nn.Module):
    """A convolution and what follows it, under the name ``conv``."""

    def __init__(self, before: int, after: int, kernel: int, activation: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, padding=kernel // 2)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.activation(self.conv(x))
        return result


class LayeredLevel(nn.Module):
    """The layers of a level under the names of mmagic and PaddleGAN: one number for a convolution and its activation.

    ``widths`` are the channels before, between and after the convolutions; the last one has no activation.
    """

    def __init__(self, widths: Sequence[int], kernel: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        last = len(widths) - 2
        self.basic_module = nn.Sequential(
            *(
                Layer(before, after, kernel, nn.Identity() if i == last else activation())
                for i, (before, after) in enumerate(pairwise(widths))
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.basic_module(x)
        return result


class SpyNet(nn.Module):
    """Optical flow with one ``level`` of layers for each size of the pyramid, the smallest first."""

    mean: Tensor
    std: Tensor

    def __init__(self, level: Callable[[], nn.Module], levels: int) -> None:
        super().__init__()
        self.basic_module = nn.ModuleList(level() for _ in range(levels))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, frame: Tensor, other: Tensor) -> Tensor:
        """Where each pixel of ``frame`` is in ``other``.

        Both are ``(N, 3, H, W)`` R'G'B' in [0, 1] of any size; the result is ``(N, 2, H, W)`` in pixels, x before y.
        """
        height, width = frame.shape[-2:]
        size = height + -height % MULTIPLE, width + -width % MULTIPLE
        flow = self._flow(self._pyramid(_resize(frame, size)), self._pyramid(_resize(other, size)))
        scale = torch.tensor([width / size[1], height / size[0]], device=flow.device, dtype=flow.dtype)
        return _resize(flow, (height, width)) * scale.view(1, 2, 1, 1)

    def _pyramid(self, frame: Tensor) -> list[Tensor]:
        """The normalised frame, smallest size first."""
        sizes = [(frame - self.mean) / self.std]
        for _ in range(len(self.basic_module) - 1):
            sizes.append(functional.avg_pool2d(sizes[-1], 2))
        return sizes[::-1]

    def _flow(self, frames: list[Tensor], others: list[Tensor]) -> Tensor:
        flow: Tensor | None = None
        for level, frame, other in zip(self.basic_module, frames, others, strict=True):
            if flow is None:
                flow = torch.zeros_like(frame[:, :2])
            else:
                flow = 2 * functional.interpolate(flow, scale_factor=2, mode="bilinear", align_corners=True)
            flow = flow + level(torch.cat((frame, flow_warp(other, flow, padding="border"), flow), dim=1)).to(
                flow.dtype
            )
        assert flow is not None
        return flow


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def plain_spynet() -> SpyNet:
    """The original network under BasicSR's names."""
    return SpyNet(PlainLevel, 6)


def layered_spynet() -> SpyNet:
    """The original network under mmagic's names."""
    return SpyNet(lambda: LayeredLevel(WIDTHS_7X7, 7, nn.ReLU), 6)


def modified_spynet(widths: Sequence[int], levels: int) -> SpyNet:
    """PaddleGAN's variant with 3x3 convolutions and leaky ReLUs."""
    return SpyNet(lambda: LayeredLevel(widths, 3, lambda: nn.LeakyReLU(SLOPE)), levels)


def flow_macs(widths: Sequence[int] = WIDTHS_7X7, kernel: int = 7) -> int:
    """Multiply-accumulates for each pixel of the flow between two frames, both ways; the smaller sizes add a third."""
    return 2 * kernel**2 * sum(a * b for a, b in pairwise(widths)) * 4 // 3


def flow_layers(prefix: str = "spynet.") -> frozenset[str]:
    """The names of the convolutions of a network called ``prefix``, in any of the three forms."""
    names = {f"{prefix}basic_module.{i}.basic_module.{j}" for i in range(6) for j in range(16)}
    return frozenset(names | {f"{name}.conv" for name in names})


class PairFlow(NamedTuple):
    """Optical flow between two neighbouring frames, each ``(N, 2, H, W)``."""

    backward: Tensor
    """From the earlier frame to the later one: brings what belongs to the later frame onto the earlier one."""

    forward: Tensor
    """From the later frame to the earlier one: brings what belongs to the earlier frame onto the later one."""


def pair_flow(spynet: nn.Module, earlier: Tensor, later: Tensor) -> PairFlow:
    """The flow between two frames ``(N, 3, H, W)``, both ways in one pass."""
    flows: Tensor = spynet(torch.cat((earlier, later)), torch.cat((later, earlier)))
    return PairFlow(*flows.chunk(2))


def neighbour_flows(
    spynet: nn.Module, frames: Tensor, previous: Tensor | None, known: Sequence[PairFlow] = ()
) -> list[PairFlow | None]:
    """For each of ``frames (N, T, 3, H, W)`` the flow between the one before it and itself.

    ``previous`` is the frame before the first one, where there is one; without it the first entry is ``None``. The
    first entries are ``known`` already where an earlier call looked that far ahead; they are not computed again.
    """
    flows: list[PairFlow | None] = list(known)
    for i in range(len(flows), frames.shape[1]):
        earlier = frames[:, i - 1] if i else previous
        flows.append(None if earlier is None else pair_flow(spynet, earlier, frames[:, i]))
    return flows
