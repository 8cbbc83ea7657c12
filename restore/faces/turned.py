"""Faces that do not stand upright: where they are in the picture that was turned for them.

A turn is how many quarters of a circle a picture was turned counter-clockwise, as ``torch.rot90`` does it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from restore.faces.align import SIDE, similarity
from restore.faces.warp import Affine, compose, invert, resizing

TURNS = (0, 1, 2, 3)

TILTED = 15.0
"""Degrees from which on a face is looked at once more, upright: RetinaFace takes tilted faces for less tilted ones."""

PATCH = 288
"""Side in pixels of the patch in which a tilted face is looked at once more."""

AROUND = 1.5
"""How many times wider than a crop such a patch is, so that the face in it is about 90 pixels wide and whole."""


def turned_back(points: NDArray[np.float64], turn: int, height: int, width: int) -> NDArray[np.float64]:
    """``points`` ``(K, 2)`` of a picture that was turned, in the picture ``height`` by ``width`` before it was."""
    x, y = points[:, 0], points[:, 1]
    places = {0: (x, y), 1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}
    return np.stack(places[turn], axis=1)


def tilt(landmarks: NDArray[np.float64], turn: int) -> float:
    """Degrees, from 0 to 180, by which a face is off the upright where its picture is turned; 0 for what is no face.

    ``landmarks`` ``(5, 2)`` are those in the picture as it is.
    """
    matrix = similarity(landmarks)
    if matrix is None:
        return 0.0
    degrees = np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])) + 90 * turn
    return abs(float((degrees + 180) % 360 - 180))


def patch(landmarks: NDArray[np.float64]) -> Affine | None:
    """The map from a square patch of ``PATCH`` pixels, in which the face stands upright in the middle, to the picture.

    ``None`` for points of no face.
    """
    matrix = similarity(landmarks)
    if matrix is None:
        return None
    wide = resizing((PATCH, PATCH), (round(SIDE * AROUND), round(SIDE * AROUND)))
    wide[:, 2] -= SIDE * (AROUND - 1) / 2
    return compose(invert(matrix), wide)
