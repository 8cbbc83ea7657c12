"""Show which faces there are, before anything is done to them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.faces.detect import Detector
from restore.faces.flow import most_central, shorter_side
from restore.inference.engine import Engine
from restore.report import ModelUse
from restore.stages.faces import Faces, open_detector

TAKEN, LEFT = (90, 220, 120), (170, 170, 170)
"""Colours, R'G'B', of faces that will be restored and of those that will be left alone."""

LINE = 0.004
"""Width of a line as a share of the longer side of the picture."""


@dataclass(frozen=True)
class FoundFace:
    """A face, in pixels of the picture: ``box`` is left, top, right and bottom, ``landmarks`` are the eyes, the tip of
    the nose and the corners of the mouth. ``taken`` says whether the settings take it.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float
    taken: bool


@dataclass(frozen=True)
class FoundFaces:
    """The faces of a picture of the size ``(width, height)``, or ``problem``: why nobody could look for them."""

    size: tuple[int, int]
    faces: tuple[FoundFace, ...]
    models: tuple[ModelUse, ...] = ()
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, ready for JSON."""
        return asdict(self)


def find_faces(pixels: Tensor, settings: Faces, engine: Engine) -> FoundFaces:
    """The faces in ``pixels`` ``(3, H, W) float32`` in [0, 1] that the stage with these settings would find.

    Raises ``Cancelled``, and ``WeightsError`` for a file of weights that is damaged.
    """
    height, width = int(pixels.shape[1]), int(pixels.shape[2])
    model, why_not = open_detector(settings.detector, engine)
    if model is None:
        return FoundFaces((width, height), (), problem=why_not)
    with torch.inference_mode():
        (found,) = Detector(model.source, engine).detect(pixels.clamp(0, 1)[None])
    taken = [index for index, face in enumerate(found) if shorter_side(face) >= settings.min_size]
    if settings.only_center and taken:
        taken = [taken[most_central([found[index].landmarks for index in taken], height, width)]]
    faces = tuple(
        FoundFace(
            tuple(face.box.tolist()), tuple(tuple(p) for p in face.landmarks.tolist()), face.score, index in taken
        )
        for index, face in enumerate(found)
    )
    return FoundFaces((width, height), faces, model.uses)


def drawn(picture: NDArray[np.uint8], found: FoundFaces) -> NDArray[np.uint8]:
    """``picture`` ``(H, W, 3)`` with the faces marked; it may be smaller or larger than the one they were found in."""
    marked = np.ascontiguousarray(picture).copy()
    height, width = marked.shape[:2]
    scale = np.array([width / found.size[0], height / found.size[1]])
    thick = max(1, round(LINE * max(height, width)))
    for face in sorted(found.faces, key=lambda face: face.taken):
        colour = TAKEN if face.taken else LEFT
        left, top, right, bottom = (int(v) for v in np.rint(np.array(face.box) * np.tile(scale, 2)))
        cv2.rectangle(marked, (left, top), (right, bottom), (0, 0, 0), thick + 2, cv2.LINE_AA)
        cv2.rectangle(marked, (left, top), (right, bottom), colour, thick, cv2.LINE_AA)
        for point in face.landmarks:
            x, y = (int(v) for v in np.rint(np.array(point) * scale))
            cv2.circle(marked, (x, y), thick + 1, (0, 0, 0), cv2.FILLED, cv2.LINE_AA)
            cv2.circle(marked, (x, y), thick, colour, cv2.FILLED, cv2.LINE_AA)
    return marked
