"""Tiles of a pair of frames whose results run into each other, so that no seam is seen between them.

What a network makes of a window depends a little on all of it, and more than a little where things move. So each window
shows as much around its tile as things move between the two frames, and across the borders of tiles the results of both
sides are mixed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.inference.tiles import Span, Tile
from restore.interpolation.optical_flow import furthest

LEAST_CONTEXT = 128
"""Pixels around a tile that the network is given at least; more where something moves further."""

LARGEST_CONTEXT = 512

BEYOND_MOTION = 64
"""Pixels that are seen around the place that something has moved to."""

GRID = 64
"""By how much networks shrink frames at most. Windows begin at multiples of it, so that a pixel of the small frames is
the same part of the frame in every window."""

SMALLEST_TILE = 128

SEAM = 16
"""Pixels on each side of a border between tiles over which their results are mixed."""


def context_for(first: Tensor, second: Tensor) -> int:
    """How many pixels around a tile of ``first (3, H, W)`` and ``second`` a network should see."""
    return min(max(math.ceil(furthest(first, second)) + BEYOND_MOTION, LEAST_CONTEXT), LARGEST_CONTEXT)


@dataclass(frozen=True)
class SoftTile:
    """A tile of a frame, and how much its result counts along both sides of its window: ``(h,)`` and ``(w,)``."""

    tile: Tile
    rows: Tensor
    columns: Tensor

    def add(self, made: Tensor, frame: Tensor) -> None:
        """Add the share of ``made (3, h, w)``, the result of the window, to ``frame (3, H, W)``."""
        frame[:, self.tile.row.seen, self.tile.column.seen] += made * (self.rows[:, None] * self.columns)


def soft_tiles(height: int, width: int, tile: int, context: int, grid: int = GRID) -> list[SoftTile]:
    """A frame in tiles of about ``tile`` pixels a side, whose shares are one at every pixel when they are added up.

    ``context`` is what a window shows around its tile at least, as far as the frame goes; it is ``SEAM`` or more.
    Windows begin and, inside the frame, end at multiples of ``grid``.
    """
    rows, columns = (list(_spans(side, tile, context, grid)) for side in (height, width))
    return [
        SoftTile(Tile(row, column), _share(row, height), _share(column, width)) for row in rows for column in columns
    ]


def _spans(side: int, tile: int, context: int, grid: int) -> Iterator[Span]:
    count = math.ceil(side / max(grid, tile // grid * grid))
    core = math.ceil(side / count / grid) * grid
    around = math.ceil(context / grid) * grid
    for start in range(0, side, core):
        stop = min(start + core, side)
        window = max(0, start - around)
        yield Span(start, stop, window, min(side, start + core + around) - window)


def _share(span: Span, length: int) -> Tensor:
    """How much each pixel of the window counts: one inside, less towards the borders to other tiles."""
    places = torch.arange(span.window, span.window + span.size) + 0.5
    share = torch.ones(span.size)
    for border, side in ((span.start, 1), (span.stop, -1)):
        if 0 < border < length:
            behind = ((places - border) / (2 * SEAM) + 0.5).clamp(0, 1)
            share -= 1 - behind if side > 0 else behind
    return share
