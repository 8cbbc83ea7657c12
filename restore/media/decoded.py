"""What the reader of one file format hands over, before the picture is set upright and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from restore.report import Dropped

Samples = NDArray[np.uint8] | NDArray[np.uint16]


class Unsupported(ValueError):
    """A whole file with something in it that is not read; the message goes on from the name of the file."""


@dataclass(frozen=True)
class Header:
    """What a header says: the stored size in pixels, the orientation (1 to 8), and how many pictures the file holds."""

    width: int
    height: int
    orientation: int = 1
    frames: int = 1


@dataclass(frozen=True)
class Decoded:
    """A picture as it is stored: ``pixels`` (H, W, 1) grey, (H, W, 3) RGB, ``alpha`` (H, W) straight, same dtype.

    ``exif`` and ``icc_profile`` are as found, unchecked; ``orientation`` is what is still to be applied (None: what the
    EXIF says).
    ``grey_within`` says that the format has no way of its own to say grey, so that channels mean it that differ by no
    more than this; None if the format says so itself. ``bits`` is how many the source had, where it says.
    """

    pixels: Samples
    alpha: Samples | None = None
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    orientation: int | None = None
    grey_within: int | None = None
    bits: int | None = None
    losses: tuple[Dropped, ...] = ()


def split_alpha(samples: Samples) -> tuple[Samples, Samples | None]:
    """Split (H, W), or (H, W, C) with 1 to 4 channels, into grey or RGB pixels (H, W, 1 or 3) and alpha (H, W)."""
    if samples.ndim == 2:
        return samples[..., None], None
    if samples.shape[2] in (2, 4):
        return samples[..., :-1], samples[..., -1]
    return samples, None


def join_alpha(pixels: Samples, alpha: Samples | None) -> Samples:
    """The opposite of ``split_alpha``: (H, W) for grey without alpha, otherwise (H, W, 2 to 4)."""
    if alpha is not None:
        return cast("Samples", np.concatenate([pixels, alpha[..., None]], axis=2))
    return cast("Samples", np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def further_frames(count: int, what: str) -> tuple[Dropped, ...]:
    """The loss to report for a file with ``count`` pictures of which only the first is read."""
    if count <= 1:
        return ()
    return (Dropped(f"{count - 1} further {what}{'s' if count > 2 else ''}", "only the first picture is read"),)
