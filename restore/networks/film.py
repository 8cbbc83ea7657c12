"""FILM: motion at many sizes with shared weights, then one network that fuses what was moved.

Reda et al. 2022, https://arxiv.org/abs/2202.04901. The keys are those of the PyTorch weights that are published with
https://github.com/dajes/frame-interpolation-pytorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.flow_warp import flow_warp
from restore.networks.frame_padding import Padding, to_multiple

SLOPE = 0.2
LEVELS = 7
"""Sizes at which motion is looked for, each half the one before."""
FUSED_LEVELS = 5
"""The finest of them, from which the frame is put together."""
SUB_LEVELS = 4
FILTERS = 64
"""Features of the finest kind; each next sub-level has twice as many."""
SPECIALISED_FILTERS = (32, 64, 128)
"""Widths of the motion networks of the finest levels."""
SHARED_FILTERS = 256
"""The width of the one motion network that all coarser levels share."""
MULTIPLE = 2 ** (LEVELS - 1)
PIXELS_AND_FLOW = 3 + 2


def _features(level: int) -> int:
    """How many features a frame has at a level, 0 being the finest."""
    return sum(FILTERS << sub for sub in range(min(level + 1, SUB_LEVELS)))


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    return flow_warp(image, flow, padding="border")


def _enlarged(flow: Tensor) -> Tensor:
    """Motion at twice the size, in pixels of that size."""
    return functional.interpolate(2 * flow, scale_factor=2, mode="bilinear", align_corners=False)


def _pyramid(frame: Tensor) -> list[Tensor]:
    """The frame at all sizes, finest first."""
    sizes = [frame]
    while len(sizes) < LEVELS:
        sizes.append(functional.avg_pool2d(sizes[-1], 2))
    return sizes


class Convolution(nn.Sequential):
    """A convolution that keeps the size; an even kernel reaches to the right and down."""

    def __init__(self, inside: int, outside: int, size: int, activated: bool = True) -> None:
        super().__init__(nn.Conv2d(inside, outside, size, padding=size // 2 if size % 2 else 0))
        self.even = size % 2 == 0
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        x = self[0](functional.pad(x, (0, 1, 0, 1)) if self.even else x)
        return functional.leaky_relu(x, SLOPE) if self.activated else x


class SubLevels(nn.Module):
    """Features of one picture at ``count`` sizes, finest first."""

    def __init__(self) -> None:
        super().__init__()
        widths = [FILTERS << sub for sub in range(SUB_LEVELS)]
        self.convs = nn.ModuleList(
            nn.Sequential(Convolution(inside, width, 3), Convolution(width, width, 3))
            for inside, width in zip([3, *widths], widths, strict=False)
        )

    def forward(self, picture: Tensor, count: int) -> list[Tensor]:
        found: list[Tensor] = []
        for convolution in self.convs[:count]:
            picture = convolution(functional.avg_pool2d(picture, 2) if found else picture)
            found.append(picture)
        return found


class Extractor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.extract_sublevels = SubLevels()

    def forward(self, pictures: Sequence[Tensor]) -> list[Tensor]:
        """Features of a pyramid of one frame, finest first: at each size, those of all finer pictures shrunk to it."""
        levels = range(len(pictures))
        found = [self.extract_sublevels(pictures[level], min(len(pictures) - level, SUB_LEVELS)) for level in levels]
        return [
            torch.cat([found[level - sub][sub] for sub in range(min(level + 1, SUB_LEVELS))], dim=1) for level in levels
        ]


class Motion(nn.Module):
    """What is still missing of the motion from one set of features to another."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self._convs = nn.Sequential(
            Convolution(inside, width, 3),
            Convolution(width, width, 3),
            Convolution(width, width, 3),
            Convolution(width, width // 2, 1),
            Convolution(width // 2, 2, 1, activated=False),
        )

    def forward(self, here: Tensor, there: Tensor) -> Tensor:
        found: Tensor = self._convs(torch.cat((here, there), dim=1))
        return found.float()


class MotionPyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        count = len(SPECIALISED_FILTERS)
        self._predictor = Motion(2 * _features(count), SHARED_FILTERS)
        self._predictors = nn.ModuleList(
            Motion(2 * _features(level), SPECIALISED_FILTERS[level]) for level in reversed(range(count))
        )

    def forward(self, here: Sequence[Tensor], there: Sequence[Tensor]) -> list[Tensor]:
        """The motion ``(N, 2, H, W)`` from one frame to the other at each level, in its pixels, finest level first."""
        specialised = len(self._predictors)
        flow = self._predictor(here[-1], there[-1])
        flows = [flow]
        for level in reversed(range(len(here) - 1)):
            predictor = self._predictor if level >= specialised else self._predictors[specialised - 1 - level]
            flow = _enlarged(flow)
            flow = flow + predictor(here[level], _warp(there[level], flow))
            flows.insert(0, flow)
        return flows


class FusionStep(nn.ModuleList):
    """From what was put together at one size to the next finer one, given what is known ``beside`` it there."""

    def __init__(self, inside: int, beside: int, width: int) -> None:
        super().__init__(
            [
                Convolution(inside, width, 2, activated=False),
                Convolution(beside + width, width, 3),
                Convolution(width, width, 3),
            ]
        )

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        x = self[0](functional.interpolate(x, scale_factor=2, mode="nearest"))
        found: Tensor = self[2](self[1](torch.cat((beside, x), dim=1)))
        return found


class Fusion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.output_conv = nn.Conv2d(FILTERS, 3, 1)
        self.convs = nn.ModuleList()
        inside = 2 * (_features(FUSED_LEVELS - 1) + PIXELS_AND_FLOW)
        for level in reversed(range(FUSED_LEVELS - 1)):
            width = FILTERS << min(level, len(SPECIALISED_FILTERS))
            beside = 2 * (_features(level) + PIXELS_AND_FLOW)
            self.convs.append(FusionStep(inside, beside, width))
            inside = width

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """A frame ``(N, 3, H, W)`` from what was brought together at each size, finest first."""
        *finer, x = pyramid
        for beside, step in zip(reversed(finer), self.convs, strict=True):
            x = step(x, beside)
        frame: Tensor = self.output_conv(x)
        return frame


@dataclass(frozen=True)
class Pair:
    """Two frames at several sizes, finest first, each with its features, and the motion between them in pixels."""

    first: tuple[Tensor, ...]
    second: tuple[Tensor, ...]
    forward: tuple[Tensor, ...]
    backward: tuple[Tensor, ...]
    padding: Padding


class Film(nn.Module):
    """Frames between two frames ``(N, 3, H, W)``, RGB in [0, 1], of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.extract = Extractor()
        self.predict_flow = MotionPyramid()
        self.fuse = Fusion()

    def prepare(self, first: Tensor, second: Tensor, padding: Padding | None = None) -> Pair:
        """What all times between two frames share.

        ``padding`` is the published rule (zeros on all sides to a multiple of 64) unless another one is given.
        """
        padding = padding or to_multiple(first, MULTIPLE, centred=True)
        pictures = [_pyramid(padding.pad(frame)) for frame in (first, second)]
        features = [self.extract(sizes) for sizes in pictures]
        forward = self.predict_flow(features[0], features[1])[:FUSED_LEVELS]
        backward = self.predict_flow(features[1], features[0])[:FUSED_LEVELS]
        parts = [
            tuple(torch.cat(level, dim=1) for level in zip(sizes[:FUSED_LEVELS], found, strict=False))
            for sizes, found in zip(pictures, features, strict=True)
        ]
        return Pair(parts[0], parts[1], tuple(forward), tuple(backward), padding)

    def at(self, pair: Pair, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time``, 0 being the first frame and 1 the second; it may leave [0, 1]."""
        pyramid = []
        for first, second, forward, backward in zip(pair.first, pair.second, pair.forward, pair.backward, strict=True):
            to_first, to_second = time * backward, (1 - time) * forward
            moved = (_warp(first, to_first), _warp(second, to_second))
            pyramid.append(torch.cat((*moved, to_first, to_second), dim=1))
        return pair.padding.crop(self.fuse(pyramid).float())

    def forward(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time`` in (0, 1) between two frames of that shape, RGB in [0, 1]."""
        return self.at(self.prepare(first, second), time)


build = Film
