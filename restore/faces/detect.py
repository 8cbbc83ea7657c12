"""Find faces: boxes and five landmarks, with RetinaFace, on a bounded size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import nms

from restore.faces.opening import opened
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource

SCORE = 0.9
"""How sure the network has to be of a face."""

OVERLAP = 0.4
"""Of two boxes that share more than this (intersection over union), the less certain one is dropped."""

LONGEST = 1280
"""Longest side in pixels of what the network looks at."""

BATCH_PIXELS = 3 * 2**20
"""Pixels that go through the network at once."""


@dataclass(frozen=True)
class Face:
    """A face in a picture, in its pixels: ``box`` ``(4,)`` is left, top, right and bottom, ``landmarks`` ``(5, 2)`` are
    the eyes, the tip of the nose and the corners of the mouth, those on the left of the picture first. All of it may
    lie outside the picture, of a face that the border cuts. ``score`` is in [0, 1].
    """

    box: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    score: float


def find(network: nn.Module, pictures: Tensor, score: float = SCORE, overlap: float = OVERLAP) -> list[list[Face]]:
    """The faces in each of ``pictures`` ``(N, 3, H, W)`` float32 RGB in [0, 1], the most certain ones first.

    The pictures are looked at as they are, on the device of the network. Of what facexlib's ``detect_faces`` does with
    the same weights, score and overlap, this is the same.
    """
    boxes, landmarks, scores = network(pictures.to(next(network.parameters()).device))
    found = []
    for box, points, certainty in zip(boxes, landmarks, scores, strict=True):
        sure = certainty > score
        box, points, certainty = box[sure].cpu(), points[sure].cpu(), certainty[sure].cpu()
        found.append(
            [
                Face(box[index].double().numpy(), points[index].double().numpy(), float(certainty[index]))
                for index in nms(box, certainty, overlap).tolist()
            ]
        )
    return found


@dataclass(frozen=True)
class Detector:
    """Find faces with the network of ``source``; ``longest`` is the longest side of what it looks at, in pixels."""

    source: NetworkSource
    engine: Engine
    longest: int = LONGEST

    def detect(self, batch: Tensor) -> list[list[Face]]:
        """The faces in each picture of ``batch`` ``(N, 3, H, W)`` float32 RGB in [0, 1], the most certain ones first,
        in pixels of ``batch``.
        """
        height, width = batch.shape[2:]
        small = shrink(batch, self.longest)
        back = np.array([width / small.shape[3], height / small.shape[2]])
        step = max(1, BATCH_PIXELS // (small.shape[2] * small.shape[3]))
        found: list[list[Face]] = []
        with opened(self.source, self.engine) as network:
            for first in range(0, len(small), step):
                found += find(network, small[first : first + step])
        return [[_scaled(face, back) for face in faces] for faces in found]


def shrink(batch: Tensor, longest: int) -> Tensor:
    """``batch`` ``(N, 3, H, W)``, made smaller where a side is longer than ``longest``."""
    height, width = batch.shape[2:]
    if max(height, width) <= longest:
        return batch
    factor = longest / max(height, width)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    return functional.interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=True)


def _scaled(face: Face, factor: NDArray[np.float64]) -> Face:
    return Face(face.box * np.tile(factor, 2), face.landmarks * factor, face.score)
