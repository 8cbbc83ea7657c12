"""The decoder of StyleGAN2 as GFPGAN uses it, with features put in from outside on the way up.

StyleGAN2: Karras et al. 2020 (https://arxiv.org/abs/1912.04958); the plain layout without compiled parts and its names
are those of GFPGAN (Wang et al. 2021, https://github.com/TencentARC/GFPGAN).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.2
_EPSILON = 1e-8


def double(x: Tensor) -> Tensor:
    """``x`` at twice the size."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class ModulatedConv(nn.Module):
    """A convolution whose input channels a style scales.

    The published weights are scaled for each sample and then, where ``demodulate`` is true, brought back to one length.
    To scale the input and the output instead is the same sum, and lets a whole batch share one convolution.
    """

    def __init__(self, inputs: int, outputs: int, size: int, style: int, demodulate: bool) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.modulation = nn.Linear(style, inputs)
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, size, size) / math.sqrt(inputs * size**2))

    def forward(self, x: Tensor, style: Tensor, enlarge: bool = False, gain: float = 1) -> Tensor:
        """``(N, inputs, H, W)`` and ``(N, style)`` float32 to ``(N, outputs, H, W)``, as precise as the weights.

        ``enlarge`` doubles the size before the convolution; ``gain`` is the length that demodulation brings weights to.
        """
        weight = self.weight[0]
        scale = self.modulation(style)
        x = x.to(weight.dtype) * scale[:, :, None, None].to(weight.dtype)
        out = functional.conv2d(double(x) if enlarge else x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            energy = weight.float().square().sum(dim=(2, 3))
            length = functional.linear(scale.square(), energy)
            out.mul_((gain * torch.rsqrt(length + _EPSILON))[:, :, None, None].to(out.dtype))
        return out


class StyleConv(nn.Module):
    """A modulated convolution, its noise and its activation; ``enlarge`` doubles the size first."""

    def __init__(self, inputs: int, outputs: int, style: int, enlarge: bool) -> None:
        super().__init__()
        self.enlarge = enlarge
        self.modulated_conv = ModulatedConv(inputs, outputs, 3, style, demodulate=True)
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))

    def forward(self, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        out = self.modulated_conv(x, style, self.enlarge, gain=math.sqrt(2))
        out = out.add_((self.weight * noise).to(out.dtype)).add_(self.bias.to(out.dtype))
        return functional.leaky_relu_(out, SLOPE)


class ToRGB(nn.Module):
    """Three channels out of features, added to those of the level below at twice their size."""

    def __init__(self, inputs: int, style: int) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv(inputs, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, below: Tensor | None) -> Tensor:
        out: Tensor = self.modulated_conv(x, style).float() + self.bias
        return out if below is None else out + double(below)


class ConstantInput(nn.Module):
    """What the decoder begins with, the same for every picture."""

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, side, side))


class Normalise(nn.Module):
    """The first, weightless step of the published style network."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + _EPSILON)


class Decoder(nn.Module):
    """From a style for each layer and the features of a face to a picture.

    ``channels`` are those of each level, from 4 x 4 pixels up. The noise is the one that the file holds: drawn anew for
    each picture, as the published program does it, it would make the faces of a clip flicker. ``style_mlp`` is in the
    published files and has no use here.
    """

    def __init__(self, channels: Sequence[int], style: int, mlp_layers: int) -> None:
        super().__init__()
        mlp: list[nn.Module] = [Normalise()]
        for _ in range(mlp_layers):
            mlp += [nn.Linear(style, style), nn.LeakyReLU(SLOPE)]
        self.style_mlp = nn.Sequential(*mlp)
        self.constant_input = ConstantInput(channels[0], 4)
        self.style_conv1 = StyleConv(channels[0], channels[0], style, enlarge=False)
        self.to_rgb1 = ToRGB(channels[0], style)
        self.style_convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        for below, here in pairwise(channels):
            self.style_convs.append(StyleConv(below, here, style, enlarge=True))
            self.style_convs.append(StyleConv(here, here, style, enlarge=False))
            self.to_rgbs.append(ToRGB(here, style))
        self.noises = nn.Module()
        for layer in range(2 * len(channels) - 1):
            side = 4 * 2 ** ((layer + 1) // 2)
            self.noises.register_buffer(f"noise{layer}", torch.randn(1, 1, side, side))

    def forward(self, styles: Tensor, conditions: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """``styles`` ``(N, 2 * levels, style)`` float32 and a scale and a shift for each level above the first, each
        for the second half of its channels; returns ``(N, 3, S, S)`` float32, nominally in [-1, 1].
        """
        noises = [self.noises.get_buffer(f"noise{layer}") for layer in range(len(self.style_convs) + 1)]
        out = self.constant_input.weight.expand(len(styles), -1, -1, -1)
        out = self.style_conv1(out, styles[:, 0], noises[0])
        picture: Tensor = self.to_rgb1(out, styles[:, 1], None)
        for level, (scale, shift) in enumerate(conditions):
            first = 2 * level + 1
            out = self.style_convs[first - 1](out, styles[:, first], noises[first])
            same, changed = out.chunk(2, dim=1)
            out = torch.cat([same, changed * scale + shift], dim=1)
            out = self.style_convs[first](out, styles[:, first + 1], noises[first + 1])
            picture = self.to_rgbs[level](out, styles[:, first + 2], picture)
        return picture

    def lower(self, dtype: torch.dtype) -> None:
        """Keep the weights of the convolutions in ``dtype``; styles and pictures stay in float32."""
        for module in self.modules():
            if isinstance(module, ModulatedConv):
                module.weight.data = module.weight.data.to(dtype)
