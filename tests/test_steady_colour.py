"""Colours that are held still: they flicker less, follow what moves, leave no trails and cross no cut."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

import restore
from restore import Colorize, Frame
from restore.colour.eight_bits import luma
from restore.colour.merge import chroma_of
from restore.colour.steady import AHEAD, LONGEST_SIDE, steadied

CPU = restore.Settings(device="cpu")
HEIGHT, WIDTH, SIDE, STEP = 72, 112, 28, 3
GROUND, THING = torch.tensor((-0.1, 0.0, 0.15)), torch.tensor((0.2, 0.0, -0.1))


def texture(seed: int, height: int, width: int) -> Tensor:
    noise = torch.from_numpy(np.random.default_rng(seed).random((1, 1, height // 4 + 2, width // 4 + 2))).float()
    return functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1) * 0.6 + 0.2


def scene(index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Luma, chroma and where the thing is, of a textured thing that moves over a textured ground."""
    left, top = 8 + STEP * index, 20
    light, inside = texture(1, HEIGHT, WIDTH).clone(), torch.zeros(1, 1, HEIGHT, WIDTH, dtype=torch.bool)
    light[..., top : top + SIDE, left : left + SIDE] = texture(2, SIDE, SIDE)
    inside[..., top : top + SIDE, left : left + SIDE] = True
    return light, torch.where(inside, THING.view(1, 3, 1, 1), GROUND.view(1, 3, 1, 1)), inside


def flickering(index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    light, chroma, inside = scene(index)
    offset = torch.from_numpy(np.random.default_rng(100 + index).normal(0, 0.05, (1, 3, 1, 1))).float()
    return light, chroma + offset, chroma, inside


def steady(frames: list[tuple[Tensor, Tensor]], steadiness: float) -> list[Tensor]:
    """The chroma to show of frames, each given as luma and chroma."""
    results = list(steadied(((light, found, place) for place, (light, found) in enumerate(frames)), steadiness))
    assert [place for _, place in results] == list(range(len(frames)))
    return [shown for shown, _ in results]


def test_colours_flicker_far_less_where_things_stand_and_where_they_move_and_leave_no_trail() -> None:
    frames = [flickering(index) for index in range(16)]
    shown = steady([(light, found) for light, found, _, _ in frames], 0.5)

    def flicker(results: list[Tensor], *, moving: bool) -> float:
        changes = []
        for index in range(1, len(results)):
            now, before, inside = results[index], results[index - 1], frames[index][3]
            if moving:  # looked at a little within, where the border has no part in it
                before = before.roll(STEP, dims=-1)
                inside = functional.max_pool2d((~inside).float(), 9, 1, 4) == 0
            else:
                inside = functional.max_pool2d((inside | frames[index - 1][3]).float(), 9, 1, 4) == 0
            changes.append((now - before).abs().mean(dim=1, keepdim=True)[inside].mean().item())
        return float(np.mean(changes))

    given = [found for _, found, _, _ in frames]
    for moving in (False, True):
        assert flicker(shown, moving=moving) < 0.3 * flicker(given, moving=moving)

    results = steady([(light, chroma) for light, _, chroma, _ in frames], 0.5)
    for result, (_, _, chroma, inside) in zip(results, frames, strict=True):
        # Without flicker nothing changes but at the very border: behind the thing the ground has its colour at once.
        wrong = (result - chroma).abs().amax(dim=1, keepdim=True) > 0.1
        assert wrong.float().mean() < 0.01
        assert (wrong & (functional.max_pool2d(inside.float(), 9, 1, 4) == 0)).sum() < 10


def test_more_steadiness_holds_more_and_none_holds_nothing() -> None:
    light, chroma, _ = scene(0)
    changes = []
    for steadiness in (0.0, 0.25, 0.5, 1.0):
        first, second = steady([(light, chroma), (light, chroma + 0.1)], steadiness)
        changes.append((second - first).mean().item())
    assert changes[0] == pytest.approx(0.1, abs=1e-6)
    assert changes == sorted(changes, reverse=True)
    assert 0 < changes[-1] < 0.01 < changes[1] < 0.09


def test_colours_that_change_for_good_do_not_lag_behind() -> None:
    light, chroma, _ = scene(0)
    step = 20
    shown = steady([(light, chroma + (0.1 if index >= step else 0)) for index in range(2 * step)], 0.5)
    levels = [(each - chroma).mean().item() for each in shown]
    assert all(later > earlier - 1e-6 for earlier, later in pairwise(levels))
    assert levels[step - AHEAD - 1] < 1e-6  # what is further ahead has no part
    assert levels[step - 1] > 0.02  # half way there before it comes, where a mean over the past is at its start
    assert levels[step + 4] > 0.06


def test_what_comes_into_view_has_its_own_colour_at_once() -> None:
    (before, old, was), (light, chroma, inside) = scene(0), scene(3)
    shown = [steady([*past, (light, chroma + 0.1)], 1.0)[-1] for past in ([(before, old)], [])]
    uncovered = was & ~inside
    uncovered &= functional.max_pool2d(inside.float(), 3, 1, 1) == 0
    held = (shown[0] - shown[1]).mean(dim=1, keepdim=True)
    far = functional.max_pool2d((inside | was).float(), 17, 1, 8) == 0
    assert held[far].mean() < -0.03  # where the past is known, it has its part
    assert held[uncovered].mean() > 0.5 * held[far].mean()


def test_a_colour_that_a_network_is_sure_of_counts_more_than_a_pale_one() -> None:
    light, chroma, _ = scene(0)
    pale, strong = steady([(light, 0.2 * chroma), (light, chroma)], 1.0)
    share = [(each / chroma)[chroma.abs() > 0].mean().item() for each in (pale, strong)]
    assert 0.75 < share[0] < share[1] < 0.9


def test_large_frames_are_steadied_as_well_and_keep_their_detail() -> None:
    size = (40, 2 * LONGEST_SIDE)
    light = texture(3, *size)
    detail = texture(4, *size).expand(-1, 3, -1, -1)
    first, second = steady([(light, detail), (light, detail + 0.1)], 0.5)
    assert (second - first).mean() < 0.01
    for shown in (first, second):
        assert (shown - shown.mean() - detail + detail.mean()).abs().mean() < 0.005


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (16, 16), (17, 19)])
def test_frames_of_any_size_are_steadied(size: tuple[int, int]) -> None:
    shown = steady([(torch.rand(1, 1, *size), torch.zeros(1, 3, *size)) for _ in range(2)], 1.0)
    assert all(torch.isfinite(each).all() for each in shown)


def film(count: int, shot: int = 0) -> list[Frame]:
    every = Fraction(1, 25)
    return [
        Frame(
            scene(index)[0][0].expand(3, -1, -1).roll(40 * shot, dims=-1), pts=index * every, duration=every, shot=shot
        )
        for index in range(count)
    ]


def coloured(frames: list[Frame], **settings: object) -> list[Frame]:
    return list(
        restore.restore_frames(frames, [Colorize(model="built-in-colour", **settings)], cuts=None, settings=CPU)
    )


def test_nothing_crosses_a_cut_and_repeats_stay_repeats() -> None:
    first, second = film(4), film(4, shot=1)
    first.insert(2, replace(first[1], pts=Fraction(1, 1000), repeat=True))
    both = coloured([*first, *second], steadiness=1)
    alone = coloured([replace(frame, shot=0) for frame in second], steadiness=1)
    assert all(torch.equal(one.pixels, other.pixels) for one, other in zip(both[5:], alone, strict=True))
    assert torch.equal(both[2].pixels, both[1].pixels)
    without = coloured(first, steadiness=0)
    assert not torch.equal(both[4].pixels, without[4].pixels)


@pytest.mark.parametrize(("steadiness", "saturation"), [(0.5, 0), (1, 1), (0.5, 2)])
def test_the_luma_of_steadied_frames_is_that_of_the_source(steadiness: float, saturation: float) -> None:
    frames = film(4)
    for frame, result in zip(frames, coloured(frames, steadiness=steadiness, saturation=saturation), strict=True):
        assert (luma(result.pixels[None]) - luma(frame.pixels[None])).abs().max() < 1e-5
        assert result.pixels.min() > -1e-5
        assert result.pixels.max() < 1 + 1e-5
        pictures = [(each.pixels.permute(1, 2, 0) * 255).round().byte().numpy() for each in (frame, result)]
        before, after = (np.asarray(Image.fromarray(each).convert("L"), dtype=int) for each in pictures)
        assert np.abs(before - after).max() <= 1
        assert bool(chroma_of(result.pixels[None]).abs().max() < 1e-5) == (saturation == 0)
