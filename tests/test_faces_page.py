"""Faces on the page and over the API: offered with what they need, shown before a run, never what a job fails for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Page, expect

from restore.faces import find
from restore.faces.detect import Detector, Face
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Faces
from restore.ui.face_panel import MARKED, mark_faces
from tests.browser import browser as browser
from tests.clips import pictures, write_clip
from tests.server import Server, running
from tests.test_page import WORK_MILLISECONDS, Visit, downloaded, faithfully, give_picture, gradient, unfold
from tests.test_page import visit as visit
from tests.test_video_page import finished, give_clip, to_clips, with_what_is_at_hand

LEFT = "Faces were left as they are"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page")) as started:
        yield started
        assert "Traceback" not in started.log.read_text()


def with_faces(page: Page, prefix: str = "") -> None:
    unfold(page, f"{prefix}faces")
    page.locator(f"#{prefix}faces-on input").check()


def test_faces_are_offered_with_what_they_need_and_a_run_without_them_succeeds(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    give_picture(page, gradient(tmp_path / "small.png", 40, 30))
    faithfully(page)
    unfold(page, "faces")
    expect(page.locator("#faces-model")).to_be_hidden()
    page.locator("#faces-on input").check()
    expect(page.locator("#faces-note")).to_contain_text("GFPGAN 1.4 will be used")
    expect(page.locator("#faces-note")).to_contain_text("543.5 MB are downloaded first")
    expect(page.locator("#fidelity")).to_be_hidden()
    page.locator("#faces-model input").click()
    page.get_by_role("option", name="CodeFormer").click()
    expect(page.locator("#fidelity")).to_be_visible()
    expect(page.locator("#faces-note")).to_contain_text("non-commercial use only")

    page.locator("#find-run").click()
    expect(page.locator("#find-status").get_by_role("alert")).to_contain_text("finds faces", timeout=WORK_MILLISECONDS)
    page.locator("#run").click()
    expect(page.locator("#status")).to_contain_text("Finished", timeout=WORK_MILLISECONDS)
    expect(page.locator("#report")).to_contain_text(LEFT)
    assert downloaded(page, "#download")[0] == "small_restored.png"


def test_clips_have_faces_as_well(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    to_clips(page)
    give_clip(page, write_clip(tmp_path / "small.mp4", pictures(5, 64, 48)))
    with_what_is_at_hand(page)
    with_faces(page, "clip-")
    expect(page.locator("#clip-smoothing")).to_be_visible()
    page.locator("#clip-find-run").click()
    expect(page.locator("#clip-find-status").get_by_role("alert")).to_contain_text(
        "finds faces", timeout=WORK_MILLISECONDS
    )
    page.locator("#clip-run").click()
    finished(page)
    expect(page.locator("#clip-report")).to_contain_text(LEFT)


def test_the_faces_that_are_found_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.array([[30, 30], [50, 30], [40, 40], [32, 50], [48, 50]], float)
    seen = []

    def detect(_: Detector, batch: object) -> list[list[Face]]:
        seen.append(batch)
        large, small = np.array([20.0, 10, 60, 62]), np.array([80.0, 10, 86, 18])
        return [[Face(large, points, 0.99), Face(small, points / 10 + [80, 10], 0.98)]]

    class Here:
        source = None
        uses = ()

    monkeypatch.setattr(find, "open_detector", lambda name, engine: (Here(), None))
    monkeypatch.setattr(Detector, "detect", detect)
    picture = Image.new("RGB", (100, 80), (200, 40, 40))
    values = mark_faces(lambda: picture, Faces(min_size=20), Settings(), Progress(), tmp_path)
    assert values == {"found": {"faces": 2, "taken": 1, "picture": MARKED}}
    assert len(seen) == 1
    with Image.open(tmp_path / MARKED) as marked:
        rows = np.asarray(marked, int)
    green = (rows[..., 1] - rows[..., 0] > 60) & (rows[..., 1] - rows[..., 2] > 40)
    assert green[:, 18:63].sum() > 100
    assert not green[:, 70:].any()


def test_the_api_restores_faces_where_it_can(server: Server, tmp_path: Path) -> None:
    client = Client(server.url, verbose=False, download_files=str(tmp_path / "got"))
    picture = handle_file(gradient(tmp_path / "small.png", 40, 30))
    _, report = client.predict(picture, model="built-in", scale=2, faces="auto", api_name="/restore_image")
    steps = [{"stage": name, "model": model} for name, model in (("upscale", "built-in"), ("faces", "auto"))]
    assert [step["stage"] for step in report["recipe"]["steps"]] == [step["stage"] for step in steps]
    assert any(LEFT in warning for warning in report["warnings"])
    clip = handle_file(write_clip(tmp_path / "small.mp4", pictures(5, 64, 48)))
    _, report = client.predict(clip, model="built-in", faces="codeformer", face_fidelity=0.7, api_name="/upscale_video")
    assert report["recipe"]["steps"][1]["fidelity"] == 0.7
    assert any(LEFT in warning for warning in report["warnings"])
    with pytest.raises(AppError, match="does not restore faces"):
        client.predict(picture, faces="RealESRGAN_x4plus", api_name="/restore_image")
    with pytest.raises(AppError, match="either steps or faces, face_strength"):
        client.predict(picture, steps=steps, faces="auto", face_strength=0.5, api_name="/restore_image")
