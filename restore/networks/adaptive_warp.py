"""Follow motion with a small kernel of its own for every pixel: DAIN's adaptive warping.

Bao et al. 2018, https://arxiv.org/abs/1810.08768, and the rules of https://github.com/baowenbo/DAIN.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 4
"""Taps of a kernel in a row and in a column."""


def rows(features: Tensor) -> Tensor:
    """``features (N, C, H, W)`` with all that belongs to one pixel side by side: what ``adaptive_warp`` reads from."""
    return features.permute(0, 2, 3, 1).flatten(0, 2).contiguous()


def _taps(place: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The four taps around ``place (N, H, W)`` and their share of a bilinear sample, both ``(N, 4, H, W)``.

    The two taps on the near side of the place share one weight, those on the far side the other.
    """
    first = place.long()
    part = place - first
    offset = torch.arange(-1, SIDE - 1, device=place.device)[:, None, None]
    share = torch.stack((1 - part, 1 - part, part, part), dim=1)
    return (first[:, None] + offset).clamp(0, size - 1), share


def adaptive_warp(source: Tensor, flow: Tensor, kernel: Tensor) -> Tensor:
    """Features moved onto the frame that ``flow (N, 2, H, W)``, x and y in pixels, starts from: ``(N, C, H, W)``.

    ``source`` is what ``rows`` made of the features ``(N, C, H, W)``, and ``kernel (N, 16, H, W)`` holds each pixel's
    weights, row by row, for the 4 x 4 pixels around the place that its motion leads to. Outside is the nearest pixel;
    where the motion leads out of the frame, or at least half of it away, the pixel stays what it is. Float32.
    """
    count, _, height, width = flow.shape
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    moves = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    moves &= (flow[:, 0].abs() < width / 2) & (flow[:, 1].abs() < height / 2)
    # Places outside are not used; they are brought inside because their numbers need not fit an integer.
    columns, across = _taps(torch.where(moves, x, 0), width)
    lines, down = _taps(torch.where(moves, y, 0), height)
    weights = kernel.view(count, SIDE, SIDE, height, width) * (down[:, :, None] * across[:, None])
    index = lines[:, :, None] * width + columns[:, None]
    itself = torch.arange(height * width, device=flow.device).view(height, width)
    stays = torch.zeros(SIDE, SIDE, 1, 1, device=flow.device)
    stays[0, 0] = 1
    moves = moves[:, None, None]
    weights = torch.where(moves, weights, stays)
    index = torch.where(moves, index, itself)
    index += torch.arange(count, device=flow.device).view(-1, 1, 1, 1, 1) * (height * width)
    moved = functional.embedding_bag(
        index.flatten(1, 2).permute(0, 2, 3, 1).reshape(-1, SIDE**2),
        source,
        mode="sum",
        per_sample_weights=weights.flatten(1, 2).permute(0, 2, 3, 1).reshape(-1, SIDE**2),
    )
    return moved.view(count, height, width, -1).permute(0, 3, 1, 2)
