"""The interpolation that needs no weights: dense motion both ways, followed to any time between two frames.

The motion is that of dense inverse search with variational refinement (Kroeger et al. 2016,
https://arxiv.org/abs/1603.03590; OpenCV's), at full resolution, from each frame to the other. Where the two agree they
are trusted. Both are carried to the time wanted, and from there both frames are looked up, each counting as much as it
can be seen from there. Where following the motion matches no better than standing still, or hardly anything moves, the
mean of the frames takes part, which is the least wrong where nothing is known; where that is so of the whole frame, as
in a dissolve, nothing else does. Frames that get brighter or darker are compared as if they did not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from restore.interpolation.brightness import Levels, levels
from restore.interpolation.splatting import LEAST_WEIGHT, filled, splat

SMALLEST_SIDE = 16
"""Pixels; in anything smaller no motion is looked for."""
SEARCHED_SIDE = 640
"""The longer side in pixels of the frames in which the furthest motion is looked for."""
MOVING_LESS = 99.0
"""How many of a hundred pixels move less than what counts as the furthest motion: single ones are errors."""
PATCH = 8
PATCH_STEP = 3
DESCENTS = 25
REFINEMENTS = 10
SMOOTHNESS = 40.0
"""The settings of dense inverse search: more careful ones than OpenCV's own, at the finest of its scales."""

DOUBT_OF_DISAGREEMENT = 1.0
"""How fast trust falls with each pixel by which motion there and back does not come home."""
DOUBT_OF_DIFFERENCE = 25.5
"""How fast trust falls with the difference of the colours, in [0, 1], at the two ends of the motion."""
LEAST_TRUST = 1e-3
SEAM = 5
"""Side in pixels of the median that removes what is thinner from the motion."""
OCCLUDED = 2.0
"""Pixels by which the motion at a place in a frame differs from that which leads there, if the place is half hidden."""
LEAST_SEEN = 0.3
"""How much of a frame counts where it seems to be hidden altogether."""
WINDOW = 7
"""Side in pixels of the squares over which frames are compared."""
STANDING = 0.4
"""Pixels of motion up to which the mean of the frames is as sharp, and nearer than what noise makes of the motion; it
takes no part any more from twice as many on."""
NOISE = 0.5 / 255**2
"""The mean square difference that says nothing."""
ASTRAY = 1.0
"""Pixels by which motion there and back may miss where it began before it counts as lost."""
LOST, LOST_LEFT = (0.5, 0.7), (0.6, 0.8)
"""How much of a frame is lost, and how much of the difference of the frames is left after following the motion, where
there is doubt, and where there is nothing but doubt: in noise, and where another picture comes."""
UNEXPLAINED = (0.95, 0.98)
"""The same where the motion agrees: in a part of a dissolve. What is followed of mere grain leaves less."""
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Pair:
    """Two frames ``(1, 3, H, W)`` and the motion ``(1, 2, H, W)`` from each to the other, x and y in pixels.

    The trust ``(1, 1, H, W)`` in each motion is in [0, 1]; ``change (1, 1, H, W)`` is the mean square difference of the
    frames around each pixel, made as bright as each other by ``brightness``. ``doubt`` is how much of the whole frame,
    0 to 1, is the mean of the two at least.
    """

    first: Tensor
    second: Tensor
    forward: Tensor
    backward: Tensor
    forward_trust: Tensor
    backward_trust: Tensor
    change: Tensor
    brightness: Levels
    doubt: float


def _search(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    search.setPatchSize(PATCH)
    search.setPatchStride(PATCH_STEP)
    search.setGradientDescentIterations(DESCENTS)
    search.setVariationalRefinementIterations(REFINEMENTS)
    search.setVariationalRefinementAlpha(SMOOTHNESS)
    flow = search.calc(first, second, np.zeros((*first.shape, 2), np.float32))
    return np.asarray(flow, np.float32)


def _grey(frame: Tensor) -> NDArray[np.uint8]:
    luma = (frame[0] * frame.new_tensor(LUMA).view(3, 1, 1)).sum(dim=0)
    return (luma.clamp(0, 1) * 255).round().to("cpu", torch.uint8).numpy()


def motion(first: Tensor, second: Tensor) -> Tensor:
    """The motion ``(1, 2, H, W)`` from every pixel of ``first (1, 3, H, W)`` to its place in ``second``, in pixels."""
    height, width = first.shape[-2:]
    if min(height, width) < SMALLEST_SIDE:
        return first.new_zeros(1, 2, height, width)
    return torch.from_numpy(_search(_grey(first), _grey(second))).permute(2, 0, 1)[None].to(first.device)


def furthest(first: Tensor, second: Tensor) -> float:
    """How many pixels the things that move furthest go from ``first (3, H, W)`` to ``second``, found in small."""
    height, width = first.shape[-2:]
    shrunk = min(1.0, SEARCHED_SIDE / max(height, width))
    size = (round(width * shrunk), round(height * shrunk))
    if min(size) < SMALLEST_SIDE:
        return 0.0
    here, there = (
        np.asarray(cv2.resize(_grey(frame[None].float()), size, interpolation=cv2.INTER_AREA), np.uint8)
        for frame in (first, second)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow = search.calc(here, there, np.zeros((*here.shape, 2), np.float32))
    return float(np.percentile(np.linalg.norm(flow, axis=-1), MOVING_LESS)) / shrunk


def _look_up(picture: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """``picture (1, C, H, W)`` where ``flow`` points to from every pixel; beyond the border is the nearest pixel."""
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0]
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1]
    places = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    return functional.grid_sample(picture, places, mode=mode, padding_mode="border", align_corners=True)


def _trust(here: Tensor, there: Tensor, flow: Tensor, back: Tensor) -> Tensor:
    """How far ``flow`` from ``here`` is to be believed, given the motion ``back`` from ``there``."""
    astray = (flow + _look_up(back, flow)).norm(dim=1, keepdim=True)
    difference = (here - _look_up(there, flow)).abs().mean(dim=1, keepdim=True)
    return torch.exp(-DOUBT_OF_DISAGREEMENT * astray - DOUBT_OF_DIFFERENCE * difference)


def _difference(first: Tensor, second: Tensor) -> Tensor:
    """The mean square difference of two frames over the window around each pixel: ``(1, 1, H, W)``."""
    square = (first - second).square().mean(dim=1, keepdim=True)
    return functional.avg_pool2d(square, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)


def _without_seams(flow: Tensor) -> Tensor:
    """The motion without what is thinner than half of ``SEAM``."""
    smooth = np.stack([cv2.medianBlur(plane, SEAM) for plane in flow[0].cpu().numpy()])
    return torch.from_numpy(smooth).to(flow.device).view_as(flow)


def prepare(first: Tensor, second: Tensor) -> Pair:
    """What all times between two frames ``(3, H, W)``, RGB in [0, 1], share."""
    first, second = first[None].float(), second[None].float()
    brightness = levels(first, second)
    here, there = brightness.first(first, 0.5), brightness.second(second, 0.5)
    forward, backward = motion(here, there), motion(there, here)
    return Pair(
        first,
        second,
        forward,
        backward,
        _trust(here, there, forward, backward),
        _trust(there, here, backward, forward),
        _difference(here, there),
        brightness,
        _doubt(here, there, forward, backward),
    )


def _doubt(here: Tensor, there: Tensor, forward: Tensor, backward: Tensor) -> float:
    """How little the motion says about the whole frame, from 0 to 1."""
    astray = (forward + _look_up(backward, forward)).norm(dim=1)
    lost = float((astray > ASTRAY).float().mean())
    followed, change = ((here - other).square().mean() + NOISE for other in (_look_up(there, forward), there))
    left = float(followed / change)
    return max(_rise(lost, LOST) * _rise(left, LOST_LEFT), _rise(left, UNEXPLAINED))


def _rise(value: float, between: tuple[float, float]) -> float:
    """0 up to the first of two values, 1 from the second one on."""
    return min(max((value - between[0]) / (between[1] - between[0]), 0.0), 1.0)


def at(pair: Pair, time: float) -> Tensor:
    """The frame ``(3, H, W)`` in [0, 1] at ``time``, 0 being the first frame and 1 the second."""
    # The motion of the whole way, told from both frames, carried to the time wanted.
    from_first, first_weight = splat(pair.forward, time * pair.forward, pair.forward_trust + LEAST_TRUST)
    from_second, second_weight = splat(-pair.backward, (1 - time) * pair.backward, pair.backward_trust + LEAST_TRUST)
    weight = first_weight + second_weight
    way = (from_first * first_weight + from_second * second_weight) / weight.clamp(min=LEAST_WEIGHT)
    way = _without_seams(filled(way, weight))

    to_first, to_second = -time * way, (1 - time) * way
    first = pair.brightness.first(_look_up(pair.first, to_first, "bicubic"), time)
    second = pair.brightness.second(_look_up(pair.second, to_second, "bicubic"), time)
    first_share = (1 - time) * _seen(pair.forward, way, to_first)
    second_share = time * _seen(pair.backward, -way, to_second)
    frame = (first_share * first + second_share * second) / (first_share + second_share)

    unmatched, unmoved = _difference(first, second) + NOISE, pair.change + NOISE
    still = (1 - time) * pair.first + time * pair.second
    standing = (2 - way.norm(dim=1, keepdim=True) / STANDING).clamp(0, 1)
    frame = torch.lerp(frame, still, torch.maximum(unmatched / (unmatched + unmoved), standing))
    # What came into view between the frames was in neither; the nearer one is the better guess.
    frame = torch.where(weight > LEAST_WEIGHT, frame, first if time <= 0.5 else second)
    return frame.lerp(still, pair.doubt)[0].clamp(0, 1)


def _seen(flow: Tensor, way: Tensor, to_frame: Tensor) -> Tensor:
    """How much of a frame with the motion ``flow`` is seen from between: all where its motion is the ``way`` there."""
    return torch.exp((_look_up(flow, to_frame) - way).norm(dim=1, keepdim=True) / -OCCLUDED) + LEAST_SEEN
