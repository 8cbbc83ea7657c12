"""PWC-Net with dense and dilated convolutions: the motion between two frames, refined from coarse to fine.

Sun et al. 2018, https://arxiv.org/abs/1709.02371, with one more convolution at each level of its pyramid, as it is part
of DAIN (https://github.com/baowenbo/DAIN).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.correlation import correlation
from restore.networks.flow_warp import flow_warp

SLOPE = 0.1
PYRAMID = (16, 32, 64, 96, 128, 196)
"""Features of a frame at a half, a quarter, ... of its size."""
FINEST = 2
"""The level at which motion is found last: a quarter of the size."""
DENSE = (128, 128, 96, 64, 32)
CONTEXT = ((128, 1), (128, 2), (128, 4), (96, 8), (64, 16), (32, 1))
"""Width and dilation of the convolutions that smooth the finest motion."""
REACH = 4
DISPLACEMENTS = (2 * REACH + 1) ** 2
FLOW_UNIT = 20.0
"""Pixels of the whole frame that the value 1 of the motion stands for."""
INSIDE = 0.9999
"""The share of a sample that must come from inside the frame for it to count."""


def _convolution(inside: int, outside: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=dilation, dilation=dilation), nn.LeakyReLU(SLOPE)
    )


def _flow(inside: int) -> nn.Conv2d:
    return nn.Conv2d(inside, 2, 3, padding=1)


def _enlarge(inside: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inside, 2, 4, 2, 1)


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """``features (N, C, H, W)`` where ``flow`` points, and zero wherever the frame does not have all of a sample."""
    known = flow_warp(torch.ones_like(flow[:, :1], dtype=torch.float32), flow, padding="zeros") >= INSIDE
    return flow_warp(features, flow, padding="zeros") * known


class PwcNet(nn.Module):
    """The motion from each of two frames to the other; the published names of the layers count levels from the top."""

    def __init__(self) -> None:
        super().__init__()
        for level, (inside, width) in enumerate(zip((3, *PYRAMID), PYRAMID, strict=False), start=1):
            # The names of the first two convolutions are swapped at the coarsest level.
            shrink, keep = ("aa", "a") if level == len(PYRAMID) else ("a", "aa")
            self.add_module(f"conv{level}{shrink}", _convolution(inside, width, stride=2))
            self.add_module(f"conv{level}{keep}", _convolution(width, width))
            self.add_module(f"conv{level}b", _convolution(width, width))
        for level in range(len(PYRAMID), FINEST - 1, -1):
            width = DISPLACEMENTS if level == len(PYRAMID) else DISPLACEMENTS + PYRAMID[level - 1] + 4
            for number, dense in enumerate(DENSE):
                self.add_module(f"conv{level}_{number}", _convolution(width, dense))
                width += dense
            self.add_module(f"predict_flow{level}", _flow(width))
            self.add_module(f"deconv{level}", _enlarge(2))  # that of the finest level is published, and does nothing
            if level > FINEST:
                self.add_module(f"upfeat{level}", _enlarge(width))
        for number, (outside, dilation) in enumerate(CONTEXT, start=1):
            self.add_module(f"dc_conv{number}", _convolution(width, outside, dilation=dilation))
            width = outside
        self.add_module(f"dc_conv{len(CONTEXT) + 1}", _flow(width))

    def _apply_layer(self, name: str, x: Tensor) -> Tensor:
        found: Tensor = self.get_submodule(name)(x)
        return found

    def _pyramid(self, frames: Tensor) -> list[Tensor]:
        levels = []
        for level in range(1, len(PYRAMID) + 1):
            for step in ("aa", "a", "b") if level == len(PYRAMID) else ("a", "aa", "b"):
                frames = self._apply_layer(f"conv{level}{step}", frames)
            levels.append(frames)
        return levels

    def flows(self, first: Tensor, second: Tensor) -> list[Tensor]:
        """The motion at each level, coarsest first, as ``(2 N, 2, h, w)``: that of the first frames, then the second.

        The unit is ``FLOW_UNIT`` pixels of the whole frame at every level; both sides must be a multiple of 64.
        """
        count = first.shape[0]
        flow: Tensor | None = None
        features: Tensor | None = None
        found = []
        pyramid = self._pyramid(torch.cat((first, second)))
        for level in range(len(PYRAMID), FINEST - 1, -1):
            here = pyramid[level - 1]
            there = here.roll(count, dims=0)
            if flow is None or features is None:
                x = functional.leaky_relu(correlation(here, there, REACH), SLOPE)
            else:
                flow, features = (
                    self._apply_layer(f"deconv{level + 1}", flow),
                    self._apply_layer(f"upfeat{level + 1}", features),
                )
                moved = warp(there, flow * (FLOW_UNIT / 2**level))
                alike = functional.leaky_relu(correlation(here, moved, REACH), SLOPE)
                x = torch.cat((alike, here, flow, features), dim=1)
            for number in range(len(DENSE)):
                x = torch.cat((self._apply_layer(f"conv{level}_{number}", x), x), dim=1)
            features = x
            flow = self._apply_layer(f"predict_flow{level}", x)
            found.append(flow)
        for number in range(1, len(CONTEXT) + 2):
            x = self._apply_layer(f"dc_conv{number}", x)
        found[-1] = found[-1] + x
        return found

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """The motion ``(N, 2, H / 4, W / 4)`` from the first frame to the second and back, in ``FLOW_UNIT`` pixels.

        The frames are ``(N, 3, H, W)``, RGB in [0, 1]; both sides must be a multiple of 64.
        """
        there, back = self.flows(first, second)[-1].chunk(2)
        return there, back
