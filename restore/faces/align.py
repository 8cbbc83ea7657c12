"""Where a face lies, and the square crop of it that the networks want.

They were trained on faces that stand as in the data set FFHQ: 512 pixels wide and high, eyes, nose and mouth at fixed
places. The template and the idea to get there by one similarity are those of facexlib
(https://github.com/xinntao/facexlib), as GFPGAN and CodeFormer use it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restore.faces.warp import Affine, invert, sample

SIDE = 512
"""Side of a crop in pixels."""

TEMPLATE: NDArray[np.float64] = np.array(
    [
        (192.98138, 239.94708),
        (318.90277, 240.1936),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    ]
)
"""The eyes, the tip of the nose and the corners of the mouth in a crop, those on the left of the picture first."""


def similarity(landmarks: NDArray[np.float64]) -> Affine | None:
    """The similarity that brings ``landmarks`` ``(5, 2)`` closest to the template: from the picture into the crop.

    The best in the sense of least squares, without mirroring (Umeyama 1991, "Least-squares estimation of transformation
    parameters between two point patterns"). It depends smoothly on the landmarks, which a choice among them, as of the
    least median, does not: that would make faces jump in a clip. ``None`` where the five points are no face.
    """
    centre, template_centre = landmarks.mean(axis=0), TEMPLATE.mean(axis=0)
    points, template = landmarks - centre, TEMPLATE - template_centre
    spread = float((points**2).sum())
    # In two dimensions the best turn and scale are one complex number: the projection of one set on the other.
    along = float((points * template).sum()) / spread if spread > 0 else np.nan
    across = float((points[:, 0] * template[:, 1] - points[:, 1] * template[:, 0]).sum()) / spread if spread else np.nan
    turn = np.array([(along, -across), (across, along)])
    matrix = np.concatenate([turn, (template_centre - turn @ centre)[:, None]], axis=1)
    return matrix if np.isfinite(matrix).all() and np.abs(turn).max() > 0 else None


def crop(picture: Tensor, matrix: Affine, side: int = SIDE) -> Tensor:
    """The crop ``(3, side, side)`` of a face from ``picture`` ``(3, H, W) float32`` in [0, 1].

    ``matrix`` is that of ``similarity``. A face that the border cuts off is continued by its mirror image, as those of
    the data set were, and not by grey, whose edge the networks would carry on into the face.
    """
    return sample(picture, invert(matrix), side, side)
