"""The tab for clips, as a visitor has it: the real program on a port of its own, driven by a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from restore.clip_plan import ClipOptions, plan_clip
from restore.errors import Cancelled
from restore.executors import LocalExecutor
from restore.media.clips.probe import probe
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Upscale
from restore.ui.clip_preview import fit_player, plays_in_browsers, write_frame
from restore.ui.clip_work import played_beside
from restore.ui.side_by_side import write_side_by_side
from tests.browser import browser as browser
from tests.browser import type_number
from tests.clips import Sound, cut_off, picture, pictures, write_clip
from tests.server import Server, running
from tests.test_page import CUT_OFF, UNNAMED, WORK_MILLISECONDS, Visit, choose, downloaded, unfold
from tests.test_page import visit as visit


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page"), RESTORE_MAX_CLIP_MB="5") as started:
        yield started
        assert "Traceback" not in started.log.read_text()


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten frames with a tone."""
    return write_clip(tmp_path / "Tom & I.mp4", pictures(10, 64, 48), sounds=[Sound(seconds=0.4)])


def to_clips(page: Page) -> None:
    page.get_by_role("tab").nth(1).click()
    page.locator("#clip-run").wait_for()


def give_clip(page: Page, path: Path) -> None:
    clear = page.locator("#clip-upload .icon-button-wrapper button").last
    if clear.count():
        clear.click()
    page.locator("#clip-upload input[type=file]").set_input_files(path)
    page.locator("#clip-shown img").wait_for()


def with_what_is_at_hand(page: Page) -> None:
    """Choose the card whose model is built in, so that nothing has to be downloaded."""
    page.locator("#clip-preset input").last.check()


def finished(page: Page, status: str = "#clip-status") -> None:
    expect(page.locator(status)).to_contain_text("Finished", timeout=WORK_MILLISECONDS)


def playing(player: Locator) -> tuple[int, int, float]:
    """The size and the length of what a player has loaded, once it could play it to its end."""
    expect(player).to_have_js_property("readyState", 4, timeout=WORK_MILLISECONDS)
    found = player.evaluate("one => [one.videoWidth, one.videoHeight, one.duration]")
    return found[0], found[1], round(found[2], 2)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_a_clip_is_described_previewed_restored_played_and_handed_over(
    visit: Visit, small: Path, tmp_path: Path
) -> None:
    page = visit()
    to_clips(page)
    expect(page.locator("#clip-facts")).to_contain_text("up to 5 MiB and 180 minutes")
    give_clip(page, small)
    card = page.locator("#clip-facts").get_by_role("row")
    expect(card.filter(has_text="Picture")).to_contain_text("64 × 48 pixels · H.264", use_inner_text=True)
    expect(card.filter(has_text="Length")).to_contain_text(
        "0:00:00.400 · 25 frames per second · 10 frames", use_inner_text=True
    )
    expect(card.filter(has_text="Sound")).to_contain_text("AAC, stereo, 48000 Hz", use_inner_text=True)
    with_what_is_at_hand(page)

    unfold(page, "frame")
    # Gradio puts the time of the clip's own middle in after it has unfolded the panel.
    expect(page.locator("#frame-time input[type=range]")).to_have_value("0.18")
    type_number(page, "#frame-time", "0.2")
    page.locator("#frame-run").click()
    expect(page.locator("#frame-status")).to_contain_text("the frame at 0:00:00.200", timeout=WORK_MILLISECONDS)
    shown = page.locator("#frame-viewer .restore-port img")
    assert shown.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])") == [[128, 96]] * 2

    region = page.locator('.restore-announcer[role="status"]')
    expect(region).to_have_text("Finished: the frame at 0:00:00.200.")
    assert region.evaluate("one => { one.marked = true; return one.getAttribute('aria-live') !== 'off'; }")
    page.locator("#clip-run").click()
    finished(page)
    expect(region).to_contain_text("Finished in")
    assert region.evaluate("one => one.marked")  # the same element: what is exchanged for another is not read out
    before, after = page.locator("#clip-players video").all()
    assert (playing(before), playing(after)) == ((64, 48, 0.4), (128, 96, 0.4))
    after.evaluate("one => { one.currentTime = 0.24; }")
    expect(before).to_have_js_property("currentTime", 0.24)  # what is done to one happens to the other

    name, data = downloaded(page, "#clip-download")
    assert name == "Tom _ I_restored.mp4"
    (tmp_path / name).write_bytes(data)
    with av.open(str(tmp_path / name)) as result:
        frames = list(result.decode(video=0))
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(number, 25) for number in range(10)]
    assert {(frame.width, frame.height) for frame in frames} == {(128, 96)}
    assert packets(tmp_path / name) == packets(small)

    table = page.locator("#clip-report").get_by_role("row")
    expect(table.filter(has_text="Frames")).to_contain_text("10 frames · 25 frames per second", use_inner_text=True)
    expect(table.filter(has_text="Encoded as")).to_contain_text("H.264, yuv420p, crf 17", use_inner_text=True)
    expect(table.filter(has_text="Why this one")).to_contain_text("“Keep it faithful”", use_inner_text=True)
    report = json.loads(downloaded(page, "#clip-report-file")[1])
    assert (report["clip"]["frames"], report["target_size"]) == (10, [128, 96])

    page.locator("#pair-run").click()
    page.locator("#pair-download").wait_for(timeout=WORK_MILLISECONDS)
    assert playing(page.locator("#pair-player video").last) == (256, 96, 0.4)

    other = visit(f"?{page.url.partition('?')[2]}")  # which shows the tab, and all three of its jobs
    assert playing(other.locator("#clip-players video").last) == (128, 96, 0.4)
    assert playing(other.locator("#pair-player video").last) == (256, 96, 0.4)
    expect(other.locator("#frame-status")).to_contain_text("the frame at 0:00:00.200")
    page.locator("#clip-run").click()
    expect(page.locator("#pair")).to_be_hidden()  # it would seem to belong to the new result
    expect(page).not_to_have_url(re.compile("pair="))


def test_what_no_browser_plays_gets_previews_and_the_part_that_was_asked_for(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    to_clips(page)
    source = write_clip(tmp_path / "deep.mov", pictures(10, 64, 48), codec="prores_ks", pixel_format="yuv422p10le")
    give_clip(page, source)
    expect(page.locator("#clip-facts")).to_contain_text("ProRes · 10 bits", use_inner_text=True)
    with_what_is_at_hand(page)
    expect(page.locator("#clip-foreseen")).to_contain_text("H.264 is written with 10")  # before the run
    unfold(page, "clip-advanced")
    choose(page, "Codec", "FFV1")
    expect(page.locator("#clip-crf")).to_be_hidden()
    expect(page.locator("#clip-foreseen")).to_be_hidden()
    page.get_by_label("From").fill("0.2")
    page.locator("#clip-run").click()
    finished(page)
    before, after = page.locator("#clip-players video").all()
    assert playing(before) == (64, 48, 0.2)
    assert playing(after)[:2] == (128, 96)
    name, data = downloaded(page, "#clip-download")
    assert name == "deep_restored.mkv"
    (tmp_path / name).write_bytes(data)
    info = probe(tmp_path / name)
    assert (info.video.codec, info.video.pixel_format, info.video.frames) == ("ffv1", "yuv422p10le", 5)


@pytest.mark.slow
def test_every_part_of_the_work_has_a_bar_and_stop_stops(
    server: Server, visit: Visit, small: Path, tmp_path: Path
) -> None:
    page = visit()
    to_clips(page)
    give_clip(page, write_clip(tmp_path / "long.mp4", pictures(40, 480, 360)))
    with_what_is_at_hand(page)
    page.locator("#clip-run").click()
    bars = page.locator("#clip-status").get_by_role("progressbar")
    expect(bars.last).not_to_have_attribute("aria-valuenow", "0", timeout=WORK_MILLISECONDS)
    assert [bar.get_attribute("aria-label") for bar in bars.all()] == ["Decode", "Upscale", "Encode"]
    words = bars.last.get_attribute("aria-valuetext") or ""
    assert re.fullmatch(r"\d+ of 40 frames · \d+ % · [\d.]+ per second · about .+ left", words)
    page.reload()
    expect(bars).to_have_count(3)
    page.locator("#clip-stop").click()
    expect(page.locator("#clip-status")).to_contain_text("Paused. What is done is kept", timeout=10_000)
    assert not [folder for folder in server.jobs() if (folder / "long_restored.mp4").exists()]
    give_clip(page, small)
    with_what_is_at_hand(page)
    page.locator("#clip-run").click()
    finished(page)


@pytest.mark.slow
def test_what_cannot_be_restored_is_said_at_once(visit: Visit, small: Path, tmp_path: Path) -> None:
    page = visit()
    to_clips(page)
    page.locator("#clip-run").click()
    toast = page.get_by_test_id("toast-body")
    expect(toast).to_contain_text("There is no clip yet: choose one first.")
    broken = cut_off(write_clip(tmp_path / "broken.mp4"), 0.3)
    page.locator("#clip-upload input[type=file]").set_input_files(broken)
    alert = page.locator("#clip-facts").get_by_role("alert")
    expect(alert).to_contain_text("broken.mp4")
    expect(alert).to_contain_text("This input cannot be used")
    page.get_by_role("button", name="简体中文").click()
    expect(alert.get_by_text("输入内容无法使用")).to_be_visible()
    expect(page.get_by_role("tab", name="视频超分辨率")).to_be_visible()
    page.locator("#clip-upload .icon-button-wrapper button").last.click()
    Image.fromarray(picture(0, 32, 32)).save(tmp_path / "photo.png")
    page.locator("#clip-upload input[type=file]").set_input_files(tmp_path / "photo.png")
    expect(alert).to_contain_text("photo.png is a picture and not a clip")  # not Gradio's words, which are English only
    page.get_by_role("button", name="English").click()

    give_clip(page, small)
    page.get_by_role("radio", name="4K").check()
    page.locator("#clip-run").click()
    expect(page.locator("#clip-status").get_by_role("alert")).to_contain_text("choose a smaller target")


def test_cards_set_the_size_and_the_quality_follows_the_codec(visit: Visit) -> None:
    page = visit()
    to_clips(page)
    unfold(page, "clip-advanced")
    scale, size = page.locator("#clip-scale input[type=number]"), page.get_by_role("combobox", name="Size")
    page.get_by_role("radio", name="1080p").check()
    expect(size).to_have_value("Full HD, 1920 × 1080")
    page.get_by_role("radio", name="4x").check()
    expect(size).to_have_value("By the scale")
    expect(scale).to_have_value("4")
    scale.fill("3")
    scale.press("Enter")
    expect(page.locator("#clip-size input:checked")).to_have_count(0)
    size.click()
    page.get_by_role("option", name="4K").click()
    expect(page.get_by_role("radio", name="4K")).to_be_checked()
    chosen = page.locator("#clip-size input:checked")
    page.mouse.move(0, 0)
    colour = chosen.evaluate("one => getComputedStyle(one).backgroundColor")
    chosen.hover()
    expect(chosen).to_have_css("background-color", colour)  # not that of one that is not chosen
    crf = page.locator("#clip-crf input[type=number]")
    expect(crf).to_have_value("17")
    choose(page, "Codec", "AV1")
    expect(crf).to_have_value("20")


@pytest.mark.parametrize(("locale", "width"), [("en-US", 390), ("zh-CN", 390), ("zh-CN", 1280)])
def test_nothing_is_cut_off_or_without_a_name(visit: Visit, locale: str, width: int) -> None:
    page = visit(locale=locale, width=width, theme="dark")
    to_clips(page)
    page.locator("#clip-examples button").last.click()
    page.locator("#clip-shown img").wait_for()
    with_what_is_at_hand(page)
    for name in ("clip-advanced", "clip-cuts", "frame"):
        unfold(page, name)
    page.locator("#clip-end textarea, #clip-end input").fill("0.2")
    page.locator("#clip-run").click()
    expect(page.locator("#clip-status")).to_be_in_viewport()  # also on a phone, where it is far below
    page.locator("#clip-download").wait_for(timeout=WORK_MILLISECONDS)
    page.locator("#frame-run").click()
    page.locator("#frame-viewer img").first.wait_for(timeout=WORK_MILLISECONDS)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(UNNAMED) == []
    words = "".join(page.locator(name).inner_text() for name in ("#clip-run", "#clip-status", "#clip-facts"))
    assert bool(re.search("[一-鿿]", words)) == (locale == "zh-CN")


def test_only_what_every_browser_plays_is_played_as_it_is(tmp_path: Path) -> None:
    kinds = {
        "usual.mp4": {},
        "fine.mp4": {"pixel_format": "yuv444p"},
        "deep.mp4": {"pixel_format": "yuv420p10le"},
        "usual.mkv": {},
        "usual.webm": {"codec": "libvpx-vp9"},
        "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=error"}},
    }
    plays = []
    for name, how in kinds.items():
        path = write_clip(tmp_path / name, pictures(3, 32, 32), **how)  # type: ignore[arg-type]
        if plays_in_browsers(path, probe(path)):
            plays.append(name)
    assert plays == ["usual.mp4", "usual.webm"]


def test_a_result_is_worth_more_than_its_preview(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", pictures(3, 32, 32))
    full = Settings(min_free_bytes=2**60)
    assert played_beside(source, source, ClipOptions(), Progress(), full) is None
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]
    stopped = Progress()
    stopped.cancel()
    with pytest.raises(Cancelled):
        played_beside(source, source, ClipOptions(), stopped, Settings())


def test_a_player_is_even_and_no_larger_than_a_screen() -> None:
    assert fit_player(640, 480) == (640, 480)
    assert fit_player(333, 221) == (332, 220)
    assert fit_player(3840, 2160) == (1920, 1080)
    assert fit_player(1080, 1920) == (608, 1080)


def test_the_frame_of_a_preview_is_that_of_its_time(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", pictures(10, 64, 48), codec="ffv1", pixel_format="bgr0")
    settings, part = Settings(), ClipOptions(start="0.16", end="1.16")
    plan = plan_clip(probe(source), source, tmp_path / "out.mp4", [Upscale(strength=0, scale=2)], part, settings)
    shown = write_frame(plan, tmp_path, Progress(), LocalExecutor(), settings)
    assert shown.time == Fraction(4, 25)
    assert (shown.pair.width, shown.pair.height, shown.pair.scale) == (128, 96, 1)
    with Image.open(shown.pair.before) as before, Image.open(shown.pair.after) as after:
        small = np.asarray(after.resize((64, 48), Image.Resampling.BOX), float)
        assert before.size == after.size
    differences = [np.abs(small - picture(number, 64, 48)).mean() for number in range(10)]
    assert int(np.argmin(differences)) == 4


def test_side_by_side_every_frame_stands_beside_its_own_source(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", pictures(10, 64, 48), codec="ffv1", pixel_format="bgr0")
    # A result that shows the second half at half the rate, from zero on.
    result = write_clip(
        tmp_path / "result.mp4",
        [picture(number, 64, 48).repeat(2, axis=0).repeat(2, axis=1) for number in (5, 7, 9)],
        times=[0, 80, 160],
        time_base=Fraction(1, 1000),
        sounds=[Sound(seconds=0.2)],
        options={"crf": "10"},
    )
    settings, part = Settings(), ClipOptions(start="0.2")
    plan = plan_clip(probe(source), source, tmp_path / "pair.mp4", [], part, settings)
    write_side_by_side(plan, result, tmp_path / "pair.mp4", Progress(), settings)
    assert packets(tmp_path / "pair.mp4") == packets(result)
    with av.open(str(tmp_path / "pair.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == [(96, 256, 3)] * 3
    for frame, number in zip(frames, (5, 7, 9), strict=True):
        left = np.asarray(Image.fromarray(frame[:, :128]).resize((64, 48), Image.Resampling.BOX), float)
        differences = [np.abs(left - picture(other, 64, 48)).mean() for other in range(10)]
        assert int(np.argmin(differences)) == number
