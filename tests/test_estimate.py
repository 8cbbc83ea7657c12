"""What is said of a clip before the work: what comes out, what it takes, and what is remembered of the stages."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

import restore
from restore import calibration, estimates
from restore.caches import own_folder
from restore.calibration import Point, StageCost
from restore.cli.command_line import main
from restore.clip_sample import GROUP, Sample
from restore.estimates import in_one_line
from tests.clips import Sound, pictures, write_clip

CHAIN = [
    restore.Upscale(model="built-in", scale=2),
    restore.Interpolate(model="built-in", fps=60),
    restore.Colorize(model="built-in-colour"),
]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Measure two small sizes alone, with nothing remembered, and count no machine as busy."""
    monkeypatch.setattr(calibration, "LEVELS", ((32, 24), (64, 48)))
    monkeypatch.setattr(calibration, "FRAMES", 3)
    monkeypatch.setattr(calibration, "STARVED", 0.0)
    calibration._known.clear()
    yield
    calibration._known.clear()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "film.mp4", pictures(25), sounds=[Sound(seconds=1)])


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("encoding", [restore.Encoding(), restore.Encoding(codec="ffv1")])
def test_what_comes_out_is_what_was_said(tmp_path: Path, encoding: restore.Encoding) -> None:
    film = write_clip(tmp_path / "film.mp4", pictures(10, 48, 32))
    target = film.with_name(f"new.{'mkv' if encoding.codec == 'ffv1' else 'mp4'}")
    chain = CHAIN[:2]
    said = restore.estimate(film, chain, target, start=0.2, encoding=encoding)
    report = restore.restore_video(film, target, chain, start=0.2, encoding=encoding)
    assert report.clip is not None
    assert (said.size, said.frames, str(said.rate)) == (report.target_size, report.clip.frames, report.clip.frame_rate)
    assert said.length == Fraction(1, 5)
    assert said.bytes_low / 2 < target.stat().st_size < 2 * said.bytes_high
    assert [part.stage for part in said.parts] == ["decode", "upscale", "interpolate", "encode"]
    assert all(0 < part.low <= part.high for part in said.parts)
    assert sum(part.low for part in said.parts[1:-1]) <= said.seconds_low <= said.seconds_high
    assert said.disk_bytes > said.bytes_high
    assert json.loads(json.dumps(said.to_dict()))["rate"] == "60"


def test_a_wide_clip_is_tried_at_a_size_that_its_encoder_takes(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "wide.mp4", pictures(3, 3200, 64))
    said = restore.estimate(film, [], tmp_path / "new.mp4", encoding=restore.Encoding("hevc", preset="ultrafast"))
    assert (said.size, said.frames) == ((3200, 64), 3)
    assert 0 < said.bytes_low <= said.bytes_high


@pytest.mark.usefixtures("quick")
def test_costs_are_measured_once_and_kept(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = restore.estimate(film, CHAIN[:2])
    kept = {path: path.stat().st_mtime_ns for path in own_folder("costs").iterdir()}
    assert len(kept) == 2
    calibration._known.clear()  # as in another process
    with monkeypatch.context() as patched:
        patched.setattr(calibration, "_measure", None)
        again = restore.estimate(film, CHAIN[:2])
    assert [part.low for part in again.parts[1:-1]] == [part.low for part in first.parts[1:-1]]
    assert kept == {path: path.stat().st_mtime_ns for path in own_folder("costs").iterdir()}

    calibration._known.clear()
    damaged = next(iter(kept))
    for text in ("{", '{"start": 1, "gain": 1, "points": []}', '{"start": -1, "gain": 1, "points": [[1, 2]]}'):
        damaged.write_text(text)
        restore.estimate(film, CHAIN[:2])
        assert json.loads(damaged.read_text())["points"], "it was not measured again"
        calibration._known.clear()
    calibration.forget()
    assert not list(own_folder("costs").iterdir())


@pytest.mark.usefixtures("quick")
def test_what_was_measured_beside_other_work_is_not_kept(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "STARVED", 1e9)
    monkeypatch.setattr(calibration, "SHORTEST_SECONDS", 0.0)
    said = restore.estimate(film, CHAIN[:1])
    assert any("busy" in warning for warning in said.warnings)
    assert not own_folder("costs").exists()


@pytest.mark.usefixtures("quick")
def test_a_model_that_is_not_there_is_reckoned(film: Path) -> None:
    said = restore.estimate(film, [restore.Upscale(model="basicvsr"), restore.Clean(model="deepremaster")])
    assert [part.measured for part in said.parts] == [True, False, False, True]
    assert said.parts[1].high == pytest.approx(4 * said.parts[1].low)
    assert [name in " ".join(said.warnings) for name in ("basicvsr", "deepremaster", "MB")] == [True] * 3


@pytest.mark.usefixtures("quick")
def test_references_of_shots_that_nobody_has_found_yet_do_no_harm(film: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    step = restore.Colorize(model="built-in-colour", references={"0.5": tmp_path / "red.png"})
    assert restore.estimate(film, [step]).parts[1].models == ("built-in-colour",)


SAMPLE = Sample(
    decode=0.01,
    decode_processor=0.01,
    encode=0.02,
    encode_processor=0.02,
    repeats=0.0,
    group_bytes=5000,
    frame_bytes=1000,
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What is found by measuring, which a test may change: a stage takes 2 s of work for a frame, and two share it."""
    found: dict[str, Any] = {"sample": SAMPLE, "cost": StageCost(1.0, (Point(0.1, 2.0),), gain=2.0), "face": 3.0}
    monkeypatch.setattr(estimates, "look_into", lambda *_: found["sample"])
    monkeypatch.setattr(estimates, "stage_cost", lambda *_: found["cost"])
    monkeypatch.setattr(estimates, "face_seconds", lambda *_: found["face"])
    monkeypatch.setattr(estimates, "processors", lambda: 4)
    return found


def middle(said: restore.Estimate) -> float:
    """The middle of the range, as many times as far from one end as from the other."""
    low, high = (value - estimates.OPENING_SECONDS for value in (said.seconds_low, said.seconds_high))
    return float((low * high) ** 0.5)


def test_the_time_is_that_of_the_stages(film: Path, measured: dict[str, Any]) -> None:
    said = restore.estimate(film, [restore.Upscale(model="built-in", scale=2)])
    assert middle(said) == pytest.approx(1 + 25 * 2 / 2)
    twice = restore.estimate(film, [restore.Upscale(model="built-in", scale=2)] * 2)
    assert middle(twice) == pytest.approx(2 * (1 + 25 * 2 / 2))


def test_frames_that_repeat_take_no_time(film: Path, measured: dict[str, Any]) -> None:
    measured["sample"] = replace(SAMPLE, repeats=0.8)
    said = restore.estimate(film, [restore.Upscale(model="built-in", scale=2)])
    assert middle(said) == pytest.approx(1 + 5 * 2 / 2)


def test_other_work_makes_the_range_longer(film: Path, measured: dict[str, Any]) -> None:
    quiet = restore.estimate(film, CHAIN[:1])
    measured["cost"] = replace(measured["cost"], busy=True, share=0.25)
    busy = restore.estimate(film, CHAIN[:1])
    assert busy.seconds_low == quiet.seconds_low
    assert busy.parts[1].high == pytest.approx(4 * quiet.parts[1].high)
    assert [warning for warning in busy.warnings if "busy" in warning]


def test_where_encoding_is_the_slowest_it_is_the_time(film: Path, measured: dict[str, Any]) -> None:
    measured["sample"] = replace(SAMPLE, encode=4.0, encode_processor=4.0)
    said = restore.estimate(film, [restore.Upscale(model="built-in", scale=2)])
    assert middle(said) == pytest.approx(25 * 4.0)


def test_all_processors_together_have_only_so_much_time(film: Path, measured: dict[str, Any]) -> None:
    measured["sample"] = replace(SAMPLE, encode=1.0, encode_processor=3.5)
    said = restore.estimate(film, [restore.Upscale(model="built-in", scale=2)])
    assert middle(said) == pytest.approx((25 * (2 + 3.5 + 0.01) + 1) / 4)


def test_later_stages_have_the_frames_that_earlier_ones_make(film: Path, measured: dict[str, Any]) -> None:
    chain = [restore.Interpolate(model="built-in", fps=100), restore.Colorize(model="built-in-colour")]
    said = restore.estimate(film, chain)
    assert (said.parts[1].low * estimates.SPREAD, said.parts[2].low * estimates.SPREAD) == (26, pytest.approx(101))


def test_bytes_and_the_disk(film: Path, measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pictures_alone = 5000 + 24 * 1000
    said = restore.estimate(film, [])
    sound = said.bytes_high - estimates.BYTES_HIGH * pictures_alone
    assert 2000 < sound < 60_000  # a second of AAC
    assert said.bytes_low == pytest.approx(estimates.BYTES_LOW * pictures_alone + sound, abs=2)
    assert not said.warnings
    assert SAMPLE.bytes_of(2 * GROUP) == 2 * 5000 + (2 * GROUP - 2) * 1000
    scarce = replace(restore.Settings(), min_free_bytes=said.free_bytes - said.bytes_high)
    assert any("too small" in warning for warning in restore.estimate(film, [], settings=scarce).warnings)


def test_one_line(film: Path, measured: dict[str, Any]) -> None:
    said = replace(restore.estimate(film, CHAIN), seconds_low=130.0, seconds_high=372.0, bytes_low=2_000_000)
    said = replace(said, bytes_high=3_100_000_000)
    english, chinese = in_one_line(said), in_one_line(said, "zh")
    for line in (english, chinese):
        assert all(part in line for part in ("192×128", "60", "0:01", "2.0 MB", "3.1 GB", "2.2–6.2"))
    assert "minutes" not in chinese
    assert english.endswith("2.2–6.2 min")


def test_what_is_refused_is_what_the_work_refuses(film: Path, tmp_path: Path) -> None:
    for steps, options, kind in (
        ([{"stage": "upscale", "target": "8k"}], {}, restore.LimitError),
        ([], {"start": 7}, restore.SettingsError),
        ([{"stage": "sharpen"}], {}, restore.SettingsError),
        ([], {"target": tmp_path / "no" / "a.mp4"}, restore.OutputError),
    ):
        with pytest.raises(kind):
            restore.estimate(film, steps, **options)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(restore.InputError):
        restore.estimate(tmp_path / "text.mp4", [])


def test_the_command(film: Path, measured: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["estimate", str(film), "--model", "built-in", "--scale", "2"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert out.startswith("192×128, 25 frames a second, 0:01 long")
    assert "upscale (built-in): " in out
    assert main([*words, "--json", "--end", "0.4"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["size"], said["frames"], said["length"]) == ([192, 128], 10, "2/5")
    assert main(["estimate", str(film), "--recipe", "nothing"]) == 2
    assert "silent-film" in capsys.readouterr().err


@given(
    some.lists(
        some.tuples(some.floats(0.001, 1), some.floats(0, 9)), min_size=1, max_size=5, unique_by=lambda at: at[0]
    ),
    some.floats(0.0001, 40),
)
def test_a_cost_goes_through_its_points_and_on(values: list[tuple[float, float]], megapixels: float) -> None:
    points = tuple(Point(*value) for value in sorted(values))
    cost = StageCost(0.0, points)
    for point in points:
        assert cost.work(point.megapixels) == pytest.approx(point.seconds)
    for low, high in pairwise(points):
        if low.megapixels <= megapixels <= high.megapixels:
            ends = sorted((low.seconds, high.seconds))
            assert ends[0] - 1e-9 <= cost.work(megapixels) <= ends[1] + 1e-9
    assert cost.work(megapixels) >= 0
    if megapixels >= points[-1].megapixels:
        assert cost.work(2 * megapixels) >= cost.work(megapixels) >= points[-1].seconds - 1e-9
