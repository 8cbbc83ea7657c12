"""Regions that no stage invents anything in: how they are named, and what is to be seen there after any chain."""

from __future__ import annotations

import pickle
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import restore
from restore import Colorize, Encoding, Frame, Interpolate, Settings, Upscale
from restore.chain import open_stages
from restore.cli.command_line import main
from restore.clip_plan import rates_through
from restore.errors import SettingsError
from restore.inference.engine import Engine
from restore.inference.resample import lanczos, lanczos_part
from restore.progress import Progress
from restore.regions import Region, parse_regions
from restore.stages import Stage
from restore.stages.base import CountsNothing
from restore.stages.untouched import Untouched, patches_of
from tests.clips import write_clip
from tests.test_segments import made, seen, stop_after

WIDTH, HEIGHT = 48, 32
BOTTOM = "0,3/4,1,1/4"
REGION = Region(Fraction(0), Fraction(3, 4), Fraction(1), Fraction(1, 4))
RATE = Fraction(25)
LENGTH = 14  # frames of a clip
TWICE = Upscale(model="built-in", scale=2)
SMOOTH = Interpolate(model="built-in", factor=2)
THREE = Interpolate(model="built-in", factor=3)
COLOUR = Colorize(model="built-in-colour")
LOSSLESS = Encoding(codec="ffv1")


# --- how a region is named

shares = st.integers(0, 1000)


@given(st.lists(st.tuples(shares, shares, shares, shares), max_size=4), st.integers(1, 4000), st.integers(1, 4000))
def test_shares_per_cents_and_pixels_name_the_same_regions(
    rectangles: list[tuple[int, int, int, int]], width: int, height: int
) -> None:
    inside = [
        (min(x, 999), min(y, 999), max(1, w * (1000 - min(x, 999)) // 1000), max(1, h * (1000 - min(y, 999)) // 1000))
        for x, y, w, h in rectangles
    ]
    wanted = tuple(Region(*(Fraction(value, 1000) for value in each)) for each in inside)
    as_shares = [",".join(str(value / 1000) for value in each) for each in inside]
    assert parse_regions(as_shares, (width, height)) == wanted
    assert parse_regions(" ; ".join(as_shares), (width, height)) == wanted
    assert parse_regions([[value / 1000 for value in each] for each in inside], (width, height)) == wanted
    per_cents = [" ，".join(f"{value / 10} %" for value in each) for each in inside]
    assert parse_regions(per_cents, (width, height)) == wanted
    assert parse_regions([",".join(f"{value}px" for value in each) for each in inside], (1000, 1000)) == wanted


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("bottom", "is none: give"),
        ("0,0,1", "is none: give"),
        (["0,0,1,1", (0, 0)], "is none: give"),
        ([3], "is none: give"),
        (7, "give a list"),
        ("0,864,1,216", "write 864px for pixels"),
        ("0,-1,1,1", "'-1' in the rectangle"),
        ("0,nan,1,1", "no length"),
        ([(0, True, 1, 1)], "no length"),
        ("0,0.5,1,0", "has no area"),
        ("0,80%,100%,30%", "32 pixels high: it would end at 35.2"),
        ("40px,0,10px,1", "48 pixels wide: it would end at 50"),
        (["0,0,1,1"] * 17, "at most 16"),
    ],
)
def test_what_is_no_region_is_refused_in_a_sentence(given: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse_regions(given, (WIDTH, HEIGHT))


@settings(deadline=None)
@given(
    st.fractions(0, 1, max_denominator=50),
    st.fractions(0, 1, max_denominator=50),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_a_patch_covers_its_region_and_fades_outside_of_it(
    begin: Fraction, length: Fraction, width: int, height: int
) -> None:
    length = max(Fraction(1, 50), min(length, 1 - begin))
    (patch,) = patches_of([Region(begin, begin, length, length)], height, width)
    weight = torch.zeros(height, width)
    weight[patch.rows, patch.columns] = patch.weight
    rows = [row for row in range(height) if begin * height < row + 1 and row < (begin + length) * height]
    columns = [column for column in range(width) if begin * width < column + 1 and column < (begin + length) * width]
    inside = torch.zeros(height, width, dtype=torch.bool)
    if rows and columns:
        inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    assert torch.equal(weight == 1, inside)
    assert (patch.weight > 0).all()  # nothing is cut out that is not blended
    for line in [*weight, *weight.T]:
        assert all(abs(one - other) <= 0.34 for one, other in pairwise(line.tolist()))  # no edge is to be seen


@settings(deadline=None)
@given(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 90)] * 2), st.data())
def test_a_part_is_resampled_as_it_is_in_the_whole(
    source: tuple[int, int], target: tuple[int, int], data: st.DataObject
) -> None:
    picture = torch.rand(3, *source, generator=torch.Generator().manual_seed(1))
    rows, columns = (
        slice(begin := data.draw(st.integers(0, side - 1)), data.draw(st.integers(begin + 1, side))) for side in target
    )
    part = lanczos_part(picture, target, rows, columns)
    torch.testing.assert_close(part, lanczos(picture, *target)[:, rows, columns], rtol=0, atol=2e-5)


# --- what a stage makes of frames


def run(steps: Iterable[Stage], frames: Iterable[Frame], regions: tuple[Region, ...] = (REGION,)) -> list[Frame]:
    """The frames of a chain, each stage opened as the work on a clip opens it."""
    steps = list(steps)
    engine = Engine.start(Settings(device="cpu"), Progress())
    engine.untouched = regions
    chain: Iterator[Frame] = iter(frames)
    opened = open_stages(steps, engine, [step.stage for step in steps])
    for stage, rate in zip(opened, rates_through(steps, RATE), strict=False):
        crossed = pickle.loads(pickle.dumps(stage))  # as it crosses into a process with a graphics card
        chain = crossed.run(chain, replace(engine, rate=rate))
    return list(chain)


def subtitled(count: int = 4) -> list[Frame]:
    """Grey frames in motion, each with another hard pattern of letters below."""
    frames = []
    for index in range(count):
        rows, columns = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
        grey = 0.5 + 0.3 * torch.sin((columns + 2 * index) / 3) * torch.cos(rows / 4)
        letters = ((columns // 3 + index) % 2 == 0) & (rows % 4 < 2)
        grey[24:] = torch.where(letters, 1.0, 0.0)[24:]
        frames.append(Frame(grey.expand(3, -1, -1), pts=index / RATE, duration=1 / RATE))
    return frames


def inside(frame: Frame) -> Tensor:
    """The pixels of ``REGION``."""
    return frame.pixels[:, frame.height * 3 // 4 :]


@pytest.mark.parametrize(
    "steps", list(permutations([TWICE, SMOOTH, COLOUR])), ids=lambda s: ">".join(x.stage for x in s)
)
def test_letters_stay_as_they_were_whatever_the_order(steps: tuple[Stage, ...]) -> None:
    """Of the nearer frame, resampled and grey: while all around them is enlarged, moves and has colours."""
    source = subtitled(3)
    results = run(steps, source)
    assert len(results) == 2 * len(source)
    for number, result in enumerate(results):
        shown = source[min((number + 1) // 2, len(source) - 1)]
        plain = lanczos(shown.pixels, 2 * HEIGHT, 2 * WIDTH)
        difference = (inside(result) - plain[:, HEIGHT * 3 // 2 :]).abs()
        # At the edge, resampling sees what an earlier stage made of the frame beside the region.
        assert difference.max() < 0.02
        assert difference[:, 6:].max() < 3e-5
    free = run(steps, source, ())
    assert any((inside(one) - inside(other)).abs().max() > 0.2 for one, other in zip(results, free, strict=True))
    # Networks see the letters of the stages before them, which reaches a little into the rest.
    above = [(one.pixels - other.pixels)[:, :HEIGHT].abs().mean() for one, other in zip(results, free, strict=True)]
    assert max(above) < 0.01
    assert not torch.equal(results[3].pixels[0, :HEIGHT], results[3].pixels[1, :HEIGHT])


@pytest.mark.parametrize("stage", [TWICE, THREE, COLOUR], ids=lambda stage: stage.stage)
def test_outside_of_the_border_nothing_is_changed(stage: Stage) -> None:
    region = parse_regions(["6px,8px,10px,5px"], (WIDTH, HEIGHT))
    for with_it, without in zip(run([stage], subtitled(), region), run([stage], subtitled(), ()), strict=True):
        assert replace(with_it, pixels=without.pixels, before=None, repeat=False) == replace(
            without, before=None, repeat=False
        )
        scale = with_it.width // WIDTH
        outside = torch.ones(with_it.height, with_it.width, dtype=torch.bool)
        outside[8 * scale - 2 : 13 * scale + 2, 6 * scale - 2 : 16 * scale + 2] = False
        assert torch.equal(with_it.pixels[:, outside], without.pixels[:, outside])


def test_a_frame_that_stands_keeps_its_letters_until_the_next_one_and_at_a_cut_the_nearer_ones_are_shown() -> None:
    first, second, third = subtitled(3)
    still = [first, replace(second, pts=Fraction(2), shot=0), replace(third, pts=2 + 1 / RATE, shot=1)]
    for result in run([THREE], still):
        shown = still[0] if result.pts < 2 else still[1] if result.pts < 2 + Fraction(1, 50) else still[2]
        assert torch.equal(result.pixels, shown.pixels)


class Inverted(CountsNothing):
    """A stage that gives the negative of each frame, ``ahead`` frames late, in the places of ``settings``."""

    models: Any = ()
    notes: Any = ()
    precision = "float32"

    def __init__(self, ahead: int) -> None:
        self.settings: Any = COLOUR
        self.ahead, self.plan = ahead, {}

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        waiting: list[Frame] = []
        last: Frame | None = None
        for frame in [*frames] if self.ahead < 0 else frames:
            pixels = last.pixels if last is not None and frame.repeat else 1 - frame.pixels
            last = replace(frame, pixels=pixels)
            waiting.append(last)
            if len(waiting) > self.ahead:
                yield waiting.pop(0)
        yield from waiting


@given(
    gaps=st.lists(st.fractions(Fraction(1, 1000), 2, max_denominator=1000), min_size=1, max_size=25),
    repeats=st.sets(st.integers(1, 24)),
    ahead=st.integers(-1, 6),
)
def test_each_frame_shows_its_own_region_and_repeats_stay_repeats(
    gaps: list[Fraction], repeats: set[int], ahead: int
) -> None:
    frames: list[Frame] = []
    for index, gap in enumerate(gaps):
        again = index in repeats and index > 0
        pixels = frames[-1].pixels if again else torch.full((3, 8, 8), index / 50)
        frames.append(Frame(pixels, pts=sum(gaps[:index], Fraction(-1, 3)), duration=gap, repeat=again))
    half = Region(Fraction(0), Fraction(1, 2), Fraction(1), Fraction(1, 2))
    engine = Engine.start(Settings(device="cpu"), Progress())
    results = list(Untouched(Inverted(ahead), [half]).run(iter(frames), engine))
    assert [result.pts for result in results] == [frame.pts for frame in frames]
    for (place, frame), result in zip(enumerate(frames), results, strict=True):
        assert torch.equal(result.pixels[:, 4:], frame.pixels[:, 4:])
        assert torch.equal(result.pixels[:, :2], 1 - frame.pixels[:, :2])
        assert result.repeat == frame.repeat
        if result.repeat:
            assert result.pixels is results[place - 1].pixels


def test_transparency_is_left_alone_too() -> None:
    alphas = [torch.full((HEIGHT, WIDTH), float(index % 2)) for index in range(4)]
    frames = [replace(frame, alpha=alpha) for frame, alpha in zip(subtitled(), alphas, strict=True)]
    result = run([THREE], frames)[1]
    assert result.alpha is not None
    assert torch.equal(result.alpha[24:], alphas[0][24:])
    assert result.alpha[:20].mean() == pytest.approx(1 / 3)


# --- clips and pictures


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A clip that no encoding changes."""
    frames = [(frame.pixels.permute(1, 2, 0) * 255).round().byte().numpy() for frame in subtitled(LENGTH)]
    return write_clip(tmp_path / "old.mkv", frames, codec="ffv1", pixel_format="yuv444p")


def pixels(path: Path, width: int, height: int) -> list[Any]:
    return [np.frombuffer(data, np.uint16).reshape(height, width, 3) >> 8 for _, data in seen(path)]


def test_segments_are_those_of_the_whole_and_another_region_is_other_work(clip: Path, tmp_path: Path) -> None:
    what: dict[str, Any] = {
        "steps": [TWICE, SMOOTH],
        "settings": Settings(device="cpu", segment_seconds=0.08),
        "encoding": LOSSLESS,
        "untouched": ["0,24px,100%,25%"],
    }
    report = restore.restore_video(clip, tmp_path / "one.mkv", **what)
    kept = {**what, "work": tmp_path / "work"}
    stop_after(2, clip, tmp_path / "two.mkv", **kept)
    joined = restore.restore_video(clip, tmp_path / "two.mkv", **kept)
    assert 0 < made(joined)[1] < made(joined)[0]
    assert seen(tmp_path / "two.mkv") == seen(tmp_path / "one.mkv")
    region = [{"left": 0.0, "top": 0.75, "width": 1.0, "height": 0.25}]
    for each in (report, joined):
        assert list(each.to_dict()["clip"]["untouched"]) == region
    source, result = pixels(clip, WIDTH, HEIGHT), pixels(tmp_path / "one.mkv", 2 * WIDTH, 2 * HEIGHT)
    for number, frame in enumerate(result):
        shown = torch.from_numpy(source[min((number + 1) // 2, LENGTH - 1)].astype(np.float32) / 255).permute(2, 0, 1)
        plain = lanczos(shown, 2 * HEIGHT, 2 * WIDTH).permute(1, 2, 0)[48:] * 255
        assert np.abs(frame[48:] - plain.numpy()).max() <= 2

    done = set((tmp_path / "work").iterdir())
    stop_after(1, clip, tmp_path / "two.mkv", **{**kept, "untouched": ["0,24px,100%,24%"]})
    assert done < set((tmp_path / "work").iterdir())


def test_a_region_that_is_none_is_refused_before_the_work(clip: Path, tmp_path: Path) -> None:
    beyond = ["0,30px,1,3px"]
    with pytest.raises(SettingsError, match="32 pixels high"):
        restore.restore_video(clip, tmp_path / "new.mkv", [TWICE], untouched=beyond)
    with pytest.raises(SettingsError, match="32 pixels high"):
        restore.estimate(clip, [TWICE], untouched=beyond)


def test_the_command_line_leaves_regions_of_clips_and_pictures_alone(clip: Path, tmp_path: Path) -> None:
    Image.fromarray((subtitled()[1].pixels.permute(1, 2, 0) * 255).byte().numpy()).save(tmp_path / "old.png")
    words = ["--model", "built-in", "--scale", "2", "--untouched", "0,75%,100%,25%", "--untouched", "0,0,8px,8px"]
    (tmp_path / "in").mkdir()
    clip.rename(tmp_path / "in" / "old.mkv")
    (tmp_path / "old.png").rename(tmp_path / "in" / "old.png")
    assert main(["run", str(tmp_path / "in"), str(tmp_path / "out"), *words, "--codec", "ffv1"]) == 0
    plain = [*words[:4], "--codec", "ffv1"]
    assert main(["run", str(tmp_path / "in"), str(tmp_path / "free"), *plain]) == 0
    for name in ("old.png", "old.mkv"):
        left_alone, free, source = (_first(tmp_path / folder / name) for folder in ("out", "free", "in"))
        shown = torch.from_numpy(source / 255).permute(2, 0, 1).float()
        wanted = lanczos(shown, 2 * HEIGHT, 2 * WIDTH).permute(1, 2, 0).numpy() * 255
        for rows, columns in ((slice(48, None), slice(None)), (slice(16), slice(16))):
            assert np.abs(left_alone[rows, columns] - wanted[rows, columns]).max() <= 2
        assert np.array_equal(left_alone[20:44, 20:], free[20:44, 20:])
        assert np.abs(free[48:] - wanted[48:]).max() > 10


def _first(path: Path) -> Any:
    """The first picture of a file, as numbers with a sign."""
    if path.suffix == ".png":
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(int)
    with_size = restore.probe(path).video
    return pixels(path, with_size.width, with_size.height)[0].astype(int)
