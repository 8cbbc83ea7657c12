"""The hourglass that tells depth from one picture: the part of DAIN that decides what is in front.

Chen et al. 2016, https://arxiv.org/abs/1604.03901, with the weights of MegaDepth (Li and Snavely 2018,
https://arxiv.org/abs/1804.00607), as it is part of DAIN (https://github.com/baowenbo/DAIN).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDE = (3, 7, 11)
"""The larger kernels; the others are 3, 5 and 7 pixels wide."""

Branches = Sequence[tuple[int, int, int]]
"""Of each branch: the size of its kernel, its features before, and its features after that."""


def _normalised(inside: int, outside: int, size: int) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, size, padding=size // 2), nn.BatchNorm2d(outside, affine=False), nn.ReLU()]


class Inception(nn.ModuleList):
    """Convolutions of several sizes side by side: one of a pixel alone, and wider ones after such a one."""

    def __init__(self, inside: int, alone: int, branches: Branches) -> None:
        super().__init__([nn.Sequential(*_normalised(inside, alone, 1))])
        for size, narrow, wide in branches:
            self.append(nn.Sequential(*_normalised(inside, narrow, 1), *_normalised(narrow, wide, size)))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self], dim=1)


class Ways(nn.ModuleList):
    def forward(self, x: Tensor) -> list[Tensor]:
        return [way(x) for way in self]


class Sum(nn.ModuleList):
    """What two ways from the same features give together; the published names have one more level than there is."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__([Ways([one, other])])

    def forward(self, x: Tensor) -> Tensor:
        one, other = self[0](x)
        total: Tensor = one + other
        return total


def _inception(inside: int, outside: int, narrow: int, sizes: tuple[int, int, int] = (3, 5, 7)) -> Inception:
    return Inception(inside, outside, [(size, narrow, outside) for size in sizes])


def _smaller(pool: nn.Module, *steps: nn.Module) -> nn.Sequential:
    """The steps at half the size."""
    return nn.Sequential(pool, *steps, nn.UpsamplingNearest2d(scale_factor=2))


def depth_hourglass() -> nn.Module:
    """From ``(N, 3, H, W)``, RGB in [0, 1], to the logarithm of depth ``(N, 1, H, W)``; sides a multiple of 16."""
    # The published order of the two ways differs between the sizes, and so does how they are made smaller.
    sixteenth = Sum(
        nn.Sequential(_inception(256, 64, 32), _inception(256, 64, 32)),
        _smaller(nn.AvgPool2d(2), _inception(256, 64, 32), _inception(256, 64, 32), _inception(256, 64, 32)),
    )
    eighth = Sum(
        nn.Sequential(_inception(256, 64, 32), _inception(256, 64, 64, WIDE)),
        _smaller(
            nn.AvgPool2d(2),
            *(_inception(256, 64, 32), _inception(256, 64, 32)),
            sixteenth,
            *(_inception(256, 64, 32), _inception(256, 64, 64, WIDE)),
        ),
    )
    quarter = Sum(
        _smaller(
            nn.MaxPool2d(2),
            *(_inception(128, 32, 32), _inception(128, 64, 32)),
            eighth,
            *(_inception(256, 64, 32), _inception(256, 32, 32)),
        ),
        nn.Sequential(_inception(128, 32, 32), _inception(128, 32, 64, WIDE)),
    )
    half = Sum(
        _smaller(
            nn.MaxPool2d(2),
            *(_inception(128, 32, 32), _inception(128, 32, 32)),
            quarter,
            *(_inception(128, 32, 64), _inception(128, 16, 32, WIDE)),
        ),
        nn.Sequential(_inception(128, 16, 64, WIDE)),
    )
    return nn.Sequential(
        nn.Conv2d(3, 128, 7, padding=3), nn.BatchNorm2d(128), nn.ReLU(), half, nn.Conv2d(64, 1, 3, padding=1)
    )
