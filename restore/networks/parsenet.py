"""ParseNet: what each pixel of an aligned face is.

From PSFR-GAN (Chen et al. 2021, https://arxiv.org/abs/2009.08709); names and layout of the network that facexlib
publishes (https://github.com/xinntao/facexlib).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 19
BACKGROUND_AND_REST = (0, 14, 16, 17, 18)
"""The classes that are not part of a face and its hair: background, and what people wear."""

_CHANNELS = (64, 128, 256, 256, 256)


class Layer(nn.Module):
    """A convolution over a mirrored border; ``scale`` doubles the size before it or halves it."""

    def __init__(
        self, inputs: int, outputs: int, scale: float = 1, inner: bool = False, activate: bool = False
    ) -> None:
        super().__init__()
        self.scale = scale
        self.activate = activate
        self.conv2d = nn.Conv2d(inputs, outputs, 3, stride=2 if scale < 1 else 1, bias=not inner)
        self.norm = nn.Module()
        if inner:
            self.norm.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.scale > 1:
            x = functional.interpolate(x, scale_factor=self.scale, mode="nearest")
        x = self.conv2d(functional.pad(x, (1, 1, 1, 1), mode="reflect"))
        if hasattr(self.norm, "norm"):
            x = cast(nn.Module, self.norm.norm)(x)
        return functional.leaky_relu_(x, 0.2) if self.activate else x


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, scale: float = 1) -> None:
        super().__init__()
        if scale != 1 or inputs != outputs:
            self.shortcut_func = Layer(inputs, outputs, scale)
        self.conv1 = Layer(inputs, outputs, max(1, scale), inner=True, activate=True)
        self.conv2 = Layer(outputs, outputs, min(1, scale), inner=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut_func(x) if hasattr(self, "shortcut_func") else x
        return cast(Tensor, shortcut + self.conv2(self.conv1(x)))


def _chain(channels: Sequence[int], scale: float) -> list[nn.Module]:
    return [ResidualBlock(a, b, scale) for a, b in pairwise(channels)]


class ParseNet(nn.Module):
    """Faces of 512 pixels; ``out_img_conv`` is in the published file and has no use here."""

    def __init__(self, depth: int = 10) -> None:
        super().__init__()
        self.encoder = nn.Sequential(Layer(3, _CHANNELS[0]), *_chain(_CHANNELS, 0.5))
        self.body = nn.Sequential(*(ResidualBlock(_CHANNELS[-1], _CHANNELS[-1]) for _ in range(depth)))
        self.decoder = nn.Sequential(*_chain(_CHANNELS[::-1], 2))
        self.out_img_conv = Layer(_CHANNELS[0], 3)
        self.out_mask_conv = Layer(_CHANNELS[0], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` RGB in [-1, 1], sides multiples of 16, to ``(N, 19, H, W)``: a logit for each class."""
        features = self.encoder(x)
        return cast(Tensor, self.out_mask_conv(self.decoder(features + self.body(features))))

    def lower(self, dtype: torch.dtype) -> None:
        """Run all but the layer that tells the classes in ``dtype``."""
        for part in (self.encoder, self.body, self.decoder):
            part.to(dtype)


build = ParseNet
