"""Half the resolution of chroma, and back: a pair of filters that belong together.

Clips store colour differences at a half (or a quarter) of the width and the height of luma. A clip that passes through
the engine goes up to full resolution and down again, so what counts is that the two filters together change next to
nothing, and that the one downwards lets nothing through that would alias when the picture itself was remade at a
higher resolution. Bilinear up and a box down, the usual pair, blur every hard edge of colour.

Up is the cubic of Catmull and Rom at the phases of the siting. Down are the symmetric taps that are closest to its
inverse in the least-squares sense, with a penalty on what they let through above half of the band; they are computed
here from that definition rather than listed.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Siting = Literal["cosited", "centre"]
"""Where a sample of chroma lies along one axis: on the first of its samples of luma, or in the middle between both."""

REACH = 4
"""Half the length of the filter downwards, in samples of full resolution."""

PENALTY = 0.1
STOP_BAND = 0.55
"""The weight of what the filter downwards lets through above ``STOP_BAND`` of full resolution's band, against the
error of going up and down."""


def up(plane: Tensor, siting: Siting, axis: int, length: int) -> Tensor:
    """Double ``plane`` along ``axis`` (-1 or -2), cut to ``length``, which may be odd."""
    first, taps = _phases(siting)
    padded = _pad(plane, axis, 2, 2)
    count = plane.shape[axis]
    phases = []
    for start, weights in zip(first, taps, strict=True):
        phase = torch.zeros_like(plane)
        for k, weight in enumerate(weights):
            if weight:
                phase.add_(padded.narrow(axis, 2 + start + k, count), alpha=weight)
        phases.append(phase)
    doubled = torch.stack(phases, dim=plane.ndim if axis == -1 else plane.ndim - 1)
    return doubled.flatten(axis - 1, axis).narrow(axis, 0, length)


def down(plane: Tensor, siting: Siting, axis: int) -> Tensor:
    """Halve ``plane`` along ``axis`` (-1 or -2), rounding up; the samples at the ends are repeated."""
    taps = down_taps(siting)
    left = REACH if siting == "cosited" else REACH - 1
    length = plane.shape[axis]
    count = (length + 1) // 2
    padded = _pad(plane, axis, left, 2 * (count - 1) + len(taps) - left - length)
    result = torch.zeros_like(padded.narrow(axis, 0, count))
    # Even and odd samples apart, so that each tap reads memory that lies together.
    halves = [_every_second(padded, axis, offset) for offset in (0, 1)]
    for k, weight in enumerate(taps):
        result.add_(halves[k % 2].narrow(axis, k // 2, count), alpha=weight)
    return result


@cache
def down_taps(siting: Siting) -> tuple[float, ...]:
    """The filter downwards: 9 taps around a co-sited sample, or 8 around the middle between two."""
    size = 16 * REACH
    middle = size // 2
    going_up = _up_matrix(siting, size)
    if siting == "cosited":
        groups: list[tuple[int, ...]] = [(0,), *((-k, k) for k in range(1, REACH + 1))]
        centre = 0.0
    else:
        groups = [(-k, k + 1) for k in range(REACH)]
        centre = 0.5
    # One row for each unknown (a tap and its mirror image): what it gives back of the sample in the middle and others.
    back = np.stack([sum(going_up[2 * middle + k] for k in group) for group in groups], axis=1)
    wanted = np.zeros(size)
    wanted[middle] = 1
    angles = np.linspace(STOP_BAND * np.pi, np.pi, size)
    passed = np.stack([sum(np.cos(angles * (k - centre)) for k in group) for group in groups], axis=1)
    sums = np.array([[len(group) for group in groups]], dtype=float)
    exactly = 1e4  # a weight that makes the taps add up to one
    system = np.concatenate([back, np.sqrt(PENALTY / size) * passed, exactly * sums])
    right = np.concatenate([wanted, np.zeros(size), [exactly]])
    solved, *_ = np.linalg.lstsq(system, right, rcond=None)
    by_offset = {k: float(weight) for group, weight in zip(groups, solved, strict=True) for k in group}
    weights = [by_offset[k] for k in sorted(by_offset)]
    return tuple(weight / sum(weights) for weight in weights)


@cache
def _phases(siting: Siting) -> tuple[tuple[int, int], tuple[tuple[float, ...], tuple[float, ...]]]:
    """For the even and the odd samples: the offset of the first tap, and the taps."""
    positions = (0.0, 0.5) if siting == "cosited" else (-0.25, 0.25)
    starts = tuple(int(np.floor(position)) - 1 for position in positions)
    taps = tuple(_catmull_rom(position - np.floor(position)) for position in positions)
    return (starts[0], starts[1]), (taps[0], taps[1])


def _catmull_rom(t: float) -> tuple[float, ...]:
    """The weights of the four samples around a place that lies ``t`` behind the second of them."""
    return (
        -0.5 * t + t * t - 0.5 * t**3,
        1 - 2.5 * t * t + 1.5 * t**3,
        0.5 * t + 2 * t * t - 1.5 * t**3,
        -0.5 * t * t + 0.5 * t**3,
    )


def _up_matrix(siting: Siting, size: int) -> NDArray[np.float64]:
    """``up`` as a matrix of ``(2 * size, size)``."""
    starts, taps = _phases(siting)
    matrix = np.zeros((2 * size, size))
    for row in range(2 * size):
        for k, weight in enumerate(taps[row % 2]):
            matrix[row, np.clip(row // 2 + starts[row % 2] + k, 0, size - 1)] += weight
    return matrix


def _pad(plane: Tensor, axis: int, before: int, after: int) -> Tensor:
    """Repeat the first and the last sample along ``axis``."""
    if not before and not after:
        return plane
    first, last = plane.narrow(axis, 0, 1), plane.narrow(axis, plane.shape[axis] - 1, 1)
    return torch.cat(
        [first.repeat_interleave(before, dim=axis), plane, last.repeat_interleave(after, dim=axis)], dim=axis
    )


def _every_second(plane: Tensor, axis: int, offset: int) -> Tensor:
    if axis == -1:
        return plane[..., offset::2].contiguous()
    return plane[..., offset::2, :]
