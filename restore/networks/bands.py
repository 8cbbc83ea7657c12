"""Run the last layers of a network over bands of rows, so that what they hold does not grow with the frame.

Enlarged four times, a single layer of features takes sixteen times what it takes before; the layers there see only a
pixel or two around each.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

PIXELS = 2**15
"""Pixels of a band before it is enlarged."""

LEAST_ROWS = 16


def in_bands(layers: Callable[..., Tensor], *inputs: Tensor, halo: int) -> Tensor:
    """``layers(*inputs)``, with each of ``inputs (N, C, H, W)`` cut into bands of rows.

    The result is ``(N, C', scale * H, scale * W)``. ``halo`` rows around a band are computed as well and cut off; it
    has to cover what the layers see.
    """
    height, width = inputs[0].shape[-2:]
    rows = max(LEAST_ROWS, PIXELS // width)
    if height <= rows + halo:
        return layers(*inputs)
    bands = []
    for start in range(0, height, rows):
        top, bottom = max(0, start - halo), min(height, start + rows + halo)
        band = layers(*(one[:, :, top:bottom] for one in inputs))
        scale = band.shape[-2] // (bottom - top)
        first, stop = scale * (start - top), scale * (min(height, start + rows) - top)
        bands.append(band[:, :, first:stop])
    return torch.cat(bands, dim=2)
