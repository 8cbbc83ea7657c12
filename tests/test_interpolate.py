"""Frames between frames, from file to file and in memory: when they are shown, what is in them, and what is heard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import restore
from restore import Encoding, Frame, Interpolate, Position, Progress, Upscale, networks
from restore.cli.command_line import main
from restore.clip_plan import counts_through, rates_through, stretch_of
from restore.errors import LimitError, SettingsError
from restore.inference.engine import Engine
from restore.interpolation import between
from restore.interpolation.tiling import GRID, context_for, soft_tiles
from restore.models import open_model
from restore.settings import load_settings
from restore.stages import parse_steps
from tests.clips import Pixels, Sound, Subtitles, picture, pictures, write_clip
from tests.fill import fill

BUILT_IN = "built-in"
FILM, NTSC = Fraction(24000, 1001), Fraction(60000, 1001)
LOSSLESS = Encoding(codec="ffv1")
QUICK = Encoding(preset="ultrafast")


def times(path: Path) -> tuple[list[Fraction], Fraction, Fraction]:
    """When each frame of the clip at ``path`` is shown, when the last one ends, and a tick of the file."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packets = sorted((packet for packet in container.demux(stream) if packet.pts is not None), key=lambda p: p.pts)
        tick = stream.time_base
        assert tick is not None
        return [packet.pts * tick for packet in packets], (packets[-1].pts + packets[-1].duration) * tick, tick


def seen(path: Path, format: str = "rgb24") -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=format) for frame in container.decode(video=0)]


def heard(path: Path) -> tuple[NDArray[np.float64], float, int]:
    """The sound of the clip at ``path``, the second at which it begins, and its samples a second."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        samples = np.concatenate([frame.to_ndarray()[0].astype(np.float64) for frame in frames])
        assert frames[0].time is not None
        return samples / max(1.0, float(np.abs(samples).max())), frames[0].time, frames[0].sample_rate


def decibels(one: NDArray[Any], other: NDArray[Any]) -> float:
    error = np.square(one.astype(np.float64) - other).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def spread(values: Sequence[float]) -> float:
    return float(np.std(values))


@pytest.mark.parametrize(
    ("source", "target", "rate", "name"),
    [(FILM, Fraction(60), "60", "b.mp4"), (Fraction(25), NTSC, "60000/1001", "b.mkv"), (NTSC, NTSC * 2, None, "b.mov")],
)
def test_times_in_the_file_lie_on_the_exact_grid(
    tmp_path: Path, source: Fraction, target: Fraction, rate: str | None, name: str
) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(40, 32, 16), rate=source, sounds=[Sound(seconds=1)])
    report = restore.restore_video(clip, tmp_path / name, [Interpolate(BUILT_IN, fps=rate)], encoding=QUICK)
    found, end, tick = times(tmp_path / name)
    assert len(found) == -(-40 * target // source)
    assert all(abs(pts - number / target) <= tick / 2 for number, pts in enumerate(found))
    assert abs(end - 40 / source) <= tick
    assert restore.probe(tmp_path / name).video.frame_rate == target
    assert report.clip is not None
    assert (report.clip.frame_rate, report.clip.frames, report.clip.read["frames"]) == (str(target), len(found), 40)
    assert "sound 1 (aac), unchanged" in report.carried
    plan = report.stages[0].plan
    assert plan["kept"] + plan["made"] + plan["repeated"] == len(found)


def test_frames_on_the_grid_pass_untouched_and_those_between_are_better_than_mixed_ones(tmp_path: Path) -> None:
    truth = [np.roll(picture(0), 3 * number, axis=1) for number in range(17)]
    clip = write_clip(tmp_path / "a.mkv", truth[::2], codec="ffv1", pixel_format="yuv444p")
    steps = [Interpolate(BUILT_IN, factor=2)]
    restore.restore_video(clip, tmp_path / "b.mkv", steps, encoding=LOSSLESS)
    before, after = seen(clip, "yuv444p"), seen(tmp_path / "b.mkv", "yuv444p")
    assert all(np.array_equal(one, other) for one, other in zip(before, after[::2], strict=True))
    shown = seen(tmp_path / "b.mkv")
    for number in range(1, 16, 2):
        mixed = (truth[number - 1].astype(float) + truth[number + 1]) / 2
        assert decibels(shown[number], truth[number]) > decibels(mixed, truth[number]) + 3


def test_motion_stays_where_it_was_in_a_clip_of_a_varying_rate() -> None:
    ticks = np.cumsum([0, 33, 100, 20, 60, 40, 90, 33, 120, 50, 40])
    rows, columns = np.mgrid[:48, :160]

    def at(seconds: float) -> Tensor:
        spot = np.exp(-((columns - 20 - 150 * seconds) ** 2 + (rows - 24) ** 2) / 60)
        return torch.from_numpy(np.broadcast_to(0.8 * spot, (3, 48, 160)).copy()).float()

    frames = [
        Frame(at(tick / 1000), pts=Fraction(int(tick), 1000), duration=Fraction(int(later - tick), 1000))
        for tick, later in pairwise([*ticks, ticks[-1] + 40])
    ]
    result = list(restore.restore_frames(frames, [Interpolate(BUILT_IN, fps=60)], rate="18.8"))
    assert [frame.pts for frame in result] == [Fraction(number, 60) for number in range(len(result))]
    assert result[-1].pts + result[-1].duration == frames[-1].pts + frames[-1].duration
    for frame in result:
        if frame.pts <= frames[-1].pts:
            weight = frame.pixels[0].square()
            middle = float((weight * torch.arange(160)).sum() / weight.sum())
            assert abs(middle - 20 - 150 * float(frame.pts)) < 0.75


def test_nothing_is_blended_across_a_cut(tmp_path: Path) -> None:
    shots = [*pictures(10, 64, 48), *(255 - frame for frame in pictures(10, 64, 48))]
    clip = write_clip(tmp_path / "a.mkv", shots, codec="ffv1", pixel_format="bgr0")
    steps = [Interpolate(BUILT_IN, factor=4)]
    found = restore.restore_video(clip, tmp_path / "b.mkv", steps, encoding=LOSSLESS)
    assert found.clip is not None
    assert found.clip.cuts == ("2/5",)
    before, after = seen(clip), seen(tmp_path / "b.mkv")
    for number, nearer in ((37, 9), (38, 10), (39, 10)):
        assert np.abs(after[number].astype(int) - before[nearer]).max() <= 1
    restore.restore_video(clip, tmp_path / "c.mkv", steps, encoding=LOSSLESS, cuts=[])
    assert np.abs(seen(tmp_path / "c.mkv")[38].astype(int) - before[10]).max() > 20


@pytest.mark.parametrize(("drawn", "stored"), [(24, 30), (8, 25)])
def test_held_drawings_and_pulldown_come_out_with_even_motion(tmp_path: Path, drawn: int, stored: int) -> None:
    def drawing(number: int) -> Pixels:
        return np.roll(picture(0, 160, 48), 2 * number, axis=1)

    frames = [drawing(number * drawn // stored) for number in range(50)]
    clip = write_clip(tmp_path / "a.mp4", frames, rate=stored, options={"crf": "18"})
    steps = parse_steps([{"stage": "interpolate", "model": BUILT_IN, "fps": stored, "remove_duplicates": True}])
    report = restore.restore_video(clip, tmp_path / "b.mp4", steps, encoding=Encoding(crf=10, preset="veryfast"))

    def motion(path: Path) -> list[float]:
        """How far the ground moves from frame to frame, by the place where frames match best; to a quarter pixel."""
        steps = []
        for one, other in pairwise(seen(path, "gray")):
            spectrum = np.conj(np.fft.rfft(one.astype(float), axis=1)) * np.fft.rfft(other.astype(float), axis=1)
            match = np.fft.irfft(spectrum.sum(axis=0), n=4 * one.shape[1])
            steps.append(((match.argmax() / 4 + 20) % one.shape[1]) - 20)
        return steps

    before, after = motion(clip), motion(tmp_path / "b.mp4")
    inside = slice(4, -4)
    assert spread(after[inside]) <= spread(before[inside]) / 3
    copies = report.stages[0].plan["copies"]
    assert abs(copies - 50 * (stored - drawn) / stored) <= 2
    assert len(after) == len(before)


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
@pytest.mark.parametrize("start", [None, "0.4"])
def test_slow_motion_takes_sound_subtitles_and_chapters_along(tmp_path: Path, name: str, start: str | None) -> None:
    clip = write_clip(
        tmp_path / "a.mkv",
        pictures(50, 32, 16),
        sounds=[
            Sound("flac", 1.0, Fraction(1), layout="mono", sample_format="s16"),
            Sound("flac", 2.0, sample_format="s16"),
        ],
        subtitles=[Subtitles(((1200, 400, "Later"),))],
        chapters=[(0, 1, "One"), (1, 2, "Two")],
    )
    steps = [Interpolate(BUILT_IN, slow_motion=True, factor=3)]
    report = restore.restore_video(clip, tmp_path / name, steps, start=start, encoding=QUICK)
    since = Fraction(start or 0)
    found, end, tick = times(tmp_path / name)
    assert all(abs(pts - Fraction(number, 25)) <= tick for number, pts in enumerate(found))
    assert abs(end - 3 * (2 - since)) <= tick
    assert report.clip is not None
    assert report.clip.stretch == "3"
    assert sum("3 times as long at the same pitch" in line for line in report.carried) == 2

    samples, begins, rate = heard(tmp_path / name)
    # FFmpeg's filter moves pieces of sound by some hundredths of a second to where they fit.
    loud = np.flatnonzero(np.abs(samples) > 0.3)
    assert abs(begins + loud[0] / rate - float(3 * (1 - since))) < 0.05
    assert abs((loud[-1] - loud[0]) / rate - 3) < 0.08
    middle = samples[loud[0] : loud[-1]]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(spectrum.argmax() * rate / len(middle) - 440) < 3

    with av.open(str(tmp_path / name)) as container:
        chapters = [float(chapter["start"] * chapter["time_base"]) for chapter in container.chapters()]
        (line,) = [packet for packet in container.demux(subtitles=0) if packet.size > 2]
        assert line.pts is not None
        assert float(line.pts * line.time_base) == pytest.approx(float(3 * (Fraction("1.2") - since)), abs=0.002)
        assert float((line.duration or 0) * line.time_base) == pytest.approx(1.2, abs=0.002)
    assert chapters == pytest.approx([0, float(3 * (1 - since))], abs=0.002)


def test_sound_is_left_out_where_slow_motion_is_to_be_silent(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(6, 32, 16), sounds=[Sound()])
    steps = [Interpolate(BUILT_IN, slow_motion=True, sound="none"), Upscale(BUILT_IN, scale=2, strength=0)]
    report = restore.restore_video(clip, tmp_path / "b.mp4", steps, encoding=QUICK)
    assert restore.probe(tmp_path / "b.mp4").audio == ()
    assert [drop.what for drop in report.dropped] == ["sound 1 (aac)"]
    assert "slower" in report.dropped[0].why


def test_stages_of_one_chain_may_come_in_either_order(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(5, 32, 16), rate=FILM)
    faster, larger = Interpolate(BUILT_IN, fps=NTSC), Upscale(BUILT_IN, scale=2, strength=0)
    heard: list[Position] = []
    for steps in ([faster, larger], [larger, faster]):
        report = restore.restore_video(clip, tmp_path / "b.mp4", steps, progress=Progress(heard.append), encoding=QUICK)
        found, _, tick = times(tmp_path / "b.mp4")
        assert [abs(pts - number / NTSC) <= tick for number, pts in enumerate(found)] == [True] * 13
        assert (report.target_size, restore.probe(tmp_path / "b.mp4").video.width) == ((64, 32), 64)
        expected = {"decode": 5, "interpolate": 13, "upscale": 13 if steps[0] is faster else 5, "encode": 13}
        assert {position.stage: position.done for position in heard} == expected
        totals = {"decode": 5, "interpolate": 12, "upscale": 12 if steps[0] is faster else 5, "encode": 12}
        shown = {position.stage: position.total for position in reversed(heard)}
        assert all(abs(shown[stage] - totals[stage]) <= 1 for stage in totals)
        heard.clear()


def test_clips_of_few_frames_and_of_equal_ones(tmp_path: Path) -> None:
    still = picture(3, 32, 16)
    for frames, expected in (([still], 4), ([still] * 5, 20), (pictures(2, 32, 16), 8)):
        clip = write_clip(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format="bgr0")
        report = restore.restore_video(clip, tmp_path / "b.mkv", [Interpolate(BUILT_IN, fps=100)], encoding=LOSSLESS)
        shown = seen(tmp_path / "b.mkv")
        assert len(shown) == expected
        assert report.stages[0].plan["made"] == (3 if len(frames) == 2 else 0)
        if len(frames) != 2:
            assert all(np.abs(frame.astype(int) - still).max() <= 1 for frame in shown)
        _, end, tick = times(tmp_path / "b.mkv")
        assert abs(end - Fraction(len(frames), 25)) <= tick


def test_a_lower_rate_leaves_frames_out_and_says_so(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mkv", pictures(21, 32, 16), rate=50, codec="ffv1", pixel_format="yuv420p")
    restore.restore_video(clip, tmp_path / "plain.mkv", [], encoding=LOSSLESS)
    report = restore.restore_video(clip, tmp_path / "b.mkv", [Interpolate(BUILT_IN, fps=25)], encoding=LOSSLESS)
    before, after = seen(tmp_path / "plain.mkv", "yuv420p"), seen(tmp_path / "b.mkv", "yuv420p")
    assert all(np.array_equal(one, other) for one, other in zip(before[::2], after, strict=True))
    assert any("had 50 frames a second and was to have 25" in note for note in report.stages[0].notes)
    assert times(tmp_path / "b.mkv")[1] == Fraction(42, 100)


def test_what_makes_no_sense_is_refused_in_plain_words(tmp_path: Path) -> None:
    for wrong, words in (
        ({"fps": 5000}, "at most 1000"),
        ({"fps": "fast"}, "fps is 'fast'"),
        ({"fps": "0"}, "above 0"),
        ({"fps": 60, "factor": 2}, "give one of them"),
        ({"factor": 2, "time_step": 0.5}, "give one of them"),
        ({"factor": 1000}, "factor is 1000"),
        ({"slow_motion": True, "factor": 0.5}, "above 1"),
        ({"model": "gfpgan-1.4"}, "does not make frames between frames"),
        ({"duplicates": "drop"}, "keep, resample"),
    ):
        with pytest.raises(SettingsError, match=words):
            parse_steps([{"stage": "interpolate", **wrong}])
    clip = write_clip(tmp_path / "a.mp4", pictures(3, 32, 16))
    with pytest.raises(LimitError, match=r"1600, and at most 1000"):
        restore.restore_video(clip, tmp_path / "b.mp4", [Interpolate(BUILT_IN, factor=64)])
    limits = replace(load_settings(), max_clip_seconds=2.0)
    with pytest.raises(LimitError, match="would last, in slow motion"):
        restore.restore_video(
            clip, tmp_path / "b.mp4", [Interpolate(BUILT_IN, slow_motion=True, factor=20)], settings=limits
        )
    still = tmp_path / "a.png"
    Image.fromarray(picture(0)).save(still)
    with pytest.raises(SettingsError, match="interpolate is for clips"):
        restore.restore_image(still, tmp_path / "b.png", [Interpolate(BUILT_IN)])
    assert not (tmp_path / "b.mp4").exists()


def test_the_words_of_paddlegan() -> None:
    assert [Interpolate(time_step=step).times for step in (0.5, 0.25, 0.33, 0.333, 0.167)] == [2, 4, 3, 3, 6]
    assert Interpolate(time_step=0.4).times == Fraction(5, 2)
    (stage,) = parse_steps([{"stage": "interpolate", "time_step": 0.25, "remove_duplicates": True}])
    assert parse_steps([stage.to_dict()]) == (stage,)
    assert stage.output_rate(Fraction(25)) == 100


stages_of_rates = st.one_of(
    st.sampled_from([60, "60000/1001", 25, "24000/1001", 12.5, 120]).map(lambda fps: Interpolate(BUILT_IN, fps=fps)),
    st.sampled_from([0.5, 1.5, 2, 2.5, 1.3333333333]).map(lambda factor: Interpolate(BUILT_IN, factor=factor)),
    st.sampled_from([1.25, 2, 3]).map(lambda factor: Interpolate(BUILT_IN, factor=factor, slow_motion=True)),
)


@settings(max_examples=25, deadline=None)
@given(
    chain=st.lists(stages_of_rates, min_size=1, max_size=2),
    rate=st.sampled_from([Fraction(16), FILM, Fraction(30), Fraction(50)]),
    count=st.integers(1, 30),
)
def test_a_chain_shows_as_much_as_came_in_for_as_long_as_it_should(
    chain: list[Interpolate], rate: Fraction, count: int
) -> None:
    still = np.zeros((2, 2, 3), np.uint8)
    frames = [Frame(torch.zeros(3, 2, 2), pts=n / rate, duration=1 / rate, repeat=n > 0) for n in range(count)]
    rates = rates_through(chain, rate)
    result = list(restore.restore_frames(frames, chain, rate=rate, cuts=None))
    assert [frame.pts for frame in result] == [n / rates[-1] for n in range(len(result))]
    assert all(later.pts == frame.pts + frame.duration for frame, later in pairwise(result))
    assert result[-1].pts + result[-1].duration == count / rate * stretch_of(chain)
    assert abs(len(result) - counts_through(chain, rates, count)[-1]) <= 2
    assert all(value.numerator < 2**31 and value.denominator < 2**31 for value in rates)
    plain = list(restore.restore_frames([still] * count, chain, rate=rate))
    assert len(plain) == len(result)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with networks of contents of their own making."""
    folder = tmp_path_factory.mktemp("weights")
    for name, case in (("rife-4.25", "rife425"), ("ifrnet", "ifrnet")):
        shapes = {key: value.shape for key, value in networks.build(name).state_dict().items()}
        # Gains with which they find motion of some pixels, as trained ones do.
        contents = json.loads((Path(__file__).parent / "oracles" / case / "meta.json").read_text())["fill"]
        save_file(fill(shapes, contents["gains"], contents["salt"]), folder / f"{name}.safetensors")
    return folder


def test_auto_takes_a_network_where_there_is_one_and_the_built_in_one_elsewhere(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_clip(tmp_path / "a.mp4", pictures(3, 64, 48))
    command = ["run", str(clip), str(tmp_path / "b.mp4"), "--fps", "50", "--report", str(tmp_path / "r.json")]
    assert main(command) == 0
    (stage,) = json.loads((tmp_path / "r.json").read_text())["stages"]
    assert stage["models"] == []
    assert any("auto took built-in" in note and "rife-4.25" in note for note in stage["notes"])
    plain = seen(tmp_path / "b.mp4")
    monkeypatch.setenv("RESTORE_WEIGHTS", str(weights))
    assert main(command) == 0
    report = json.loads((tmp_path / "r.json").read_text())
    (stage,) = report["stages"]
    assert [use["name"] for use in stage["models"]] == ["rife-4.25"]
    assert (stage["plan"]["made"], stage["plan"]["tile"], stage["plan"]["scale"]) == (2, "whole frame", 1.0)
    assert len(plain) == len(seen(tmp_path / "b.mp4")) == report["clip"]["frames"] == 6
    capsys.readouterr()


def pair(height: int, width: int) -> list[Tensor]:
    return [torch.from_numpy(picture(number, width, height)).permute(2, 0, 1).float() / 255 for number in (0, 1)]


def network(name: str, weights: Path, precision: str = "float32") -> between.NetworkBetween:
    settings = replace(load_settings(), weights=(weights,), device="cpu", precision=precision)
    engine = Engine.start(settings, Progress(), download=False)
    return between.NetworkBetween(open_model(name, engine).source, engine)


def called(made: between.NetworkBetween, first: Tensor, second: Tensor, time: float) -> Tensor:
    """What the network itself gives for a pair ``(3, H, W)``."""
    with torch.inference_mode():
        result: Tensor = made.source.load()(first[None], second[None], time)[0].clamp(0, 1)
    return result


@pytest.mark.parametrize("name", ["rife-4.25", "ifrnet"])
def test_a_network_looks_at_a_pair_once_for_all_times(
    weights: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = network(name, weights)
    first, second = pair(66, 90)
    times = [0.25, 0.5, 0.75]
    wanted = [called(made, first, second, time) for time in times]
    looks: list[tuple[int, ...]] = []
    kind = type(networks.build(name))
    usual = kind.prepare
    monkeypatch.setattr(
        kind, "prepare", lambda self, *given, **how: (looks.append(given[0].shape), usual(self, *given, **how))[1]
    )
    results = list(made.frames(first, second, times))
    assert (looks, made.plan["tile"]) == ([(1, 3, 66, 90)], "whole frame")
    for result, want in zip(results, wanted, strict=True):
        torch.testing.assert_close(result, want, atol=2e-3, rtol=0)


@pytest.mark.parametrize("name", ["rife-4.25", "ifrnet"])
def test_a_lower_precision_is_not_seen(weights: Path, name: str) -> None:
    first, second = pair(66, 90)
    exact, quick = network(name, weights), network(name, weights, precision="bfloat16")
    (wanted,) = exact.frames(first, second, [0.4])
    (result,) = quick.frames(first, second, [0.4])
    assert (exact.plan["precision"], quick.plan["precision"]) == ("float32", "bfloat16")
    assert not torch.equal(result, wanted)
    assert decibels(255 * result.numpy(), 255 * wanted.numpy()) > 40
    deep = network(name, weights, precision="auto")
    list(deep.frames(first, second, [0.4], bits=10))
    assert deep.plan["precision"] == "float32"


def test_a_frame_that_does_not_fit_is_cut_into_tiles(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = pair(64, 640)
    made = network("rife-4.25", weights)
    # Two halves, each with 128 pixels around it, which run into each other in the middle.
    parts = [called(made, first[..., part], second[..., part], 0.5) for part in (slice(448), slice(192, 640))]
    share = ((torch.arange(640) + 0.5 - 320) / 32 + 0.5).clamp(0, 1)
    wanted = torch.zeros(3, 64, 640)
    wanted[..., :448] += parts[0] * (1 - share[:448])
    wanted[..., 192:] += parts[1] * share[192:]
    kind = type(networks.build("rife-4.25"))
    usual = kind.prepare

    def small(self: Any, one: Tensor, other: Tensor, scale: float) -> Any:
        if one.shape[-1] > 600:
            raise torch.OutOfMemoryError("out of memory")
        return usual(self, one, other, scale)

    monkeypatch.setattr(kind, "prepare", small)
    (result,) = made.frames(first, second, [0.5])
    assert (made.plan["tile"], made.plan["context"]) == (320, 128)
    torch.testing.assert_close(result, wanted, atol=2e-3, rtol=0)


def test_tiles_show_more_around_them_where_motion_is_looked_for_at_a_smaller_size(weights: Path) -> None:
    first, second = pair(64, 384)
    plans = []
    for scale in (1.0, 0.5):
        made = network("rife-4.25", weights)
        made.scale, made.engine.settings = scale, replace(made.engine.settings, tile=128)
        list(made.frames(first, second, [0.5]))
        plans.append((made.plan["scale"], made.plan["context"]))
    assert plans == [(1.0, 128), (0.5, 256)]


def test_tiles_that_run_into_each_other_add_up_to_the_frame_and_see_as_far_as_things_move() -> None:
    seed = torch.Generator().manual_seed(0)
    whole = torch.rand(3, 200, 517)
    for tile, context in ((64, 16), (128, 100), (1000, 128)):
        result = torch.zeros_like(whole)
        tiles = soft_tiles(200, 517, tile, context)
        for each in tiles:
            each.add(each.tile.cut(whole), result)
            assert each.tile.row.window % GRID == each.tile.column.window % GRID == 0
        torch.testing.assert_close(result, whole)
        assert (len(tiles) == 1) == (tile == 1000)
    small = torch.rand(1, 3, 5, 14, generator=seed)
    ground = torch.nn.functional.interpolate(small, size=(240, 700), mode="bicubic")[0].clamp(0, 1)
    for moved, least, most in ((4, 128, 128), (90, 145, 190)):
        assert least <= context_for(ground[..., 100:600], ground[..., 100 - moved : 600 - moved]) <= most


def test_what_was_found_out_about_a_pair_is_kept_where_not_all_frames_can_wait(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = network("ifrnet", weights)
    first, second = pair(64, 64)
    wanted = list(made.frames(first, second, [0.25, 0.5, 0.75]))
    kind, looks = type(networks.build("ifrnet")), []
    usual = kind.prepare
    monkeypatch.setattr(kind, "prepare", lambda self, *given, **how: (looks.append(1), usual(self, *given, **how))[1])
    monkeypatch.setattr(between, "LARGEST_RESULTS", first.nbytes)
    assert all(map(torch.equal, made.frames(first, second, [0.25, 0.5, 0.75]), wanted))
    assert len(looks) == 1


def test_tiles_of_ifrnet_are_told_how_bright_the_whole_frame_is(weights: Path) -> None:
    first, second = pair(64, 640)
    for frame in (first, second):
        frame[..., 320:] *= 0.2
    (whole,) = network("ifrnet", weights).frames(first, second, [0.5])
    made = network("ifrnet", weights)
    made.engine.settings = replace(made.engine.settings, tile=320)
    (tiled,) = made.frames(first, second, [0.5])
    assert made.plan["tile"] == 320
    assert decibels(255 * whole.numpy(), 255 * tiled.numpy()) > 50
