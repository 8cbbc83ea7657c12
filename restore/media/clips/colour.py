"""What the numbers of a clip's planes mean, and R'G'B' made from them and back.

R'G'B' stays as coded: in the clip's own primaries and transfer, with no tone mapping. Only the matrix, the range and
the resolution of chroma are undone, in float32, so nothing is lost that the planes hold; values a little outside
[0, 1], which clips with limited range have, survive the way there and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from restore.media.clips import chroma
from restore.media.clips.planes import Layout

# Kr and Kb of the equation for luma, by FFmpeg's number of the matrix (ITU-T H.273, table 4).
LUMA = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470 B/G, which is BT.601 with 625 lines
    6: (0.299, 0.114),  # SMPTE 170M, which is BT.601 with 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020, non-constant luminance
}
RGB, UNSPECIFIED, YCGCO = 0, 2, 8
"""Numbers of matrices that are no equation for luma: none, not said, and the lifting scheme."""

BT709, BT601_625, BT601_525 = 1, 5, 6
LIMITED, FULL = 1, 2
CHROMA_LEFT, CHROMA_CENTRE, CHROMA_TOP_LEFT = 1, 2, 3

HD_WIDTH, HD_HEIGHT = 1024, 576
"""A picture that is larger than this counts as BT.709 where nothing says which matrix was used, others as BT.601."""

BAND = 64
"""Rows of luma that are converted at once, so that what is made in between stays in the processor's cache."""


@dataclass(frozen=True)
class ColourSpace:
    """How R'G'B' was coded, as the numbers of ITU-T H.273 that FFmpeg uses too.

    ``chroma_location`` is 1 (left, the usual one), 2 (centre, as in JPEG and MPEG-1) or 3 (top left).
    """

    matrix: int
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    full_range: bool = False
    chroma_location: int = CHROMA_LEFT

    @property
    def sitings(self) -> tuple[chroma.Siting, chroma.Siting]:
        """Where chroma lies horizontally and vertically."""
        return (
            "centre" if self.chroma_location == CHROMA_CENTRE else "cosited",
            "cosited" if self.chroma_location == CHROMA_TOP_LEFT else "centre",
        )


def resolve(tagged: ColourSpace, layout: Layout, width: int, height: int) -> ColourSpace:
    """``tagged`` with a matrix in any case: R'G'B' has none, and where none is named the size of the picture decides.

    Above 1024 x 576 pixels that is BT.709, else BT.601: with 525 lines up to a height of 486, with 625 above. Other
    matrices than those in ``LUMA`` count as not named.
    """
    if layout.kind == "rgb":
        return replace(tagged, matrix=RGB, full_range=True)
    if tagged.matrix in LUMA or tagged.matrix == YCGCO:
        return tagged
    if width > HD_WIDTH or height > HD_HEIGHT:
        return replace(tagged, matrix=BT709)
    return replace(tagged, matrix=BT601_525 if height <= 486 else BT601_625)


def to_rgb(planes: Sequence[Tensor], layout: Layout, colour: ColourSpace) -> tuple[Tensor, Tensor | None]:
    """Planes of integers as R'G'B' ``(3, H, W) float32``, nominally in [0, 1], and alpha ``(H, W)`` in [0, 1].

    ``planes`` are those of ``layout``: luma and two of chroma, or green, blue and red as FFmpeg orders them, or grey
    alone; then alpha. ``colour`` is a resolved one.
    """
    alpha = planes[-1].float().div_(layout.largest) if layout.alpha else None
    first = planes[0]
    height, width = first.shape
    if layout.kind == "rgb":
        green, blue, red = (plane.float().div_(layout.largest) for plane in planes[:3])
        return torch.stack([red, green, blue]), alpha
    offset, span, chroma_span = _range(layout, colour)
    luma = first.float().sub_(offset).div_(span)
    if layout.kind == "grey":
        return luma.expand(3, -1, -1).contiguous(), alpha
    middle = float(2 ** (layout.bits - 1))
    differences = torch.stack([plane.float().sub_(middle).div_(chroma_span) for plane in planes[1:3]])
    across, along = colour.sitings
    for shift in reversed(range(layout.width_shift)):
        differences = chroma.up(differences, across, -1, -(-width // 2**shift))
    for shift in reversed(range(layout.height_shift)):
        differences = chroma.up(differences, along, -2, -(-height // 2**shift))
    coded = torch.cat([luma[None], differences])
    return torch.matmul(_inverse(colour.matrix), coded.view(3, -1)).view(3, height, width), alpha


def from_rgb(
    pixels: Tensor, alpha: Tensor | None, planes: Sequence[Tensor], layout: Layout, colour: ColourSpace
) -> None:
    """Write R'G'B' ``(3, H, W) float32`` and alpha ``(H, W)`` into ``planes``, rounded to the integers of ``layout``.

    A layout without colour gets the luma of BT.601, one with alpha is opaque where ``alpha`` is ``None``.
    """
    if layout.alpha:
        planes[-1].copy_(
            torch.full(planes[-1].shape, layout.largest)
            if alpha is None
            else _rounded(alpha, layout.largest, 0, layout)
        )
    _, height, _ = pixels.shape
    step = 2**layout.height_shift
    # Rows beyond a band that its own rows of chroma depend on; each halving reaches twice as far.
    halo = chroma.REACH * (step - 1)
    for top in range(0, height, BAND):
        bottom = min(height, top + BAND)
        above, below = min(top, halo), min(height - bottom, halo)
        band = pixels[:, top - above : bottom + below]
        if layout.kind == "rgb":
            red, green, blue = band
            for plane, values in zip(planes[:3], (green, blue, red), strict=True):
                plane[top:bottom] = _rounded(values, layout.largest, 0, layout)
            continue
        offset, span, chroma_span = _range(layout, colour)
        coded = torch.matmul(_forward(colour.matrix), band.reshape(3, -1)).view(band.shape)
        planes[0][top:bottom] = _rounded(coded[0, above : above + bottom - top], span, offset, layout)
        if layout.kind == "grey":
            continue
        differences = coded[1:]
        across, along = colour.sitings
        rows = above, below
        for _ in range(layout.height_shift):
            differences = chroma.down(differences, along, -2)
            rows = rows[0] // 2, (rows[1] + 1) // 2
        differences = differences[:, rows[0] : rows[0] + -(-(bottom - top) // step)]
        for _ in range(layout.width_shift):
            differences = chroma.down(differences, across, -1)
        middle = float(2 ** (layout.bits - 1))
        for plane, values in zip(planes[1:3], differences, strict=True):
            plane[top // step : -(-bottom // step)] = _rounded(values, chroma_span, middle, layout)


def _range(layout: Layout, colour: ColourSpace) -> tuple[float, float, float]:
    """The number that is black, the distance to white, and that between the ends of chroma."""
    if colour.full_range:
        return 0.0, float(layout.largest), float(layout.largest)
    unit = 2.0 ** (layout.bits - 8)
    return 16 * unit, 219 * unit, 224 * unit


def _rounded(values: Tensor, span: float, offset: float, layout: Layout) -> Tensor:
    return values.mul(span).add_(offset + 0.5).clamp_(0, layout.largest).floor_()


@cache
def _forward(matrix: int) -> Tensor:
    """The 3 x 3 matrix from R'G'B' to luma and two differences in [-0.5, 0.5]."""
    if matrix == YCGCO:
        return torch.tensor([[0.25, 0.5, 0.25], [-0.25, 0.5, -0.25], [0.5, 0.0, -0.5]])
    red, blue = LUMA.get(matrix, LUMA[BT601_525])
    green = 1 - red - blue
    luma = torch.tensor([red, green, blue], dtype=torch.float64)
    unit = torch.eye(3, dtype=torch.float64)
    return torch.stack([luma, (unit[2] - luma) / (2 * (1 - blue)), (unit[0] - luma) / (2 * (1 - red))]).float()


@cache
def _inverse(matrix: int) -> Tensor:
    inverse: Tensor = torch.linalg.inv(_forward(matrix).double())
    return inverse.float()
