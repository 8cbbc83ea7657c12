"""The built-in colourizer: a fixed bank of filters, and a small perceptron that names a colour for every fourth pixel.

Made in ``training/`` from so few photos that filters could not be learnt from them as well. What the perceptron reads
of a place is therefore written down here: its lightness, texture and direction at five scales, the means of what
is around, above and below it and of the whole, and the height in the picture. As in "Colorful Image Colorization"
(Zhang et al. 2016, https://arxiv.org/abs/1603.08511) it weighs the colours of a palette of a and b of CIE L*a*b*, and
the result is the mean of the palette under these weights, made more decided by a temperature below 1 (the annealed
mean).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
"""One value of chroma for so many pixels, each way."""

MULTIPLE = 16
"""Both sides of the input must be a multiple of this."""

LEVELS = 5
"""Scales at which the picture is looked at: its size, a half, a quarter and so on."""

FILTERS = (
    ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    ((-2, -1, 0), (-1, 0, 1), (0, 1, 2)),
    ((0, 1, 2), (-1, 0, 1), (-2, -1, 0)),
    ((1, 2, 1), (2, -12, 2), (1, 2, 1)),
)
"""Four edge filters and a spot filter; how strongly each answers is what texture is told by."""

FAINT = 0.01
"""Answers of filters are compared by their logarithm; this is added, so that grain counts as flat."""

MACS_PER_PIXEL = 2e3
"""Multiply-accumulate operations for each pixel of the input."""

REGIONS = (2, 5)
"""Radii of the surroundings whose mean is read, in places of the result."""

FEATURES = LEVELS * (len(FILTERS) + 1) + 2 * (LEVELS - 2) + 4 * len(REGIONS) + 4 * 3 + 2
"""Numbers that are read of a place."""


def heights(rows: int, like: Tensor) -> Tensor:
    """The height in the picture of each row, from -1 at the top to 1 at the bottom: ``(rows,)``."""
    return (2 * torch.arange(rows, device=like.device, dtype=like.dtype) + 1) / rows - 1


def _around(x: Tensor, radius: int) -> Tensor:
    """The mean of the surroundings, which end at the borders of the picture."""
    return functional.avg_pool2d(x, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)


def _running_mean(x: Tensor) -> Tensor:
    """The mean of all rows down to each one."""
    rows = torch.arange(1, x.shape[2] + 1, device=x.device, dtype=x.dtype)
    return x.mean(dim=3, keepdim=True).cumsum(dim=2).expand_as(x) / rows[:, None]


def features(lightness: Tensor, height: Tensor) -> Tensor:
    """What is read of each place, ``(N, FEATURES, H / 4, W / 4)``.

    ``lightness (N, 1, H, W)`` is L / 50 - 1, ``height`` has the same shape (see ``heights``).
    """
    size = (lightness.shape[2] // STRIDE, lightness.shape[3] // STRIDE)
    bank = lightness.new_tensor(FILTERS)[:, None] / 8
    found: list[Tensor] = []
    textures: list[Tensor] = []
    level = lightness
    for index in range(LEVELS):
        answers = functional.conv2d(functional.pad(level, (1, 1, 1, 1), mode="replicate"), bank)
        energy = torch.log(_at(answers.abs(), size) + FAINT)
        found += [_at(level, size), energy]
        if 2**index >= STRIDE:
            found.append(_at(answers[:, :2], size))
        textures.append(energy.mean(dim=1, keepdim=True))
        level = functional.avg_pool2d(level, 2)
    light = functional.adaptive_avg_pool2d(lightness, size)
    fine, coarse = (textures[0] + textures[1]) / 2, (textures[2] + textures[3]) / 2
    summary = torch.cat((light, light * light, fine, coarse), dim=1)
    found += [_around(summary, radius) for radius in REGIONS]
    above, below = _running_mean(summary), _running_mean(summary.flip(2)).flip(2)
    whole = summary.mean(dim=(2, 3), keepdim=True).expand_as(summary)
    place = functional.adaptive_avg_pool2d(height, size)
    return torch.cat((*found, above, below, whole, place, place * place), dim=1)


def _at(x: Tensor, size: tuple[int, int]) -> Tensor:
    """``x`` at one value for every fourth pixel."""
    if x.shape[2] >= size[0]:
        return functional.adaptive_avg_pool2d(x, size)
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)


class ColourSmall(nn.Module):
    """Chroma for a grey picture.

    ``width`` is that of the perceptron's two layers, ``colours`` the size of the palette, ``temperature`` and ``gain``
    what the palette's mean is taken and multiplied with, ``dropout`` what training leaves out.
    """

    palette: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        colours: int,
        width: int = 256,
        temperature: float = 1.0,
        gain: float = 1.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.temperature, self.gain = temperature, gain
        self.first = nn.Conv2d(FEATURES, width, 1)
        self.second = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, colours, 1)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("palette", torch.zeros(colours, 2))
        self.register_buffer("centre", torch.zeros(FEATURES, 1, 1))
        self.register_buffer("spread", torch.ones(FEATURES, 1, 1))

    def logits(self, read: Tensor) -> Tensor:
        """How much each colour suits a place of which ``features`` was read: ``(N, colours, h, w)``."""
        x = ((read - self.centre) / self.spread).clamp(-4, 4)
        x = self.dropout(functional.relu(self.first(x)))
        x = self.dropout(functional.relu(self.second(x)))
        logits: Tensor = self.last(x)
        return logits

    def forward(self, lightness: Tensor) -> Tensor:
        """L / 50 - 1 of a whole picture ``(N, 1, H, W)`` to a and b ``(N, 2, H / 4, W / 4)``, in units of CIE Lab."""
        height = heights(lightness.shape[2], lightness)[None, None, :, None].expand_as(lightness)
        weights = torch.softmax(self.logits(features(lightness, height)) / self.temperature, dim=1)
        return self.gain * torch.einsum("nkhw,kc->nchw", weights, self.palette)


build = ColourSmall
