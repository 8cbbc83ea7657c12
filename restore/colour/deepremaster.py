"""DeepRemaster's way from frames to frames, as published: blocks of five frames of a small size, eight bits in between.

Frames here are RGB ``(T, 3, H, W)`` in [0, 1]; inside, L, a and b are in [0, 1] too. Reference: ``remaster.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from restore.colour.eight_bits import rounded, truncated, weighted
from restore.colour.lab import lab_to_rgb, rgb_to_lab
from restore.networks.deepremaster import MULTIPLE, DeepRemaster

BLOCK = 5
"""Frames that the networks see together; blocks do not overlap, and the last one has what is left."""

SIDE = 320
"""Of the shorter side of the frames that the networks see, unless told otherwise (``mindim``)."""

REFERENCE_SIDE = 256
"""Of the shorter side of the pictures to take colours from."""

MACS_PER_PIXEL = 1_713_000
"""Multiply-accumulate operations of both networks for a pixel of a small frame, without those of the attention."""

OPENCV_GREY_OF_BGR = (3735, 19235, 9798)


def working_size(height: int, width: int, side: int = SIDE) -> tuple[int, int]:
    """The size to which frames are brought: the shorter side about ``side``, both multiples of 16."""
    scale = side / min(height, width)
    rows, columns = (max(1, round(length * scale / MULTIPLE)) * MULTIPLE for length in (height, width))
    return rows, columns


def resized(frames: Tensor, rows: int, columns: int) -> Tensor:
    """The frames in eight bits at another size, with OpenCV's bilinear resampling in integers."""
    pictures = (frames.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).contiguous().cpu().numpy()
    small = np.stack([cv2.resize(picture, (columns, rows)) for picture in pictures])
    return (torch.from_numpy(small).permute(0, 3, 1, 2) / 255).to(frames)


def grey_luminance(frames: Tensor) -> Tensor:
    """What the colouring starts from, ``(T, 1, H, W)``: a luma in eight bits that gives blue the weight of red.

    The published program takes its BGR frames for RGB there; on black and white it makes no difference.
    """
    return weighted(frames, OPENCV_GREY_OF_BGR)


def lab_planes(frames: Tensor) -> tuple[Tensor, Tensor]:
    """L ``(T, 1, H, W)`` in eight bits, and a and b ``(T, 2, H, W)``, of frames that keep their colours."""
    lab = rgb_to_lab(frames.double())
    return truncated(lab[:, :1] / 100).to(frames), ((lab[:, 1:] + 128).clamp(0, 255) / 255).to(frames)


def to_frames(luminance: Tensor, chroma: Tensor) -> Tensor:
    """L and a, b ``(T, 1 and 2, H, W)`` in [0, 1] to frames of eight bits."""
    lab = torch.cat((luminance * 100, (chroma * 255 - 128).clamp(-100, 100)), dim=1)
    return truncated(lab_to_rgb(lab.double(), least_z=0.0)).to(luminance)


def _block(planes: Tensor) -> Tensor:
    """``(T, C, H, W)`` as ``(1, C, T, H, W)``."""
    return planes.transpose(0, 1)[None]


def _frames(block: Tensor) -> Tensor:
    return block[0].transpose(0, 1)


def restored(network: DeepRemaster, frames: Tensor) -> Tensor:
    """A block of at most five frames with its luminance repaired; sides are multiples of 16, colours stay."""
    luminance, chroma = lab_planes(rounded(frames))
    return to_frames(_frames(network.modelR(_block(luminance))).to(frames), chroma)


def colourised(network: DeepRemaster, frames: Tensor, references: Tensor | None = None) -> Tensor:
    """A block of at most five frames, repaired and coloured; sides are multiples of 16.

    ``references`` is what ``reference_tensor`` makes.
    """
    luminance, chroma = network(_block(grey_luminance(rounded(frames))), references)
    return to_frames(_frames(luminance).to(frames), _frames(chroma).to(frames))


def _reference_size(pictures: Sequence[np.ndarray]) -> tuple[int, int]:
    """Rows and columns that all references get, by the mean of their ratios of sides."""
    ratio = sum(picture.shape[1] / picture.shape[0] for picture in pictures) / len(pictures)
    rows = REFERENCE_SIDE if ratio >= 1 else int(REFERENCE_SIDE / ratio)
    columns = int(REFERENCE_SIDE * ratio) if ratio > 1 else REFERENCE_SIDE
    return rows, columns


def _fitted(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The picture in the middle of a black one of this size; what is too large for it is cut off."""
    height, width = picture.shape[:2]
    if (height, width) == (rows, columns):
        return picture
    scale = max(rows, columns) / max(height, width)
    # At least one step: a reference that is a thin strip must not vanish.
    columns_used, rows_used = (max(1, int(length * scale / MULTIPLE)) * MULTIPLE for length in (width, height))
    canvas = Image.new("RGB", (columns, rows))
    small = Image.fromarray(picture).resize((columns_used, rows_used), Image.Resampling.BICUBIC)
    canvas.paste(small, ((columns - columns_used) // 2, (rows - rows_used) // 2))
    return np.asarray(canvas)


def reference_tensor(pictures: Sequence[np.ndarray]) -> Tensor:
    """Pictures to take colours from, each ``(h, w, 3)`` uint8 RGB, as the network reads them: ``(1, R, 3, H, W)``."""
    rows, columns = _reference_size(pictures)
    fitted = np.stack([_fitted(picture, rows, columns) for picture in pictures])
    return torch.from_numpy(fitted).permute(0, 3, 1, 2)[None] / 255
