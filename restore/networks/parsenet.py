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


class Convolution(nn.Conv2d):
    """A convolution of 3 by 3 pixels over a mirrored border, together with what the layer has before and behind it."""

    def __init__(self, inputs: int, outputs: int, stride: int, bias: bool) -> None:
        super().__init__(inputs, outputs, 3, stride, bias=bias)

    def forward(self, input: Tensor, norm: nn.BatchNorm2d | None = None, double: bool = False) -> Tensor:
        """``norm``, if there is one, is part of the weights; ``double`` repeats each pixel and each row first."""
        weight, bias = self.weight, self.bias
        if norm is not None:
            mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
            scale = norm.weight * torch.rsqrt(variance + norm.eps)
            weight = (weight * scale[:, None, None, None]).to(weight)
            bias = (norm.bias - mean * scale).to(weight)
        if double:
            return _over_doubled(input, weight, bias)
        return functional.conv2d(functional.pad(input, (1, 1, 1, 1), mode="reflect"), weight, bias, self.stride)


def _over_doubled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a convolution over twice the size gives, where pixels and rows are only repeated.

    Of its nine taps the same pixel meets several, so that each of the four pixels that come of one needs four taps and
    not nine: those of the pixel, and of its neighbours on one side. Mirroring what is repeated repeats the border.
    """
    above, below = _halves(weight.float(), 2)
    kernels = torch.cat([*_halves(above, 3), *_halves(below, 3)])
    kernels = kernels.to(weight.dtype).contiguous(memory_format=torch.channels_last)
    biases = None if bias is None else bias.repeat(4)
    parts = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernels, biases).chunk(4, dim=1)
    count, _, height, width = x.shape
    out = parts[0].new_empty(count, len(weight), 2 * height, 2 * width).contiguous(memory_format=torch.channels_last)
    for index, part in enumerate(parts):
        down, across = divmod(index, 2)
        out[:, :, down::2, across::2] = part[:, :, down : down + height, across : across + width]
    return out


def _halves(weight: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The two taps, of three along ``axis``, that the first and the second of two equal pixels have."""
    before, middle, after = torch.split(weight, 1, dim=axis)
    return torch.cat([before, middle + after], dim=axis), torch.cat([before + middle, after], dim=axis)


class Layer(nn.Module):
    """A convolution; ``scale`` doubles the size before it or halves it."""

    def __init__(
        self, inputs: int, outputs: int, scale: float = 1, inner: bool = False, activate: bool = False
    ) -> None:
        super().__init__()
        self.enlarges = scale > 1
        self.activate = activate
        self.conv2d = Convolution(inputs, outputs, stride=2 if scale < 1 else 1, bias=not inner)
        self.norm = nn.Module()
        if inner:
            self.norm.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2d(x, norm=getattr(self.norm, "norm", None), double=self.enlarges)
        return functional.leaky_relu_(out, 0.2) if self.activate else cast(Tensor, out)


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
        """Run all but the layer that tells the classes in ``dtype``; the norms stay as they are."""
        for part in (self.encoder, self.body, self.decoder):
            for module in part.modules():
                if isinstance(module, Convolution):
                    module.to(dtype)


build = ParseNet
