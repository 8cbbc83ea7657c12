"""The progress bars of a terminal."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from tqdm import tqdm

from restore.progress import Position


class Bars:
    """A listener that draws one bar for each stage; ``label`` goes before its name."""

    def __init__(self) -> None:
        self.label = ""
        self._bar: tqdm[NoReturn] | None = None
        self._key: tuple[int, str, str] | None = None

    def __call__(self, position: Position) -> None:
        key = (position.index, position.stage, position.unit)
        if key != self._key or self._bar is None or position.done < self._bar.n:
            self.close()
            self._key, self._bar = key, self._open(position)
        self._bar.total = position.total
        if position.unit == "tiles" and position.total > 1:
            number = min(int(position.done) + 1, round(position.total))
            self._bar.set_postfix_str(f"tile {number}/{position.total:.0f}", refresh=False)
        self._bar.update(position.done - self._bar.n)

    def _open(self, position: Position) -> tqdm[NoReturn]:
        number = f" ({position.index + 1}/{position.stages})" if position.stages > 1 else ""
        size = position.unit == "bytes"
        # A terminal without a size, as containers have it, would get empty lines.
        sized = os.get_terminal_size(sys.stderr.fileno()).columns > 0
        words = (self.label, f"{position.stage}{number}", "download" if size else "")
        return tqdm(
            desc=" ".join(word for word in words if word),
            total=position.total,
            unit="B",
            unit_scale=True,
            # Of tiles, the time that is left says more than how many there are in a second.
            bar_format=None if size else "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}",
            dynamic_ncols=sized,
            ncols=None if sized else 80,
            nrows=None if sized else 24,
            file=sys.stderr,
        )

    def close(self) -> None:
        """Finish the bar that is being drawn, if there is one."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._key = None
