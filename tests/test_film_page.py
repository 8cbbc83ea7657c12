"""The tab for whole films and its endpoints, as a visitor and a script have them: the real program, a real browser."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Page, expect

from restore.clip_plan import ClipOptions
from restore.errors import InputError, SettingsError
from restore.media.clips.probe import probe
from restore.recipes import decode, encode, load_recipe, named_recipe
from restore.settings import Settings
from restore.stages import STAGES, Colorize, Faces, Upscale
from restore.ui.clip_again import lasting, work_of
from restore.ui.clip_work import ClipWork
from restore.ui.film_chain import chosen_steps, editor_value
from restore.ui.film_fields import forms
from restore.ui.film_moment import around
from restore.ui.http_steps import steps_over_http
from restore.ui.uploaded_references import ServedReference
from tests.browser import browser as browser
from tests.browser import type_number
from tests.clips import Sound, pictures, write_clip
from tests.server import Server, running
from tests.test_api import upload
from tests.test_page import CUT_OFF, UNNAMED, WORK_MILLISECONDS, Visit, downloaded, unfold
from tests.test_page import visit as visit

PATIENCE = 120.0
ENLARGE = {"stage": "upscale", "model": "built-in", "scale": 2}
DOUBLE = {"stage": "interpolate", "model": "built-in", "factor": 2}
GREY = {"stage": "colorize", "model": "built-in-colour", "saturation": 0.5}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("film")) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    return Client(server.url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Ten frames with a tone."""
    return write_clip(tmp_path / "small.mp4", pictures(10, 64, 48), sounds=[Sound(seconds=0.4)])


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Some seconds of work, so that there is time to leave and to come back."""
    return write_clip(tmp_path / "long.mp4", pictures(30, 160, 120))


def give_clip(page: Page, path: Path) -> None:
    page.locator("#film-upload input[type=file]").set_input_files(path)
    page.locator("#film-shown img").wait_for()


def open_film(visit: Visit, *steps: dict[str, Any], **how: Any) -> Page:
    """The tab with a chain of what is built in, so that nothing has to be downloaded."""
    page = visit(f"?chain={encode(steps)}", **how)
    page.set_default_timeout(WORK_MILLISECONDS)
    expect(cards(page)).to_have_count(len(steps), timeout=WORK_MILLISECONDS)
    return page


def cards(page: Page) -> Any:
    return page.locator("#film-chain .restore-chain-head strong")


def linked(page: Page, *stages: str) -> list[dict[str, Any]]:
    """The chain in the link of the page as soon as it has these stages, which is a moment after a change."""

    def chain() -> list[dict[str, Any]] | None:
        page.wait_for_timeout(200)
        address = page.locator("#film-link a").get_attribute("href") or ""
        steps = [stage.to_dict() for stage in decode(address.removeprefix("?chain="))]
        return steps if [step["stage"] for step in steps] == list(stages) else None

    found: list[dict[str, Any]] = wait_for(chain)
    return found


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.mark.slow
def test_a_chain_is_put_together_run_left_and_found_again(visit: Visit, long: Path, tmp_path: Path) -> None:
    page = open_film(visit, ENLARGE)
    page.get_by_role("button", name="+ Interpolate").click()
    page.get_by_role("button", name="+ Colorize").click()
    settings = page.locator("#film-chain .restore-chain-step").nth(1)
    settings.get_by_label("Model", exact=True).select_option("Built-in")
    page.get_by_role("button", name="Move 3. Colorize up").click()
    expect(cards(page)).to_have_text(["1. Upscale", "2. Colorize", "3. Interpolate"])
    expect(page.get_by_role("button", name="Move 2. Colorize up")).to_be_focused()  # ready to be moved on
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_text(["1. Colorize", "2. Upscale", "3. Interpolate"])
    page.get_by_role("checkbox", name="Use 1. Colorize").uncheck()
    give_clip(page, long)
    foreseen = page.locator("#film-foreseen")
    expect(foreseen).to_contain_text("320 × 240 pixels · 60 frames per second · 72 frames", use_inner_text=True)
    page.locator("#film-chain .restore-chain-step").nth(2).get_by_label("Frames per second").fill("50")
    page.keyboard.press("Tab")
    expect(foreseen).to_contain_text("320 × 240 pixels · 50 frames per second · 60 frames", use_inner_text=True)
    chain = linked(page, "upscale", "interpolate")
    assert [(step["stage"], step["model"]) for step in chain] == [("upscale", "built-in"), ("interpolate", "built-in")]
    assert chain[1]["fps"] == "50"
    expect(foreseen).to_contain_text(re.compile(r"B · takes about .+ s"), timeout=WORK_MILLISECONDS)

    page.locator("#film-run").click()
    bars = page.locator("#film-status").get_by_role("progressbar")
    expect(bars).to_have_count(4, timeout=WORK_MILLISECONDS)
    assert [bar.get_attribute("aria-label") for bar in bars.all()] == ["Decode", "Upscale", "Interpolate", "Encode"]
    live = page.locator("#film-live img")
    expect(live).to_be_visible(timeout=WORK_MILLISECONDS)
    assert live.evaluate("one => one.naturalWidth") in range(200, 641)
    address, context = page.url, page.context
    page.close()  # in the middle of the work

    again = context.new_page()
    again.goto(address.partition("?")[0])
    row = again.locator("#own-jobs li").filter(has_text="long_restored.mp4")
    row.get_by_role("link").click()
    assert again.url == address
    again.locator("#film-download").wait_for(timeout=WORK_MILLISECONDS)
    expect(again.locator("#film-live img")).to_be_hidden()
    expect(again.locator("#own-jobs li").first).to_contain_text("finished", use_inner_text=True, timeout=15_000)
    name, data = downloaded(again, "#film-download")
    (tmp_path / name).write_bytes(data)
    video = probe(tmp_path / name).video
    assert (name, video.width, video.height, video.frames) == ("long_restored.mp4", 320, 240, 60)
    report = json.loads(downloaded(again, "#film-report-file")[1])
    assert report["recipe"]["steps"] == chain
    again.get_by_role("button", name="Forget").click()
    expect(again.locator("#own-jobs section")).to_be_hidden()


@pytest.mark.slow
def test_recipes_are_chosen_loaded_saved_and_kept(visit: Visit, tmp_path: Path) -> None:
    page = visit("?chain=1.abc")
    expect(page.locator("#film-link")).to_contain_text("cut off or changed", timeout=WORK_MILLISECONDS)
    expect(cards(page)).to_have_text(["1. Upscale"])
    page.get_by_label("Start from a recipe").select_option("Silent film")
    expected = [stage.to_dict() for stage in named_recipe("silent-film").steps]
    expect(cards(page)).to_have_count(len(expected))
    assert linked(page, *(step["stage"] for step in expected)) == expected
    assert "chain=" not in page.url  # or what was in the address would come back in place of this
    page.get_by_role("button", name="Remove 1.").click()
    page.get_by_role("checkbox", name="Use 3. Faces").uncheck()
    saved = tmp_path / "saved.json"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a recipe").click()
    download.value.save_as(saved)
    steps = json.loads(saved.read_text())["steps"]
    assert [(step["stage"], step.get("enabled", True)) for step in steps] == [
        (step["stage"], step["stage"] != "faces") for step in expected[1:]
    ]
    assert list(load_recipe(saved)) == [stage for stage in named_recipe("silent-film").steps[1:] if stage != Faces()]

    # What the editor has no field for stays, and so does what is switched off.
    given = [{**ENLARGE, "num_frames": 5}, GREY, {**DOUBLE, "enabled": False}]
    saved.write_text(json.dumps({"version": 1, "title": "Mine", "steps": given}))
    chooser = page.locator("#film-chain input[type=file]")
    chooser.set_input_files(saved)
    loaded = ["1. Upscale", "2. Colorize", "3. Interpolate"]
    expect(cards(page)).to_have_text(loaded)
    found = linked(page, "upscale", "colorize")
    assert found == [stage.to_dict() for stage in steps_over_http(given)]
    assert found[0]["num_frames"] == 5
    for wrong, complaint in (
        ('{"version": 1, "steps": [{"stage": "polish"}]}', "no known stage"),
        ('[{"stage": "colorize", "references": ["/etc/hostname"]}]', "references names files"),
    ):
        saved.write_text(wrong)
        chooser.set_input_files(saved)
        expect(page.get_by_test_id("toast-body").filter(has_text=complaint)).to_be_visible()
    link = page.locator("#film-link a").get_attribute("href") or ""

    # Loaded again, the page has the chain as it was; but that of a link comes first.
    page.reload()
    page.get_by_role("tab", name="Restore a film").click()
    expect(cards(page)).to_have_text(loaded)
    expect(page.locator("#film-chain .restore-chain-gist").last).to_have_text("Switched off", use_inner_text=True)
    expect(page.locator("#film-link a")).to_have_attribute("href", link)
    for each in ("Use 1. Upscale", "Use 2. Colorize"):
        page.get_by_role("checkbox", name=each).uncheck()
    expect(page.locator("#film-link")).to_contain_text("no stage that is switched on")
    page.goto(f"{page.url}?chain={encode([DOUBLE])}")
    expect(cards(page)).to_have_text(["1. Interpolate"])
    page.goto(page.url.partition("?")[0])
    page.get_by_role("tab", name="Restore a film").click()
    expect(cards(page)).to_have_text(["1. Interpolate"])


def test_nothing_is_cut_off_or_without_a_name(visit: Visit, small: Path) -> None:
    every = [{"stage": name} for name in STAGES]
    page = open_film(visit, ENLARGE, *every, locale="zh-CN", theme="dark")
    give_clip(page, small)
    chain = page.locator("#film-chain")
    for head in chain.locator(".restore-chain-head").all():
        head.click()
    for width, language, title in ((1280, "简体中文", "依次进行的处理"), (390, "English", "What is done")):
        page.set_viewport_size({"width": width, "height": 850})
        page.get_by_text(language, exact=True).click()
        expect(chain).to_contain_text(title, use_inner_text=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT_OFF) == []
        assert page.evaluate(UNNAMED) == []
        assert bool(re.search("[一-鿿]", chain.inner_text())) == (language != "English")
    page.get_by_text("简体中文", exact=True).click()
    expect(chain).to_contain_text("依次进行的处理", use_inner_text=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(CUT_OFF) == []


@pytest.mark.slow
def test_references_are_chosen_and_a_frame_and_three_seconds_are_previewed(visit: Visit, tmp_path: Path) -> None:
    page = open_film(visit, {**ENLARGE, "strength": 0}, GREY, DOUBLE)
    # Two shots of greys, of two and a half seconds each.
    waves = [np.sin(np.add.outer(np.arange(32) / stride, np.arange(32) / 9)) for stride in (3, 11)]
    greys = [np.repeat(np.uint8(130 + 90 * wave)[..., None], 3, axis=2) for wave in waves]
    give_clip(page, write_clip(tmp_path / "clip.mp4", [greys[0]] * 25 + [255 - greys[1]] * 25, rate=10))
    unfold(page, "film-references")
    page.locator("#film-shots-run").click()
    expect(page.locator("#film-shots-status")).to_contain_text("Shots found: 2", timeout=WORK_MILLISECONDS)
    page.locator("#film-shots-grid").get_by_role("button", name="Choose this shot").last.click()
    Image.new("RGB", (48, 32), (20, 60, 220)).save(tmp_path / "blue.png")
    page.locator("#film-shot-own input[type=file]").set_input_files(tmp_path / "blue.png")
    expect(page.locator("#film-shots-grid")).to_contain_text("your picture", timeout=WORK_MILLISECONDS)

    unfold(page, "film-frame")
    type_number(page, "#film-frame-time", "4")
    page.locator("#film-frame-run").click()
    shown = page.locator("#film-frame-viewer .restore-port img")
    shown.first.wait_for(timeout=WORK_MILLISECONDS)
    assert shown.evaluate_all("all => all.map(one => one.naturalWidth)") == [64, 64]
    addresses = shown.evaluate_all("all => all.map(one => one.src)")
    colours = [np.asarray(Image.open(io.BytesIO(page.request.get(each).body())).convert("RGB")) for each in addresses]
    blueness = sorted(float((each[..., 2].astype(float) - each[..., 0]).mean()) for each in colours)
    assert abs(blueness[0]) < 3  # as it was
    assert blueness[1] > 20
    unfold(page, "film-moment")
    page.locator("#film-moment-run").click()
    player = page.locator("#film-moment-players video").last
    expect(player).to_have_js_property("readyState", 4, timeout=WORK_MILLISECONDS)
    assert player.evaluate("one => [one.videoWidth, Math.round(one.duration)]") == [64, 3]
    expect(page.locator("#film-moment-status")).to_contain_text("0:00:02.000")  # the frame's time is that of both
    page.get_by_role("checkbox", name="Use 2. Colorize").uncheck()
    expect(page.locator("#film-references")).to_be_hidden()


def test_the_seconds_around_a_moment_lie_in_the_part_that_is_asked_for() -> None:
    def part(time: float, last: float | None = 10.0, **options: Any) -> tuple[Any, Any]:
        found = around(time, ClipOptions(**options), last)
        return found.start, found.end

    assert part(5) == (3.5, 6.5)
    assert part(0) == (0, 3)
    assert part(9.9) == (7, 10)
    assert part(1, last=2.0) == (0, 2)
    assert part(5, start="0:05", end=6) == (5, 6)
    assert part(0, last=None) == (0, 3)


def test_every_stage_has_a_form_whose_fields_are_settings_of_it() -> None:
    assert {form.stage for form in forms()} == set(STAGES)
    for form in forms():
        usual = STAGES[form.stage]()
        known = usual.to_dict()
        for field in form.fields:
            assert field.name in known
            assert field.usual == known[field.name] or (field.name, field.usual) == ("factor", 2)
            assert set(field.shown or ()) <= {each.name for each in form.fields}
            for choice in field.choices:  # all that is offered can be had
                steps_over_http([{"stage": form.stage, field.name: choice.value}])
        assert chosen_steps(editor_value([{"stage": form.stage, **form.first}]))


@pytest.mark.slow
def test_two_jobs_wait_for_each_other_and_a_client_that_is_gone_loses_nothing(
    client: Client, server: Server, small: Path, long: Path
) -> None:
    first = client.predict(handle_file(long), [ENLARGE, DOUBLE], api_name="/begin_video")["job"]
    values = {"data": [upload(server, small), [{**ENLARGE, "strength": 0}, DOUBLE]]}
    url = f"{server.url}gradio_api/call/restore_video"
    event = httpx.post(url, json=values).raise_for_status().json()["event_id"]
    with httpx.stream("GET", f"{url}/{event}", timeout=PATIENCE) as answer:
        lines = answer.iter_lines()
        second = json.loads(next(line for line in lines if '"job"' in line).removeprefix("data: "))[1]["job"]
    # The connection is closed; the job is not.
    state = client.predict(second, api_name="/job_status")
    assert (state["state"], state["ahead"]) in (("waiting", 1), ("waiting", 0), ("running", 0))
    third = client.predict(handle_file(long), [ENLARGE], api_name="/begin_video")["job"]
    assert client.predict(third, api_name="/cancel_job")["state"] == "paused"
    for job, frames, width in ((first, 60, 320), (second, 20, 128)):
        wait_for(lambda job=job: client.predict(job, api_name="/job_status")["state"] == "finished")
        file, report = client.predict(job, api_name="/job_result")
        video = probe(Path(file)).video
        assert (video.frames, video.width, report["job"]) == (frames, width, job)
    with pytest.raises(AppError, match="stopped"):
        client.predict(third, api_name="/job_result")


def test_a_chain_comes_in_any_form_and_what_it_would_take_is_told(client: Client, small: Path) -> None:
    told = client.predict(handle_file(small), {"version": 1, "steps": [ENLARGE, DOUBLE]}, api_name="/estimate")
    assert (told["size"], told["rate"], told["frames"], told["length"]) == ([128, 96], "50", 20, "2/5")
    assert 0 < told["seconds_low"] <= told["seconds_high"]
    assert 0 < told["bytes_low"] <= told["bytes_high"]
    _, report = client.predict(handle_file(small), [ENLARGE], end=0.2, api_name="/restore_video")
    assert (report["target_size"], report["clip"]["frames"]) == ([128, 96], 5)
    order = ["DAIN", "RealSR"]
    told = client.predict(handle_file(small), order, {"time_step": 0.25}, api_name="/estimate")
    assert (told["size"], told["rate"]) == ([256, 192], "100")


def test_a_job_that_is_taken_up_again_has_its_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    picture = tmp_path / "restore-shots" / "own.png"
    picture.parent.mkdir()
    Image.new("RGB", (4, 4), "blue").save(picture)
    references = (ServedReference(str(picture), time="0.2"), ServedReference(str(picture), shot=3))
    stages = (Upscale(model="built-in", scale=2), Colorize(saturation=0.5, references=references))
    work = ClipWork(small, "small_restored.mp4", stages, Settings(), ClipOptions(start="0.1"))
    asked = json.loads(json.dumps(lasting(work, "film").asked))  # as it lies in the folder of the job
    assert str(tmp_path) not in json.dumps(asked)
    assert work_of(asked, Settings()).stages == stages
    picture.unlink()
    with pytest.raises(InputError, match="not kept any more"):
        work_of(asked, Settings())


@pytest.mark.parametrize(
    ("steps", "options", "complaint"),
    [
        ([{"stage": "colorize", "references": "/etc"}], None, "references names files"),
        ({"version": 1, "steps": [{"stage": "colorize", "references": {"0": "/etc/x.png"}}]}, None, "names files"),
        (["DeepRemaster"], {"reference_dir": "/etc"}, "reference_dir names files"),
        (["DAIN", "Magic"], None, "no model of it"),
        ([ENLARGE], {"time_step": 0.5}, "each step has its own settings"),
        ("worn-film", None, "There is no recipe"),
        ({"version": 99, "steps": []}, None, "version"),
        (7, None, "list of stages"),
    ],
)
def test_what_cannot_be_asked_for_from_outside_is_refused(steps: Any, options: Any, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        steps_over_http(steps, options)
