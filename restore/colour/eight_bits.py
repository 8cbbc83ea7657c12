"""Steps of the published programs that work on pictures of eight bits, on float frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BT_601 = (0.299, 0.587, 0.114)
PILLOW_L = (19595, 38470, 7471)


def rounded(frames: Tensor) -> Tensor:
    """The nearest values that eight bits can hold."""
    return (frames.clamp(0, 1) * 255).round() / 255


def truncated(frames: Tensor) -> Tensor:
    """The next lower values that eight bits can hold, as a cast to integers gives them."""
    return (frames.clamp(0, 1) * 255).floor() / 255


def luma(frames: Tensor) -> Tensor:
    """Y' of BT.601 ``(N, 1, H, W)`` of RGB ``(N, 3, H, W)``."""
    return torch.einsum("nchw,c->nhw", frames, frames.new_tensor(BT_601))[:, None]


def weighted(frames: Tensor, weights: tuple[int, int, int]) -> Tensor:
    """The mean of the channels in eight bits ``(N, 1, H, W)``, by integer weights as libraries of pictures use them."""
    levels = (frames.clamp(0, 1) * 255).round()
    # All products and sums are integers below 2 ** 24: float32 holds them exactly.
    total = torch.einsum("nchw,c->nhw", levels, levels.new_tensor(weights))[:, None]
    return (total / sum(weights) + 0.5).floor() / 255


def grey(frames: Tensor) -> Tensor:
    """Pillow's ``L``, in all three channels."""
    return weighted(frames, PILLOW_L).expand(-1, 3, -1, -1)


def resized(frames: Tensor, height: int, width: int) -> Tensor:
    """Bilinear, over as many pixels as one of the result covers: Pillow's, which rounds after each axis."""
    across = _resampled(frames, frames.shape[2], width)
    return _resampled(across, height, width)


def _resampled(frames: Tensor, height: int, width: int) -> Tensor:
    return rounded(
        functional.interpolate(frames, (height, width), mode="bilinear", antialias=True, align_corners=False)
    )
