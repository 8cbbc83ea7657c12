"""The built-in interpolation: scenes whose frames in between are known, because they are drawn from photos."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from restore.interpolation import optical_flow
from restore.interpolation.splatting import LEAST_WEIGHT, filled, splat

EXAMPLES = Path(__file__).parents[1] / "examples"
HEIGHT, WIDTH = 200, 280
MARGIN = 40


def photo(name: str) -> np.ndarray:
    """Part of an example, sharp, as float32 RGB in [0, 1]; larger than a frame on all sides."""
    image = cv2.imread(str(EXAMPLES / name))
    assert image is not None
    size = (WIDTH + 2 * MARGIN, HEIGHT + 2 * MARGIN)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return (small[..., ::-1] / 255).astype(np.float32)


def moved(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """The middle of ``image`` after it moved by that many pixels."""
    shift = np.float32([[1, 0, x - MARGIN], [0, 1, y - MARGIN]])
    return cv2.warpAffine(image, shift, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def scene(time: float) -> Tensor:
    """A disc of one photo that passes to the right in front of another one that goes to the left and up."""
    background = moved(photo("cat.jpg"), -5.3 * time, -2.4 * time)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(x - (110 + 9.5 * time), y - 100)
    inside = np.clip(55.5 - distance, 0, 1)[..., None].astype(np.float32)
    front = moved(photo("portrait.jpg"), 9.5 * time, 0)
    return torch.from_numpy(np.clip(inside * front + (1 - inside) * background, 0, 1)).permute(2, 0, 1).contiguous()


def psnr(one: Tensor, other: Tensor) -> float:
    return float(-10 * (one - other).square().mean().log10())


def mean(first: Tensor, second: Tensor, time: float) -> Tensor:
    return (1 - time) * first + time * second


def test_frames_between_follow_the_motion_at_any_time() -> None:
    first, second = scene(0), scene(1)
    pair = optical_flow.prepare(first, second)
    for time in (0.25, 0.5, 0.8):
        truth, found = scene(time), optical_flow.at(pair, time)
        assert found.shape == truth.shape
        assert 0 <= found.min() <= found.max() <= 1
        assert psnr(found, truth) >= psnr(mean(first, second, time), truth) + 10
    assert psnr(optical_flow.at(pair, 1e-4), first) > 40
    assert psnr(optical_flow.at(pair, 1 - 1e-4), second) > 40


def test_background_that_is_uncovered_comes_from_the_frame_that_shows_it() -> None:
    first, second = scene(0), scene(1)
    found, truth = optical_flow.at(optical_flow.prepare(first, second), 0.5), scene(0.5)
    # Behind the disc, seen in the second frame only, and before it, seen in the first one only.
    for columns in (slice(54, 58), slice(171, 175)):
        band = (slice(None), slice(85, 115), columns)
        assert psnr(found[band], truth[band]) >= psnr(mean(first, second, 0.5)[band], truth[band]) + 2


def test_what_stands_still_stays_and_noise_is_not_followed() -> None:
    still = scene(0)
    assert (optical_flow.at(optical_flow.prepare(still, still), 0.3) - still).abs().max() < 1e-4
    noise = torch.Generator().manual_seed(1)
    first, second = ((still + 0.04 * torch.randn(still.shape, generator=noise)).clamp(0, 1) for _ in range(2))
    found = optical_flow.at(optical_flow.prepare(first, second), 0.5)
    assert psnr(found, still) >= psnr(mean(first, second, 0.5), still) - 0.3


def test_motion_is_followed_in_a_fade() -> None:
    light = {0.0: 1.0, 0.25: 0.85, 0.5: 0.7, 1.0: 0.4}
    frames = {time: scene(time) * part for time, part in light.items()}
    pair = optical_flow.prepare(frames[0.0], frames[1.0])
    for time in (0.25, 0.5):
        blend = mean(frames[0.0], frames[1.0], time)
        assert psnr(optical_flow.at(pair, time), frames[time]) >= psnr(blend, frames[time]) + 10


def test_a_dissolve_and_a_fade_without_motion_are_mixed() -> None:
    one, other = scene(0), moved(photo("portrait.jpg"), 0, 0)
    there = torch.from_numpy(other).permute(2, 0, 1).clamp(0, 1)
    part = 0.9 * one + 0.1 * there, 0.6 * one + 0.4 * there
    for first, second in ((one, there), (one, 0.4 * one), (one, 0.3 * one + 0.7), part):
        pair = optical_flow.prepare(first, second)
        for time in (0.3, 0.5):
            found = optical_flow.at(pair, time)
            assert (found - mean(first, second, time)).abs().max() < 2 / 255


def test_frames_that_have_nothing_in_common_give_something_sound() -> None:
    first, second = torch.rand(3, 40, 60), torch.zeros(3, 40, 60)
    found = optical_flow.at(optical_flow.prepare(first, second), 0.5)
    assert torch.isfinite(found).all()
    assert psnr(found, mean(first, second, 0.5)) > 10


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 90), (15, 40), (16, 16), (17, 33)])
def test_frames_of_any_size(height: int, width: int) -> None:
    first, second = torch.rand(3, height, width), torch.rand(3, height, width)
    found = optical_flow.at(optical_flow.prepare(first, second), 0.5)
    assert found.shape == (3, height, width)
    assert torch.isfinite(found).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31 - 1))
def test_what_is_carried_keeps_its_weight_and_its_range(height: int, width: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    values = torch.rand(2, 3, height, width, generator=random)
    weight = torch.rand(2, 1, height, width, generator=random) + 0.01
    # Every place that is reached lies inside, so that nothing is lost.
    column, line = torch.arange(width), torch.arange(height)[:, None]
    x = torch.rand(2, height, width, generator=random) * (width - 1) - column
    y = torch.rand(2, height, width, generator=random) * (height - 1) - line
    carried, came = splat(values, torch.stack((x, y), dim=1), weight)
    assert torch.allclose(came.sum(), weight.sum(), rtol=1e-4)
    assert torch.allclose((carried * came).sum(dim=(2, 3)), (values * weight).sum(dim=(2, 3)), rtol=1e-3, atol=1e-3)
    assert carried.max() <= values.max() + 1e-4
    everywhere = filled(carried, came)
    reached = came > LEAST_WEIGHT
    assert torch.equal(everywhere[reached.expand_as(everywhere)], carried[reached.expand_as(carried)])
    known = carried[reached.expand_as(carried)]
    assert known.min() - 1e-4 <= everywhere.min() or not reached.any()
