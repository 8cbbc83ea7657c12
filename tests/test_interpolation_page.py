"""The tab for frame interpolation and the endpoint: the real program, driven by a real browser and by a script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import Page, expect

from restore.clip_plan import ClipOptions, plan_clip, seconds_of
from restore.errors import InputError
from restore.media.clips.probe import probe
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Interpolate
from restore.ui.between_preview import ShownBetween, write_between
from restore.ui.cut_panel import find_cuts, in_the_field
from restore.ui.pace_presets import PACES, pace_of
from restore.ui.side_by_side import write_side_by_side
from tests.browser import browser as browser
from tests.browser import type_number
from tests.clips import Pixels, Sound, picture, pictures, write_clip
from tests.server import Server, running
from tests.test_page import CUT_OFF, UNNAMED, WORK_MILLISECONDS, Visit, choose, downloaded, unfold
from tests.test_page import visit as visit
from tests.test_video_page import playing

BUILT_IN = {"model": "built-in", "api_name": "/interpolate_video"}
LOSSLESS = {"codec": "ffv1", "pixel_format": "bgr0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page")) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


def glide(index: float, width: int = 96, height: int = 64) -> Pixels:
    """A picture of a textured ground that glides by 4 pixels from one whole ``index`` to the next."""
    x, y = np.meshgrid(np.arange(width) + 4 * index, np.arange(height))
    waves = [np.sin(x / 6 + y / 11), np.cos(x / 9 - y / 5), np.sin(x / 4) * np.cos(y / 7)]
    return (127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def two_shots(first: int, second: int, **how: int) -> list[Pixels]:
    return [glide(index, **how) for index in range(first)] + [255 - glide(index, **how) // 3 for index in range(second)]


def to_interpolation(page: Page) -> None:
    page.get_by_role("tab", name=re.compile("Frame interpolation|视频补帧")).click()
    page.locator("#pace-run").wait_for()


def give_clip(page: Page, path: Path) -> None:
    page.locator("#pace-upload input[type=file]").set_input_files(path)
    page.locator("#pace-shown img").wait_for()


def finished(page: Page, status: str) -> None:
    expect(page.locator(status)).to_contain_text("Finished", timeout=WORK_MILLISECONDS)


def times_in(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.mark.slow
def test_a_clip_gets_more_frames_after_its_cuts_and_a_frame_between_two_were_looked_at(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    to_interpolation(page)
    source = write_clip(tmp_path / "two.mp4", two_shots(10, 8), sounds=[Sound(seconds=0.7)])
    give_clip(page, source)
    foreseen = page.locator("#pace-foreseen")
    expect(foreseen).to_contain_text("60 frames per second · 43 frames · 0:00:00.720", use_inner_text=True)
    expect(page.locator("#pace-model-note")).to_contain_text("RIFE 4.25 here, which is downloaded first (22.9 MB)")
    choose(page, "Model", "Built-in")
    expect(page.locator("#pace-model-note")).to_contain_text("needs no download")
    page.get_by_role("radio", name="2x Twice as many").check()
    expect(foreseen).to_contain_text("50 frames per second · 36 frames", use_inner_text=True)

    unfold(page, "pace-cuts")
    page.locator("#pace-cuts-run").click()
    expect(page.locator("#pace-cuts-status")).to_contain_text("Cuts found: 1.", timeout=WORK_MILLISECONDS)
    field = page.locator("#pace-cut-times textarea, #pace-cut-times input")
    expect(field).to_have_value("0.4")

    unfold(page, "between")
    type_number(page, "#between-time", "0.1")
    page.locator("#between-run").click()
    status = page.locator("#between-status")
    expect(status).to_contain_text("between 0:00:00.080 and 0:00:00.120", timeout=WORK_MILLISECONDS)
    shown = page.locator("#between-frames img, #between-viewer img")
    assert shown.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])") == [[96, 64]] * 5
    titles = page.locator("#between-frames h4").all_inner_texts()
    assert titles == ["Real, at 0:00:00.080", "Made between them", "Real, at 0:00:00.120"]

    page.locator("#pace-run").click()
    finished(page, "#pace-status")
    before, after = page.locator("#pace-players video").all()
    assert (playing(before), playing(after)) == ((96, 64, 0.72), (96, 64, 0.72))
    name, data = downloaded(page, "#pace-download")
    assert name == "two_restored.mp4"
    (tmp_path / name).write_bytes(data)
    assert times_in(tmp_path / name) == [Fraction(number, 50) for number in range(36)]
    table = page.locator("#pace-report").get_by_role("row")
    expect(table.filter(has_text="Frames").first).to_contain_text(
        "36 frames · 50 frames per second", use_inner_text=True
    )
    expect(table.filter(has_text="Model").first).to_contain_text("Built-in: the motion itself", use_inner_text=True)
    expect(table.filter(has_text="Notes").first).to_contain_text("16 made between two", use_inner_text=True)
    expect(table.filter(has_text="Shots").first).to_contain_text("2", use_inner_text=True)
    report = json.loads(downloaded(page, "#pace-report-file")[1])
    assert report["clip"]["cuts"] == ["2/5"]
    page.locator("#paced-pair-run").click()
    page.locator("#paced-pair-download").wait_for(timeout=WORK_MILLISECONDS)
    assert playing(page.locator("#paced-pair-player video").last) == (192, 64, 0.72)

    other = visit(f"?{page.url.partition('?')[2]}")  # which shows the tab, and all of its jobs
    assert playing(other.locator("#pace-players video").last) == (96, 64, 0.72)
    assert playing(other.locator("#paced-pair-player video").last) == (192, 64, 0.72)
    expect(other.locator("#between-status")).to_contain_text("between 0:00:00.080 and 0:00:00.120")
    expect(other.locator("#pace-cuts-status")).to_contain_text("Cuts found: 1.")


@pytest.mark.slow
def test_in_slow_motion_the_source_keeps_up_with_the_result(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    to_interpolation(page)
    give_clip(page, write_clip(tmp_path / "fast.mp4", [glide(n) for n in range(10)], sounds=[Sound(seconds=0.4)]))
    choose(page, "Model", "Built-in")
    expect(page.locator("#pace-sound")).to_be_hidden()
    page.get_by_role("radio", name="Slow, 4x").check()
    page.get_by_role("radio", name="Leave it out").check()
    expect(page.locator("#pace-foreseen")).to_contain_text("40 frames · 0:00:01.600", use_inner_text=True)
    page.locator("#pace-run").click()
    finished(page, "#pace-status")
    before, after = page.locator("#pace-players video").all()
    assert (playing(before)[2], playing(after)[2]) == (0.4, 1.6)
    after.evaluate("one => { one.currentTime = 1.2; }")
    expect(before).to_have_js_property("currentTime", 0.3)
    before.evaluate("one => { one.currentTime = 0.2; }")
    expect(after).to_have_js_property("currentTime", 0.8)
    after.evaluate("one => one.play()")
    expect(before).to_have_js_property("playbackRate", 0.25)
    name, data = downloaded(page, "#pace-download")
    (tmp_path / name).write_bytes(data)
    assert not probe(tmp_path / name).audio


def test_cards_and_what_is_set_by_hand_go_together_and_nonsense_is_refused(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    to_interpolation(page)
    unfold(page, "pace-advanced")
    fps, factor = page.locator("#pace-fps textarea, #pace-fps input"), page.locator("#pace-factor input[type=number]")
    expect(fps).to_have_value("60")
    expect(factor).to_be_disabled()
    page.get_by_role("radio", name="8x").check()
    expect(fps).to_have_value("")
    expect(factor).to_have_value("8")
    expect(factor).to_be_enabled()
    fps.fill("120")  # as if it were pasted
    expect(page.get_by_role("radio", name="120 fps")).to_be_checked()
    fps.fill("60000/1001")
    expect(page.locator("#pace-pace input:checked")).to_have_count(0)
    give_clip(page, write_clip(tmp_path / "small.mp4", pictures(3, 64, 48)))
    expect(page.locator("#pace-foreseen")).to_contain_text("59.94 frames per second · 7 frames", use_inner_text=True)
    fps.fill("10")
    expect(page.locator("#pace-foreseen")).to_contain_text(
        "25 per second: frames will be left out", use_inner_text=True
    )
    fps.fill("very many")
    page.locator("#pace-run").click()
    expect(page.locator("#pace-status").get_by_role("alert")).to_contain_text("fps is 'very many'")
    page.locator("#pace-examples button").last.click()  # drawn for every third frame
    expect(page.locator("#pace-duplicates input")).to_be_checked()


@pytest.mark.parametrize(("locale", "theme"), [("en-US", "light"), ("zh-CN", "dark")])
def test_on_a_phone_nothing_is_cut_off_or_without_a_name(visit: Visit, tmp_path: Path, locale: str, theme: str) -> None:
    page = visit(locale=locale, width=390, theme=theme)
    to_interpolation(page)
    give_clip(page, write_clip(tmp_path / "small.mp4", pictures(4, 64, 48)))
    page.locator("#pace-model input").click()
    page.get_by_role("option").nth(1).click()
    page.locator("#pace-pace input").last.check()
    for name in ("pace-advanced", "pace-cuts", "between"):
        unfold(page, name)
    page.locator("#pace-run").click()
    expect(page.locator("#pace-status")).to_be_in_viewport()
    page.locator("#pace-download").wait_for(timeout=WORK_MILLISECONDS)
    page.locator("#between-run").click()
    page.locator("#between-viewer img").first.wait_for(timeout=WORK_MILLISECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(UNNAMED) == []
    words = "".join(page.locator(f"#{name}").inner_text() for name in ("pace-run", "pace-foreseen", "between-status"))
    assert bool(re.search("[一-鿿]", words)) == (locale == "zh-CN")


def test_scripts_get_more_frames_and_slow_motion(server: Server, tmp_path: Path) -> None:
    client = Client(server.url, verbose=False, download_files=str(tmp_path / "got"))
    source = write_clip(tmp_path / "two.mkv", two_shots(8, 7), sounds=[Sound(seconds=0.6)], **LOSSLESS)
    file, report = client.predict(handle_file(source), fps="100", cuts=["0:00.32"], codec="ffv1", **BUILT_IN)
    assert Path(file).name == "two_restored.mkv"
    assert times_in(Path(file)) == [Fraction(number, 100) for number in range(60)]
    assert report["recipe"]["steps"] == [Interpolate(model="built-in", fps="100").to_dict()]
    assert report["clip"]["cuts"] == ["8/25"]
    with av.open(file) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    shots = [glide(number) for number in range(8)] + [255 - glide(number) // 3 for number in range(7)]
    assert all(np.array_equal(frames[4 * number], shot) for number, shot in enumerate(shots))  # untouched
    assert np.array_equal(frames[29], shots[7])  # nearer to the first shot than to the second,
    assert np.array_equal(frames[31], shots[8])  # and the other way round
    file, report = client.predict(handle_file(source), factor=2, slow_motion=True, end="0.2", **BUILT_IN)
    info = probe(file)
    assert (info.video.frame_rate, info.video.frames, info.video.duration) == (25, 10, Fraction(2, 5))
    assert abs(float(info.audio[0].duration or 0) - 0.4) < 0.05
    for arguments, sentence in (
        ({"fps": 0}, "fps is 0"),
        ({"fps": 60, "factor": 2}, "give one of them"),
        ({"factor": 64}, "at most 1000 can be made"),
        ({"cuts": [0.4, 0.1]}, "The cuts do not rise"),
        ({"model": "RealESRGAN_x4plus"}, "does not make frames between frames"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(handle_file(source), **{**BUILT_IN, **arguments})


def between(source: Path, moment: str, folder: Path, options: ClipOptions | None = None, **how: str) -> ShownBetween:
    """The middle between the two frames around ``moment``, as the page makes it."""
    stage, settings = Interpolate(model="built-in", **how), Settings()
    plan = plan_clip(probe(source), source, folder / "out.mp4", [stage], options or ClipOptions(), settings)
    return write_between(plan, stage, plan.info.start + Fraction(moment), Fraction(1, 2), folder, Progress(), settings)


def far(file: Path, pixels: Pixels) -> float:
    with Image.open(file) as shown:
        return float(np.abs(np.asarray(shown, float) - pixels).mean())


def test_the_frame_of_a_preview_lies_between_the_two_of_its_time(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", two_shots(10, 5), **LOSSLESS)
    shown = between(source, "0.17", tmp_path)
    assert (shown.first.time, shown.second.time) == (Fraction(4, 25), Fraction(1, 5))
    assert shown.made
    assert not shown.cut
    assert far(shown.first.file, glide(4)) < 1
    assert far(shown.second.file, glide(5)) < 1
    # Well inside, because what comes in at the edge is in one of the two frames only.
    made, mixed = (np.asarray(Image.open(path), float)[8:-8, 8:-8] for path in (shown.pair.after, shown.pair.before))
    truth = glide(4.5)[8:-8, 8:-8]
    assert np.abs(made - truth).mean() < 0.3 * np.abs(mixed - truth).mean()

    at_cut = between(source, "0.37", tmp_path)
    assert at_cut.cut
    assert not at_cut.made
    assert far(at_cut.pair.after, 255 - glide(0) // 3) < 1  # the nearer one, and nothing mixed
    assert not between(source, "0.37", tmp_path, ClipOptions(cuts=["0"])).cut
    last = between(source, "5", tmp_path)
    assert (last.first.time, last.second.time) == (Fraction(13, 25), Fraction(14, 25))
    single = write_clip(tmp_path / "one.mkv", [glide(0)], **LOSSLESS)
    with pytest.raises(InputError, match="one frame only"):
        between(single, "0", tmp_path)


def test_a_preview_leaves_out_copies_where_a_run_does(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "twos.mkv", [glide(3 * (number // 3)) for number in range(24)], **LOSSLESS)
    kept = between(source, "0.36", tmp_path)
    assert far(kept.pair.after, glide(9)) < 1  # it lies between two that are the same
    assert not kept.made
    shown = between(source, "0.4", tmp_path, duplicates="resample")
    assert (shown.first.time, shown.second.time) == (Fraction(9, 25), Fraction(12, 25))
    assert far(shown.first.file, glide(9)) < 1
    assert far(shown.second.file, glide(12)) < 1


def test_the_cuts_that_are_found_can_be_given_again(tmp_path: Path) -> None:
    frames = two_shots(10, 8) + [picture(number) for number in range(9)]
    source = write_clip(tmp_path / "in.mkv", frames, rate=Fraction(24000, 1001), **LOSSLESS)
    settings = Settings()
    plan = plan_clip(probe(source), source, tmp_path / "out.mp4", [], ClipOptions(), settings)
    cuts = find_cuts(plan, settings, Progress(), tmp_path)["cuts"]
    assert [round(Fraction(cut) * 24000 / 1001) for cut in cuts] == [10, 18]
    given = plan_clip(probe(source), source, tmp_path / "out.mp4", [], ClipOptions(cuts=cuts), settings)
    frames_with_shots = given.reader(settings, given.shots()).frames()
    assert [frame.shot for frame in frames_with_shots] == [0] * 10 + [1] * 8 + [2] * 9


@given(st.integers(0, 10**8))
def test_a_time_in_the_field_is_read_as_the_time_it_is(milliseconds: int) -> None:
    assert seconds_of("a cut", in_the_field(Fraction(milliseconds, 1000))) == Fraction(milliseconds, 1000)


def test_every_card_stands_for_its_own_settings() -> None:
    for name, pace in PACES.items():
        assert pace_of(pace.fps, pace.factor, pace.slow_motion) == name
    assert pace_of("60", 7, slow_motion=False) == "fps60"  # the factor says nothing then
    assert pace_of("60", 2, slow_motion=True) is None
    assert pace_of("", 3, slow_motion=False) is None


def test_side_by_side_the_source_is_as_slow_as_the_result(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", pictures(6, 64, 48), **LOSSLESS)
    result = write_clip(
        tmp_path / "result.mp4", [picture(number // 2, 64, 48) for number in range(12)], options={"crf": "8"}
    )
    settings = Settings()
    plan = plan_clip(probe(source), source, tmp_path / "pair.mp4", [], ClipOptions(), settings)
    write_side_by_side(plan, result, tmp_path / "pair.mp4", Progress(), settings, Fraction(2))
    with av.open(str(tmp_path / "pair.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    left = [[np.abs(frame[:, :64] - picture(number, 64, 48)).mean() for number in range(6)] for frame in frames]
    assert [int(np.argmin(each)) for each in left] == [number // 2 for number in range(12)]
