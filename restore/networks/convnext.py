"""ConvNeXt (Liu et al. 2022, https://arxiv.org/abs/2201.03545) as an encoder whose four levels are read."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of ``(N, C, H, W)``."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return result


class Block(nn.Module):
    """A 7x7 convolution of each channel, then a perceptron at each place, scaled by ``gamma``, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.pwconv1 = nn.Linear(width, 4 * width)
        self.pwconv2 = nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        y = self.gamma * self.pwconv2(functional.gelu(self.pwconv1(y)))
        result: Tensor = x + y.permute(0, 3, 1, 2)
        return result


class ConvNeXt(nn.Module):
    """``depths`` blocks of ``widths`` features at 1/4, 1/8, 1/16 and 1/32 of the size.

    The norm of a level is that of what is read of it: the next level goes on from the features before it. ``norm``,
    which the classifier had read, is in the published files and changes nothing here.
    """

    def __init__(self, depths: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList([nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), ChannelNorm(widths[0]))])
        for before, width in pairwise(widths):
            self.downsample_layers.append(nn.Sequential(ChannelNorm(before), nn.Conv2d(before, width, 2, 2)))
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth))) for depth, width in zip(depths, widths, strict=True)
        )
        for level, width in enumerate(widths):
            self.add_module(f"norm{level}", ChannelNorm(width))
        self.norm = nn.LayerNorm(widths[-1], eps=EPSILON)

    def forward(self, x: Tensor) -> list[Tensor]:
        """``(N, 3, H, W)``, sides multiples of 32, to the four levels, the finest first."""
        levels = []
        for level, (down, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            x = stage(down(x))
            levels.append(self.get_submodule(f"norm{level}")(x))
        return levels
