"""Move pixels along an affine map, without aliasing in either direction.

A map is ``(2, 3) float64``: it takes the centre of a pixel ``(x, y)``, whole numbers, from one picture to another.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.inference.resample import lanczos

Affine = NDArray[np.float64]

FINER = 1.5
"""How many times finer than the result a picture may be that is sampled as it is. A filter that lets nothing alias at
all takes the finest detail away with it: faces would be put back softer than they were cut out.
"""

REACH = 4
"""Pixels around the part of the source that is needed which a filter looks at."""


def compose(outer: Affine, inner: Affine) -> Affine:
    """The map that does ``inner`` first and ``outer`` after it."""
    return np.concatenate([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2:] + outer[:, 2:]], axis=1)


def invert(matrix: Affine) -> Affine:
    """The map back."""
    back = np.linalg.inv(matrix[:, :2])
    return np.concatenate([back, -back @ matrix[:, 2:]], axis=1)


def resizing(source: tuple[int, int], target: tuple[int, int]) -> Affine:
    """The map from a picture of the size ``source`` (height, width) to the same picture resized to ``target``."""
    fy, fx = target[0] / source[0], target[1] / source[1]
    # The corners of the pictures lie on each other, and a corner is half a pixel away from the centre of its pixel.
    return np.array([[fx, 0, (fx - 1) / 2], [0, fy, (fy - 1) / 2]])


def corners(matrix: Affine, height: int, width: int) -> NDArray[np.float64]:
    """``(4, 2)``: where the outer corners of a picture of this size come to lie."""
    x, y = (-0.5, width - 0.5), (-0.5, height - 0.5)
    points = np.array([(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])])
    return points @ matrix[:, :2].T + matrix[:, 2]


def zoom(matrix: Affine) -> float:
    """How many times longer the map makes things."""
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


def sample(picture: Tensor, matrix: Affine, height: int, width: int) -> Tensor:
    """A picture ``(C, height, width) float32`` in [0, 1] whose pixels lie where ``matrix`` says in ``picture``.

    ``picture`` is ``(C, H, W) float32`` with at most four channels; beyond its borders it is mirrored. Only the part
    that is needed is touched. What gets smaller is reduced before it is moved, so that nothing aliases.
    """
    excess = zoom(matrix) / FINER
    reach = math.ceil(REACH * max(1, 2 * excess))  # that of the reduction and that of moving what is reduced
    columns, rows = (
        _needed(places, length, reach)
        for places, length in zip(corners(matrix, height, width).T, (picture.shape[2], picture.shape[1]), strict=True)
    )
    part = picture[:, rows, columns]
    matrix = matrix - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    if excess > 1:
        whole = part.shape[1], part.shape[2]
        reduced = max(1, math.ceil(whole[0] / excess)), max(1, math.ceil(whole[1] / excess))
        part, matrix = lanczos(part, *reduced), compose(resizing(whole, reduced), matrix)
    moved = cv2.warpAffine(
        np.ascontiguousarray(part.permute(1, 2, 0).numpy()),
        matrix,
        (width, height),
        flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    moved = moved.reshape(height, width, -1)  # OpenCV drops the axis of a single channel
    return torch.from_numpy(moved).permute(2, 0, 1).contiguous().clamp(0, 1)


def _needed(positions: NDArray[np.float64], length: int, reach: int) -> slice:
    """The rows, or columns, of a picture with ``length`` of them that are read ``reach`` around ``positions``."""
    low, high = math.floor(positions.min() - reach), math.ceil(positions.max() + reach) + 1
    # What lies outside is mirrored, so as much of the inside has to be there.
    low, high = min(low, 2 * length - high), max(high, -low)
    low, high = max(0, low), min(length, high)
    return slice(min(low, length - 1), max(high, 1))
