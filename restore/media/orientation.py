"""The eight orientations of EXIF and TIFF (tag 274), and how a picture stored in one of them is set upright."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = TypeVar("Pixels", bound=NDArray[Any])


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn and mirror ``pixels``, (H, W) or (H, W, C), stored in ``orientation`` (1 to 8), to how they are to be
    seen."""
    turned: Any = pixels
    if orientation in (5, 6, 7, 8):
        turned = turned.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)  # type: ignore[return-value]


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places when a picture stored in ``orientation`` is set upright."""
    return orientation in (5, 6, 7, 8)
