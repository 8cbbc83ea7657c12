"""Read the pictures that shots get their colours from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.colour.eight_bits import luma
from restore.colour.merge import chroma_of
from restore.colour.palette import Palette, learnt
from restore.media.images import read_image
from restore.settings import Settings


def read_reference(path: str, settings: Settings) -> NDArray[np.uint8]:
    """The picture at ``path``, ``(h, w, 3)`` in eight bits, as it is where it can be seen through.

    Raises ``InputError`` and ``LimitError`` as ``read_image`` does.
    """
    pixels = read_image(Path(path), settings).pixels
    if pixels.dtype != np.uint8:
        pixels = (pixels / np.float32(257)).round().astype(np.uint8)
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), dtype=np.uint8)


def as_frame(picture: NDArray[np.uint8]) -> Tensor:
    """A picture as a frame ``(1, 3, h, w)`` in [0, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def palette_of(paths: list[str], settings: Settings) -> Palette:
    """The colours of the pictures at ``paths``; one of them is in memory at a time."""
    frames = (as_frame(read_reference(path, settings)) for path in paths)
    return learnt((luma(frame), chroma_of(frame)) for frame in frames)
