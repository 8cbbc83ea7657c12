"""Faces: where they are cut out, how they come back, how they are followed, and the stage that does it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import restore
from restore import Encoding, Faces, Frame, Progress, Upscale, networks
from restore.cli.command_line import main
from restore.errors import Cancelled, LimitError, SettingsError
from restore.faces import crops as crops_module
from restore.faces import flow as flow_module
from restore.faces.align import SIDE, TEMPLATE, crop, similarity
from restore.faces.crops import CropRestorer
from restore.faces.detect import Detector, Face, resize
from restore.faces.find import drawn, find_faces
from restore.faces.flow import FaceFlow, Options, waiting_frames
from restore.faces.keep import RESTORED
from restore.faces.paste import paste, plain_mask, soften
from restore.faces.steady import Shown, steadied
from restore.faces.tone import match_tone
from restore.faces.track import Place, Points, Tracker, spread
from restore.faces.turned import TURNS
from restore.faces.warp import compose, invert, resizing, sample
from restore.inference.engine import Engine
from restore.inference.runner import NetworkSource
from restore.networks import gfpgan, parsenet
from restore.progress import Position
from restore.settings import load_settings
from restore.stages import parse_steps
from tests.clips import write_clip
from tests.fill import fill

LEAST_DB = 38.0


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    """Something like a photo: detail at every size, the finest weakest, and hard edges."""
    stream = np.random.default_rng(seed)
    picture = np.full((3, height, width), 0.5)
    for octave in range(1, 8):
        small = stream.normal(0, 0.02 * 1.4**octave / 2, (3, 2 + height // 2**octave, 2 + width // 2**octave))
        picture += (
            sample(
                torch.from_numpy(small).float() + 0.5, resizing((height, width), small.shape[1:]), height, width
            ).numpy()
            - 0.5
        )
    picture[:, height // 3 : height // 2, width // 4 : width // 2] += 0.2
    return torch.from_numpy(picture.clip(0, 1)).float()


def landmarks(x: float, y: float, size: float, degrees: float = 0.0) -> Points:
    """Those of a face whose crop is ``size`` pixels wide, turned around its centre ``(x, y)``."""
    turn = math.radians(degrees)
    matrix = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return (TEMPLATE - SIDE / 2) * (size / SIDE) @ matrix.T + (x, y)


def face(x: float, y: float, size: float, degrees: float = 0.0) -> Face:
    points = landmarks(x, y, size, degrees)
    half = 0.3 * size
    return Face(np.array([x - half, y - half, x + half, y + half]), points, 0.99)


def decibels(one: Tensor, other: Tensor) -> float:
    error = float((one - other).square().mean())
    return 99.0 if error == 0 else -10 * math.log10(error)


def matrix_of(points: Points) -> Any:
    matrix = similarity(points)
    assert matrix is not None
    return matrix


PICTURE = texture(360, 480)
SMALL = texture(180, 240)
MASK = soften(plain_mask())


@settings(max_examples=8, deadline=None)
@given(
    x=st.floats(60, 420),
    y=st.floats(60, 300),
    size=st.floats(30, 500),
    degrees=st.floats(-180, 180),
)
def test_a_face_that_is_cut_out_and_put_back_unchanged_leaves_the_picture_as_it_was(
    x: float, y: float, size: float, degrees: float
) -> None:
    matrix = matrix_of(landmarks(x, y, size, degrees))
    canvas, inside = PICTURE.clone(), torch.zeros_like(PICTURE)
    paste(canvas, crop(PICTURE, matrix), MASK, matrix, (360, 480))
    paste(inside, torch.ones(3, SIDE, SIDE), MASK, matrix, (360, 480))
    covered = inside[0] > 0.5
    assert covered.any()
    assert decibels(canvas[:, covered], PICTURE[:, covered]) >= LEAST_DB
    untouched = inside[0] == 0
    assert torch.equal(canvas[:, untouched], PICTURE[:, untouched])


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-500, 5000), y=st.floats(-500, 5000), size=st.floats(5, 4000), degrees=st.floats(-180, 180))
def test_the_landmarks_of_a_face_come_to_lie_on_the_template(x: float, y: float, size: float, degrees: float) -> None:
    points = landmarks(x, y, size, degrees)
    matrix = matrix_of(points)
    np.testing.assert_allclose(points @ matrix[:, :2].T + matrix[:, 2], TEMPLATE, atol=1e-6)
    np.testing.assert_allclose(compose(invert(matrix), matrix), np.eye(2, 3), atol=1e-6)


def test_points_that_are_no_face_are_left_out() -> None:
    assert similarity(np.full((5, 2), 7.0)) is None
    assert similarity(np.full((5, 2), np.nan)) is None


def test_a_crop_is_that_of_the_published_tool() -> None:
    import cv2

    points = landmarks(200.4, 170.8, 240, 12)
    matrix = cv2.estimateAffinePartial2D(points, TEMPLATE, method=cv2.LMEDS)[0]
    published = cv2.warpAffine(PICTURE.permute(1, 2, 0).numpy(), matrix, (SIDE, SIDE))
    ours = crop(PICTURE, matrix_of(points))
    # Theirs interpolates linearly and ours does not, which is all there is to the difference.
    assert decibels(ours, torch.from_numpy(published).permute(2, 0, 1)) > 32


def test_a_large_face_is_reduced_and_a_small_one_put_back_without_aliasing() -> None:
    stripes = (torch.arange(1600) % 2).float().expand(3, 1600, -1).contiguous()
    reduced = crop(stripes, matrix_of(landmarks(800, 800, 1500, 3)))
    assert float(reduced[:, 50:-50, 50:-50].std()) < 0.02, "what is finer than the crop becomes even grey"
    canvas = torch.full((3, 100, 100), 0.5)
    fine = (torch.arange(SIDE) % 2).float().expand(3, SIDE, -1).contiguous()
    paste(canvas, fine, MASK, matrix_of(landmarks(50, 50, 60)), (100, 100))
    assert float((canvas - 0.5).abs().max()) < 0.02


@pytest.mark.parametrize("size", [260, 400])
def test_the_finest_detail_is_as_strong_as_it_was(size: float) -> None:
    columns = torch.arange(480).expand(360, -1)
    waves = (0.5 + 0.3 * torch.cos(columns * math.pi * 0.8)).expand(3, -1, -1).contiguous()
    canvas, matrix = waves.clone(), matrix_of(landmarks(240, 180, size))
    paste(canvas, crop(waves, matrix), MASK, matrix, (360, 480))
    assert decibels(canvas[:, 150:210, 210:270], waves[:, 150:210, 210:270]) >= LEAST_DB


@pytest.mark.parametrize(("x", "y"), [(0, 0), (479, 180), (240, 359), (-30, 400)])
def test_a_face_that_the_border_cuts_is_continued_and_comes_back_right(x: float, y: float) -> None:
    matrix = matrix_of(landmarks(x, y, 200, 20))
    cut = crop(PICTURE, matrix)
    blocks = torch.nn.functional.avg_pool2d(cut[None].std(dim=1, keepdim=True) + (cut - cut.mean()).abs()[None], 64)
    assert float(blocks.min()) > 0, "nothing is filled with one colour"
    assert float(cut.reshape(3, 8, 64, 8, 64).std(dim=(2, 4)).min()) > 1e-4, "nothing is flat"
    canvas = PICTURE.clone()
    paste(canvas, cut, MASK, matrix, (360, 480))
    assert decibels(canvas, PICTURE) >= LEAST_DB


def test_a_mask_ends_softly_before_the_edge_of_the_crop() -> None:
    soft = soften(torch.ones(SIDE, SIDE))
    assert float(torch.cat([soft[0], soft[-1], soft[:, 0], soft[:, -1]]).max()) < 0.01
    assert float(soft[SIDE // 2, SIDE // 2]) > 0.999
    assert float(soft.diff(dim=0).abs().max()) < 0.05


def test_a_face_gets_the_light_and_the_colour_that_it_had() -> None:
    crops = texture(SIDE, SIDE)[None] * 0.5 + 0.2
    drifted = (crops * torch.tensor([1.15, 1.0, 0.85])[:, None, None] + 0.05).clamp(0, 1)
    masks = plain_mask()[None]
    assert decibels(drifted, crops) < 30
    assert decibels(match_tone(drifted, crops, masks), crops) > 40
    assert decibels(match_tone(crops, crops, masks), crops) > 90
    empty = torch.zeros_like(masks)
    assert torch.equal(match_tone(drifted, crops, empty), drifted)


# Following faces


def tracked(
    rows: Sequence[Sequence[Points]], shots: Sequence[int] | None = None, *, smoothing: float = 1.0, reach: int = 4
) -> list[dict[int, Place]]:
    """The faces of each frame by their numbers, as a clip with these faces gives them."""
    tracker = Tracker(reach, smoothing)
    shots = shots or [0] * len(rows)
    found = []
    for number, (faces, shot) in enumerate(zip(rows, shots, strict=True)):
        tracker.see(faces, shot)
        if number >= reach:
            found.append(tracker.places(number - reach))
    found += [tracker.places(number) for number in range(len(found), len(rows))]
    return [{place.face: place for place in places} for places in found]


def test_smoothing_calms_what_trembles_and_follows_what_moves() -> None:
    stream = np.random.default_rng(1)
    true = [landmarks(100 + 4 * i, 120 + 1.5 * i, 160 + i, i) for i in range(30)]
    trembling = [[points + stream.normal(0, 0.8, (5, 2))] for points in true]
    (numbers,) = {tuple(places) for places in tracked(trembling)}
    errors = {
        smoothing: np.mean([
            np.linalg.norm(places[numbers[0]].landmarks - points, axis=1).mean()
            for places, points in zip(tracked(trembling, smoothing=smoothing)[4:-4], true[4:-4], strict=True)
        ])
        for smoothing in (0.0, 1.0)
    }  # fmt: skip
    assert errors[1.0] < 0.6 * errors[0.0]
    still = tracked([[points] for points in true])
    for places, points in zip(still, true, strict=True):
        assert np.abs(places[numbers[0]].landmarks - points).max() < 0.5, "a face that moves evenly is where it is"


def test_a_sudden_movement_is_followed_at_once() -> None:
    true = [landmarks(100 if i < 10 else 130, 120, 160) for i in range(20)]
    for places, points in zip(tracked([[points] for points in true]), true, strict=True):
        (found,) = places.values()
        assert np.abs(found.landmarks - points).max() <= 0.08 * spread(points) + 1e-6


def test_no_face_is_followed_across_a_cut() -> None:
    rows = [[landmarks(100 + (20 if i >= 8 else 0), 120, 160)] for i in range(16)]
    places = tracked(rows, [0] * 8 + [1] * 8)
    assert len({number for each in places[:8] for number in each}) == 1
    assert {number for each in places[:8] for number in each}.isdisjoint(
        number for each in places[8:] for number in each
    )
    for each, (points,) in zip(places, rows, strict=True):
        np.testing.assert_allclose(next(iter(each.values())).landmarks, points, atol=1e-6)


def test_a_face_that_is_missed_for_a_moment_is_there_and_a_flash_is_not() -> None:
    rows: list[list[Points]] = [[landmarks(100 + 3 * i, 120, 160)] for i in range(20)]
    rows[7], rows[8] = [], []
    rows[12] = [*rows[12], landmarks(400, 300, 80)]
    places = tracked(rows)
    assert [len(each) for each in places] == [1] * 20
    assert len({number for each in places for number in each}) == 1
    np.testing.assert_allclose(next(iter(places[8].values())).landmarks, landmarks(124, 120, 160), atol=0.5)


def test_faces_that_come_and_go_fade_and_those_at_a_cut_do_not() -> None:
    def weights(seen: Sequence[bool], shots: Sequence[int]) -> list[float]:
        rows = [[landmarks(100, 100, 80)] if each else [] for each in seen]
        return [next((place.weight for place in places.values()), 0.0) for places in tracked(rows, shots)]

    passing = [False] * 8 + [True] * 8 + [False] * 8
    assert weights(passing, [0] * 24) == [0] * 8 + [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25] + [0] * 8
    assert weights(passing, [0] * 8 + [1] * 8 + [2] * 8) == passing


def test_two_faces_that_pass_each_other_keep_their_numbers() -> None:
    rows = [
        [landmarks(60 + 12 * i, 100, 80), landmarks(360 - 12 * i, 160, 80)][:: 1 if i % 2 else -1] for i in range(25)
    ]
    places = tracked(rows)
    assert all(len(each) == 2 for each in places)
    heights = {number: {round(each[number].landmarks[2, 1]) for each in places} for number in places[0]}
    assert sorted(len(values) for values in heights.values()) == [1, 1]


def test_what_is_drawn_anew_flickers_less_and_stays_as_sharp() -> None:
    stream = torch.Generator().manual_seed(0)
    base = texture(SIDE, SIDE)

    def drawing() -> Tensor:
        drawn = base.clone()
        for size in (2, 4, 8):
            speckles = torch.rand(1, 3, SIDE // size, SIDE // size, generator=stream) - 0.5
            drawn += 0.06 * torch.nn.functional.interpolate(speckles, size=(SIDE, SIDE), mode="bicubic")[0]
        return drawn.clamp(0, 1)

    drawings = [drawing() for _ in range(8)]
    shown = [drawings[0]]
    for each in drawings[1:]:
        shown.append(steadied(each, base, Shown(base, shown[-1]), 1.0))

    def flicker(pictures: Sequence[Tensor]) -> float:
        return float(torch.stack(list(pictures)).diff(dim=0).abs().mean())

    def sharpness(pictures: Sequence[Tensor]) -> float:
        kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[None, None]
        return float(torch.nn.functional.conv2d(torch.stack(list(pictures)).mean(1, keepdim=True), kernel).var())

    assert flicker(shown) < 0.8 * flicker(drawings)
    # Also as a face looks that is several times smaller in its frame than in its crop.
    for smaller in (1, 4, 8):
        after, before = (
            sharpness(list(torch.nn.functional.avg_pool2d(torch.stack(each[1:]), smaller)))
            for each in (shown, drawings)
        )
        assert 0.95 < after / before < 1.05, smaller
    moved = torch.roll(base, 40, dims=2)
    assert decibels(steadied(drawings[0], moved, Shown(base, shown[-1]), 1.0), drawings[0]) > 40, "no ghosts"


# Frames with known faces, and networks that do something simple


class Known:
    """Stands in for the detector: gives the faces that it was told, frame after frame."""

    rows: Iterator[list[Face]]
    turns: list[tuple[int, ...]]

    def __init__(self, *_: object) -> None: ...

    def detect(self, batch: Tensor, turns: Sequence[int]) -> list[list[Face]]:
        self.turns.append(tuple(turns))
        return [next(self.rows) for _ in batch]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> type[Known]:
    monkeypatch.setattr(flow_module, "Detector", Known)
    monkeypatch.setattr(Known, "turns", [], raising=False)
    return Known


def flow(
    monkeypatch: pytest.MonkeyPatch, draw: Any, listener: Callable[[Position], None] | None = None, **options: Any
) -> FaceFlow:
    """A flow whose network makes ``draw(crops)`` of crops."""

    @contextmanager
    def opened(*_: object) -> Iterator[nn.Module]:
        yield nn.Identity()

    monkeypatch.setattr(crops_module, "opened", opened)
    monkeypatch.setattr(crops_module.restorers, "restore", lambda name, network, crops, fidelity: draw(crops))
    source = NetworkSource("gfpgan-1.4", "none", dict)
    engine = Engine.start(load_settings(), Progress(listener))
    return FaceFlow(CropRestorer(source, None, 0.5, engine), source, Options(**options), engine)


def inverted(crops: Tensor) -> Tensor:
    """A change that the matching of colours does not take back."""
    return torch.flip(crops, dims=(3,))


@pytest.mark.parametrize("batch", [1, 4])
def test_many_faces_and_none(monkeypatch: pytest.MonkeyPatch, known: type[Known], batch: int) -> None:
    monkeypatch.setitem(flow_module.restorers.BATCH, "cpu", batch)
    picture = texture(240, 400)
    faces = [face(30 + 40 * (i % 9), 30 + 40 * (i // 9), 36, 7 * i) for i in range(22)]
    known.rows = iter([faces, []])
    told: list[Position] = []
    one = flow(monkeypatch, lambda crops: crops, told.append)
    (result,) = one.run([Frame(picture)])
    assert (one.counts.found, one.counts.restored) == (22, 22)
    assert decibels(result.pixels, picture) >= LEAST_DB
    assert [(each.done, each.total, each.unit) for each in told] == [
        (number, 22, "faces") for number in [*range(0, 22, batch), 22]
    ]
    assert not one._shown, "of a picture nothing is kept"
    (result,) = flow(monkeypatch, inverted).run([Frame(picture)])
    assert torch.equal(result.pixels, picture)


def test_the_work_on_many_faces_stops_in_the_middle(monkeypatch: pytest.MonkeyPatch, known: type[Known]) -> None:
    known.rows = iter([[face(30 + 40 * (i % 9), 30 + 40 * (i // 9), 36) for i in range(42)]])
    drawn_so_far = []

    def draw(crops: Tensor) -> Tensor:
        drawn_so_far.append(len(crops))
        if len(drawn_so_far) == 3:
            stopped.engine.progress.cancel()
        return crops

    stopped = flow(monkeypatch, draw)
    with pytest.raises(Cancelled):
        list(stopped.run([Frame(texture(240, 400))]))
    assert len(drawn_so_far) == 3


def test_of_a_crowd_the_largest_faces_are_held_still(monkeypatch: pytest.MonkeyPatch, known: type[Known]) -> None:
    monkeypatch.setattr(flow_module, "STEADY_FACES", 1)
    monkeypatch.setattr(flow_module, "steadied", lambda restored, *_: restored)
    crowd = [face(60 + 60 * i, 60, size) for i, size in enumerate([30, 40, 34])]
    known.rows = iter([crowd] * 5 + [crowd[::2]] * 5)
    frames = [Frame(SMALL, pts=Fraction(i, 24), duration=Fraction(1, 24)) for i in range(10)]
    one = flow(monkeypatch, inverted)
    held = [set(one._shown) for _ in one.run(frames)]
    assert held[0] == {1}, "the largest"
    assert held[-1] == {2}, "the largest of those that are left"
    assert all(len(each) == 1 for each in held)


def test_small_faces_are_left_alone_and_only_the_one_in_the_centre_is_restored(
    monkeypatch: pytest.MonkeyPatch, known: type[Known]
) -> None:
    faces = [face(60, 60, 100), face(250, 170, 100), face(400, 300, 20)]
    known.rows = iter([faces, faces])
    some = flow(monkeypatch, inverted, min_size=30)
    list(some.run([Frame(PICTURE)]))
    assert (some.counts.found, some.counts.too_small, some.counts.restored) == (3, 1, 2)
    centre = flow(monkeypatch, inverted, only_center=True)
    (result,) = centre.run([Frame(PICTURE)])
    changed = (result.pixels != PICTURE).any(dim=0).nonzero().float().mean(dim=0)
    assert centre.counts.restored == 1
    assert float((changed - torch.tensor([170.0, 250.0])).norm()) < 12


def test_grey_stays_grey_alpha_stays_and_deep_colours_stay_deep(
    monkeypatch: pytest.MonkeyPatch, known: type[Known]
) -> None:
    grey = PICTURE.mean(dim=0, keepdim=True).expand(3, -1, -1)
    alpha = torch.rand(360, 480)
    known.rows = iter([[face(240, 180, 200)]] * 2)
    tinted = flow(monkeypatch, lambda crops: (crops * torch.tensor([1.2, 0.9, 0.8])[:, None, None]).clamp(0, 1))
    (result,) = tinted.run([Frame(grey, alpha)])
    assert torch.equal(result.pixels[0], result.pixels[1])
    assert torch.equal(result.pixels[1], result.pixels[2])
    assert result.alpha is alpha
    assert not torch.equal(result.pixels, grey)
    ramp = torch.linspace(0.3, 0.6, 480).expand(3, 360, -1).contiguous()
    (deep,) = flow(monkeypatch, lambda crops: crops).run([Frame(ramp, bits=16)])
    assert len((deep.pixels[1, 180] * 65535).round().unique()) > 470, "no rounding to 8 bits"


@pytest.mark.parametrize("strength", [0.25, 1.0])
def test_strength_blends_with_the_original(
    monkeypatch: pytest.MonkeyPatch, known: type[Known], strength: float
) -> None:
    known.rows = iter([[face(240, 180, 200)]] * 2)
    (whole,) = flow(monkeypatch, inverted).run([Frame(PICTURE)])
    (part,) = flow(monkeypatch, inverted, strength=strength).run([Frame(PICTURE)])
    torch.testing.assert_close(part.pixels, PICTURE.lerp(whole.pixels, strength), atol=1e-5, rtol=0)


def test_a_face_goes_into_the_enlarged_frame_as_sharp_as_it_was_restored(
    monkeypatch: pytest.MonkeyPatch, known: type[Known]
) -> None:
    large = texture(720, 960)
    small = sample(large, resizing((360, 480), (720, 960)), 360, 480)
    matrix = matrix_of(landmarks(240, 180, 200, 10))
    sharp = crop(large, compose(matrix, resizing((720, 960), (360, 480))))
    soft = torch.nn.functional.interpolate(small[None], scale_factor=2.0, mode="bilinear")[0]
    known.rows = iter([[face(240, 180, 200, 10)]])
    seen: list[Tensor] = []

    def draw(crops: Tensor) -> Tensor:
        seen.append(crops)
        return sharp[None]

    restored = flow(monkeypatch, draw)
    (result,) = restored.run([Frame(soft, before=small)])
    torch.testing.assert_close(seen[0][0], crop(small, matrix))
    middle = (slice(None), slice(320, 400), slice(440, 520))
    assert decibels(result.pixels[middle], large[middle]) > decibels(soft[middle], large[middle]) + 6
    assert restored.counts.enlarged
    assert result.before is None


def test_a_clip_keeps_its_frames_times_and_repeats_and_few_of_them_wait(
    monkeypatch: pytest.MonkeyPatch, known: type[Known]
) -> None:
    frames = [
        Frame(
            texture(96, 128, seed=i // 2),
            pts=Fraction(i, 24),
            duration=Fraction(1, 24),
            repeat=i % 2 == 1,
            shot=i // 10,
        )
        for i in range(20)
    ]
    for before, after in zip(frames[::2], frames[1::2], strict=True):
        object.__setattr__(after, "pixels", before.pixels)
    known.rows = iter([face(64 + i, 48, 60)] for i in range(10))
    taken = 0

    def source() -> Iterator[Frame]:
        nonlocal taken
        for each in frames:
            taken += 1
            yield each

    results = []
    whole = flow(monkeypatch, inverted)
    ahead, at_once = waiting_frames(frames[0])
    for result in whole.run(source()):
        results.append(result)
        assert taken - len(results) <= 2 * (ahead + 2 * at_once)
    assert [(r.pts, r.duration, r.repeat, r.shot) for r in results] == [
        (f.pts, f.duration, f.repeat, f.shot) for f in frames
    ]
    assert (whole.counts.frames, whole.counts.restored) == (10, 10)
    for before, after in zip(results[::2], results[1::2], strict=True):
        assert after.pixels is before.pixels
    for result, source_frame in zip(results, frames, strict=True):
        assert not torch.equal(result.pixels, source_frame.pixels)


def test_a_clip_is_turned_where_a_shot_begins_and_then_as_faces_were_seen_in_it(
    monkeypatch: pytest.MonkeyPatch, known: type[Known]
) -> None:
    lying, standing = replace(face(64, 48, 60, 90), turn=1), face(64, 48, 60)
    known.rows = iter([[lying, standing]] * 8 + [[standing]] * 44)
    still = SMALL[:, :96, :128].contiguous()
    frames = [Frame(still, pts=Fraction(i, 24), shot=0 if i < 8 else 1) for i in range(52)]
    list(flow(monkeypatch, inverted, min_size=1000).run(frames))
    assert known.turns[:2] == [TURNS, (0, 1)], "the lying one is looked for again"
    assert known.turns[2:4] == [TURNS, (0,)], "and not in the next shot"
    assert known.turns[4:].count(TURNS) == 1, "but somebody may lie down"
    assert set(known.turns[4:]) == {TURNS, (0,)}


def test_large_frames_wait_in_small_numbers() -> None:
    assert waiting_frames(Frame(torch.empty(1).expand(3, 360, 480))) == (4, 4)
    for height, width in ((2160, 3840), (4320, 7680), (20000, 15000)):
        frame = Frame(torch.empty(1).expand(3, height, width))
        ahead, at_once = waiting_frames(frame)
        assert ahead >= 1 <= at_once
        assert (ahead + at_once) * height * width * 12 <= max(2**29, 2 * height * width * 12)


# The stage


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "RealESRGAN_x4plus"}, "does not restore faces"),
        ({"model": "no-such"}, "no model"),
        ({"model": 3}, "name of a model"),
        ({"detector": "gfpgan-1.4"}, "does not find faces"),
        ({"fidelity": 1.5}, "fidelity"),
        ({"strength": "much"}, "strength"),
        ({"smoothing": -1}, "smoothing"),
        ({"min_size": math.nan}, "min_size"),
        ({"only_center": "yes"}, "only_center"),
        ({"aligned": 1}, "aligned"),
    ],
)
def test_settings_that_make_no_sense_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Faces(**values)


def test_the_chain_puts_faces_behind_the_enlargement_that_follows_them() -> None:
    faces, upscale = Faces(fidelity=0.25, min_size=40), Upscale(model="built-in", scale=2)
    assert parse_steps([faces, upscale]) == (upscale, faces)
    assert parse_steps([upscale, faces]) == (upscale, faces)
    assert parse_steps([faces, faces, upscale, upscale]) == (upscale, upscale, faces, faces)
    aligned = Faces(aligned=True)
    assert parse_steps([aligned, upscale]) == (aligned, upscale)
    text = json.dumps(restore.recipe([upscale, faces]))
    assert restore.parse_steps(json.loads(text)) == (upscale, faces)


def save_picture(path: Path, pixels: Tensor, **values: Any) -> Path:
    Image.fromarray(pixels.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()).save(path, **values)
    return path


def loaded(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).copy()).permute(2, 0, 1).float().div(255)


@pytest.mark.parametrize("model", ["auto", "codeformer"])
def test_a_job_does_not_fail_for_want_of_a_model(tmp_path: Path, model: str) -> None:
    source = save_picture(tmp_path / "old.png", PICTURE)
    report = restore.restore_image(source, tmp_path / "new.png", [Faces(model=model)])
    assert torch.equal(loaded(tmp_path / "new.png"), loaded(source))
    assert report.stages[0].models == ()
    (warning,) = report.warnings
    assert "Faces were left as they are" in warning
    assert "fetch" in warning


def test_a_damaged_file_is_no_reason_to_fail_either(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    save_file({"x": torch.zeros(1)}, tmp_path / "weights" / "gfpgan-1.4.safetensors")
    source = save_picture(tmp_path / "old.png", PICTURE)
    limits = replace(load_settings(), weights=(tmp_path / "weights",))
    for model in ("auto", "gfpgan-1.4"):
        report = restore.restore_image(source, tmp_path / "new.png", [Faces(model=model)], settings=limits)
        assert any("Faces were left as they are" in warning for warning in report.warnings)
        assert torch.equal(loaded(tmp_path / "new.png"), loaded(source))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with networks of contents of their own making, which draw no faces and take textures for some.

    The detector is the real one; what restores and parts faces has few channels, here and in all tests that ask for it.
    """
    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gfpgan, "CHANNELS", (8,) * len(gfpgan.CHANNELS))
        patch.setattr(parsenet, "_CHANNELS", (8,) * len(parsenet._CHANNELS))
        for name in ("gfpgan-1.4", "parsenet"):
            save_file(filled(name), folder / f"{name}.safetensors")
        save_file(seeing(SMALL), folder / "retinaface-mobilenet.safetensors")
        yield folder


def filled(name: str) -> dict[str, Tensor]:
    return fill({key: value.shape for key, value in networks.build(name).state_dict().items()})


def seeing(picture: Tensor) -> dict[str, Tensor]:
    """Contents for a detector that finds something in ``picture``, with landmarks as faces have them."""
    state = fill({
        key: value.shape for key, value in networks.build("retinaface-mobilenet").state_dict().items()
    }, {"ClassHead.*": 1.0, "*Head.*": 0.05})  # fmt: skip
    for level in range(3):
        shape = torch.from_numpy((TEMPLATE - SIDE / 2) / SIDE * 1.5).float().ravel()
        state[f"LandmarkHead.{level}.conv1x1.bias"] = (shape / 0.1).repeat(2)
        state[f"ClassHead.{level}.conv1x1.bias"] = torch.tensor([0.0, 0.0 if level == 1 else -500.0] * 2)
    network = networks.build("retinaface-mobilenet")
    network.load_state_dict(state)
    with torch.inference_mode():
        scores = network(resize(picture[None], 2 * max(picture.shape)))[2]
    # The best place is a little more certain than it has to be.
    state["ClassHead.1.conv1x1.bias"] += torch.tensor([0.0, float(2.5 - scores.double().max().logit())] * 2)
    return state


def crops_of(folder: Path) -> dict[str, list[str]]:
    """The names of what lies in each of the folders for crops."""
    return {kind: sorted(path.name for path in (folder / kind).iterdir()) for kind in ("cropped_faces", RESTORED)}


def test_faces_are_restored_from_file_to_file_in_both_orders(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = replace(load_settings(), weights=(weights,))
    source = save_picture(tmp_path / "old.png", SMALL)
    seen = find_faces(loaded(source), Faces(), Engine.start(limits, Progress())).faces
    assert seen
    assert all(each.taken for each in seen)
    upscale = Upscale(model="built-in", scale=2)
    plain = tmp_path / "plain.png"
    restore.restore_image(source, plain, [upscale], settings=limits)
    results = []
    monkeypatch.setenv("RESTORE_WEIGHTS", str(weights))
    words = f"run {source} {tmp_path / 'one.png'} --model built-in --scale 2 --faces --crops {tmp_path / 'crops'}"
    assert main([*words.split(), "--report", str(tmp_path / "one.json")]) == 0
    other = restore.restore_image(source, tmp_path / "other.png", [Faces(), upscale], settings=limits)
    for name, report in (("one", json.loads((tmp_path / "one.json").read_text())), ("other", other.to_dict())):
        results.append(loaded(tmp_path / f"{name}.png"))
        stage = report["stages"][1]
        assert [use["name"] for use in stage["models"]] == ["gfpgan-1.4", "retinaface-mobilenet", "parsenet"]
        assert (stage["plan"]["found"], stage["plan"]["restored"]) == (len(seen), len(seen))
        assert any(f"{len(seen)} restored" in note for note in stage["notes"])
        assert any("before the enlargement" in note for note in stage["notes"])
    assert torch.equal(*results)
    assert results[0].shape == (3, 360, 480)
    changed = (results[0] - loaded(plain)).abs().amax(dim=0)
    inside = torch.zeros_like(changed, dtype=torch.bool)
    for each in seen:
        matrix = matrix_of(np.array(each.landmarks))
        covered = torch.zeros(3, 360, 480)
        paste(covered, torch.ones(3, SIDE, SIDE), torch.ones(SIDE, SIDE), matrix, (180, 240))
        inside |= covered[0] > 0
    assert float(changed[inside].mean()) > 0.002, "the faces are others"
    assert float(changed[~inside].max()) == 0, "and the rest is what it was"
    names = [f"old_{number:02d}.png" for number in range(len(seen))]
    assert crops_of(tmp_path / "crops") == {"cropped_faces": names, RESTORED: names}
    smallest = min(seen, key=lambda each: spread(np.array(each.landmarks)))
    wanted = crop(loaded(source), matrix_of(np.array(smallest.landmarks)))
    assert decibels(loaded(tmp_path / "crops" / "cropped_faces" / "old_00.png"), wanted) > 45


def test_the_crops_of_a_folder_do_not_meet(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.png", "sub/a.png", "sub/b.png", "sub/b.jpg"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        save_picture(tmp_path / "in" / name, texture(64, 64))
    monkeypatch.setenv("RESTORE_WEIGHTS", str(weights))
    steps = json.dumps([{"stage": "faces", "aligned": True}])
    folders = [str(tmp_path / "in"), str(tmp_path / "out")]
    assert main(["run", *folders, "--quiet", "--steps", steps, "--crops", str(tmp_path / "kept")]) == 0
    for place, name in ((".", "a"), ("sub", "a"), ("sub/b.png", "b"), ("sub/b.jpg", "b")):
        assert crops_of(tmp_path / "kept" / place) == {
            "cropped_faces": [f"{name}_00.png"],
            RESTORED: [f"{name}_00.png"],
        }


def test_crops_of_nothing_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_picture(tmp_path / "old.png", texture(40, 40))
    words = ["run", str(source), str(tmp_path / "new.png"), "--model", "built-in", "--crops", str(tmp_path / "kept")]
    assert main(words) == 2
    assert "add --faces" in capsys.readouterr().err


def test_an_aligned_crop_is_restored_as_a_whole(tmp_path: Path, weights: Path) -> None:
    limits = replace(load_settings(), weights=(weights,))
    source = save_picture(tmp_path / "face.png", texture(200, 200))
    report = restore.restore_image(
        source, tmp_path / "new.png", [Faces(aligned=True)], settings=limits, crops=tmp_path / "kept"
    )
    assert report.target_size == (SIDE, SIDE)
    assert [use.name for use in report.stages[0].models] == ["gfpgan-1.4"]
    assert crops_of(tmp_path / "kept") == {"cropped_faces": ["face_00.png"], RESTORED: ["face_00.png"]}
    result = loaded(tmp_path / "new.png")
    assert torch.equal(result, loaded(tmp_path / "kept" / RESTORED / "face_00.png"))
    assert decibels(result, loaded(tmp_path / "kept" / "cropped_faces" / "face_00.png")) < 40
    wide = save_picture(tmp_path / "wide.png", PICTURE)
    with pytest.raises(LimitError, match="square"):
        restore.restore_image(wide, tmp_path / "none.png", [Faces(aligned=True)], settings=limits)


def test_the_faces_of_a_clip_are_restored(tmp_path: Path, weights: Path) -> None:
    limits = replace(load_settings(), weights=(weights,))
    first = SMALL.mul(255).byte().permute(1, 2, 0).numpy()
    second = first.copy()
    second[0, 0] = 255 - second[0, 0]
    source = write_clip(tmp_path / "old.mkv", [first, second], codec="ffv1", pixel_format="bgr0")
    report = restore.restore_video(
        source, tmp_path / "new.mkv", [Faces()], settings=limits, encoding=Encoding(codec="ffv1"), crops=tmp_path / "c"
    )
    stage = report.stages[0]
    faces = stage.plan["restored"] // 2
    assert (stage.plan["frames"], stage.plan["restored"]) == (2, 2 * faces)
    assert any(f"{faces} face" in note and "followed through 2 frames" in note for note in stage.notes)
    names = [f"old_{frame:06d}_{number:02d}.png" for frame in range(2) for number in range(faces)]
    assert faces > 0
    assert crops_of(tmp_path / "c") == {"cropped_faces": names, RESTORED: names}


def test_faces_are_shown_before_anything_is_done(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [face(100, 120, 150), face(250, 180, 120), face(400, 300, 20)]
    monkeypatch.setattr(Detector, "detect", lambda self, batch: [faces])
    engine = Engine.start(replace(load_settings(), weights=(weights,)), Progress())
    found = find_faces(PICTURE, Faces(only_center=True), engine)
    assert [each.taken for each in found.faces] == [False, True, False]
    assert found.problem is None
    assert json.loads(json.dumps(found.to_dict()))["faces"][1]["landmarks"][0] == pytest.approx(faces[1].landmarks[0])
    black = np.zeros((180, 240, 3), np.uint8)
    marked = drawn(black, found)
    assert not black.any()
    assert marked[90 - 18, 125].any(), "the box of the second face, in a picture of half the size"
    missing = find_faces(PICTURE, Faces(), Engine.start(load_settings(), Progress()))
    assert missing.faces == ()
    assert missing.problem is not None
    assert "retinaface-resnet50" in missing.problem
