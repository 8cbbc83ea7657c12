"""An endless stream of photos to learn colour from: crops, half of them of the whole view, as film might show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from patches import list_pictures
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from restore.colour.lab import rgb_to_lab

LARGEST = 480
"""Photos are kept in memory with at most so many pixels on the longer side."""

COLOURLESS = 9.0
"""Photos below this colourfulness teach nothing and take no part."""

VIVID = 45.0
"""Photos above this colourfulness are muted to it: a few posters must not set the mean."""

SHARES: Mapping[str, float] = {
    "skimage_retina": 0,
    "skimage_hubble_deep_field": 0,
    "budgie_saturnian-profile": 0,
    "500px_tmshre_riaphotographs_alpha": 0,
    "budgie_valley-midnight": 0,
    "budgie_waves-midnight": 0,
    "budgie_high-trestle-trail": 0.3,
    "budgie_casa-mila": 0.3,
    "gb82_prudential-lossless": 0.4,
    "gb82_mc3-lossless": 0.4,
    "gb82_guitar-lossless": 0.5,
    "gb82_house-lossless": 0.5,
    "gb82_pixel-lossless": 0.5,
    "gb82_sunset-lossless": 0.5,
    "gb82_baby-lossless": 2,
    "gb82_girl-lossless": 2,
    "skimage_astronaut": 2,
    "skimage_chelsea": 1.5,
    "skimage_coffee": 1.5,
    "gb82_dog-lossless": 2,
    "gb82_grass-lossless": 3,
    "budgie_perched-osprey": 3,
    "budgie_tea-gardens": 3,
    "gb82_flowers-lossless": 2,
    "gb82_mc1-lossless": 2,
    "gb82_path-lossless": 1.5,
    "budgie_lake-sherburne": 1.5,
    "budgie_oakland-zoo-otters": 1.5,
    "gb82_reflect-lossless": 1.5,
    "gb82_nyc-lossless": 1.5,
}
"""How often a photo is drawn, where it is not 1: drawings, duplicates and the sky at night are left out or rare, the
few with skin, fur, wood, foliage and daylight come more often."""


def colourfulness(rgb: np.ndarray) -> float:
    """Hasler and Süsstrunk (2003), of ``(H, W, 3)`` in 0..255."""
    red, green, blue = np.moveaxis(np.asarray(rgb, dtype=np.float64), -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean()))


def read(path: Path) -> np.ndarray:
    """``(H, W, 3)`` RGB in [0, 1]."""
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """L, a and b ``(H, W, 3)`` of RGB in [0, 1]."""
    return (
        rgb_to_lab(torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))[None])[0].numpy().transpose(1, 2, 0)
    )


def palette(photos: list[np.ndarray], step: float, least: float) -> np.ndarray:
    """Grid points of a and b that hold at least the share ``least`` of the photos' colours: ``(K, 2)``."""
    chroma = np.concatenate([lab_of(photo[::4, ::4])[..., 1:].reshape(-1, 2) for photo in photos])
    points, counts = np.unique(np.round(chroma / step).astype(int), axis=0, return_counts=True)
    return (points[counts >= least * len(chroma)] * step).astype(np.float32)


class Photos(IterableDataset):
    """Yield ``(lightness (1, s, s), height (1, s, s), ab (2, s / 4, s / 4))`` without end, for the network."""

    def __init__(self, folder: Path, size: int, seed: int, leave_out: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.size, self.seed = size, seed
        self.photos, shares = [], []
        for path in list_pictures(folder):
            share = SHARES.get(path.stem, 1.0)
            photo = read(path)
            factor = min(1.0, LARGEST / max(photo.shape[:2]))
            photo = cv2.resize(photo, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            colour = colourfulness(photo * 255)
            if not share or colour < COLOURLESS or path.stem in leave_out:
                continue
            grey = photo @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
            photo = grey[..., None] + (photo - grey[..., None]) * min(1.0, VIVID / colour)
            self.photos.append(photo.astype(np.float32))
            shares.append(share)
        if not self.photos:
            raise SystemExit(f"no photo in colour under {folder}")
        self.shares = np.array(shares) / sum(shares)

    def view(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A part of a photo, ``(s, s, 3)`` in [0, 1], and the height of its rows in the photo."""
        photo = self.photos[random.choice(len(self.photos), p=self.shares)]
        rows, columns = photo.shape[:2]
        scale = random.uniform(0.35, 1.0) if random.random() < 0.7 else 1.0
        aspect = np.exp(random.uniform(-0.2, 0.2))
        side = min(rows, columns)
        height = int(np.clip(side * scale * aspect, 48, rows))
        width = int(np.clip(side * scale / aspect, 48, columns))
        top, left = random.integers(0, rows - height + 1), random.integers(0, columns - width + 1)
        crop = cv2.resize(photo[top : top + height, left : left + width], (self.size, self.size), interpolation=3)
        place = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size * height + top
        if random.random() < 0.5:
            crop = crop[:, ::-1]
        return crop, np.repeat((2 * place / rows - 1)[:, None], self.size, axis=1)

    def mixed(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A view; one in four has a part of another photo beside it, so that no photo is known by one corner."""
        view, height = self.view(random)
        if random.random() < 0.25:
            other, other_height = self.view(random)
            cut = int(random.integers(self.size // 4, 3 * self.size // 4))
            across = (slice(None), slice(cut, None)) if random.random() < 0.6 else (slice(cut, None), slice(None))
            view, height = view.copy(), height.copy()
            view[across], height[across] = other[across], other_height[across]
        return view, height

    def film(self, random: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
        """What a film of some sensitivity, exposure, contrast and grain makes of it: grey ``(s, s)`` in [0, 1]."""
        weights = np.array([0.299, 0.587, 0.114])
        if random.random() < 0.5:
            weights = 0.6 * weights + 0.4 * random.dirichlet((1.5, 2.5, 1.5))
        grey = (rgb @ weights.astype(np.float32)).clip(0, 1)
        grey = grey ** np.exp(random.normal(0, 0.22))
        low, high = (
            random.uniform(0, 0.12) * (random.random() < 0.4),
            1 - random.uniform(0, 0.15) * (random.random() < 0.4),
        )
        grey = low + (high - low) * grey
        if random.random() < 0.4:
            grey = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), random.uniform(0.3, 1.4))
        if random.random() < 0.5:
            grain = random.normal(0, random.uniform(0.005, 0.05), grey.shape)
            grey = grey + cv2.GaussianBlur(grain, (0, 0), random.uniform(0.3, 0.9))
        return grey.clip(0, 1).astype(np.float32)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        random = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            rgb, height = self.mixed(random)
            grey = self.film(random, rgb)
            lightness = lab_of(np.repeat(grey[..., None], 3, axis=2))[..., 0] / 50 - 1
            small = cv2.resize(rgb, (self.size // 4, self.size // 4), interpolation=cv2.INTER_AREA)
            chroma = lab_of(small.clip(0, 1))[..., 1:]
            yield (
                torch.from_numpy(lightness.astype(np.float32)[None]),
                torch.from_numpy(height.astype(np.float32)[None]),
                torch.from_numpy(np.ascontiguousarray(chroma.transpose(2, 0, 1))),
            )
