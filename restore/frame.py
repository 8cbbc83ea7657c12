"""A frame: what flows between stages."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from torch import Tensor


@dataclass(frozen=True)
class Frame:
    """One picture, as coded (R'G'B' in its own primaries and transfer), and its place in time.

    ``pixels`` is ``(3, H, W) float32``, nominally in [0, 1]: the frames of a clip may hold values a little outside,
    which come out again where no stage clips them. ``alpha`` is ``(H, W) float32 in [0, 1]``, straight, or ``None``.
    ``bits`` is the depth of the source, which decides the precision that the networks may run in. ``pts`` and
    ``duration`` are in seconds; a still image has neither. ``repeat`` says that pixels and alpha are exactly those of
    the frame before (they are the same tensors then), so that nothing needs to be computed for them again. ``shot`` is
    the number of the shot that it belongs to: it rises where a new one begins. It is 0 throughout where nobody looked
    for shots, which is done where a stage of the chain says ``uses_shots``. ``before`` is there right after a stage
    that enlarged the frame, ``(3, h, w)``: its pixels as they were before; a stage that changes pixels leaves it out.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    bits: int = 8
    pts: Fraction = Fraction(0)
    duration: Fraction = Fraction(0)
    repeat: bool = False
    shot: int = 0
    before: Tensor | None = None

    @property
    def height(self) -> int:
        return int(self.pixels.shape[-2])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[-1])
