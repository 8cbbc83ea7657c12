"""Motion between two frames brought to the time between them, nearer things in front: DAIN's projection.

Bao et al. 2019, https://arxiv.org/abs/1904.00830, and the rules of https://github.com/baowenbo/DAIN.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _onto_four_neighbours(x: Tensor) -> Tensor:
    """What was put at the upper left of each four pixels, added to all four; the last row and column count twice."""
    for axis in (-1, -2):
        last = x.shape[axis] - 1
        moved = x.clone()
        moved.narrow(axis, 1, last).add_(x.narrow(axis, 0, last))
        moved.narrow(axis, last, 1).add_(x.narrow(axis, last, 1))
        x = moved
    return x


def splat(flow: Tensor, nearness: Tensor) -> tuple[Tensor, Tensor]:
    """The motion back from where ``flow (N, 2, H, W)`` leads, and how much of it came to each pixel.

    Each pixel gives its motion, weighted by ``nearness (N, 1, H, W)``, to the four pixels around the place that it
    moves to, all of them alike; what moves out of the frame is left out. The first result ``(N, 2, H, W)`` is the mean
    of what came, and 0 where nothing did; the second one ``(N, 1, H, W)`` is the weight that came.
    """
    count, _, height, width = flow.shape
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    inside = ((x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)).flatten(1)
    frame = torch.arange(count, device=flow.device)[:, None] * (height * width)
    target = (y.long() * width + x.long()).flatten(1) + frame
    given = torch.cat((-flow * nearness, nearness), dim=1).flatten(2)
    kept = inside.flatten()
    landed = given.new_zeros(3, count * height * width)
    landed.index_add_(1, target.flatten()[kept], given.transpose(0, 1).flatten(1)[:, kept])
    total = _onto_four_neighbours(landed.view(3, count, height, width).transpose(0, 1))
    weight = total[:, 2:]
    return torch.where(weight > 0, total[:, :2] / weight, total[:, :2]), weight


def _nearest(known: Tensor, axis: int, backwards: bool) -> Tensor:
    """For each pixel the index along ``axis`` of the nearest known one before it, or after it: -1 if there is none."""
    size = known.shape[axis]
    index = torch.arange(size, device=known.device)
    index = index[:, None] if axis == -2 else index
    if not backwards:
        return torch.where(known, index, -1).cummax(dim=axis).values
    after = torch.where(known, size - 1 - index, -1).flip(axis).cummax(dim=axis).values.flip(axis)
    return torch.where(after < 0, after, size - 1 - after)


def fill_holes(flow: Tensor, weight: Tensor) -> Tensor:
    """``flow (N, 2, H, W)`` with the mean of the nearest known motion left, right, above and below where none came.

    Nothing came where ``weight (N, 1, H, W)`` is not above 0; where all four directions are empty as well, 0 stays.
    """
    known = weight[:, 0] > 0
    frame, y, x = (~known).nonzero(as_tuple=True)
    total = flow.new_zeros(frame.shape[0], 2)
    found = flow.new_zeros(frame.shape[0], 1)
    for axis in (-1, -2):
        for backwards in (False, True):
            index = _nearest(known, axis, backwards)[frame, y, x]
            exists = index >= 0
            place = (y, index.clamp(min=0)) if axis == -1 else (index.clamp(min=0), x)
            total += flow[frame, :, place[0], place[1]] * exists[:, None]
            found += exists[:, None]
    filled = flow.clone()
    filled[frame, :, y, x] = total / found.clamp(min=1)
    return filled


def project(flow: Tensor, nearness: Tensor) -> Tensor:
    """The motion ``(N, 2, H, W)`` from every pixel of the time between back to the frame that ``flow`` starts from.

    ``flow (N, 2, H, W)`` leads from that frame to the time between, in pixels, x before y; ``nearness (N, 1, H, W)`` is
    above 0 and larger for what is in front. Float32.
    """
    return fill_holes(*splat(flow, nearness))
