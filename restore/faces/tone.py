"""Bring the colours of a restored face back to those that it had among its surroundings."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

COARSE = 16
"""Pixels of a crop that are averaged into one: what is left is light and colour, without grain and without features."""

LARGEST_GAIN = 1.25
"""How much contrast is given or taken at most."""

GREY = 2 / 255
"""A crop whose channels differ by less than this in the mean has no colour, but perhaps the noise of a codec."""

_LEAST_SPREAD = 1e-3


def match_tone(restored: Tensor, crops: Tensor, masks: Tensor) -> Tensor:
    """Give faces ``(N, 3, S, S)`` the mean and the contrast that each channel has in ``crops``, inside ``masks``.

    Both are taken from averages over coarse cells, weighted with the masks ``(N, S, S)``: networks drift in light and
    colour, which would show as a seam, while noise in the crops says nothing about contrast. ``S`` is a multiple of
    ``COARSE``; all is float32 and nominally in [0, 1].
    """
    weights = functional.avg_pool2d(masks[:, None], COARSE)
    total = weights.sum(dim=(2, 3), keepdim=True)

    def mean_and_spread(pictures: Tensor) -> tuple[Tensor, Tensor]:
        coarse = functional.avg_pool2d(pictures, COARSE)
        mean = (coarse * weights).sum(dim=(2, 3), keepdim=True) / total
        variance = ((coarse - mean).square() * weights).sum(dim=(2, 3), keepdim=True) / total
        return mean, variance.sqrt()

    mean, spread = mean_and_spread(restored)
    wanted, wanted_spread = mean_and_spread(crops)
    gain = ((wanted_spread + _LEAST_SPREAD) / (spread + _LEAST_SPREAD)).clamp(1 / LARGEST_GAIN, LARGEST_GAIN)
    return torch.where(total > 0, (restored - mean) * gain + wanted, restored).clamp(0, 1)


def is_grey(pictures: Tensor) -> Tensor:
    """``(N,) bool``: whether pictures ``(N, 3, H, W)`` have no colour to speak of."""
    spread = pictures.amax(dim=1) - pictures.amin(dim=1)
    return spread.mean(dim=(1, 2)) < GREY
