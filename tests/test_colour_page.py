"""Colour on the page and over the API: a photo or a clip in, its colours out, and no colours replaced unasked."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from playwright.sync_api import Page, expect

import restore
from restore.colour.in_colour import in_colour
from restore.stages.colorize import BUILT_IN
from restore.ui import examples
from tests.browser import browser as browser
from tests.browser import type_number
from tests.clips import Pixels, Sound, write_clip
from tests.server import Server, running
from tests.test_page import CUT_OFF, UNNAMED, WORK_MILLISECONDS, Visit, choose, downloaded, scene, unfold
from tests.test_page import visit as visit
from tests.test_video_page import playing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page")) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


def coloured(width: int = 96, height: int = 64) -> Pixels:
    return (scene(width, height) * 255).astype(np.uint8)


def grey(width: int = 96, height: int = 64) -> Pixels:
    return np.asarray(Image.fromarray(coloured(width, height)).convert("L").convert("RGB"))


def grey_clip(path: Path, frames: int = 6) -> Path:
    whole = grey(112, 64)
    return write_clip(path, [whole[:, 2 * n : 2 * n + 96].copy() for n in range(frames)], sounds=[Sound(seconds=0.2)])


def save(path: Path, pixels: Pixels) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def to_colour(page: Page) -> None:
    page.get_by_role("tab", name=re.compile("Colorization|上色")).click()
    page.locator("#colour-run").wait_for()


def give(page: Page, path: Path) -> None:
    clear = page.locator("#colour-upload .icon-button-wrapper button").last
    if clear.count():
        clear.click()
    page.locator("#colour-upload input[type=file]").set_input_files(path)
    page.locator("#colour-shown img").wait_for()


def with_the_built_in(page: Page) -> None:
    choose(page, "Model", "Built-in (colour)")


def finished(page: Page, status: str = "#colour-status") -> None:
    expect(page.locator(status)).to_contain_text("Finished", timeout=WORK_MILLISECONDS)


def chroma(pixels: np.ndarray) -> float:
    """The mean distance of the channels from grey, in 255ths."""
    return float((pixels.max(axis=2).astype(int) - pixels.min(axis=2)).mean())


def test_a_photo_is_coloured_shown_and_handed_over_and_colours_are_not_replaced_unasked(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    to_colour(page)
    question, toast = page.locator("#colour-question"), page.get_by_test_id("toast-body")
    page.locator("#colour-run").click()
    expect(toast).to_contain_text("There is no photo and no clip yet")
    give(page, save(tmp_path / "grey.png", grey()))
    expect(page.locator("#colour-facts")).to_contain_text("PNG, 96 × 64 pixels")
    expect(question).to_be_hidden()
    expect(page.locator("#colour-frame")).to_be_hidden()  # which is for clips
    with_the_built_in(page)
    expect(page.locator("#colour-model-note")).to_contain_text("close to grey")
    page.locator("#colour-run").click()
    finished(page)
    pictures = page.locator("#colour-viewer .restore-port img")
    assert pictures.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])") == [[96, 64]] * 2
    name, data = downloaded(page, "#colour-download")
    assert name == "grey_restored.png"
    result = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert result.shape == (64, 96, 3)
    assert chroma(result) > 3
    turned = np.asarray(Image.fromarray(result[:, :, ::-1]).convert("L"), int)
    assert np.abs(turned - grey()[:, :, 0]).max() <= 1  # light and shade are those of the photo
    expect(page.locator("#colour-report")).to_contain_text("Built-in (colour)")
    report = json.loads(downloaded(page, "#colour-report-file")[1])
    assert report["recipe"]["steps"][0]["model"] == BUILT_IN

    give(page, save(tmp_path / "in colour.png", coloured()))
    expect(question).to_contain_text("This is in colour already", use_inner_text=True)
    page.locator("#colour-run").click()
    expect(toast.last).to_contain_text("tick “Colour it anew all the same”")
    expect(page.locator("#colour-viewer .restore-viewer")).to_be_hidden()
    page.locator("#colour-anew input").check()
    type_number(page, "#colour-saturation", "0")
    page.locator("#colour-run").click()
    finished(page)
    name, data = downloaded(page, "#colour-download")
    assert name == "in colour_restored.png"
    assert chroma(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)) == 0  # so it is the run with 0

    give(page, save(tmp_path / "other.png", coloured(64, 64)))
    expect(page.locator("#colour-anew input")).not_to_be_checked()  # what was said of one is not said of another


@pytest.mark.slow
def test_a_clip_is_previewed_coloured_played_and_kept(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    to_colour(page)
    give(page, grey_clip(tmp_path / "film.mp4"))
    expect(page.locator("#colour-facts")).to_contain_text("96 × 64 pixels · H.264", use_inner_text=True)
    expect(page.locator("#colour-question")).to_be_hidden()
    expect(page.locator("#colour-format")).to_be_hidden()  # which is for photos
    with_the_built_in(page)
    unfold(page, "colour-frame")
    page.locator("#colour-frame-run").click()
    expect(page.locator("#colour-frame-status")).to_contain_text("Finished: the frame at", timeout=WORK_MILLISECONDS)
    expect(page.locator("#colour-frame-viewer img")).to_have_count(2)
    page.locator("#colour-run").click()
    finished(page)
    before, after = page.locator("#colour-players video").all()
    assert (playing(before), playing(after)) == ((96, 64, 0.24), (96, 64, 0.24))
    name, data = downloaded(page, "#colour-download")
    assert name == "film_restored.mp4"
    (tmp_path / name).write_bytes(data)
    with av.open(str(tmp_path / name)) as result:
        assert len(result.streams.audio) == 1
        frames = [frame.to_ndarray(format="rgb24") for frame in result.decode(video=0)]
    assert len(frames) == 6
    assert min(map(chroma, frames)) > 3
    page.locator("#coloured-pair-run").click()
    page.locator("#coloured-pair-download").wait_for(timeout=WORK_MILLISECONDS)

    other = visit(f"?{page.url.partition('?')[2]}")  # which shows the tab and its jobs
    assert playing(other.locator("#colour-players video").last) == (96, 64, 0.24)
    expect(other.locator("#colour-frame-status")).to_contain_text("Finished")

    give(page, write_clip(tmp_path / "in colour.mp4", [coloured()] * 3))
    expect(page.locator("#colour-question")).to_be_visible()
    give(page, save(tmp_path / "grey.png", grey()))
    expect(page.locator("#colour-frame")).to_be_hidden()


@pytest.mark.slow
def test_every_shot_can_get_a_picture_that_says_what_its_colours_are(
    visit: Visit, server: Server, tmp_path: Path
) -> None:
    other = 255 - grey(112, 64)
    frames = [grey(112, 64)[:, n : n + 96] for n in range(8)] + [other[:, n : n + 96] for n in range(8)]
    film = write_clip(tmp_path / "shots.mp4", [frame.copy() for frame in frames])
    page = visit()
    to_colour(page)
    give(page, film)
    with_the_built_in(page)
    unfold(page, "colour-references")
    states, tools = page.locator("#colour-shots-grid .restore-badges"), page.locator("#colour-shot-tools")
    expect(tools).to_be_hidden()
    page.locator("#colour-shots-run").click()
    expect(states).to_have_text(["no picture"] * 2, use_inner_text=True, timeout=WORK_MILLISECONDS)
    page.locator("#colour-proposals-run").click()  # for all of them, as nobody has chosen one
    expect(states).to_have_text(["coloured, not used"] * 2, use_inner_text=True, timeout=WORK_MILLISECONDS)
    shown = page.locator("#colour-shots-grid img")
    first = np.asarray(Image.open(io.BytesIO(page.request.get(str(shown.first.evaluate("it => it.src"))).body())))
    assert chroma(first) > 3
    page.locator("#colour-shot-accept").click()
    expect(states).to_have_text(["coloured, used"] * 2, use_inner_text=True, timeout=WORK_MILLISECONDS)
    page.get_by_role("button", name="Choose this shot").last.click()
    page.locator("#colour-shot-own input[type=file]").set_input_files(save(tmp_path / "own.png", coloured()))
    chosen = ["coloured, used", "your picture, used"]
    expect(states).to_have_text(chosen, use_inner_text=True, timeout=WORK_MILLISECONDS)
    page.locator("#colour-shot-save").wait_for()
    page.locator("#colour-run").click()
    finished(page)
    report = json.loads(downloaded(page, "#colour-report-file")[1])
    references = report["recipe"]["steps"][0]["references"]
    assert [each["shot"] for each in references] == [0, 1]
    names = [re.sub(r"_\d+\.", ".", each["picture"]) for each in references]
    assert names == ["shot_001_coloured.png", "shot_002_own.png"]
    assert str(server.files) not in json.dumps(report)

    page.goto(page.url)  # what was chosen is still there, and stays with this clip alone
    expect(states).to_have_text(chosen, use_inner_text=True, timeout=WORK_MILLISECONDS)
    give(page, film)
    expect(states).to_have_count(2)
    page.locator("#colour-shot-drop").click()
    expect(states).to_have_text(["coloured, not used"] * 2, use_inner_text=True, timeout=WORK_MILLISECONDS)
    give(page, grey_clip(tmp_path / "other.mp4"))
    expect(states).to_have_count(0, timeout=WORK_MILLISECONDS)
    expect(tools).to_be_hidden()


def test_every_model_says_what_it_takes(visit: Visit) -> None:
    page = visit()
    to_colour(page)
    note, factor = page.locator("#colour-model-note"), page.locator("#colour-render-factor")
    expect(note).to_contain_text("DDColor (tiny) here, which is downloaded first (220.4 MB)", use_inner_text=True)
    expect(note).to_contain_text("Every model guesses")
    expect(factor).to_be_hidden()
    choose(page, "Model", "DeOldify (artistic)")
    expect(note).to_contain_text("Licence: MIT, commercial use allowed")
    expect(note).to_contain_text("255.1 MB are downloaded first")
    expect(factor.locator("input[type=number]")).to_have_value("35")


@pytest.mark.parametrize(("locale", "theme"), [("en-US", "light"), ("zh-CN", "dark")])
def test_nothing_is_cut_off_or_without_a_name_on_a_phone(visit: Visit, tmp_path: Path, locale: str, theme: str) -> None:
    page = visit(locale=locale, width=390, theme=theme)
    to_colour(page)
    page.locator("#colour-examples button").first.click()
    page.locator("#colour-shown img").wait_for()
    unfold(page, "colour-advanced")
    page.locator("#colour-run").click()
    expect(page.locator("#colour-status")).to_be_in_viewport()
    page.locator("#colour-download").wait_for(timeout=WORK_MILLISECONDS)
    expect(page.locator("#colour-question")).to_be_hidden()  # the example is brown, and not in colour
    for question in (False, True):
        if question:
            give(page, save(tmp_path / "in colour.png", coloured()))
            page.locator("#colour-question").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(UNNAMED) == []
    words = "".join(page.locator(name).inner_text() for name in ("#colour-run", "#colour-status", "#colour-model-note"))
    assert any("一" <= letter <= "鿿" for letter in words) == (locale == "zh-CN")


def test_the_api_colours_pictures_and_clips_and_asks_before_colours_are_replaced(
    server: Server, tmp_path: Path
) -> None:
    client = Client(server.url, verbose=False, download_files=str(tmp_path / "got"))
    photo, clip = handle_file(save(tmp_path / "grey.png", grey())), handle_file(grey_clip(tmp_path / "film.mp4"))
    file, report = client.predict(photo, model=BUILT_IN, format="webp", api_name="/colorize_image")
    assert Path(file).name == "grey_restored.webp"
    with Image.open(file) as picture:
        assert chroma(np.asarray(picture)) > 3
    assert report["recipe"]["steps"][0] == {"stage": "colorize", **report["recipe"]["steps"][0], "model": BUILT_IN}
    file, report = client.predict(clip, model=BUILT_IN, end=0.12, saturation=2, api_name="/colorize_video")
    assert report["clip"]["frames"] == 3
    assert report["recipe"]["steps"][0]["saturation"] == 2
    wanted = [photo, handle_file(save(tmp_path / "wanted.png", coloured()))]
    file, report = client.predict(
        clip,
        model=BUILT_IN,
        references=wanted,
        reference_shots=[0, None],
        reference_times=[None, "0.1"],
        api_name="/colorize_video",
    )
    references = report["recipe"]["steps"][0]["references"]
    assert references == [{"picture": "grey.png", "shot": 0}, {"picture": "wanted.png", "shot": 0}]
    assert "wanted.png gave its colours to shot 0." in report["stages"][0]["notes"]
    with pytest.raises(AppError, match="reference_shots has 1 entries for 2 references"):
        client.predict(clip, references=wanted, reference_shots=[0], api_name="/colorize_video")
    for nowhere in ({"path": "/etc/hostname"}, {"path": str(examples.FOLDER / "cat.jpg")}):
        with pytest.raises(AppError, match="must be a file that was uploaded"):
            client.predict(photo, model=BUILT_IN, references=[nowhere], api_name="/colorize_image")
    with pytest.raises(AppError, match="render_factor is 99"):
        client.predict(photo, render_factor=99, api_name="/colorize_image")

    photo = handle_file(save(tmp_path / "in colour.png", coloured()))
    with pytest.raises(AppError, match=r"in colour\.png is in colour already: give recolour=true"):
        client.predict(photo, model=BUILT_IN, api_name="/colorize_image")
    client.predict(photo, model=BUILT_IN, recolour=True, api_name="/colorize_image")
    clip = handle_file(write_clip(tmp_path / "in colour.mp4", [coloured()] * 3))
    with pytest.raises(AppError, match=r"in colour\.mp4 is in colour already"):
        client.predict(clip, model=BUILT_IN, api_name="/colorize_video")


def as_tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(pixels, np.float32)).permute(2, 0, 1)


@settings(deadline=None, max_examples=25)
@given(
    tones=st.tuples(*[st.floats(0.75, 1.3)] * 3),
    paper=st.tuples(*[st.floats(0.75, 1)] * 3),
    edge=st.floats(0, 0.3),
    noise=st.floats(0, 0.04),
)
def test_no_toning_and_no_paper_makes_a_grey_picture_one_in_colour(
    tones: tuple[float, ...], paper: tuple[float, ...], edge: float, noise: float
) -> None:
    with Image.open(examples.FOLDER / "portrait.jpg") as portrait:
        light = np.asarray(portrait.convert("L"), np.float32)[..., None] / 255
    y, x = np.mgrid[-1:1:300j, -1:1:256j]
    yellowed = 1 - edge * ((x**2 + y**2) / 2)[..., None] * np.array([0, 0.3, 1])
    print_ = light ** np.array(tones) * np.array(paper) * yellowed
    print_ = print_ + noise * np.random.default_rng(1).standard_normal(print_.shape)
    assert not in_colour(as_tensor(print_.clip(0, 1)))


@pytest.mark.parametrize(("name", "warned"), [("cat.jpg", True), ("old_scan.jpg", False)])
def test_where_nobody_can_be_asked_the_report_warns(tmp_path: Path, name: str, warned: bool) -> None:
    cpu = restore.Settings(device="cpu")
    report = restore.restore_image(
        examples.FOLDER / name, tmp_path / "new.png", [restore.Colorize(BUILT_IN)], settings=cpu
    )
    assert any("in colour already" in warning for warning in report.warnings) == warned


@pytest.mark.parametrize("name", ["portrait.jpg", "cat.jpg", "illustration.jpg", "old_scan.jpg"])
def test_colours_are_seen_also_where_they_are_weak(name: str) -> None:
    with Image.open(examples.FOLDER / name) as picture:
        pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
    luma = pixels.mean(axis=2, keepdims=True)
    assert (
        in_colour(as_tensor(pixels)) == in_colour(as_tensor(luma + 0.6 * (pixels - luma))) == (name != "old_scan.jpg")
    )
    assert not in_colour(as_tensor(np.broadcast_to(luma, pixels.shape)))
