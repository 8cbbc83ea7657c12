"""GFPGAN in its version 1 without compiled parts: the published files of 1.2, 1.3 and 1.4.

A U-net reads the style of a face and the features of each level; the decoder of StyleGAN2 draws the face with them
(Wang et al. 2021, https://arxiv.org/abs/2101.04061; names and layout of https://github.com/TencentARC/GFPGAN).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.stylegan2 import SLOPE, Decoder

CHANNELS = (512, 512, 512, 512, 256, 128, 64, 32, 16)
"""Channels of the levels of 4, 8, 16 ... 1024 pixels, before the multiplier that counts from 64 pixels on."""

_FIRST_MULTIPLIED = 4


class ResBlock(nn.Module):
    """Two convolutions with a change of the size by ``factor`` between them, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = self._resize(functional.leaky_relu_(self.conv1(x), SLOPE))
        out = functional.leaky_relu_(self.conv2(out), SLOPE)
        # A convolution of one pixel without bias and a resampling may change places: the smaller picture is cheaper.
        shortcut = self._resize(self.skip(x)) if self.factor > 1 else self.skip(self._resize(x))
        return out + shortcut

    def _resize(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, scale_factor=self.factor, mode="bilinear", align_corners=False)


def _condition(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


class GFPGAN(nn.Module):
    """Restore aligned faces of ``size`` pixels; ``toRGB`` is in the published files and has no use here."""

    def __init__(self, size: int = 512, style: int = 512, multiplier: int = 2, mlp_layers: int = 8) -> None:
        super().__init__()
        levels = size.bit_length() - 2  # from 4 pixels to ``size``
        channels = [
            count * multiplier if level >= _FIRST_MULTIPLIED else count for level, count in enumerate(CHANNELS[:levels])
        ]
        half = [count // 2 for count in channels]
        self.style = style
        self.conv_body_first = nn.Conv2d(3, half[-1], 1)
        self.conv_body_down = nn.ModuleList(
            ResBlock(half[level], half[level - 1], 0.5) for level in range(levels - 1, 0, -1)
        )
        self.final_conv = nn.Conv2d(half[0], half[0], 3, padding=1)
        self.conv_body_up = nn.ModuleList(ResBlock(half[level - 1], half[level], 2) for level in range(1, levels))
        self.toRGB = nn.ModuleList(nn.Conv2d(count, 3, 1) for count in half[1:])
        self.final_linear = nn.Linear(half[0] * 4 * 4, 2 * levels * style)
        self.stylegan_decoder = Decoder(channels, style, mlp_layers)
        self.condition_scale = nn.ModuleList(_condition(count) for count in half[1:])
        self.condition_shift = nn.ModuleList(_condition(count) for count in half[1:])

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, size, size)`` RGB in [-1, 1] to the same in float32, nominally in [-1, 1]."""
        features = functional.leaky_relu_(self.conv_body_first(x.to(self.conv_body_first.weight.dtype)), SLOPE)
        skips = []
        for block in self.conv_body_down:
            features = block(features)
            skips.append(features)
        features = functional.leaky_relu_(self.final_conv(features), SLOPE)
        # The published layer takes the numbers channel by channel, whatever the layout in memory.
        flat = features.float().contiguous(memory_format=torch.contiguous_format).flatten(1)
        styles = self.final_linear(flat).unflatten(1, (-1, self.style))

        conditions = []
        for block, scale, shift in zip(self.conv_body_up, self.condition_scale, self.condition_shift, strict=True):
            features = block(features + skips.pop())
            conditions.append((scale(features), shift(features)))
        return cast(Tensor, self.stylegan_decoder(styles, conditions))

    def lower(self, dtype: torch.dtype) -> None:
        """Run the convolutions in ``dtype``; the styles and the sum that becomes the picture stay in float32."""
        for part in (
            self.conv_body_first,
            self.conv_body_down,
            self.final_conv,
            self.conv_body_up,
            self.condition_scale,
            self.condition_shift,
        ):
            part.to(dtype)
        self.stylegan_decoder.lower(dtype)


build = GFPGAN
