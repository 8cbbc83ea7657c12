"""The built-in colourizer's way from frames to frames."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.colour.eight_bits import luma
from restore.colour.guided import enlarge_guided
from restore.colour.lab import lab_to_rgb, rgb_to_lab
from restore.networks.colour_small import MULTIPLE, STRIDE

SIDE = 208
"""The network looks at pictures reduced to about as many pixels as a square of this side has: there the textures are of
the size that they had in training."""

RADIUS, EPSILON = 8, 4e-3
"""Of the guided enlargement: a window of 17 x 17 places, and the variance of L / 100 below which it counts as flat."""


def working_size(height: int, width: int) -> tuple[int, int]:
    """The size at which the network sees a picture: the same shape, sides that are multiples of 16."""
    scale = SIDE / math.sqrt(height * width)
    sides = (round(side * scale / MULTIPLE) * MULTIPLE for side in (height, width))
    rows, columns = (min(4 * SIDE, max(2 * MULTIPLE, side)) for side in sides)
    return rows, columns


def chroma_of(network: nn.Module, lightness: Tensor) -> Tensor:
    """a and b ``(N, 2, H, W)`` in units of CIE Lab for L ``(N, 1, H, W)`` in 0..100."""
    rows, columns = working_size(lightness.shape[2], lightness.shape[3])
    reduced = functional.interpolate(lightness, (rows, columns), mode="bilinear", antialias=True) / 50 - 1
    # The colours of a picture and of its mirror image are the same; the mean of the two is steadier than either.
    chroma = (network(reduced) + network(reduced.flip(-1)).flip(-1)) / 2
    small = functional.interpolate(lightness, (rows // STRIDE, columns // STRIDE), mode="bilinear", antialias=True)
    return enlarge_guided(chroma, small / 100, lightness / 100, RADIUS, EPSILON)


def colourise(network: nn.Module, frames: Tensor) -> Tensor:
    """Frames ``(N, 3, H, W)`` in [0, 1], of whatever colour, to frames with the network's colours."""
    lightness = rgb_to_lab(luma(frames).expand(-1, 3, -1, -1))[:, :1]
    return lab_to_rgb(torch.cat((lightness, chroma_of(network, lightness)), dim=1))
