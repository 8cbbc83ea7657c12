"""Hold the colours of a shot still: chroma is carried along the motion from frame to frame and changes slowly.

Of every pixel the place in the frame before is looked up (dense inverse search, Kroeger et al. 2016,
https://arxiv.org/abs/1603.03590; OpenCV's). Where the motion there and back agrees and the same is seen at both ends,
most of the colour is that of before; where something comes into view, all of it is that of now. Only what is added to
the chroma of now goes through the resampling, so that what is not held keeps its full sharpness.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

LONGEST_SIDE = 640
"""Pixels; larger frames are reduced to so many, as colour is coarse and so is what is added to it."""

SMALLEST_SIDE = 16
"""Pixels; in anything smaller no motion is looked for."""

MOST_HELD = 0.98
"""How much of the colour of before stays at most: what is wrong in the first frame fades in the end."""

ASTRAY, ASTRAY_OF_MOTION = 1.0, 0.05
"""By how many pixels, and by which share of itself, motion may miss its beginning on the way back."""

DOUBT = 20.0
"""How fast trust falls with the difference of luma, in [0, 1], between the two ends of the motion."""

GRAIN = 2.0
"""How many times the median of these differences says nothing, as every film has grain."""

SURROUND, PATCH = 15, 3
"""Sides of the squares whose mean luma does not count, as the light of old film flickers, and over which is compared.
"""

REACH = 24
"""Frames after which little is left of the colours of a frame."""


def held(steadiness: float) -> float:
    """The share of the colour of before that stays where it is trusted, for a ``steadiness`` from 0 to 1."""
    return MOST_HELD * (1 - (1 - steadiness) ** 5)


def _mean(x: Tensor, side: int) -> Tensor:
    return functional.avg_pool2d(x, side, stride=1, padding=side // 2, count_include_pad=False)


def _eight_bits(luma: Tensor) -> NDArray[np.uint8]:
    return (luma[0, 0].clamp(0, 1) * 255).round().to("cpu", torch.uint8).numpy()


def _motion(here: NDArray[np.uint8], there: NDArray[np.uint8]) -> Tensor:
    """From every pixel of ``here (H, W)`` to its place in ``there``: ``(1, 2, H, W)``, x and y in pixels."""
    if min(here.shape) < SMALLEST_SIDE:
        return torch.zeros(1, 2, *here.shape)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(here, there, np.zeros((*here.shape, 2), np.float32))
    return torch.from_numpy(np.asarray(flow, np.float32)).permute(2, 0, 1)[None]


def look_up(planes: Tensor, flow: Tensor) -> Tensor:
    """``planes (1, C, H, W)`` where ``flow (1, 2, H, W)`` points to from every pixel; the border reaches outwards."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    places = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    return functional.grid_sample(planes, places, padding_mode="border", align_corners=True)


def motion_and_sight(now: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
    """The motion ``(1, 2, H, W)`` from ``now`` back to ``before``, both luma ``(1, 1, H, W)``, and where it holds.

    The latter, ``(1, 1, H, W)``, is 1 where the way there and back leads home, and falls to 0 where it does not.
    """
    here, there = _eight_bits(now), _eight_bits(before)
    flow, back = (_motion(*pair).to(now.device) for pair in ((here, there), (there, here)))
    astray = (flow + look_up(back, flow)).norm(dim=1, keepdim=True)
    allowed = ASTRAY + ASTRAY_OF_MOTION * flow.norm(dim=1, keepdim=True)
    return flow, torch.exp(-((astray / allowed) ** 2))


class Steadier:
    """Holds the colours of one shot still, of which it is given frame after frame.

    Of the past only the last frame is kept, at ``LONGEST_SIDE`` at most; nothing of the future is needed.
    """

    def __init__(self, steadiness: float) -> None:
        self._held = held(steadiness)
        self._before: tuple[Tensor, Tensor] | None = None

    def steadied(self, luma: Tensor, chroma: Tensor) -> Tensor:
        """The chroma ``(1, C, H, W)`` to show, given the luma ``(1, 1, H, W)`` of a frame and the chroma found for it.

        Both are nominally in [0, 1]. Of the first frame it is the chroma that was given.
        """
        size = (luma.shape[2], luma.shape[3])
        now, found = self._reduced(luma), self._reduced(chroma)
        if self._before is None:
            self._before = now, found
            return chroma
        before, shown = self._before
        flow, trust = motion_and_sight(now, before)
        change = now - look_up(before, flow)
        change = _mean((change - _mean(change, SURROUND)).abs(), PATCH)
        trust = trust * torch.exp(-DOUBT * (change - GRAIN * change.median()).clamp_min(0))
        added = self._held * trust * (look_up(shown, flow) - found)
        self._before = now, found + added
        if added.shape[2:] != size:
            added = functional.interpolate(added, size, mode="bilinear", align_corners=False)
        return chroma + added

    @staticmethod
    def _reduced(planes: Tensor) -> Tensor:
        scale = LONGEST_SIDE / max(planes.shape[2:])
        if scale >= 1:
            return planes
        size = [max(1, round(side * scale)) for side in planes.shape[2:]]
        return functional.interpolate(planes, size, mode="bilinear", antialias=True, align_corners=False)
