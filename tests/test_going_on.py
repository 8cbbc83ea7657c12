"""Jobs on clips that end before their time: they are found by their ids, give what is done, and go on from there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from playwright.sync_api import Browser, expect

import restore
from restore import Encoding, Upscale
from restore.clip_plan import ClipOptions
from restore.errors import GoneError, InputError, OutputError
from restore.executors import LocalExecutor
from restore.jobs import ASKED, PREFIX, Job, JobStore, State
from restore.segments.folder import Shelf
from restore.settings import Settings, load_settings
from restore.ui.clip_again import STEM, join_so_far, lasting, resume, work_of
from restore.ui.clip_work import ClipWork
from tests.browser import browser as browser
from tests.clips import Sound, pictures, write_clip
from tests.server import running
from tests.test_api import wait_for

LIMIT = 120.0
OPTIONS = ClipOptions(start="0.1", encoding=Encoding(preset="ultrafast"), cuts=[1, "0:01.6"], untouched=["0,0.8,1,0.2"])
STEPS = [{"stage": "upscale", "model": "built-in", "scale": 2, "strength": 0.5}]

KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from restore.executors import LocalExecutor
from restore.jobs import JobStore
from restore.segments.folder import Shelf
from tests import test_going_on as ours

put = Shelf.put

def put_two(shelf, record):
    put(shelf, record)
    if record.bounds.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)

Shelf.put = put_two
root = Path(sys.argv[1])
store = ours.open_store(root)
jobs = [ours.begun(store, root) for _ in range(2)]
print(*(job.id for job in jobs), flush=True)
jobs[0].wait(ours.LIMIT)
"""


def settings_below(root: Path) -> Settings:
    return replace(load_settings(), segment_seconds=0.3, work_dir=root / "work")


def open_store(root: Path) -> JobStore:
    return JobStore(root, LocalExecutor(), keep_seconds=3600, keep_bytes=2**30, max_waiting=5)


def begun(store: JobStore, root: Path) -> Job:
    settings = replace(settings_below(root), precision="float32")
    steps = [Upscale(**{name: value for name, value in STEPS[0].items() if name != "stage"})]
    work = ClipWork(root / ("a" * 64) / "clip.mp4", "clip_restored.mp4", steps, settings, OPTIONS)
    return store.begin(lasting(work, "film"), title=work.name)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the uploads, with a clip of two seconds and a half."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    (tmp_path / ("a" * 64)).mkdir()
    write_clip(tmp_path / ("a" * 64) / "clip.mp4", pictures(60, 32, 24), sounds=[Sound(seconds=2.4)])
    return tmp_path


@pytest.fixture
def store(root: Path) -> Iterator[JobStore]:
    opened = open_store(root)
    yield opened
    opened.close(10)


def frames(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]


def test_a_job_whose_server_was_killed_says_so_gives_what_is_done_and_goes_on(root: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(root)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    running, waiting = killed.stdout.split()
    half = root / f"{PREFIX}{running}" / "clip_restored.mp4"
    half.touch()
    store, settings = open_store(root), settings_below(root)
    assert not half.exists()
    for id in (running, waiting):
        found = store.find(id)
        assert (found.ended, found.title, found.snapshot().state) == (True, "clip_restored.mp4", State.PAUSED)
        assert "The server ended before the work was finished." in (found.snapshot().error or "")
    assert found.asked is not None
    again = work_of(found.asked, settings)
    assert again.options == replace(OPTIONS, cuts=[1, "0:01.6"])
    assert (again.settings.precision, again.stages[0].to_dict()["strength"]) == ("float32", 0.5)

    part, done = join_so_far(store.find(running), settings)
    assert done.segments == 2
    shown = frames(part)
    assert resume(store, running, settings).id == running
    job = resume(store, running, settings)  # which it does by now
    assert job.wait(LIMIT)
    result = job.result()
    segments = result["report"]["clip"]["segments"]
    assert segments["all"] - segments["made"] == 2
    whole = frames(job.folder / result["file"])
    assert whole[: len(shown)] == shown
    assert len(whole) == 58  # 2.4 s less 0.1 s at 25 a second
    assert not [path for path in job.folder.iterdir() if path.name.startswith(STEM) or path.name == ASKED]
    with pytest.raises(InputError, match="nothing left to do"):
        resume(store, running, settings)
    store.close(10)

    later = open_store(root)  # what waited all the time still does
    assert later.find(running).result() == result
    assert later.find(waiting).snapshot().state is State.PAUSED
    (root / ("a" * 64) / "clip.mp4").unlink()
    with pytest.raises(InputError, match="upload it again and run the same"):
        resume(later, waiting, settings)
    later.close(10)


def test_a_job_that_is_stopped_is_paused_also_for_the_next_server(store: JobStore, root: Path) -> None:
    first, second = begun(store, root), begun(store, root)
    second.stop()
    wait_for(lambda: list((root / "work").glob("*/*/*.json")), LIMIT)
    first.stop()
    assert first.wait(LIMIT)
    for job in (first, second):
        assert job.snapshot().state is State.PAUSED
        assert {path.name for path in job.folder.iterdir()} == {ASKED}
        assert "What is done is kept" in (open_store(root).find(job.id).snapshot().error or "")
    assert join_so_far(first, settings_below(root))[1].segments > 0
    store.close(10)
    again = open_store(root)
    jobs = [resume(again, job.id, settings_below(root)) for job in (second, first)]
    assert jobs[1].snapshot().ahead == 1
    again.close(10)  # the server ends in order, and what it did not come to waits for the next one
    assert [open_store(root).find(job.id).snapshot().state for job in jobs] == [State.PAUSED] * 2


def test_a_full_disk_pauses_a_job_and_room_lets_it_go_on(
    store: JobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    usual, put = shutil.disk_usage, Shelf.put
    full = False

    def put_two(shelf: Shelf, record: Any) -> None:
        nonlocal full
        put(shelf, record)
        full = record.bounds.number >= 1

    monkeypatch.setattr(Shelf, "put", put_two)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 0) if full else usual(path))
    upload = root / ("a" * 64) / "clip.mp4"
    came = upload.stat()
    job = begun(store, root)
    assert job.wait(LIMIT)
    assert job.snapshot().state is State.PAUSED
    used = upload.stat()  # uploads go when they are old, but not while somebody works with them
    assert (used.st_ctime_ns > came.st_ctime_ns, used.st_mtime_ns) == (True, came.st_mtime_ns)
    assert "The disk is almost full" in (job.snapshot().error or "")
    with pytest.raises(OutputError, match="almost full"):
        resume(store, job.id, settings_below(root))
    monkeypatch.undo()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(root))
    assert join_so_far(store.find(job.id), settings_below(root))[1].segments == 2
    job = resume(store, job.id, settings_below(root))
    assert job.wait(LIMIT)
    assert job.snapshot().state is State.FINISHED


def test_what_is_no_job_on_a_clip_gives_no_part_and_does_not_go_on(store: JobStore, root: Path) -> None:
    def fail(progress: restore.Progress, folder: Path) -> Any:
        raise InputError("The picture is broken.")

    job = store.begin(fail)
    assert job.wait(LIMIT)
    with pytest.raises(InputError, match="cannot be taken up again"):
        resume(store, job.id, settings_below(root))
    with pytest.raises(InputError, match="nothing to be seen before"):
        join_so_far(job, settings_below(root))
    with pytest.raises(GoneError):
        resume(store, "x" * 22, settings_below(root))


@pytest.mark.slow
def test_a_part_is_had_at_any_time_and_the_list_of_jobs_goes_on_after_the_server_was_killed(
    tmp_path: Path, browser: Browser
) -> None:
    clip = write_clip(tmp_path / "film.mp4", pictures(150, 200, 150), sounds=[Sound(seconds=6)])
    short = {"RESTORE_SEGMENT_SECONDS": "1"}
    with running(tmp_path / "server", **short) as server:
        client = Client(server.url, verbose=False, download_files=tmp_path / "downloads")
        job = client.predict(handle_file(clip), STEPS, api_name="/begin_video")["job"]

        with pytest.raises(AppError, match="has not finished yet"):
            client.predict(job, api_name="/job_result")
        wait_for(lambda: list((tmp_path / "server").glob("hf/**/work/*/*/*.json")), 3 * LIMIT)
        file, facts = client.predict(job, partial=True, api_name="/job_result")
        assert (facts["partial"], facts["job"]) == (True, job)
        assert 0 < len(frames(Path(file))) < 150
        psutil.Process(server.pid).kill()
        psutil.Process(server.pid).wait(30)
    with running(tmp_path / "server", **short) as server:
        client = Client(server.url, verbose=False, download_files=tmp_path / "downloads")
        state = client.predict(job, api_name="/job_status")
        assert state["state"] == "paused"
        assert "The server ended" in state["error"]
        with pytest.raises(AppError, match="can go on from there"):
            client.predict(job, api_name="/job_result")
        file, facts = client.predict(job, partial=True, api_name="/job_result")
        begun = frames(Path(file))
        with browser.new_context(locale="en-US") as context:
            known = json.dumps([{"parameter": "film", "id": job, "time": 0}])
            context.add_init_script(f"localStorage.setItem('restore-jobs', {json.dumps(known)})")
            page = context.new_page()
            page.set_default_timeout(1000 * LIMIT)
            page.goto(server.url)
            expect(page.locator("#own-jobs li")).to_contain_text("paused", timeout=1000 * LIMIT)
            page.get_by_role("button", name="Resume film_restored.mp4").click()
            page.wait_for_url(f"**/?film={job}")
            page.locator("#film-download").wait_for(timeout=3000 * LIMIT)
        file, report = client.predict(job, partial=True, api_name="/job_result")  # by now all of it
    assert report["clip"]["segments"]["made"] < report["clip"]["segments"]["all"]
    whole = frames(Path(file))
    assert len(whole) == 150
    assert whole[: len(begun)] == begun
