"""What a server on the open net has to stand: many visitors at once, strangers who ask for files, search engines."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError, AuthenticationError
from PIL import Image

from restore.ui.uploads import remove_old
from tests.server import Server, running

VISITORS = 20
SIDE = 48
PATIENCE = 300.0
# The peak of twenty requests over that of one: they wait for each other, so only what is small is there twenty times.
MOST_MEMORY = 1.35


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("sharing"), RESTORE_MAX_FILE_MB="1", RESTORE_MAX_CLIP_MB="1") as server:
        yield server


def coloured(folder: Path, number: int) -> tuple[Path, tuple[int, int, int]]:
    """A picture of one colour of its own."""
    colour = (10 * number + 20, 240 - 10 * number, (37 * number) % 200 + 20)
    path = folder / f"visitor{number}.png"
    Image.new("RGB", (SIDE, SIDE), colour).save(path)
    return path, colour


class Watch(threading.Thread):
    """Watches the memory of a process and of its children: ``peak`` is the most that it saw, in bytes."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


def restore_one(server: Server, path: Path, downloads: Path) -> tuple[Path, dict[str, Any]]:
    """One visitor, from the first request to the downloaded file."""
    client = Client(server.url, verbose=False, download_files=downloads)
    file, report = client.submit(handle_file(path), model="built-in", api_name="/restore_image").result(PATIENCE)
    return Path(file), report


def test_twenty_at_once_are_answered_in_order_each_with_the_own_picture(server: Server, tmp_path: Path) -> None:
    visitors = [coloured(tmp_path, number) for number in range(VISITORS)]
    restore_one(server, visitors[0][0], tmp_path / "first")  # loads the network
    with Watch(server.pid) as one:
        restore_one(server, visitors[0][0], tmp_path / "first")
    known = {path.name for path in server.jobs()}

    with Watch(server.pid) as twenty, ThreadPoolExecutor(VISITORS) as pool:
        answers = list(pool.map(lambda visitor: restore_one(server, visitor[0], tmp_path / visitor[0].stem), visitors))

    for number, ((file, report), (path, colour)) in enumerate(zip(answers, visitors, strict=True)):
        assert report["source"] == path.name
        assert file.name == f"visitor{number}_restored.png"
        with Image.open(file) as picture:
            assert picture.size == (4 * SIDE, 4 * SIDE)
            middle = np.asarray(picture)[SIDE:-SIDE, SIDE:-SIDE].reshape(-1, 3).mean(axis=0)
        assert np.abs(middle - colour).max() < 8, f"{path.name} got {middle}"
    folders = {path.name for path in server.jobs()} - known
    assert folders == {f"restore-{report['job']}" for _, report in answers}
    assert all(len(name) >= len("restore-") + 20 for name in folders)
    # In the order in which they came, one after the other.
    manifests = [json.loads((server.files / name / "job.json").read_text()) for name in folders]
    came = sorted(manifests, key=lambda manifest: manifest["created"])
    finished = sorted(folders, key=lambda name: (server.files / name / "job.json").stat().st_mtime_ns)
    assert [manifest["result"]["file"] for manifest in came] == [
        json.loads((server.files / name / "job.json").read_text())["result"]["file"] for name in finished
    ]
    assert twenty.peak < MOST_MEMORY * one.peak, f"{twenty.peak / 2**20:.0f} MiB, {one.peak / 2**20:.0f} MiB for one"


def test_strangers_get_no_file_but_one_whose_unguessable_name_they_know(server: Server, tmp_path: Path) -> None:
    _, report = restore_one(server, coloured(tmp_path, 1)[0], tmp_path)
    job = server.files / f"restore-{report['job']}"
    asked = [
        "/etc/passwd",
        f"{server.files}/../../../../../../../../etc/passwd",
        str(Path("app.py").resolve()),
        str(Path("restore/settings.py").resolve()),
        "app.py",
        "../app.py",
        str(server.log),
        str(server.files),
        f"{server.files}/",
        str(job),
        f"{server.files}/restore-{'A' * len(report['job'])}/visitor1_restored.png",
    ]
    with httpx.Client(base_url=server.url) as web:
        for path in asked:
            for encoded in (path, path.replace("/", "%2F"), path.replace(".", "%2e")):
                for address in (f"gradio_api/file={encoded}", f"gradio_api/file/{encoded}", f"file={encoded}"):
                    answer = web.get(address)
                    assert answer.status_code in (307, 403, 404), (address, answer.status_code, answer.text[:200])
                    assert "root:" not in answer.text
                    assert report["job"] in path or report["job"] not in answer.text
        # No page lists what is there.
        for address in ("", "config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/startup-events"):
            assert report["job"] not in web.get(address).text
        assert web.get(f"gradio_api/file={job / 'visitor1_restored.png'}").status_code == 200


def test_search_engines_are_kept_out(server: Server) -> None:
    assert httpx.get(f"{server.url}robots.txt").text.split() == ["User-agent:", "*", "Disallow:", "/"]
    for address in ("", "?job=abc", "config", "gradio_api/info", "gradio_api/file=/nothing"):
        assert httpx.get(server.url + address).headers["X-Robots-Tag"] == "noindex, nofollow"


def test_a_file_that_is_too_large_is_refused_on_arrival(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(b"x" * (2**20 + 100_000))
    before = {file for file in server.files.rglob("*") if file.is_file()}
    with path.open("rb") as file:
        answer = httpx.post(f"{server.url}gradio_api/upload", files={"files": ("large.png", file)})
    assert answer.status_code == 413
    with pytest.raises(ValueError, match="exceeds the maximum file size"):
        Client(server.url, verbose=False).predict(handle_file(path), api_name="/restore_image")
    assert {file for file in server.files.rglob("*") if file.is_file()} == before


def test_old_uploads_go_and_what_the_page_needs_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    upload, shown = (tmp_path / (letter * 64) / "picture.png" for letter in "ab")
    result = tmp_path / "restore-abc" / "result.png"
    coming, broken_off = tmp_path / "tmpabcdefg1", tmp_path / "tmpabcdefg2"  # as Gradio calls them
    for path in (coming, broken_off):
        path.write_bytes(b"x")
    os.utime(broken_off, (0, time.time() - 1000))
    for path in (upload, shown, result):
        path.parent.mkdir()
        path.write_bytes(b"x")
    page = SimpleNamespace(blocks={1: SimpleNamespace(keep_in_cache={str(shown)})})

    remove_old(page, 3600)  # type: ignore[arg-type]
    assert upload.is_file()
    assert coming.is_file()
    assert not broken_off.exists()
    remove_old(page, -1)  # type: ignore[arg-type]

    assert not upload.parent.exists()
    assert shown.is_file()
    assert result.is_file()


@pytest.mark.slow
def test_a_result_outlives_the_server(tmp_path: Path) -> None:
    picture, _ = coloured(tmp_path, 4)
    with running(tmp_path / "server") as server:
        file, report = restore_one(server, picture, tmp_path)
        data = file.read_bytes()
        os.kill(server.pid, signal.SIGINT)  # as Ctrl-C does, after which Gradio cleans up
        psutil.Process(server.pid).wait(30)
    with running(tmp_path / "server") as server:
        client = Client(server.url, verbose=False, download_files=tmp_path / "again")
        assert client.predict(id=report["job"], api_name="/job")["state"] == "finished"
        again, same = client.predict(id=report["job"], api_name="/job_result")
    assert Path(again).read_bytes() == data
    assert same == report


@pytest.mark.slow
def test_with_a_login_strangers_see_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "server", RESTORE_LOGIN="anna:secret,otto:word") as server:
        picture, _ = coloured(tmp_path, 3)
        client = Client(server.url, auth=("otto", "word"), verbose=False, download_files=tmp_path)
        file, report = client.predict(handle_file(picture), model="built-in", api_name="/restore_image")
        result = server.files / f"restore-{report['job']}" / Path(file).name
        assert result.is_file()

        with httpx.Client(base_url=server.url) as stranger:
            for address in ("config", "gradio_api/info", "gradio_api/openapi.json", f"gradio_api/file={result}"):
                assert stranger.get(address).status_code == 401, address
            with picture.open("rb") as file_object:
                answer = stranger.post("gradio_api/upload", files={"files": ("a.png", file_object)})
            assert answer.status_code == 401
            for endpoint in ("models", "job_result", "restore_image"):
                answer = stranger.post(f"gradio_api/call/v2/{endpoint}", json={"id": report["job"]})
                assert answer.status_code == 401, endpoint
            assert "auth_required" in stranger.get("").text
            wrong = stranger.post("login", data={"username": "anna", "password": "word"})
            assert wrong.status_code == 400
        with pytest.raises((AuthenticationError, AppError, ValueError)):
            Client(server.url, auth=("otto", "secret"), verbose=False)
        assert "secret" not in server.log.read_text()


WATCHED_APP = """
import runpy, sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        host = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        print("CONTACT", host[0] if isinstance(host, tuple) else host, flush=True)

sys.addaudithook(watch)
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.mark.slow
def test_the_server_asks_nobody_anything(tmp_path: Path) -> None:
    program = tmp_path / "watched.py"
    program.write_text(WATCHED_APP)
    root = str(Path(__file__).parent.parent)
    with running(tmp_path / "server", [str(program)], PYTHONPATH=root) as server:
        restore_one(server, coloured(tmp_path, 2)[0], tmp_path)
        time.sleep(1)  # what a thread in the background would send
        contacts = [line.split()[1] for line in server.log.read_text().splitlines() if line.startswith("CONTACT")]
    assert contacts  # the program does look whether its own address answers
    assert set(contacts) <= {"127.0.0.1", "localhost", "::1", "0.0.0.0", "None", os.uname().nodename}
