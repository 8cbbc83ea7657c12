"""A frame: what flows between stages."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """One picture, as coded (R'G'B' in its own primaries and transfer), and its place in time.

    ``pixels`` is ``(3, H, W) float32 in [0, 1]``; ``alpha`` is ``(H, W) float32 in [0, 1]``, straight, or ``None``.
    ``bits`` is the depth of the source, which decides the precision that the networks may run in. ``pts`` and
    ``duration`` are in seconds; a still image has neither.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    bits: int = 8
    pts: Fraction = Fraction(0)
    duration: Fraction = Fraction(0)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[-2])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[-1])
