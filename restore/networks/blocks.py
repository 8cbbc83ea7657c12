"""Run the last layers of a network over blocks of a frame, so that what they hold does not grow with the frame.

Enlarged four times, a single layer of features takes sixteen times what it takes before; the layers there see only a
few pixels around each. Square blocks have the least around them to compute twice.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

SIDE = 128
"""Pixels a side of a block at most, before it is enlarged and without what is around it."""


def in_blocks(layers: Callable[..., Tensor], *inputs: Tensor, halo: int) -> Tensor:
    """``layers(*inputs)``, with each of ``inputs (N, C, H, W)`` cut into blocks.

    The result is ``(N, C', scale * H, scale * W)``. ``halo`` pixels around a block are computed as well and cut off; it
    has to cover what the layers see.
    """
    height, width = inputs[0].shape[-2:]
    if max(height, width) <= SIDE + halo:
        return layers(*inputs)
    whole: Tensor | None = None
    for top, bottom in _divided(height):
        for left, right in _divided(width):
            above, before = max(0, top - halo), max(0, left - halo)
            rows, columns = slice(above, bottom + halo), slice(before, right + halo)
            block = layers(*(one[:, :, rows, columns] for one in inputs))
            scale = block.shape[-2] // (min(height, rows.stop) - above)
            if whole is None:
                whole = block.new_empty(*block.shape[:2], scale * height, scale * width)
            inner = block[
                :,
                :,
                scale * (top - above) : scale * (bottom - above),
                scale * (left - before) : scale * (right - before),
            ]
            whole[:, :, scale * top : scale * bottom, scale * left : scale * right] = inner
    assert whole is not None
    return whole


def _divided(side: int) -> list[tuple[int, int]]:
    """Where the blocks of a side begin and end: as few as possible, of nearly the same size."""
    count = -(-side // SIDE)
    return list(pairwise(side * i // count for i in range(count + 1)))


def values_in(values: int, halo: int) -> int:
    """Numbers that layers hold at most for a block, which hold ``values`` for each of its pixels."""
    return (SIDE + 2 * halo) ** 2 * values
