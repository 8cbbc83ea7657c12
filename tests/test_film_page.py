"""The tab for whole films and its endpoints, as a visitor and a script have them: the real program, a real browser."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Page, expect

from restore.clip_plan import ClipOptions
from restore.errors import SettingsError
from restore.media.clips.probe import probe
from restore.recipes import decode, encode, named_recipe
from restore.stages import STAGES
from restore.ui.film_chain import chosen_steps, editor_value
from restore.ui.film_fields import forms
from restore.ui.film_moment import around
from restore.ui.http_steps import steps_over_http
from tests.browser import browser as browser
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
    return write_clip(tmp_path / "long.mp4", pictures(30, 320, 240))


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
    give_clip(page, long)
    page.get_by_role("button", name="+ Interpolate").click()
    page.get_by_role("button", name="+ Colorize").click()
    settings = page.locator("#film-chain .restore-chain-step").nth(1)
    settings.get_by_label("Model", exact=True).select_option("Built-in")
    settings.get_by_label("Frames per second").fill("50")
    page.get_by_role("button", name="Move 3. Colorize up").click()
    expect(cards(page)).to_have_text(["1. Upscale", "2. Colorize", "3. Interpolate"])
    expect(page.get_by_role("button", name="Move 2. Colorize up")).to_be_focused()  # ready to be moved on
    page.keyboard.press("Enter")
    expect(cards(page)).to_have_text(["1. Colorize", "2. Upscale", "3. Interpolate"])
    page.get_by_role("checkbox", name="Use 1. Colorize").uncheck()
    foreseen = page.locator("#film-foreseen")
    expect(foreseen).to_contain_text("640 × 480 pixels · 50 frames per second · 60 frames", use_inner_text=True)
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
    assert (name, video.width, video.height, video.frames) == ("long_restored.mp4", 640, 480, 60)
    report = json.loads(downloaded(again, "#film-report-file")[1])
    assert report["recipe"]["steps"] == chain
    again.get_by_role("button", name="Forget").click()
    expect(again.locator("#own-jobs section")).to_be_hidden()


def test_recipes_are_chosen_loaded_and_saved(visit: Visit, tmp_path: Path) -> None:
    page = open_film(visit, ENLARGE, GREY)  # not as many as there are to begin with: the link has been read
    page.get_by_label("Start from a recipe").select_option("Silent film")
    expected = [stage.to_dict() for stage in named_recipe("silent-film").steps]
    expect(cards(page)).to_have_count(len(expected))
    assert linked(page, *(step["stage"] for step in expected)) == expected
    page.get_by_role("button", name="Remove 1.").click()
    saved = tmp_path / "saved.json"
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a recipe").click()
    download.value.save_as(saved)
    assert [step["stage"] for step in json.loads(saved.read_text())["steps"]] == [
        step["stage"] for step in expected[1:]
    ]

    # What the editor has no field for stays.
    given = [{**ENLARGE, "num_frames": 5}, GREY]
    saved.write_text(json.dumps({"version": 1, "title": "Mine", "steps": given}))
    chooser = page.locator("#film-chain input[type=file]")
    chooser.set_input_files(saved)
    expect(cards(page)).to_have_text(["1. Upscale", "2. Colorize"])
    found = linked(page, "upscale", "colorize")
    assert found == [stage.to_dict() for stage in steps_over_http(given)]
    assert found[0]["num_frames"] == 5
    for wrong, complaint in (
        ('{"version": 1, "steps": [{"stage": "polish"}]}', "no known stage"),
        ("{", "not valid JSON"),
        ('[{"stage": "colorize", "references": ["/etc/hostname"]}]', "references names files"),
    ):
        saved.write_text(wrong)
        chooser.set_input_files(saved)
        expect(page.get_by_test_id("toast-body").filter(has_text=complaint)).to_be_visible()
    expect(cards(page)).to_have_text(["1. Upscale", "2. Colorize"])
    for each in ("Use 1. Upscale", "Use 2. Colorize"):
        page.get_by_role("checkbox", name=each).uncheck()
    expect(page.locator("#film-link")).to_contain_text("no stage that is switched on")


def test_a_link_that_is_wrong_says_so(visit: Visit) -> None:
    page = visit("?chain=1.abc")
    expect(page.locator("#film-link")).to_contain_text("cut off or changed", timeout=WORK_MILLISECONDS)
    expect(cards(page)).to_have_text(["1. Upscale"])


@pytest.mark.parametrize(("locale", "width"), [("en-US", 390), ("zh-CN", 390), ("zh-CN", 1280)])
def test_nothing_is_cut_off_or_without_a_name(visit: Visit, small: Path, locale: str, width: int) -> None:
    every = [{"stage": name} for name in STAGES]
    page = open_film(visit, ENLARGE, *every, locale=locale, width=width, theme="dark")
    for head in page.locator("#film-chain .restore-chain-head").all():
        head.click()
    give_clip(page, small)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(UNNAMED) == []
    words = page.locator("#film-chain").inner_text()
    assert bool(re.search("[一-鿿]", words)) == (locale == "zh-CN")


@pytest.mark.slow
def test_a_frame_and_three_seconds_are_previewed(visit: Visit, tmp_path: Path) -> None:
    page = open_film(visit, {**ENLARGE, "strength": 0}, DOUBLE)
    give_clip(page, write_clip(tmp_path / "clip.mp4", pictures(125, 32, 32)))
    unfold(page, "film-frame")
    page.locator("#film-frame-run").click()
    shown = page.locator("#film-frame-viewer .restore-port img")
    shown.first.wait_for(timeout=WORK_MILLISECONDS)
    assert shown.evaluate_all("all => all.map(one => one.naturalWidth)") == [64, 64]
    unfold(page, "film-moment")
    page.locator("#film-moment-run").click()
    player = page.locator("#film-moment-players video").last
    expect(player).to_have_js_property("readyState", 4, timeout=WORK_MILLISECONDS)
    assert player.evaluate("one => [one.videoWidth, Math.round(one.duration)]") == [64, 3]


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
    assert client.predict(third, api_name="/cancel_job")["state"] == "stopped"
    for job, frames, width in ((first, 60, 640), (second, 20, 128)):
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
