"""The progress bars of a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NoReturn

from tqdm import tqdm

from restore.progress import FRAMES, Position

WAITING = 1.5
"""Frames between one part of the work on a clip and the next from which on that one is what the others wait for."""


class Bars:
    """A listener that draws one bar for each stage; ``label`` goes before its name.

    The parts of the work on a clip run side by side: they share one bar, which shows the slowest of them.
    """

    def __init__(self) -> None:
        self.label = ""
        self._bar: tqdm[NoReturn] | None = None
        self._key: tuple[int, str, str] | None = None
        self._parts: dict[int, Position] = {}

    def __call__(self, position: Position) -> None:
        if position.unit == FRAMES:
            self._parts[position.index] = position
            self._show_slowest()
            return
        key = (position.index, position.stage, position.unit)
        if key != self._key or self._bar is None or position.done < self._bar.n:
            self.close()
            self._key, self._bar = key, self._open(position)
        self._bar.total = position.total
        if position.unit == "tiles" and position.total > 1:
            number = min(int(position.done) + 1, round(position.total))
            self._bar.set_postfix_str(f"tile {number}/{position.total:.0f}", refresh=False)
        if position.unit == "faces":
            number = min(int(position.done) + 1, round(position.total))
            self._bar.set_postfix_str(f"face {number}/{position.total:.0f}", refresh=False)
        self._bar.update(position.done - self._bar.n)

    def _show_slowest(self) -> None:
        key = 0, "", FRAMES
        position = slowest([self._parts[index] for index in sorted(self._parts)])
        if self._bar is None or self._key != key:
            self.close(keep_parts=True)
            self._key, self._bar = key, self._open_clip(position)
        self._bar.set_description_str(" ".join(filter(None, (self.label, position.stage))), refresh=False)
        self._bar.total = position.total or None
        self._bar.update(max(0.0, position.done - self._bar.n))

    def _open_clip(self, position: Position) -> tqdm[NoReturn]:
        known = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} [{elapsed}<{remaining}, {rate_fmt}]"
        return self._tqdm(
            total=position.total or None,
            unit=" frames",
            bar_format=known if position.total else "{desc}: {n:.0f} frames [{elapsed}, {rate_fmt}]",
        )

    def _open(self, position: Position) -> tqdm[NoReturn]:
        number = f" ({position.index + 1}/{position.stages})" if position.stages > 1 else ""
        size = position.unit == "bytes"
        words = (self.label, f"{position.stage}{number}", "download" if size else "")
        return self._tqdm(
            desc=" ".join(word for word in words if word),
            total=position.total,
            unit="B",
            unit_scale=True,
            # Of tiles, the time that is left says more than how many there are in a second.
            bar_format=None if size else "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
        )

    def _tqdm(self, **look: Any) -> tqdm[NoReturn]:
        # A terminal without a size, as containers have it, would get empty lines.
        sized = os.get_terminal_size(sys.stderr.fileno()).columns > 0
        return tqdm(
            **look,
            dynamic_ncols=sized,
            ncols=None if sized else 80,
            nrows=None if sized else 24,
            file=sys.stderr,
        )

    def close(self, *, keep_parts: bool = False) -> None:
        """Finish the bar that is being drawn, if there is one."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._key = None
        if not keep_parts:
            self._parts.clear()


def slowest(parts: Sequence[Position]) -> Position:
    """The part of the work that the others wait for: the last before which frames wait, else the first not done."""
    waiting = [later for earlier, later in pairwise(parts) if earlier.done - later.done >= WAITING]
    return waiting[-1] if waiting else next((part for part in parts if part.done < part.total), parts[-1])
