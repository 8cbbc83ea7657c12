"""An endless stream of training pairs: crops of the photos and of pictures drawn on the spot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from degradations import Picture, Random, bicubic, clean, compressed, second_order
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}
PYRAMID = (1.0, 0.75, 0.55, 0.4)
KINDS = ("clean", "compressed", "second order")
DRAWN_SHARE = 0.08
GREY_SHARE = 0.10


def list_pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def load_pyramid(path: Path, minimum: int) -> list[np.ndarray]:
    """The photo as uint8 RGB at several sizes: shrinking removes its own JPEG artefacts and gives sharper detail."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255
    height, width = picture.shape[:2]
    levels = []
    for factor in PYRAMID:
        size = round(width * factor), round(height * factor)
        if min(size) >= minimum:
            level = picture if factor == 1 else bicubic(picture, *size)
            levels.append(np.round(np.clip(level, 0, 1) * 255).astype(np.uint8))
    return levels


def draw(random: Random, size: int) -> Picture:
    """A drawn picture: a soft background, then lines, shapes and text, with smooth edges. Photos lack these."""
    corner = random.random((2, 2, 3), dtype=np.float32)
    canvas = cv2.resize(corner, (size, size), interpolation=cv2.INTER_LINEAR)
    canvas = np.round(canvas * 255).astype(np.uint8)
    for _ in range(int(random.integers(4, 16))):
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        p, q = (tuple(int(v) for v in random.integers(0, size, 2)) for _ in range(2))
        thickness = int(random.choice((1, 1, 2, 3, 5, 9)))
        kind = random.integers(0, 5)
        if kind == 0:
            cv2.line(canvas, p, q, colour, thickness, cv2.LINE_AA)
        elif kind == 1:
            cv2.circle(
                canvas, p, int(random.integers(2, size // 3)), colour, random.choice((-1, thickness)), cv2.LINE_AA
            )
        elif kind == 2:
            points = random.integers(0, size, (int(random.integers(3, 6)), 1, 2)).astype(np.int32)
            cv2.fillPoly(canvas, [points], colour, cv2.LINE_AA)
        elif kind == 3:
            text = "".join(chr(c) for c in random.integers(33, 127, int(random.integers(2, 12))))
            font = int(random.choice((cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_DUPLEX)))
            cv2.putText(canvas, text, p, font, random.uniform(0.4, 2.0), colour, min(thickness, 3), cv2.LINE_AA)
        else:
            step = int(random.integers(4, 24))
            for offset in range(0, size, step):
                shift = (p[0] + offset) % size
                cv2.line(
                    canvas, (shift, p[1]), (shift, min(size, p[1] + size // 3)), colour, 1 + step // 4, cv2.LINE_AA
                )
    return canvas.astype(np.float32) / 255


class Pairs(IterableDataset):
    """Yield ``(low (3, p, p), high (3, scale * p, scale * p))`` in [0, 1], without end.

    ``shares`` weigh the kinds of degradation, in the order of ``KINDS``. The degradation sees ``margin``
    low-resolution pixels more on every side than the pair keeps, so that the borders of its filters are cut off.
    """

    def __init__(
        self, folder: Path, patch: int, scale: int, seed: int, shares: Sequence[float], margin: int = 4
    ) -> None:
        super().__init__()
        self.shares = np.array(shares) / sum(shares)
        self.patch, self.scale, self.seed, self.margin = patch, scale, seed, margin
        self.field = (patch + 2 * margin) * scale
        self.pictures = [level for path in list_pictures(folder) for level in load_pyramid(path, self.field)]
        if not self.pictures:
            raise SystemExit(f"no picture of at least {self.field} pixels under {folder}")
        weights = np.array([math.sqrt(p.shape[0] * p.shape[1]) for p in self.pictures])
        self.weights = weights / weights.sum()

    def crop(self, random: Random) -> Picture:
        if random.random() < DRAWN_SHARE:
            return draw(random, self.field)
        picture = self.pictures[random.choice(len(self.pictures), p=self.weights)]
        top = random.integers(0, picture.shape[0] - self.field + 1)
        left = random.integers(0, picture.shape[1] - self.field + 1)
        return picture[top : top + self.field, left : left + self.field].astype(np.float32) / 255

    def augment(self, random: Random, picture: Picture) -> Picture:
        picture = np.rot90(picture, int(random.integers(0, 4)))
        if random.random() < 0.5:
            picture = picture[:, ::-1]
        if random.random() < GREY_SHARE:
            grey = picture @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
            picture = np.repeat(grey[..., None], 3, axis=-1)
        else:
            picture = picture[..., random.permutation(3)] if random.random() < 0.5 else picture
        return np.ascontiguousarray(picture, dtype=np.float32)

    def pair(self, random: Random) -> tuple[Tensor, Tensor]:
        high = self.augment(random, self.crop(random))
        kind = random.choice(KINDS, p=self.shares)
        if kind == "clean":
            low = clean(high, self.scale)
        elif kind == "compressed":
            low = compressed(random, high, self.scale)
        else:
            low = second_order(random, high, self.scale)
        inner, outer = self.margin, self.margin * self.scale
        low = low[inner:-inner, inner:-inner]
        high = high[outer:-outer, outer:-outer]
        return (
            torch.from_numpy(np.ascontiguousarray(low.transpose(2, 0, 1))),
            torch.from_numpy(np.ascontiguousarray(high.transpose(2, 0, 1))),
        )

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        random = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield self.pair(random)
