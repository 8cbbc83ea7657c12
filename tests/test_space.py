"""The program as a Space with ZeroGPU starts it: the real package ``spaces`` against a stand-in for its service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Browser, expect

import restore
from restore.cost import WANTED_GPU_SECONDS, gpu_seconds
from restore.recipes import encode
from restore.settings import Settings
from restore.stages import Upscale
from tests.browser import browser as browser
from tests.clips import Sound, pictures, write_clip
from tests.server import Server, running
from tests.test_page import WORK_MILLISECONDS, downloaded
from tests.test_segments import seen
from tests.zerogpu import DeviceService, device_service

# app.py, but the process that a GPU is given to takes the processor; all else is as on a Space.
ON_A_PROCESSOR = """
import runpy
import spaces
from spaces.zero import torch
torch.init = lambda uuid: None
torch.move = lambda callback=None: None
runpy.run_path("app.py", run_name="__main__")
"""
# What the proxy of a Space puts into a request for a visitor: a token with an empty payload.
TOKEN = "head.e30.signature"
# As RESTORE_SEGMENT_SECONDS has it there.
SHORT = replace(Settings(), segment_seconds=1)


@contextmanager
def space(folder: Path, *command: str, **environment: str) -> Iterator[tuple[Server, DeviceService]]:
    with device_service() as service:
        variables = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": service.url, **environment}
        with running(folder, command, **variables) as server:
            yield server, service


def picture(folder: Path) -> Path:
    path = folder / "old.png"
    Image.fromarray(np.arange(24 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(24, 32, 3)).save(path)
    return path


@pytest.mark.slow
def test_the_program_starts_and_says_so_where_no_gpu_can_be_had(tmp_path: Path) -> None:
    """There is no GPU here, so that the process that one would be given to fails as it begins."""
    with space(tmp_path, "app.py") as (server, service):
        # Only sent if a function is registered that a GPU can be given to.
        assert service.requests == [("/startup-report", {})]
        client = Client(server.url, verbose=False, download_files=tmp_path)
        assert client.predict(api_name="/models")["device"]["kind"] == "cuda"
        with pytest.raises(AppError, match=r"could not lend a graphics card just now \(\w+\): try again"):
            client.predict(handle_file(picture(tmp_path)), model="built-in", api_name="/restore_image")
        assert service.requests[-1] == ("/release", {"allowToken": "token", "fail": "true"})
        assert server.jobs() == []
        assert client.predict(api_name="/models")["models"]


@pytest.mark.slow
def test_a_picture_goes_to_the_gpu_and_back_on_the_visitors_own_account(tmp_path: Path) -> None:
    with space(tmp_path, "-c", ON_A_PROCESSOR) as (server, service):
        client = Client(server.url, verbose=False, download_files=tmp_path, headers={"X-IP-Token": TOKEN})
        source = handle_file(picture(tmp_path))
        for _ in range(2):
            path, report = client.predict(source, model="built-in", scale=2, api_name="/restore_image")
            with Image.open(path) as result:
                assert result.size == (64, 48)
            assert report["stages"][0]["models"][0]["name"] == "built-in"
        asked = [query for path, query in service.requests if path == "/schedule"]
        assert [query["token"] for query in asked] == [TOKEN] * 2
        assert {float(query["durationSeconds"]) for query in asked} == {
            gpu_seconds([Upscale(model="built-in", scale=2)], 32, 24)
        }
        # One process for both, with the GPU; it is another one than the server's.
        (process,) = [int(query["pid"]) for path, query in service.requests if path == "/allow"]
        assert process != server.pid
        assert service.requests[-1] == ("/release", {"allowToken": "token", "fail": "false"})

        # Without a model, no GPU is asked for.
        count = len(service.requests)
        client.predict(source, strength=0, scale=2, api_name="/restore_image")
        assert len(service.requests) == count

        service.quota_left = 3
        with pytest.raises(AppError, match=r"used up for now: try again in 1:00:00 \(hours"):
            client.predict(source, model="built-in", api_name="/restore_image")
    assert not psutil.pid_exists(process)  # it ends with the server


@pytest.mark.slow
def test_a_film_goes_to_the_gpu_by_segments_and_goes_on_when_there_is_quota_again(
    browser: Browser, tmp_path: Path
) -> None:
    steps = [{"stage": "upscale", "model": "built-in", "scale": 2}]
    source = write_clip(tmp_path / "old.mp4", pictures(60, 64, 48), sounds=[Sound(seconds=2.4)])
    with space(tmp_path, "-c", ON_A_PROCESSOR, RESTORE_SEGMENT_SECONDS="1") as (server, service):
        page = browser.new_page(extra_http_headers={"X-IP-Token": TOKEN})
        page.goto(f"{server.url}?chain={encode(steps)}")
        page.set_default_timeout(WORK_MILLISECONDS)
        page.locator("#film-upload input[type=file]").set_input_files(source)
        page.locator("#film-shown img").wait_for()
        service.calls_left = 1
        page.locator("#film-run").click()
        status = page.locator("#film-status")
        expect(status).to_contain_text("Paused. What is done is kept", timeout=WORK_MILLISECONDS)
        expect(status).to_contain_text("used up for now: try again in 1:00:00")
        expect(page.locator("#film-so-far")).to_contain_text("Done so far: the first 0:00:02", use_inner_text=True)
        player = page.locator("#film-so-far-player video").last
        expect(player).to_have_js_property("readyState", 4)
        shown = player.evaluate("one => [one.videoWidth, one.videoHeight, Math.round(one.duration)]")
        assert shown == [128, 96, 2]

        service.calls_left = None
        page.reload()
        page.locator("#film-resume").click()
        expect(status).to_contain_text("Finished", timeout=WORK_MILLISECONDS)
        expect(page.locator("#film-so-far")).to_be_hidden()
        result, data = downloaded(page, "#film-download")
        report = json.loads(downloaded(page, "#film-report-file")[1])
        page.close()
    (tmp_path / result).write_bytes(data)
    restore.restore_video(source, tmp_path / "here.mp4", steps, work=tmp_path / "work", settings=SHORT)
    assert seen(tmp_path / result) == seen(tmp_path / "here.mp4")
    assert report["clip"]["segments"] == {"all": 2, "made": 1}
    # Two segments and a call that was refused, for the same seconds, all on the account of the visitor.
    asked = [query for path, query in service.requests if path == "/schedule"]
    assert [query["token"] for query in asked] == [TOKEN] * 3
    assert all(float(query["durationSeconds"]) <= WANTED_GPU_SECONDS for query in asked)


@pytest.mark.slow
def test_a_server_that_is_asked_to_end_leaves_no_half_done_job(tmp_path: Path) -> None:
    large = tmp_path / "large.png"
    Image.new("RGB", (700, 500), "grey").save(large)
    with running(tmp_path / "server") as server:
        client = Client(server.url, verbose=False, download_files=tmp_path)
        client.submit(handle_file(large), model="built-in", scale=8, api_name="/restore_image")
        deadline = time.monotonic() + 60
        while not server.jobs():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert server.jobs() == []
