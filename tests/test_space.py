"""The program as a Space with ZeroGPU starts it: the real package ``spaces`` against a stand-in for its service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from restore.cost import gpu_seconds
from restore.stages import Upscale
from tests.server import Server, running
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


@contextmanager
def space(folder: Path, *command: str) -> Iterator[tuple[Server, DeviceService]]:
    with device_service() as service:
        variables = {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": service.url}
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
