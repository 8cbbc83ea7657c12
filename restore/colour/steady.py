"""Hold the colours of a shot still: each pixel gets the mean of the chroma found for it over the frames around.

Of every pixel the places in the frames before and after are looked up (dense inverse search, Kroeger et al. 2016,
https://arxiv.org/abs/1603.03590; OpenCV's), from frame to frame as long as the motion there and back agrees and the
same is seen at both ends; where something comes into view, what was there before has no part. The further away a frame
is the less it counts. Those before reach back without an end, and those after as far as is waited for: a mean over the
past alone lags behind where colours change, and keeps the first guess of a shot for long. Networks that are unsure give
pale colours, so strong ones count more than pale ones. Only what is added to the chroma of a frame goes through the
resampling, so that what is not held keeps its full sharpness.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

T = TypeVar("T")

LONGEST_SIDE = 640
"""Pixels; larger frames are reduced to so many, as colour is coarse and so is what is added to it."""

SMALLEST_SIDE = 16
"""Pixels; in anything smaller no motion is looked for."""

MOST_HELD = 0.98
"""How much each frame further away counts at most, of what the one nearer counts: what is wrong fades in the end."""

AHEAD = 6
"""Frames that are waited for, to take their colours into account."""

PALEST = 0.01
"""Chroma, in [0, 1], as strong as which even grey counts."""

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
    """How much the next frame counts, of what a frame itself counts, for a ``steadiness`` from 0 to 1."""
    return MOST_HELD * (1 - (1 - steadiness) ** 4)


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


@dataclass(frozen=True)
class _Link:
    """The way from the pixels of a frame to their places in the next one or the one before."""

    flow: Tensor
    """``(1, 2, H, W)``, x and y in pixels."""

    trust: Tensor
    """``(1, 1, H, W)`` in [0, 1]."""


def _link(here: Tensor, there: Tensor, flow: Tensor, back: Tensor) -> _Link:
    """The link from ``here`` to ``there``, both luma ``(1, 1, H, W)``, given the motion there and back.

    It is trusted where the way there and back leads home and the same is seen at both ends.
    """
    astray = (flow + look_up(back, flow)).norm(dim=1, keepdim=True)
    allowed = ASTRAY + ASTRAY_OF_MOTION * flow.norm(dim=1, keepdim=True)
    change = here - look_up(there, flow)
    change = _mean((change - _mean(change, SURROUND)).abs(), PATCH)
    doubt = DOUBT * (change - GRAIN * change.median()).clamp_min(0)
    return _Link(flow, torch.exp(-((astray / allowed) ** 2) - doubt))


@dataclass
class _Colours:
    """Colours ``(1, C, H, W)`` and how much they count ``(1, 1, H, W)``."""

    chroma: Tensor
    weight: Tensor

    def with_more(self, more: _Colours) -> _Colours:
        weight = self.weight + more.weight
        return _Colours(self.chroma + more.weight / weight * (more.chroma - self.chroma), weight)

    def carried(self, link: _Link, share: float) -> _Colours:
        """What of these the frame gets at whose pixels ``link`` begins."""
        places = look_up(torch.cat((self.chroma, self.weight), dim=1), link.flow)
        return _Colours(places[:, :-1], share * link.trust * places[:, -1:])


@dataclass
class _Place:
    """A frame of a shot, reduced, with what comes to it from the frames before, and the way to the one after."""

    luma: Tensor
    own: _Colours
    past: _Colours | None = None
    onward: _Link | None = None

    def so_far(self) -> _Colours:
        return self.own if self.past is None else self.own.with_more(self.past)


def steadied(frames: Iterable[tuple[Tensor, Tensor, T]], steadiness: float) -> Generator[tuple[Tensor, T]]:
    """The chroma ``(1, C, H, W)`` to show of each frame of a shot, and what came with the frame.

    ``frames`` gives the luma ``(1, 1, H, W)`` and the chroma that was found, both nominally in [0, 1], and something
    that is handed on. ``AHEAD`` frames are held, beside the one that is given.
    """
    share = held(steadiness)
    waiting: deque[tuple[_Place, Tensor, T]] = deque()
    last: _Place | None = None
    for luma, chroma, beside in frames:
        last = _placed(luma, chroma, last, share)
        waiting.append((last, chroma, beside))
        if len(waiting) > AHEAD:
            yield _shown(waiting, share)
    while waiting:
        yield _shown(waiting, share)


@torch.inference_mode()
def _placed(luma: Tensor, chroma: Tensor, before: _Place | None, share: float) -> _Place:
    """The frame after ``before``, which learns the way to it."""
    now, found = _reduced(luma), _reduced(chroma)
    place = _Place(now, _Colours(found, found.norm(dim=1, keepdim=True) + PALEST))
    if before is not None:
        here, there = _eight_bits(now), _eight_bits(before.luma)
        back, forth = (_motion(*pair).to(now.device) for pair in ((here, there), (there, here)))
        place.past = before.so_far().carried(_link(now, before.luma, back, forth), share)
        before.onward = _link(before.luma, now, forth, back)
    return place


@torch.inference_mode()
def _shown(waiting: deque[tuple[_Place, Tensor, T]], share: float) -> tuple[Tensor, T]:
    """The chroma to show of the first of the frames that wait, which is taken out, and what came with it."""
    future: _Colours | None = None
    for place, _, _ in reversed(waiting):
        if future is not None and place.onward is not None:
            future = future.carried(place.onward, share)
        around, future = future, place.own if future is None else place.own.with_more(future)
    place, chroma, beside = waiting.popleft()
    mean = place.so_far() if around is None else place.so_far().with_more(around)
    added = mean.chroma - place.own.chroma
    if added.shape[2:] != chroma.shape[2:]:
        size = (chroma.shape[2], chroma.shape[3])
        added = functional.interpolate(added, size, mode="bilinear", align_corners=False)
    return chroma + added, beside


def _reduced(planes: Tensor) -> Tensor:
    scale = LONGEST_SIDE / max(planes.shape[2:])
    if scale >= 1:
        return planes
    size = [max(1, round(side * scale)) for side in planes.shape[2:]]
    return functional.interpolate(planes, size, mode="bilinear", antialias=True, align_corners=False)
