"""DDColor's way from frames to frames, as published: a small square for the network, the picture's own lightness."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.colour.lab import lab_to_rgb
from restore.colour.opencv_lab import rgb_to_lab

SIDE = 512
"""Of the square that the network sees, as published; a multiple of 32."""


def squared(frames: Tensor, size: int) -> Tensor:
    """The grey square that the network sees, ``(N, 3, size, size)`` in [0, 1]; the sides' ratio is given up.

    Bilinear between the nearest pixels, whatever the size (OpenCV's ``INTER_LINEAR``), and grey by the lightness.
    """
    small = functional.interpolate(frames, (size, size), mode="bilinear", align_corners=False)
    lightness = rgb_to_lab(small)[:, :1]
    return lab_to_rgb(torch.cat((lightness, torch.zeros_like(small[:, :2])), dim=1))


def with_chroma(frames: Tensor, chroma: Tensor) -> Tensor:
    """The lightness of ``frames`` and the chroma ``(N, 2, h, w)`` in units of Lab, enlarged to the nearest value."""
    enlarged = functional.interpolate(chroma, (frames.shape[2], frames.shape[3]), mode="nearest")
    return lab_to_rgb(torch.cat((rgb_to_lab(frames)[:, :1], enlarged.to(frames.dtype)), dim=1))


def colourise(network: nn.Module, frames: Tensor, size: int = SIDE) -> Tensor:
    """Frames ``(N, 3, H, W)`` in [0, 1] to frames with the network's colours and their own lightness.

    ``size`` is the side of the square. Reference: ``ddcolor/pipeline.py``.
    """
    return with_chroma(frames, network(squared(frames, size)))
