"""Super SloMo: motion between the two frames, brought to any time between them and corrected there.

Jiang et al. 2018, https://arxiv.org/abs/1712.00080; the published weights are those of
https://github.com/avinashpaliwal/Super-SloMo, and the details here are theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.flow_warp import flow_warp
from restore.networks.frame_padding import Padding, to_multiple

SLOPE = 0.1
MEAN = (0.429, 0.431, 0.397)
"""What both networks take off the three colours of a frame."""
MULTIPLE = 32
CONTAINERS = {"state_dictFC": "flow", "state_dictAT": "interpolation"}
"""Where the published file keeps the weights of each of the two networks."""


class Convolutions(nn.Module):
    """Two convolutions; ``joined`` features are put beside what the first one gives."""

    def __init__(self, inside: int, outside: int, size: int, joined: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, size, padding=size // 2)
        self.conv2 = nn.Conv2d(outside + joined, outside, size, padding=size // 2)

    def forward(self, x: Tensor, beside: Tensor | None = None) -> Tensor:
        x = functional.leaky_relu(self.conv1(x), SLOPE)
        if beside is not None:
            x = torch.cat((x, beside), dim=1)
        return functional.leaky_relu(self.conv2(x), SLOPE)


class UNet(nn.Module):
    """``(N, inside, H, W)`` to ``(N, outside, H, W)``; both sides must be a multiple of 32."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, 32, 7, padding=3)
        self.conv2 = nn.Conv2d(32, 32, 7, padding=3)
        self.down1 = Convolutions(32, 64, 5)
        self.down2 = Convolutions(64, 128, 3)
        self.down3 = Convolutions(128, 256, 3)
        self.down4 = Convolutions(256, 512, 3)
        self.down5 = Convolutions(512, 512, 3)
        self.up1 = Convolutions(512, 512, 3, joined=512)
        self.up2 = Convolutions(512, 256, 3, joined=256)
        self.up3 = Convolutions(256, 128, 3, joined=128)
        self.up4 = Convolutions(128, 64, 3, joined=64)
        self.up5 = Convolutions(64, 32, 3, joined=32)
        self.conv3 = nn.Conv2d(32, outside, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.leaky_relu(self.conv1(x), SLOPE)
        x = functional.leaky_relu(self.conv2(x), SLOPE)
        finer = []
        for down in (self.down1, self.down2, self.down3, self.down4, self.down5):
            finer.append(x)
            x = down(functional.avg_pool2d(x, 2))
        for up in (self.up1, self.up2, self.up3, self.up4, self.up5):
            x = up(functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False), finer.pop())
        # The published networks have this after the last convolution too, although their answers have two signs.
        return functional.leaky_relu(self.conv3(x), SLOPE)


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """``image (N, 3, H, W)`` where ``flow (N, 2, H, W)`` points, black outside, as the weights were trained with it.

    The published code divides positions by the width where it should by the width less one, which shrinks the picture
    by a pixel; the networks have learnt to make up for that.
    """
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=torch.float32)
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    across, down = flow[:, 0].float(), flow[:, 1].float()
    shrunk = torch.stack((across - (x + across) / width, down - (y + down) / height), dim=1)
    return flow_warp(image, shrunk, padding="zeros")


@dataclass(frozen=True)
class Pair:
    """Two frames, padded and without their mean, and the motion between them, x and y in pixels."""

    first: Tensor
    second: Tensor
    forward: Tensor
    backward: Tensor
    padding: Padding


@dataclass(frozen=True)
class Moment:
    """What is known at one time: the motion from it to both frames, and how much of the first is seen, in [0, 1]."""

    to_first: Tensor
    to_second: Tensor
    visible: Tensor


class SuperSlomo(nn.Module):
    """Frames between two frames ``(N, 3, H, W)``, RGB in [0, 1], of any size."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.flow = UNet(6, 4)
        self.interpolation = UNet(20, 5)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)

    def prepare(self, first: Tensor, second: Tensor, padding: Padding | None = None) -> Pair:
        """What all times between two frames share.

        The published programs shrink frames to a multiple of 32 and enlarge the result; here the frames are continued
        on the right and below instead, so that nothing is resampled. ``padding`` may say otherwise.
        """
        padding = padding or to_multiple(first, MULTIPLE, replicate=True)
        first, second = padding.pad(first) - self.mean, padding.pad(second) - self.mean
        flow = self.flow(torch.cat((first, second), dim=1)).float()
        return Pair(first, second, flow[:, :2], flow[:, 2:], padding)

    def moment(self, pair: Pair, time: float) -> Moment:
        """The motion from ``time`` and what can be seen there, corrected by the second network."""
        # Equation 4 of the paper: nearby motion is much alike, so that of the pair is scaled to the time wanted.
        to_first = time * (time * pair.backward - (1 - time) * pair.forward)
        to_second = (1 - time) * ((1 - time) * pair.forward - time * pair.backward)
        seen = (
            *(pair.first, pair.second, pair.forward, pair.backward, to_second, to_first),
            *(warp(pair.second, to_second), warp(pair.first, to_first)),
        )
        found = self.interpolation(torch.cat(seen, dim=1)).float()
        return Moment(to_first + found[:, :2], to_second + found[:, 2:4], found[:, 4:].sigmoid())

    def at(self, pair: Pair, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time``, 0 being the first frame and 1 the second; it may leave [0, 1]."""
        moment = self.moment(pair, time)
        first, second = (1 - time) * moment.visible, time * (1 - moment.visible)
        frame = first * warp(pair.first, moment.to_first) + second * warp(pair.second, moment.to_second)
        return pair.padding.crop(frame / (first + second) + self.mean)

    def forward(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time`` in (0, 1) between two frames of that shape, RGB in [0, 1]."""
        return self.at(self.prepare(first, second), time)


build = SuperSlomo


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published file has the weights of the two networks in two containers."""
    named = {}
    for key, value in state.items():
        container, _, rest = key.partition(".")
        named[f"{CONTAINERS[container]}.{rest}" if container in CONTAINERS else key] = value
    return named
