"""The built-in colourizer: a small U-Net that names a colour for every fourth pixel, trained in ``training/``.

As in "Colorful Image Colorization" (Zhang et al. 2016, https://arxiv.org/abs/1603.08511) the network weighs the colours
of a palette of a and b of CIE L*a*b* for each place, and the result is the mean of the palette under these weights,
made more decided by a temperature below 1 (the annealed mean). It reads the lightness and the height in the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
"""One value of chroma for so many pixels, each way."""

MULTIPLE = 16
"""Both sides of the input must be a multiple of this."""


def _convolution(inputs: int, outputs: int, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Residual(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


class Surroundings(nn.Module):
    """Let every place know what the picture holds on the whole: a shift by a function of the mean features."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.Linear(width, width // 2), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width // 2, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        shift: Tensor = self.mix(x.mean(dim=(2, 3)))
        return x + shift[:, :, None, None]


def heights(rows: int, like: Tensor) -> Tensor:
    """The height in the picture of each row, from -1 at the top to 1 at the bottom: ``(rows,)``."""
    return (2 * torch.arange(rows, device=like.device, dtype=like.dtype) + 1) / rows - 1


class ColourSmall(nn.Module):
    """Chroma for a grey picture.

    ``widths`` are the features at 1/2, 1/4, 1/8 and 1/16 of the size, ``colours`` the size of the palette, ``dropout``
    the share of features left out in training at the bottom, ``temperature`` and ``gain`` what the palette's mean is
    taken and multiplied with.
    """

    palette: Tensor

    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 64, 128),
        colours: int = 64,
        dropout: float = 0.2,
        temperature: float = 1.0,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        stem, quarter, eighth, sixteenth = widths
        self.temperature, self.gain = temperature, gain
        self.stem = _convolution(2, stem, stride=2)
        self.quarter = nn.Sequential(_convolution(stem, quarter, stride=2), _convolution(quarter, quarter))
        self.eighth = nn.Sequential(_convolution(quarter, eighth, stride=2), Residual(eighth), Residual(eighth))
        self.sixteenth = nn.Sequential(
            _convolution(eighth, sixteenth, stride=2),
            Residual(sixteenth),
            Surroundings(sixteenth, dropout),
            nn.Dropout2d(dropout),
            Residual(sixteenth),
        )
        self.up_eighth = nn.Sequential(_convolution(eighth + sixteenth, eighth, size=1), Residual(eighth))
        self.up_quarter = nn.Sequential(_convolution(quarter + eighth, quarter, size=1), Residual(quarter))
        self.head = nn.Conv2d(quarter, colours, 1)
        self.register_buffer("palette", torch.zeros(colours, 2))

    def logits(self, lightness: Tensor, height: Tensor) -> Tensor:
        """How much each colour suits, ``(N, colours, H / 4, W / 4)``.

        ``lightness (N, 1, H, W)`` is L / 50 - 1, ``height`` has the same shape (see ``heights``).
        """
        quarter = self.quarter(self.stem(torch.cat((lightness, height), dim=1)))
        eighth = self.eighth(quarter)
        sixteenth = self.sixteenth(eighth)
        eighth = self.up_eighth(torch.cat((eighth, _twice(sixteenth)), dim=1))
        quarter = self.up_quarter(torch.cat((quarter, _twice(eighth)), dim=1))
        logits: Tensor = self.head(quarter)
        return logits

    def forward(self, lightness: Tensor) -> Tensor:
        """L / 50 - 1 of a whole picture ``(N, 1, H, W)`` to a and b ``(N, 2, H / 4, W / 4)``, in units of CIE Lab."""
        height = heights(lightness.shape[2], lightness)[None, None, :, None].expand_as(lightness)
        weights = torch.softmax(self.logits(lightness, height).float() / self.temperature, dim=1)
        return self.gain * torch.einsum("nkhw,kc->nchw", weights, self.palette.float())


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def build(
    widths: Sequence[int] = (16, 32, 64, 128),
    colours: int = 64,
    temperature: float = 1.0,
    gain: float = 1.0,
) -> ColourSmall:
    return ColourSmall(widths, colours, temperature=temperature, gain=gain)
