"""DeOldify's way from frames to frames, as published: a small square for the network, its chroma for the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.colour.eight_bits import grey, luma, resized, rounded, truncated

PIXELS_PER_FACTOR = 16
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# OpenCV's constants for YUV, there and back; they invert each other to three digits only.
U_OF_BLUE, V_OF_RED = 0.492, 0.877
RED_OF_V, GREEN_OF_U, GREEN_OF_V, BLUE_OF_U = 1.140, -0.395, -0.581, 2.032


def squared(frames: Tensor, render_factor: int) -> Tensor:
    """The grey square that the network sees, ``(N, 3, s, s)`` in [0, 1] with s = 16 * ``render_factor``.

    The sides' ratio is given up, and the colours are reduced before they are turned grey.
    """
    side = PIXELS_PER_FACTOR * render_factor
    return grey(resized(frames, side, side))


def painted(network: nn.Module, square: Tensor) -> Tensor:
    """What the network makes of a square, ``(N, 3, s, s)`` in [0, 1]."""
    mean, deviation = (square.new_tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    result: Tensor = network((square - mean) / deviation)
    return truncated(result.to(square.dtype) * deviation + mean)


def with_chroma_of(frames: Tensor, colours: Tensor) -> Tensor:
    """The luma of ``frames`` and the chroma of ``colours``, both ``(N, 3, H, W)`` in [0, 1]."""
    y = rounded(luma(frames))
    their_y = rounded(luma(colours))
    u = rounded((colours[:, 2:] - their_y) * U_OF_BLUE + 128 / 255) - 128 / 255
    v = rounded((colours[:, :1] - their_y) * V_OF_RED + 128 / 255) - 128 / 255
    return torch.cat((y + RED_OF_V * v, y + GREEN_OF_U * u + GREEN_OF_V * v, y + BLUE_OF_U * u), dim=1).clamp(0, 1)


def colourise(network: nn.Module, frames: Tensor, render_factor: int) -> Tensor:
    """Frames ``(N, 3, H, W)`` in [0, 1] to frames with the network's colours and their own luma.

    The reference (``deoldify/filters.py``) keeps eight bits after each step, and so does this; a luma with more of them
    than the network ever saw is the caller's to put back.
    """
    square = painted(network, squared(frames, render_factor))
    return with_chroma_of(rounded(frames), resized(square, frames.shape[2], frames.shape[3]))
