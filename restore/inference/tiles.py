"""Cut a picture into tiles, run them, put the results together.

A tile is a *core*, which it is there for, and the *window* that the network is given: the core and ``context`` pixels
around it, as far as the picture goes. The context is cut off again, so where it covers the receptive field of a
purely convolutional network the result is that of the whole picture. The tiler knows nothing of networks, and the
network nothing of memory: ``forward`` is any function from a batch to a larger batch, and it may raise
``torch.OutOfMemoryError``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.errors import ResourceError

Forward = Callable[[Tensor], Tensor]
SMALLEST_TILE = 16


@dataclass(frozen=True)
class Span:
    """Part of one side: the core from ``start`` to ``stop``, the window from ``window`` on, ``size`` pixels long."""

    start: int
    stop: int
    window: int
    size: int

    @property
    def seen(self) -> slice:
        """The window."""
        return slice(self.window, self.window + self.size)


def divide(start: int, stop: int, length: int, tile: int, context: int, multiple: int = 1) -> list[Span]:
    """Divide ``start`` to ``stop`` of a side of ``length`` pixels into cores of at most ``tile`` pixels and equal
    windows.

    ``length``, ``start`` and ``context`` are multiples of ``multiple``; so is the start of every core and window.
    Windows at the border of the picture move inwards, which keeps them equal and only gives them more context.
    """
    extent = stop - start
    count = math.ceil(extent / max(multiple, tile // multiple * multiple))
    core = math.ceil(extent / count / multiple) * multiple
    size = min(length, core + 2 * context)
    return [
        Span(first, min(first + core, stop), max(0, min(first - context, length - size)), size)
        for first in range(start, stop, core)
    ]


@dataclass(frozen=True)
class Tile:
    """One tile of a picture, in pixels of the input."""

    row: Span
    column: Span

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.row.size, self.column.size

    def cut(self, picture: Tensor) -> Tensor:
        """The window, from a picture ``(3, H, W)``."""
        return picture[:, self.row.seen, self.column.seen]

    def core_of(self, result: Tensor, scale: int) -> Tensor:
        """The part of the enlarged window ``(3, h, w)`` that belongs to the core."""
        top, left = (self.row.start - self.row.window) * scale, (self.column.start - self.column.window) * scale
        height, width = (self.row.stop - self.row.start) * scale, (self.column.stop - self.column.start) * scale
        return result[:, top : top + height, left : left + width]


@dataclass
class Tiler:
    """Run ``forward`` over pictures in tiles of at most ``tile`` pixels a side, ``batch`` equal windows at a time.

    Out of memory first halves the batch, then the tile, and goes on with what is left; both keep their new value.
    ``finished`` and ``left`` count the tiles that are done and those that are not; ``under_way`` are the ones of these
    that ``forward`` has. When tiles become smaller, what is done is counted in tiles of the new size as well.
    """

    forward: Forward
    scale: int
    context: int
    multiple: int
    tile: int
    batch: int = 1
    finished: int = 0
    left: int = 0
    under_way: int = 0

    @property
    def total(self) -> int:
        """How many tiles the picture has."""
        return self.finished + self.left

    def bands(self, picture: Tensor) -> Iterator[Tensor]:
        """Yield the enlarged picture ``(3, h, scale * W)`` band by band from top to bottom.

        ``picture`` is ``(3, H, W)`` on the CPU and stays there; both sides are multiples of ``multiple``.
        """
        _, height, width = picture.shape
        rows = divide(0, height, height, self.tile, self.context, self.multiple)
        self.finished, self.left = 0, len(rows) * len(self._columns(width))
        for below, row in zip(reversed(range(len(rows))), rows, strict=True):
            yield self._band(picture, row, below)

    def _columns(self, width: int) -> list[Span]:
        return divide(0, width, width, self.tile, self.context, self.multiple)

    def _band(self, picture: Tensor, row: Span, below: int) -> Tensor:
        """The enlarged ``row`` of ``picture``, which has as many more as ``below`` says."""
        width = picture.shape[2]
        canvas: Tensor | None = None
        tiles = waiting = [Tile(row, column) for column in self._columns(width)]
        while waiting:
            shape = waiting[0].shape
            group = [tile for tile in waiting[: self.batch] if tile.shape == shape]
            self.under_way = len(group)
            try:
                results = self.forward(torch.stack([tile.cut(picture) for tile in group]))
            except torch.OutOfMemoryError as error:
                self._shrink(error)
                waiting = self._smaller(waiting, picture)
                left = len(waiting) + below * len(self._columns(width))
                self.finished, self.left = math.ceil(self.finished * left / self.left), left
                continue
            waiting = waiting[len(group) :]
            self.finished, self.left, self.under_way = self.finished + len(group), self.left - len(group), 0
            if canvas is None and not waiting and len(tiles) == 1 and len(group) == 1:
                return group[0].core_of(results[0], self.scale)
            if canvas is None:
                canvas = blank((row.stop - row.start) * self.scale, width * self.scale)
            for tile, result in zip(group, results, strict=True):
                top, left = (tile.row.start - row.start) * self.scale, tile.column.start * self.scale
                core = tile.core_of(result, self.scale)
                canvas[:, top : top + core.shape[1], left : left + core.shape[2]] = core
        assert canvas is not None
        return canvas

    def _shrink(self, error: Exception) -> None:
        if self.batch > 1:
            self.batch //= 2
        elif self.tile >= 2 * max(SMALLEST_TILE, self.multiple):
            self.tile //= 2
        else:
            raise ResourceError(
                f"There is not enough memory even for a tile of {self.tile} pixels: close other programs that use the "
                "device, or choose a smaller model or another device."
            ) from error

    def _smaller(self, tiles: list[Tile], picture: Tensor) -> list[Tile]:
        """The same cores, divided to the present size of a tile, those with equal windows side by side."""
        _, height, width = picture.shape
        smaller = [
            Tile(row, column)
            for tile in tiles
            for row in divide(tile.row.start, tile.row.stop, height, self.tile, self.context, self.multiple)
            for column in divide(tile.column.start, tile.column.stop, width, self.tile, self.context, self.multiple)
        ]
        return sorted(smaller, key=lambda tile: tile.shape)


def blank(height: int, width: int) -> Tensor:
    """An unset picture ``(3, height, width) float32`` that lies in memory as an image file has it, pixel by pixel."""
    return torch.empty(height, width, 3).permute(2, 0, 1)


def count_tiles(height: int, width: int, tile: int, context: int, multiple: int) -> int:
    """How many tiles of at most ``tile`` pixels a side a picture has."""
    rows, columns = (divide(0, side, side, tile, context, multiple) for side in (height, width))
    return len(rows) * len(columns)


def largest_tile(pixels: int, context: int, multiple: int) -> int:
    """The side of the largest square tile whose window has at most ``pixels`` pixels."""
    side = math.isqrt(max(0, pixels)) - 2 * context
    return max(SMALLEST_TILE, multiple, side // multiple * multiple)
