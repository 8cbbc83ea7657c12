"""Carry values along motion to where it leads, and fill the places that nothing came to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LEAST_WEIGHT = 1e-6
"""Weight below which what came to a pixel is nothing but rounding."""


def splat(values: Tensor, flow: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of what comes to each pixel when ``values (N, C, H, W)`` move along ``flow (N, 2, H, W)``, in pixels.

    Each pixel gives what it has to the four around the place that it comes to, the nearer ones more of it, and counts
    there with its ``weight (N, 1, H, W)``. The second result ``(N, 1, H, W)`` is the weight that came; where there is
    none the mean is 0. What leaves the frame is lost. Float32.
    """
    count, channels, height, width = values.shape
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    left, top = x.floor(), y.floor()
    frame = torch.arange(count, device=flow.device).view(-1, 1, 1) * (height * width)
    given = torch.cat((values * weight, weight), dim=1)
    total = given.new_zeros(channels + 1, count * height * width)
    for column in (left, left + 1):
        for line in (top, top + 1):
            inside = (column >= 0) & (column < width) & (line >= 0) & (line < height)
            share = torch.where(inside, (1 - (x - column).abs()) * (1 - (y - line).abs()), 0)
            target = torch.where(inside, line * width + column, 0).long() + frame
            part = (given * share[:, None]).transpose(0, 1)
            total.index_add_(1, target.flatten(), part.flatten(1))
    total = total.view(channels + 1, count, height, width).transpose(0, 1)
    came = total[:, channels:]
    return total[:, :channels] / came.clamp(min=LEAST_WEIGHT), came


def filled(values: Tensor, weight: Tensor) -> Tensor:
    """``values (N, C, H, W)`` with a smooth continuation of those around where ``weight (N, 1, H, W)`` is nothing.

    The known values are averaged into ever smaller pictures until each has one everywhere, and those fill the next
    larger one (the pull-push algorithm, Gortler et al. 1996, The Lumigraph).
    """
    known = weight > LEAST_WEIGHT
    if bool(known.all()) or max(values.shape[-2:]) == 1:
        return values
    kept = weight * known
    halved = functional.avg_pool2d(kept, 2, ceil_mode=True)
    means = functional.avg_pool2d(values * kept, 2, ceil_mode=True) / halved.clamp(min=LEAST_WEIGHT / 4)
    coarse = filled(means, torch.where(halved > 0, halved.clamp(min=2 * LEAST_WEIGHT), halved))
    size = values.shape[-2:]
    return torch.where(known, values, functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False))
