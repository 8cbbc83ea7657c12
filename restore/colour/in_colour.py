"""Whether a picture is in colour, as opposed to grey, sepia, or tinted by its print, its paper and its age."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from restore.colour.eight_bits import BT_601

SIDE = 64
"""The picture is judged in this many rows and columns, which even out grain and the colour noise of compression."""

DEVIATION = 7 / 255
"""How far the chroma of a place has to be from what tone and paper explain to count as colour."""

SHARE = 0.01
"""How much of a picture has to be in colour for the whole to be so."""


def in_colour(pixels: Tensor) -> bool:
    """Whether ``pixels`` ``(3, H, W)`` in [0, 1] have colours that no toning of a black-and-white picture explains.

    A toned print has at each place the one colour that belongs to its luma there, and paper yellows and stains slowly
    from place to place. So chroma is fitted by a cubic of luma whose coefficients are quadratics of the place; what
    that leaves is colour.
    """
    small = functional.adaptive_avg_pool2d(pixels[None], SIDE)[0].reshape(3, -1).double().clamp(0, 1)
    red, _, blue = small
    luma = small.new_tensor(BT_601) @ small
    # Cb and Cr of BT.601 with their usual gains.
    chroma = torch.stack(((blue - luma) * 0.564, (red - luma) * 0.713), dim=1)
    place = torch.linspace(-1, 1, SIDE, dtype=small.dtype)
    y, x = (axis.reshape(-1) for axis in torch.meshgrid(place, place, indexing="ij"))
    tones = torch.stack([luma**power for power in range(4)])
    places = torch.stack((torch.ones_like(x), x, y, x * x, x * y, y * y))
    explains = (tones[:, None] * places).reshape(-1, luma.numel()).T
    # The solver that also takes what is of one tone all over.
    fit = explains @ torch.linalg.lstsq(explains, chroma, driver="gelsd").solution
    return bool(((chroma - fit).norm(dim=1) > DEVIATION).double().mean() > SHARE)
