"""RIFE 4.6, 4.25 and 4.26: motion straight to the time wanted, refined from coarse to fine.

Huang et al. 2022, https://arxiv.org/abs/2011.06294; the published weights are those of
https://github.com/hzwer/Practical-RIFE, and these graphs are the ones that ship with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.flow_warp import flow_warp
from restore.networks.frame_padding import Padding, to_multiple

SLOPE = 0.2
RESIDUAL_CONVOLUTIONS = 8
FLOW, MASK = 4, 1
"""Channels: x and y of the motion to the first and to the second frame, and the logit of how much the first counts."""


@dataclass(frozen=True)
class Version:
    """What differs between the published versions."""

    widths: tuple[int, ...]
    """Features of each block, coarsest block first; each block works at twice the resolution of the one before."""

    encoded: int
    """Features of each frame that the blocks are given beside its pixels."""

    carried: int
    """Features that a block hands on to the next one."""

    unused: int
    """Channels at the end of a block's answer that nothing reads."""

    adds_masks: bool
    """True where the masks of the blocks are summed, as the motion always is; false where the last one counts."""


_WITH_ENCODER = Version(widths=(192, 128, 96, 64, 32), encoded=4, carried=8, unused=0, adds_masks=False)
VERSIONS: Mapping[str, Version] = {
    "4.6": Version(widths=(192, 128, 96, 64), encoded=0, carried=0, unused=1, adds_masks=True),
    "4.25": _WITH_ENCODER,
    "4.26": _WITH_ENCODER,
}


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    return flow_warp(image, flow, padding="border")


def _resized(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _convolution(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, 2, 1), nn.LeakyReLU(SLOPE))


class Encoder(nn.Module):
    """Four features of every pixel of a frame, ``(N, 3, H, W)`` to ``(N, 4, H, W)``; both sides must be even."""

    def __init__(self, features: int, width: int = 16) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(3, width, 3, 2, 1)
        self.cnn1 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn2 = nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, features, 4, 2, 1)

    def forward(self, frame: Tensor) -> Tensor:
        x = frame
        for convolution in (self.cnn0, self.cnn1, self.cnn2):
            x = functional.leaky_relu(convolution(x), SLOPE)
        features: Tensor = self.cnn3(x)
        return features


class ResidualConvolution(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        change = self.conv(x)
        return functional.leaky_relu(change * self.beta.to(change.dtype) + x, SLOPE)


class Block(nn.Module):
    """One step of the refinement, at a fraction of the resolution."""

    def __init__(self, inside: int, width: int, outside: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(_convolution(inside, width // 2), _convolution(width // 2, width))
        self.convblock = nn.Sequential(*(ResidualConvolution(width) for _ in range(RESIDUAL_CONVOLUTIONS)))
        self.lastconv = nn.Sequential(nn.ConvTranspose2d(width, 4 * outside, 4, 2, 1), nn.PixelShuffle(2))

    def forward(self, x: Tensor, flow: Tensor | None, scale: float) -> Tensor:
        """The change of the motion and what follows it, at the size of ``x``; the work is done at it over ``scale``."""
        x = _resized(x, 1 / scale)
        if flow is not None:
            x = torch.cat((x, _resized(flow, 1 / scale) / scale), dim=1)
        found = _resized(self.lastconv(self.convblock(self.conv0(x))).float(), scale)
        return torch.cat((found[:, :FLOW] * scale, found[:, FLOW:]), dim=1)


@dataclass(frozen=True)
class Pair:
    """Two frames, padded, and what was found out about them without regard to the time wanted."""

    first: Tensor
    second: Tensor
    encoded: tuple[Tensor, ...]
    scale: float
    padding: Padding


class Rife(nn.Module):
    """Frames between two frames ``(N, 3, H, W)``, RGB in [0, 1], of any size."""

    def __init__(self, version: Version) -> None:
        super().__init__()
        self.version = version
        outside = FLOW + MASK + version.carried + version.unused
        for number, width in enumerate(version.widths):
            inside = 2 * (3 + version.encoded) + 1
            if number:
                inside += MASK + version.carried + FLOW
            self.add_module(f"block{number}", Block(inside, width, outside))
        self.encode = Encoder(version.encoded) if version.encoded else None

    def _blocks(self) -> Iterator[tuple[nn.Module, int]]:
        """The blocks with how much coarser than the frame each of them works, coarsest first."""
        count = len(self.version.widths)
        for number in range(count):
            yield self.get_submodule(f"block{number}"), 2 ** (count - 1 - number)

    def prepare(self, first: Tensor, second: Tensor, scale: float = 1.0, padding: Padding | None = None) -> Pair:
        """What all times between two frames share.

        ``scale`` is the size at which motion is looked for, as a share of that of the frame: 0.5 or less finds the long
        ways that things go in large frames, and costs less. ``padding`` is the published rule (right and below with
        zeros, to a multiple of 128 or of ``128 / scale``) unless another one is given.
        """
        padding = padding or to_multiple(first, max(128, int(128 / scale)))
        first, second = padding.pad(first.clamp(0, 1)), padding.pad(second.clamp(0, 1))
        encoded = () if self.encode is None else (self.encode(first), self.encode(second))
        return Pair(first, second, encoded, scale, padding)

    def refine(self, pair: Pair, time: float) -> Iterator[tuple[Tensor, Tensor]]:
        """After each block, the motion ``(N, 4, H, W)`` from time ``time`` to both frames in pixels, and the mask.

        The mask ``(N, 1, H, W)`` is the logit of the first frame's share. The sizes are those of the padded frames.
        """
        frames = (pair.first, pair.second)
        times = torch.full_like(pair.first[:, :1], time)
        flow: Tensor | None = None
        carried: tuple[Tensor, ...] = ()
        for block, coarseness in self._blocks():
            if flow is None:
                seen = (*frames, *pair.encoded)
            else:
                ways = (flow[:, :2], flow[:, 2:])
                seen = tuple(
                    _warp(image, way)
                    for images in (frames, pair.encoded)
                    for image, way in zip(images, ways, strict=False)
                )
            found = block(torch.cat((*seen, times, *carried), dim=1), flow, coarseness / pair.scale)
            change, mask, rest = found.split((FLOW, MASK, found.shape[1] - FLOW - MASK), dim=1)
            if flow is None:
                flow = change
            else:
                flow = flow + change
                mask = mask + carried[0] if self.version.adds_masks else mask
            carried = (mask, rest[:, : self.version.carried])
            yield flow, mask

    def at(self, pair: Pair, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time``, 0 being the first frame and 1 the second."""
        *_, (flow, mask) = self.refine(pair, time)
        share = mask.sigmoid()
        frame = _warp(pair.first, flow[:, :2]) * share
        frame = frame + _warp(pair.second, flow[:, 2:]) * (1 - share)
        return pair.padding.crop(frame)

    def forward(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time`` in (0, 1) between two frames of that shape, RGB in [0, 1]."""
        return self.at(self.prepare(first, second), time)

    def lower(self, dtype: torch.dtype) -> None:
        """Run what the blocks look with in ``dtype``; what they say, motion and blend, stays in float32."""
        for block, _ in self._blocks():
            block.get_submodule("conv0").to(dtype)
            block.get_submodule("convblock").to(dtype)


def build(version: str) -> nn.Module:
    """``version`` is one of ``VERSIONS``."""
    return Rife(VERSIONS[version])


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published file names its weights as those of a ``module`` and may also hold parts that only trained it."""
    named = {key.removeprefix("module."): value for key, value in state.items()}
    return {key: value for key, value in named.items() if re.match(r"(block\d|encode)\.", key)}
