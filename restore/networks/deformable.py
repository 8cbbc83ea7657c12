"""Modulated deformable convolution, 3x3: each tap looks up the features beside its place and weighs what it finds.

Zhu et al. 2019, https://arxiv.org/abs/1811.11168.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from restore.networks.residual import SLOPE

TAPS = 9

PARTS = 4
"""A convolution is made in so many parts: for each it copies its share of the features nine times."""


class DeformableConv(nn.Module):
    """The convolution itself, with offsets and masks from outside; ``groups`` of the channels have their own."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, channels_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        nn.init.kaiming_uniform_(self.weight)

    def deform(self, features: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, channels, H, W)``.

        ``offset (N, 2 * groups * 9, H, W)`` is in pixels, y before x for each tap; ``mask (N, groups * 9, H, W)``.
        It is computed in float32, for which alone torchvision has it on every device, and keeps the features' type.
        """
        groups = mask.shape[1] // TAPS
        parts = PARTS if groups % PARTS == 0 else 1
        result = self.bias.float().view(1, -1, 1, 1)
        for group, moved, weight, share in zip(
            features.float().chunk(parts, dim=1),
            offset.float().chunk(parts, dim=1),
            self.weight.float().chunk(parts, dim=1),
            mask.float().chunk(parts, dim=1),
            strict=True,
        ):
            result = result + deform_conv2d(group, moved, weight, padding=1, mask=share)
        return result.to(features.dtype)

    def forward(self, features: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        return self.deform(features, offset, mask)


class DeformablePack(DeformableConv):
    """A deformable convolution that finds its offsets and masks in other features, with one convolution (EDVR)."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, channels)
        self.conv_offset = nn.Conv2d(channels, 3 * TAPS * groups, 3, padding=1)

    def forward(self, features: Tensor, guide: Tensor) -> Tensor:  # type: ignore[override]
        """Both ``(N, C, H, W)``: what is deformed, and what says how."""
        offset, mask = offset_and_mask(self.conv_offset(guide))
        return self.deform(features, offset, mask)


def offset_and_mask(values: Tensor) -> tuple[Tensor, Tensor]:
    """Split the answer of an offset head: two thirds are offsets, the last third becomes the mask in [0, 1]."""
    taps = values.shape[1] // 3
    return values[:, : 2 * taps], values[:, 2 * taps :].sigmoid()


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
    found = 3 * TAPS * groups
    return 2 * found + TAPS * channels // PARTS + 5 * channels
