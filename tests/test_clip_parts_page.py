"""Parts of a clip on the page: one that is to stay as it is, and one that all models are tried on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from restore.models import offered_for
from restore.ui.film_chain import chosen_steps, editor_value, with_model
from tests.browser import browser as browser
from tests.browser import type_number
from tests.clips import pictures, write_clip
from tests.server import Server, running
from tests.test_page import CUT_OFF, UNNAMED, WORK_MILLISECONDS, Visit, downloaded, unfold
from tests.test_page import visit as visit
from tests.test_video_page import finished, give_clip, to_clips, with_what_is_at_hand


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page")) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


def choose_part(page: Page, place: int) -> None:
    page.locator("#clip-untouched input").click()
    page.get_by_role("option").nth(place).click()


def test_a_part_is_chosen_typed_and_drawn_and_stays_as_it_is(visit: Visit, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "old.mp4", pictures(4, 96, 64))
    page = visit()
    to_clips(page)
    give_clip(page, source)
    with_what_is_at_hand(page)
    unfold(page, "clip-advanced")
    frame, part = page.locator("#clip-untouched-frame img"), page.locator("#clip-untouched-frame .restore-parts span")
    page.locator("#clip-untouched input").wait_for()
    expect(frame).to_be_hidden()
    choose_part(page, 1)
    expect(part).to_have_attribute("style", re.compile(r"left: 0%; top: 80%; width: 100%; height: 20%"))

    choose_part(page, 4)
    words = page.locator("#clip-untouched-parts").locator("input, textarea")
    words.fill("0, 80, 100, 20")
    words.press("Tab")
    expect(page.locator("#clip-untouched-problem")).to_contain_text("write 80px for pixels")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    corners = [(box["x"] + share * box["width"], box["y"] + share * box["height"]) for share in (0.251, 0.751)]
    page.mouse.move(*corners[0])
    page.mouse.down()
    page.mouse.move(*corners[1])
    page.mouse.up()
    expect(words).to_have_value(re.compile(r"2[456]%, 2[456]%, (49|50|51)%, (49|50|51)%"))
    expect(page.locator("#clip-untouched-problem")).to_be_hidden()
    words.fill("25%, 16px, 50%, 32px")
    words.press("Tab")
    expect(part).to_have_attribute("style", re.compile(r"left: 25%; top: 25%; width: 50%; height: 50%"))
    assert page.evaluate(UNNAMED) == []

    page.locator("#clip-run").click()
    finished(page)
    report = json.loads(downloaded(page, "#clip-report-file")[1])
    assert report["clip"]["untouched"] == [{"left": 0.25, "top": 0.25, "width": 0.5, "height": 0.5}]


@pytest.mark.slow
@pytest.mark.parametrize(("locale", "width"), [("en-US", 1280), ("zh-CN", 390)])
def test_all_models_are_tried_on_a_crop_of_a_clip_and_one_is_taken_over(
    visit: Visit, tmp_path: Path, locale: str, width: int
) -> None:
    source = write_clip(tmp_path / "old.mp4", pictures(20, 96, 64))
    page = visit(locale=locale, width=width)
    to_clips(page)
    give_clip(page, source)
    unfold(page, "clip-tryout")
    picture = page.locator("#clip-picker img")
    picture.wait_for()
    first = picture.get_attribute("src")
    type_number(page, "#clip-tryout-time", "0.7")
    expect(picture).not_to_have_attribute("src", first or "")
    page.locator("#clip-tryout-run").click()
    cells = page.locator("#clip-tryout-grid .restore-cell")
    expect(cells).to_have_count(1 + len(offered_for("upscale")), timeout=WORK_MILLISECONDS)
    shown = cells.filter(has=page.locator("img[src]"))
    expect(shown.last.locator("img")).to_have_js_property("naturalWidth", 128)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(UNNAMED) == []
    cells.nth(1).get_by_role("button").last.click()
    expect(page.locator("#clip-preset input:checked")).to_have_count(0)


def test_a_model_is_taken_over_into_the_first_stage_of_a_chain_that_enlarges() -> None:
    steps = [
        {"on": True, "step": {"stage": "clean"}},
        {"on": False, "step": {"stage": "upscale", "scale": 3}},
        {"on": True, "step": {"stage": "upscale", "scale": 2}},
    ]
    value = with_model({"steps": steps}, "edvr-m")
    assert [entry["on"] for entry in value["steps"]] == [True, False, True]
    assert value["steps"][1]["step"] == {"stage": "upscale", "scale": 3}
    assert chosen_steps(value)[-1].to_dict() | {"model": "edvr-m", "scale": 2} == chosen_steps(value)[-1].to_dict()
    assert with_model(editor_value([{"stage": "clean"}]), "edvr-m") == editor_value([{"stage": "clean"}])
