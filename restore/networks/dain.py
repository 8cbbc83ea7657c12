"""DAIN: motion, depth, kernels and context of two frames, brought together at any time between them.

Bao et al. 2019, https://arxiv.org/abs/1904.00830; the published weights are those of
https://github.com/baowenbo/DAIN. Its CUDA operations are in ``depth_projection``, ``adaptive_warp`` and
``correlation`` beside this module, in plain PyTorch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.adaptive_warp import SIDE, adaptive_warp, rows
from restore.networks.depth_hourglass import depth_hourglass
from restore.networks.depth_projection import project
from restore.networks.frame_padding import Padding, to_multiple
from restore.networks.pwcnet import FLOW_UNIT, PwcNet

MULTIPLE = 128
LEAST_PADDING = 32
"""Pixels on every side of a frame whose sides are a multiple already."""
KERNEL_WIDTHS = (16, 32, 64, 128, 256, 512)
"""Features of the network that finds the kernels, at the full size, a half, a quarter, ..."""
CONTEXT_WIDTH = 64
RECTIFIER_WIDTH = 128
LEAST_NEARNESS = 1e-6


class ResidualBlock(nn.Module):
    def __init__(self, width: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.conv2(functional.relu(self.conv1(x))) + x)


class Context(nn.Module):
    """A frame ``(N, 3, H, W)`` and its features: ``(N, 195, H, W)``."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, CONTEXT_WIDTH, 7, padding=3, bias=False), nn.ReLU())
        self.block2 = ResidualBlock(CONTEXT_WIDTH, dilation=4)
        self.block3 = ResidualBlock(CONTEXT_WIDTH, dilation=8)

    def forward(self, frame: Tensor) -> Tensor:
        first = self.block1(frame)
        second = self.block2(first)
        return torch.cat((frame, first, second, self.block3(second)), dim=1)


class Rectifier(nn.Module):
    """What the blended frame lacks, from all that is known: ``(N, inside, H, W)`` to ``(N, 3, H, W)``."""

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(inside, RECTIFIER_WIDTH, 7, padding=3), nn.ReLU())
        self.block2 = ResidualBlock(RECTIFIER_WIDTH)
        self.block3 = ResidualBlock(RECTIFIER_WIDTH)
        self.block4 = ResidualBlock(RECTIFIER_WIDTH)
        self.block5 = nn.Sequential(nn.Conv2d(RECTIFIER_WIDTH, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.block5(self.block4(self.block3(self.block2(self.block1(x)))))
        return found


class KernelFeatures(nn.ModuleList):
    """Features of two frames beside each other, ``(N, 6, H, W)`` to ``(N, 16, H, W)``; sides a multiple of 32.

    An hourglass whose finer half adds what the coarser half had before it was made smaller. The layers are one list,
    because their published names are their places in it.
    """

    def __init__(self) -> None:
        finest, *coarser = KERNEL_WIDTHS
        layers: list[nn.Module] = [nn.Conv2d(6, finest, 3, padding=1), nn.ReLU()]
        for inside, outside in zip(KERNEL_WIDTHS, coarser, strict=False):
            layers += [nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(KERNEL_WIDTHS[-1], KERNEL_WIDTHS[-1], 3, padding=1), nn.ReLU()]
        for outside, inside in reversed(list(zip(KERNEL_WIDTHS, coarser, strict=False))):
            enlarge = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            layers += [enlarge, nn.Conv2d(inside, outside, 3, padding=1), nn.ReLU()]
        super().__init__(layers)

    def forward(self, x: Tensor) -> Tensor:
        finer = []
        for layer in self:
            if isinstance(layer, nn.MaxPool2d):
                finer.append(x)
            x = layer(x)
            if isinstance(layer, nn.Upsample):
                x = x + finer.pop()
        return x


def _kernels() -> nn.Sequential:
    width = KERNEL_WIDTHS[0]
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, SIDE**2, 3, padding=1))


@dataclass(frozen=True)
class View:
    """What is known of one of the two frames, float32.

    ``flow (N, 2, H / 4, W / 4)`` is the motion to the other frame in pixels of the whole frame; ``nearness
    (N, 1, H, W)`` is larger for what is in front; ``kernel (N, 16, H, W)`` are the weights of each pixel; ``context``
    is the frame and its features as ``adaptive_warp`` reads them.
    """

    flow: Tensor
    nearness: Tensor
    kernel: Tensor
    context: Tensor


@dataclass(frozen=True)
class Pair:
    """Two frames and how they were padded."""

    first: View
    second: View
    padding: Padding


@dataclass(frozen=True)
class Moment:
    """What is known at one time of one of the frames: the motion back to it, and its context moved along it."""

    flow: Tensor
    context: Tensor

    @property
    def frame(self) -> Tensor:
        """The frame ``(N, 3, H, W)`` moved to that time: the context begins with it."""
        return self.context[:, :3]


def published_padding(frames: Tensor) -> Padding:
    """The border of ``(N, C, H, W)`` is repeated on all sides to a multiple of 128, and 32 times where it is one."""
    needed = to_multiple(frames, MULTIPLE, centred=True, replicate=True)
    across = (needed.left, needed.right) if needed.left or needed.right else (LEAST_PADDING, LEAST_PADDING)
    down = (needed.top, needed.bottom) if needed.top or needed.bottom else (LEAST_PADDING, LEAST_PADDING)
    return Padding(*across, *down, replicate=True)


class Dain(nn.Module):
    """Frames between two frames ``(N, 3, H, W)``, RGB in [0, 1], of any size."""

    def __init__(self) -> None:
        super().__init__()
        context = 3 + 3 * CONTEXT_WIDTH + 1
        self.initScaleNets_filter = KernelFeatures()
        self.initScaleNets_filter1 = _kernels()
        self.initScaleNets_filter2 = _kernels()
        self.ctxNet = Context()
        self.rectifyNet = Rectifier(3 * 3 + 2 * 2 + 2 * SIDE**2 + 2 * context)
        self.flownets = PwcNet()
        self.depthNet = depth_hourglass()

    def prepare(self, first: Tensor, second: Tensor, padding: Padding | None = None) -> Pair:
        """What all times between two frames share: motion, depth, kernels and context.

        ``padding`` is the published rule (``published_padding``) unless another one is given.
        """
        padding = padding or published_padding(first)
        first, second = padding.pad(first), padding.pad(second)
        features = self.initScaleNets_filter(torch.cat((first, second), dim=1))
        kernels = self.initScaleNets_filter1(features), self.initScaleNets_filter2(features)
        views = []
        for frame, flow, kernel in zip((first, second), self.flownets(first, second), kernels, strict=True):
            log_depth = self.depthNet(frame).float()
            context = rows(torch.cat((self.ctxNet(frame), log_depth), dim=1).float())
            nearness = LEAST_NEARNESS + 1 / log_depth.exp()
            views.append(View(FLOW_UNIT * flow.float(), nearness, kernel.float(), context))
        return Pair(views[0], views[1], padding)

    def moment(self, view: View, share: float) -> Moment:
        """One frame seen from the time that lies ``share`` of the way to the other frame."""
        flow = functional.interpolate(view.flow * share, scale_factor=4, mode="bilinear", align_corners=False)
        flow = project(flow, view.nearness)
        return Moment(flow, adaptive_warp(view.context, flow, view.kernel))

    def at(self, pair: Pair, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time``, 0 being the first frame and 1 the second; it may leave [0, 1]."""
        first, second = self.moment(pair.first, time), self.moment(pair.second, 1 - time)
        blend = (1 - time) * first.frame + time * second.frame
        known = (
            *(blend, first.frame, second.frame, first.flow, second.flow),
            *(pair.first.kernel, pair.second.kernel, first.context, second.context),
        )
        return pair.padding.crop(self.rectifyNet(torch.cat(known, dim=1)).float() + blend)

    def forward(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time`` in (0, 1) between two frames of that shape, RGB in [0, 1]."""
        return self.at(self.prepare(first, second), time)


build = Dain

PARTS = (
    *("initScaleNets_filter", "initScaleNets_filter1", "initScaleNets_filter2"),
    *("ctxNet", "rectifyNet", "flownets", "depthNet"),
)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published program takes of a file what it knows, whatever else the training left in it; so does this."""
    named = {key.removeprefix("module."): value for key, value in state.items()}
    return {key: value for key, value in named.items() if key.partition(".")[0] in PARTS}
