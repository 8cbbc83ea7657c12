"""Put restored faces back into a picture, in the picture's own resolution and without seams."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor

from restore.faces.align import SIDE
from restore.faces.warp import Affine, compose, corners, invert, resizing, sample

FEATHER = 16.0
"""Standard deviation, in pixels of a crop, of the blur that softens a mask: about that of facexlib."""

MARGIN = 2 * FEATHER
"""Pixels at the edge of a crop that a mask leaves out before it is softened, so that hair that goes on beyond the crop
ends in a soft edge as well."""


def soften(mask: Tensor) -> Tensor:
    """A mask ``(S, S) float32`` in [0, 1] of what belongs to a face, with soft edges and 0 along the border."""
    margin, side = round(MARGIN), mask.shape[-1]
    inner = np.zeros((side, side), np.float32)
    inner[margin:-margin, margin:-margin] = mask[margin:-margin, margin:-margin].numpy()
    blurred = torch.from_numpy(cv2.GaussianBlur(inner, (0, 0), FEATHER))
    places = torch.arange(side) + 0.5
    ramp = torch.minimum(places, side - places).div(margin).clamp(max=1)
    return blurred * torch.minimum(ramp[:, None], ramp)


def plain_mask(side: int = SIDE) -> Tensor:
    """A mask ``(side, side)`` that takes any face for an oval: for want of a network that tells what is face."""
    across = (torch.arange(side) + 0.5) / side - 0.5
    # FFHQ's faces reach from about the upper fifth of a crop to its lower edge.
    return (((across / 0.36)[None, :].square() + ((across - 0.08) / 0.42)[:, None].square()) < 1).float()


def paste(canvas: Tensor, face: Tensor, mask: Tensor, matrix: Affine, source: tuple[int, int]) -> None:
    """Put ``face`` ``(3, S, S)`` into ``canvas`` ``(3, H, W)``, in place, where ``mask`` ``(S, S)`` says.

    All are float32 in [0, 1]. ``matrix`` leads from the picture that the face was cut from into the crop; that picture
    has the size ``source`` (height, width), and ``canvas`` may be an enlarged version of it. Nothing is touched but the
    part of the canvas that the mask covers.
    """
    rows, columns = (torch.nonzero(mask.amax(dim=axis))[:, 0] for axis in (1, 0))
    if not len(rows):
        return
    top, left = int(rows[0]), int(columns[0])
    bottom, right = int(rows[-1]) + 1, int(columns[-1]) + 1
    height, width = canvas.shape[1:]
    to_crop = compose(matrix, resizing((height, width), source))
    shifted = invert(to_crop)
    shifted[:, 2] += shifted[:, :2] @ (left, top)
    places = corners(shifted, bottom - top, right - left)
    x0, y0 = (max(0, math.floor(low)) for low in places.min(axis=0))
    x1, y1 = (min(limit, math.ceil(high) + 1) for limit, high in zip((width, height), places.max(axis=0), strict=True))
    if x0 >= x1 or y0 >= y1:
        return
    to_crop[:, 2] += to_crop[:, :2] @ (x0, y0)
    moved = sample(torch.cat([face, mask[None]]), to_crop, y1 - y0, x1 - x0)
    part = canvas[:, y0:y1, x0:x1]
    part.lerp_(moved[:3], _inside(to_crop, y1 - y0, x1 - x0, mask.shape[-1]) * moved[3])


def _inside(matrix: Affine, height: int, width: int, side: int) -> Tensor:
    """``(height, width)``: 1 where ``matrix`` points into the crop, 0 where sampling has mirrored it."""
    x, y = torch.arange(width, dtype=torch.float64), torch.arange(height, dtype=torch.float64)[:, None]
    within = torch.ones(height, width, dtype=torch.bool)
    for a, b, c in matrix.tolist():
        place = a * x + b * y + c
        within &= (place > -0.5) & (place < side - 0.5)
    return within.float()
