"""Modulated deformable convolution, 3x3: each tap looks up the features beside its place and weighs what it finds.

Zhu et al. 2019, https://arxiv.org/abs/1811.11168.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from restore.networks.residual import SLOPE

TAPS = 9

PARTS = 8
"""A convolution is made in so many parts, each with the offsets of its groups: it copies its features nine times."""


class DeformableConv(nn.Module):
    """The convolution itself, with offsets and masks from outside; ``groups`` of the channels have their own."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight)

    def deform(self, features: Tensor, groups: int, find: Callable[[int, int], tuple[Tensor, Tensor]]) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, channels, H, W)``.

        ``find`` is asked for offset and mask of some of the ``groups``, from the first of them up to where they stop:
        ``(N, 2 * 9 * (stop - first), H, W)`` in pixels, y before x for each tap, and ``(N, 9 * (stop - first), H, W)``.
        It is computed in float32, for which alone torchvision has it on every device, and keeps the features' type.
        """
        parts = math.gcd(groups, PARTS)
        result: Tensor | None = None
        for number, (some, weight) in enumerate(
            zip(features.chunk(parts, dim=1), self.weight.float().chunk(parts, dim=1), strict=True)
        ):
            offset, mask = find(number * groups // parts, (number + 1) * groups // parts)
            part = deform_conv2d(some.float(), offset.float(), weight, padding=1, mask=mask.float())
            result = part if result is None else result.add_(part)
        assert result is not None
        return result.add_(self.bias.float().view(1, -1, 1, 1)).to(features.dtype)


class DeformablePack(DeformableConv):
    """A deformable convolution that finds its offsets and masks in other features, with one convolution (EDVR)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, channels)
        self.conv_offset = nn.Conv2d(channels, 3 * TAPS * groups, 3, padding=1)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:
        """Both ``(N, C, H, W)``: what is deformed, and what says how."""
        values = self.conv_offset(guide)
        return self.deform(features, groups_in(values), lambda first, stop: of_groups(values, first, stop))


def groups_in(values: Tensor) -> int:
    """How many groups the answer ``(N, 27 * groups, H, W)`` of an offset head is for."""
    return values.shape[1] // (3 * TAPS)


def of_groups(values: Tensor, first: int, stop: int) -> tuple[Tensor, Tensor]:
    """Offsets and masks of some groups out of the answer of an offset head, in float32.

    Two thirds of the answer are offsets, the last third becomes masks in [0, 1]. What is returned first may be a view
    of ``values``.
    """
    masks = 2 * TAPS * groups_in(values)
    offset = values[:, 2 * TAPS * first : 2 * TAPS * stop].float()
    return offset, values[:, masks + TAPS * first : masks + TAPS * stop].float().sigmoid()


def offset_head(channels_in: int, channels: int, groups: int) -> nn.Sequential:
    """The four convolutions that find offsets and masks in features and flow (BasicVSR++, PP-MSVSR)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, 3 * TAPS * groups, 3, padding=1),
    )


def flow_guided(residue: Tensor, flow: Tensor, magnitude: float) -> Tensor:
    """Offsets ``(N, 2 * taps, H, W)``: ``flow (N, 2, H, W)`` and at most ``magnitude`` pixels beside it.

    It may overwrite ``residue``, which is among the largest tensors of a network.
    """
    offset = residue.float().tanh_().mul_(magnitude)
    for_each_tap = offset.view(len(offset), -1, 2, *offset.shape[-2:])
    for_each_tap.add_(flow.flip(1)[:, None])
    return offset


def alignment_values(channels: int, groups: int) -> int:
    """Numbers for each pixel that finding the offsets and masks and deforming so many channels holds at most."""
    found, parts = 3 * TAPS * groups, math.gcd(groups, PARTS)
    return found + (2 * found + TAPS * channels) // parts + 3 * channels
