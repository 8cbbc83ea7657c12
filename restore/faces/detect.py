"""Find faces: boxes and five landmarks, with RetinaFace, on a bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import nms

from restore.faces.turned import PATCH, TILTED, TURNS, patch, tilt, turned_back
from restore.faces.warp import sample
from restore.inference.engine import Engine
from restore.inference.opening import opened
from restore.inference.runner import NetworkSource

SCORE = 0.9
"""How sure the network has to be of a face."""

OVERLAP = 0.4
"""Of two boxes that share more than this (intersection over union), the less certain one is dropped."""

LONGEST = 1920
"""Longest side in pixels of what the network looks at."""

SHORT = 640
"""A picture whose sides are not longer than this is looked at in twice its size: the network sees faces from about 20
pixels on, and smaller ones are frequent in small pictures only.
"""

COARSE = 4
"""How many times smaller the network looks at a picture for a second time: a face that fills a large picture has
nothing in it that the network knows."""

LARGEST_SIDE = 384
"""Side in pixels from which on a face is left to the second look; the largest square that the network compares with
has 512."""

LONGEST_TURNED = 960
"""Longest side in pixels of a picture that is looked at turned: three such looks should not take longer than one."""

SCORE_TURNED = 0.95
"""How sure the network has to be of a face that it sees in a turned picture alone; few pictures have any."""

LOOKS_UPRIGHT = 2
"""How often a tilted face is looked at upright at most: the first time it may still be half as tilted."""

SAME_PLACE = 0.5
"""How far a tilted face may move when it is looked at upright, in widths of its box, and be the same face."""

BATCH_PIXELS = 3 * 2**20
"""Pixels that go through the network at once."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture, in its pixels: ``box`` ``(4,)`` is left, top, right and bottom, ``landmarks`` ``(5, 2)`` are
    the eyes, the tip of the nose and the corners of the mouth, those on the left of the picture first. All of it may
    lie outside the picture, of a face that the border cuts. ``score`` is in [0, 1]. ``turn`` is the one, of those that
    were looked at (see ``restore.faces.turned``), in which the face was best seen.
    """

    box: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    score: float
    turn: int = 0


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

    def detect(self, batch: Tensor, turns: Sequence[int] = TURNS) -> list[list[Face]]:
        """The faces in each picture of ``batch`` ``(N, 3, H, W)`` float32 RGB in [0, 1], the most certain ones first,
        in pixels of ``batch``. ``turns`` are those in which they are looked for, first of all 0.
        """
        with opened(self.source, self.engine) as network:
            seen = [_standing(network, batch, self.longest)]
            seen += [_turned(network, batch, turn, self.longest) for turn in turns if turn]
            return [
                [_seen_upright(network, picture, face) for face in _best(list(chain(*looks)))]
                for picture, *looks in zip(batch, *seen, strict=True)
            ]


def _standing(network: nn.Module, batch: Tensor, most: int) -> list[list[Face]]:
    """The faces that stand upright, those that fill a picture included, with at most ``most`` pixels a side."""
    longest = max(batch.shape[2:])
    size = 2 * longest if longest <= SHORT and 2 * longest <= most else min(longest, most)
    fine = _looked_at(network, batch, size)
    if size <= LARGEST_SIDE * 4 // 3:
        return fine
    coarse = _looked_at(network, batch, size // COARSE)
    return [_merged(near, far, LARGEST_SIDE * longest / size) for near, far in zip(fine, coarse, strict=True)]


def _turned(network: nn.Module, batch: Tensor, turn: int, most: int) -> list[list[Face]]:
    """The faces that stand upright where ``batch`` is turned, at their places where it is not."""
    height, width = batch.shape[2:]
    found: list[list[Face]] = []
    for faces in _standing(network, torch.rot90(batch, turn, (2, 3)), min(most, LONGEST_TURNED)):
        found.append([])
        for face in faces:
            if face.score > SCORE_TURNED:
                box = turned_back(face.box.reshape(2, 2), turn, height, width)
                landmarks = turned_back(face.landmarks, turn, height, width)
                found[-1].append(Face(np.concatenate([box.min(0), box.max(0)]), landmarks, face.score, turn))
    return found


def _best(faces: Sequence[Face]) -> list[Face]:
    """Of each face the look that saw it best, the most certain faces first."""
    if not faces:
        return []
    boxes = torch.from_numpy(np.stack([face.box for face in faces]))
    scores = torch.tensor([face.score for face in faces], dtype=boxes.dtype)
    return [faces[index] for index in nms(boxes, scores, OVERLAP).tolist()]


def _seen_upright(network: nn.Module, picture: Tensor, face: Face) -> Face:
    """``face`` with the landmarks that it has when it is looked at upright, where it was tilted and is seen so too."""
    tilted = tilt(face.landmarks, face.turn)
    for _ in range(LOOKS_UPRIGHT):
        if tilted < TILTED or (matrix := patch(face.landmarks)) is None:
            break
        (again,) = find(network, sample(picture, matrix, PATCH, PATCH)[None])
        centre = face.landmarks.mean(axis=0)
        for other in again:
            landmarks = other.landmarks @ matrix[:, :2].T + matrix[:, 2]
            if np.linalg.norm(landmarks.mean(axis=0) - centre) < SAME_PLACE * _side(face):
                face, tilted = replace(face, landmarks=landmarks), tilt(other.landmarks, 0)
                break
        else:
            break
    return face


def _looked_at(network: nn.Module, batch: Tensor, longest: int) -> list[list[Face]]:
    """The faces of ``batch`` as ``find`` sees them where the longest side has ``longest`` pixels."""
    height, width = batch.shape[2:]
    small = resize(batch, longest)
    back = np.array([width / small.shape[3], height / small.shape[2]])
    step = max(1, BATCH_PIXELS // (small.shape[2] * small.shape[3]))
    found = [faces for part in torch.split(small, step) for faces in find(network, part)]
    return [[_moved(face, back) for face in faces] for faces in found]


def _moved(face: Face, factor: NDArray[np.float64]) -> Face:
    """``face`` in a picture ``factor`` (x, y) times as large. Whole numbers are the centres of pixels in both."""
    box, landmarks = ((points.reshape(-1, 2) + 0.5) * factor - 0.5 for points in (face.box, face.landmarks))
    return Face(box.ravel(), landmarks, face.score)


def resize(batch: Tensor, longest: int) -> Tensor:
    """``batch`` ``(N, 3, H, W)`` in the size whose longest side is ``longest``."""
    height, width = batch.shape[2:]
    factor = longest / max(height, width)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    if size == (height, width):
        return batch
    return functional.interpolate(batch, size=size, mode="bilinear", align_corners=False, antialias=factor < 1)


def _side(face: Face) -> float:
    width, height = (face.box[2:] - face.box[:2]).clip(min=0)
    return float(np.sqrt(width * height))


def _merged(near: Sequence[Face], far: Sequence[Face], most: float) -> list[Face]:
    """The faces of the two looks, those of the near one up to a side of ``most``, and of each face the better seen."""
    near = [face for face in near if _side(face) <= most]
    faces = [*near, *far]
    if not faces:
        return []
    boxes = torch.from_numpy(np.stack([face.box for face in faces]))
    # What the near look saw comes first: its landmarks are several times finer.
    order = torch.tensor([face.score + (1 if index < len(near) else 0) for index, face in enumerate(faces)])
    kept = [faces[index] for index in nms(boxes, order.double(), OVERLAP).tolist()]
    return sorted(kept, key=lambda face: -face.score)
