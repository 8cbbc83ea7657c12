"""Jobs: the queue, the ends that a job can come to, what is kept and for how long."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from restore import jobs
from restore.errors import UNEXPECTED, BusyError, Cancelled, InputError, OutputError, SettingsError
from restore.executors import LocalExecutor
from restore.jobs import MANIFEST, PREFIX, Job, JobStore, State
from restore.progress import Progress
from restore.settings import MEBI, load_settings

SECONDS = 10.0  # far more than anything here takes

Open = Callable[..., JobStore]


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Open]:
    """Makes stores below one folder, as one process after the other would, and closes them."""
    stores: list[JobStore] = []

    def make(*, keep_seconds: float = 3600.0, keep_bytes: int = MEBI, max_waiting: int = 50) -> JobStore:
        store = JobStore(
            tmp_path, LocalExecutor(), keep_seconds=keep_seconds, keep_bytes=keep_bytes, max_waiting=max_waiting
        )
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close(SECONDS)


class Held:
    """Work that goes on until it is let go or stopped."""

    def __init__(self) -> None:
        self.began, self.go = threading.Event(), threading.Event()

    def __call__(self, progress: Progress, folder: Path) -> Mapping[str, Any]:
        (folder / "half").touch()
        self.began.set()
        while not self.go.wait(0.01):
            progress.check()
        return {"file": "half"}


def write(text: str) -> Callable[[Progress, Path], Mapping[str, Any]]:
    def work(progress: Progress, folder: Path) -> Mapping[str, Any]:
        (folder / "result.txt").write_text(text)
        return {"file": "result.txt", "size": (3, 4)}

    return work


def finished(store: JobStore, work: Callable[[Progress, Path], Mapping[str, Any]]) -> Job:
    job = store.begin(work)
    assert job.wait(SECONDS)
    return job


def folders(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def test_jobs_run_one_at_a_time_in_the_order_in_which_they_came(open_store: Open) -> None:
    store, first, ran = open_store(), Held(), []

    def note(number: int) -> Callable[[Progress, Path], Mapping[str, Any]]:
        def work(progress: Progress, folder: Path) -> Mapping[str, Any]:
            ran.append(number)
            return {}

        return work

    running = store.begin(first)
    waiting = [store.begin(note(number)) for number in range(5)]
    assert first.began.wait(SECONDS)
    assert running.snapshot().state is State.RUNNING
    assert [job.snapshot().state for job in waiting] == [State.WAITING] * 5
    assert [job.snapshot().ahead for job in waiting] == [1, 2, 3, 4, 5]
    waiting[1].stop()
    assert waiting[1].snapshot().state is State.STOPPED
    assert [job.snapshot().ahead for job in waiting] == [1, 0, 2, 3, 4]
    first.go.set()
    assert all(job.wait(SECONDS) for job in waiting)
    assert ran == [0, 2, 3, 4]
    with pytest.raises(Cancelled):
        waiting[1].result()


def test_a_running_job_stops_when_asked_and_leaves_nothing(open_store: Open, tmp_path: Path) -> None:
    store, work = open_store(), Held()
    job = store.begin(work)
    assert work.began.wait(SECONDS)
    assert stat.S_IMODE(job.folder.stat().st_mode) == 0o700
    job.stop()
    assert job.wait(SECONDS)
    assert job.snapshot().state is State.STOPPED
    assert folders(tmp_path) == set()
    with pytest.raises(Cancelled, match="stopped before it was finished"):
        job.result()
    assert finished(store, write("next")).snapshot().state is State.FINISHED


def test_a_request_to_stop_counts_until_the_result_is_there(open_store: Open, tmp_path: Path) -> None:
    store = open_store()

    def stop_at_the_end(progress: Progress, folder: Path) -> Mapping[str, Any]:
        assert begun.wait(SECONDS)
        job.stop()
        return {}

    begun = threading.Event()
    job = store.begin(stop_at_the_end)
    begun.set()
    assert job.wait(SECONDS)
    assert job.snapshot().state is State.STOPPED
    assert folders(tmp_path) == set()

    done = finished(store, write("kept"))
    done.stop()
    assert done.snapshot().state is State.FINISHED
    assert done.result()["file"] == "result.txt"


def test_a_job_that_fails_leaves_no_folder_and_holds_no_memory(open_store: Open, tmp_path: Path) -> None:
    held: list[weakref.ref[Any]] = []

    def fail(progress: Progress, folder: Path) -> Mapping[str, Any]:
        (folder / "half.png").write_bytes(b"x")
        tile = np.zeros(1000)
        held.append(weakref.ref(tile))
        raise InputError("The file is broken.")

    job = finished(open_store(), fail)
    for _ in range(2):
        with pytest.raises(InputError, match="broken"):
            job.result()
    assert job.snapshot().state is State.FAILED
    assert job.snapshot().error == "The file is broken."
    gc.collect()
    assert held[0]() is None
    assert folders(tmp_path) == set()


def test_an_unforeseen_error_is_logged_once_and_its_text_is_for_nobody_else(
    open_store: Open, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(progress: Progress, folder: Path) -> Mapping[str, Any]:
        raise KeyError("secret")

    job = finished(open_store(), fail)
    with pytest.raises(KeyError, match="secret"):
        job.result()
    assert job.snapshot().error == UNEXPECTED
    (record,) = caplog.records
    assert record.exc_info is not None
    assert "secret" in str(record.exc_info[1])


def test_an_error_that_came_of_itself_ends_the_job(open_store: Open) -> None:
    def fail(progress: Progress, folder: Path) -> Mapping[str, Any]:
        first, second = InputError("first"), InputError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    with pytest.raises(InputError, match="first"):
        finished(open_store(), fail).result()


def test_what_is_no_json_fails_at_once_and_not_when_it_is_fetched(open_store: Open, tmp_path: Path) -> None:
    job = finished(open_store(), lambda progress, folder: {"path": folder})
    with pytest.raises(TypeError, match="JSON"):
        job.result()
    assert folders(tmp_path) == set()


def test_a_result_is_found_again_by_its_id_in_another_process_too(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    job = finished(store, write("text"))
    later = open_store()
    for found in (store.find(job.id), later.find(job.id)):
        assert found.ended
        assert found.snapshot().state is State.FINISHED
        assert found.snapshot().seconds == pytest.approx(job.snapshot().seconds)
        assert found.result() == job.result() == {"file": "result.txt", "size": [3, 4]}
        assert (found.folder / str(found.result()["file"])).read_text() == "text"
    (job.folder / "result.txt").unlink()
    for each in (store, later):
        with pytest.raises(InputError, match="no such job"):
            each.find(job.id)


def test_a_running_job_is_found_but_only_by_its_whole_id(open_store: Open, tmp_path: Path) -> None:
    store, work = open_store(), Held()
    job = store.begin(work)
    assert store.find(job.id) is job
    assert len({store.begin(write("")).id for _ in range(3)} | {job.id}) == 4
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text("{}")
    awkward = [
        "",
        job.id[:-1],
        f"{job.id}x",
        "../other",
        f"x/../{job.id}",
        f"{job.id}\n",
        f"{PREFIX}{job.id}",
        "x" * 22,
    ]
    for id in [*awkward, "." * 22, "/" * 22, "\0" * 22, None, 7, ["x"]]:
        with pytest.raises(InputError, match="no such job"):
            store.find(id)  # type: ignore[arg-type]
    work.go.set()


def test_no_file_is_touched_for_an_id_that_is_none_of_ours(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = open_store()
    (tmp_path / f"{PREFIX}ok").mkdir()

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("A file was read.")

    monkeypatch.setattr(Path, "read_text", refuse)
    for id in ("../../etc/passwd", "ok/../ok", "ok", "a" * 21 + "/"):
        with pytest.raises(InputError):
            store.find(id)
    with pytest.raises(AssertionError):
        store.find("a" * 22)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "title": ""}', "\ud800"])
def test_a_manifest_that_makes_no_sense_is_no_result(open_store: Open, tmp_path: Path, text: str) -> None:
    folder = tmp_path / f"{PREFIX}{'a' * 22}"
    folder.mkdir()
    (folder / MANIFEST).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match="no such job"):
        open_store().find("a" * 22)


def test_results_and_what_a_killed_process_left_go_when_they_are_old(open_store: Open, tmp_path: Path) -> None:
    store = open_store(keep_seconds=1000)
    old, fresh = finished(store, write("old")), finished(store, write("fresh"))
    orphan, young, foreign = tmp_path / f"{PREFIX}orphan", tmp_path / f"{PREFIX}young", tmp_path / "foreign"
    for folder in (orphan, young, foreign):
        folder.mkdir()
    for path in (old.folder / MANIFEST, orphan, foreign):
        os.utime(path, (0, time.time() - 1060))
    work = Held()
    running = store.begin(work)
    assert work.began.wait(SECONDS)
    os.utime(running.folder, (0, 0))
    store.tidy()
    expected = {fresh.folder.name, young.name, foreign.name, running.folder.name}
    assert folders(tmp_path) == expected
    with pytest.raises(InputError):
        store.find(old.id)
    assert store.find(fresh.id).result()
    work.go.set()


def test_what_a_killed_process_left_half_done_goes_at_once(open_store: Open, tmp_path: Path) -> None:
    killed = """
import os, signal, sys
from pathlib import Path
from restore.executors import LocalExecutor
from restore.jobs import JobStore

def work(progress, folder):
    (folder / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)

store = JobStore(Path(sys.argv[1]), LocalExecutor(), keep_seconds=3600, keep_bytes=2**20, max_waiting=1)
store.begin(work).wait(60)
"""
    store, work = open_store(), Held()
    kept, running = finished(store, write("kept")), store.begin(work)
    assert work.began.wait(SECONDS)
    assert subprocess.run([sys.executable, "-c", killed, str(tmp_path)]).returncode == -signal.SIGKILL
    assert len(folders(tmp_path)) == 3
    open_store()  # of another process: what the first one is at is not touched
    assert folders(tmp_path) == {kept.folder.name, running.folder.name}
    assert folders(kept.folder) == {MANIFEST, "result.txt"}
    work.go.set()
    assert running.wait(SECONDS)
    assert folders(running.folder) == {MANIFEST, "half"}


def test_the_oldest_results_go_when_all_together_are_too_large(open_store: Open, tmp_path: Path) -> None:
    store = open_store(keep_bytes=25_000)
    ended = [finished(store, write("x" * 10_000)) for _ in range(2)]
    for age, job in enumerate(reversed(ended)):
        os.utime(job.folder / MANIFEST, (0, time.time() - 10 - age))
    work = Held()
    running = store.begin(work)
    assert work.began.wait(SECONDS)
    (running.folder / "large").write_bytes(bytes(50_000))
    store.tidy()
    assert folders(tmp_path) == {job.folder.name for job in (*ended, running)}
    work.go.set()
    ended.append(finished(store, write("x" * 10_000)))
    (running.folder / "large").unlink()
    store.tidy()
    assert ended[0].folder.name not in folders(tmp_path)
    assert {ended[1].folder.name, ended[2].folder.name} <= folders(tmp_path)


def test_an_idle_server_tidies_as_well(open_store: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan = tmp_path / f"{PREFIX}orphan"
    orphan.mkdir()
    os.utime(orphan, (0, 0))
    monkeypatch.setattr(jobs, "TIDY_SECONDS", 0.01)
    open_store()
    deadline = time.monotonic() + SECONDS
    while orphan.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not orphan.exists()


def test_jobs_with_no_result_are_forgotten_after_a_while(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store()

    def fail(progress: Progress, folder: Path) -> Mapping[str, Any]:
        raise InputError("broken")

    job = finished(store, fail)
    store.tidy()
    assert store.find(job.id).snapshot().error == "broken"
    monkeypatch.setattr(jobs, "REMEMBERED_SECONDS", -1.0)
    store.tidy()
    with pytest.raises(InputError, match="no such job"):
        store.find(job.id)


def test_a_full_queue_and_a_full_disk_are_refused(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store, work = open_store(max_waiting=2), Held()
    accepted = [store.begin(work) for _ in range(3)]
    with pytest.raises(BusyError, match="2 jobs are waiting already"):
        store.begin(work)
    accepted[1].stop()
    accepted.append(store.begin(work))
    work.go.set()
    assert all(job.wait(SECONDS) for job in accepted)

    usage = shutil.disk_usage(store.root)._replace(free=100 * MEBI)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OutputError, match="almost full"):
        store.begin(work)


def test_the_end_of_the_process_stops_everything_and_keeps_results(open_store: Open, tmp_path: Path) -> None:
    store, work = open_store(), Held()
    kept = finished(store, write("kept"))
    running, waiting = store.begin(work), store.begin(write(""))
    assert work.began.wait(SECONDS)
    store.close(SECONDS)
    assert [job.snapshot().state for job in (running, waiting)] == [State.STOPPED] * 2
    assert folders(tmp_path) == {kept.folder.name}


def test_a_folder_that_cannot_be_made_is_said_in_words(open_store: Open, tmp_path: Path) -> None:
    store, work = open_store(), Held()
    first, second = store.begin(work), store.begin(write(""))
    second.folder.touch()
    work.go.set()
    assert first.wait(SECONDS)
    assert second.wait(SECONDS)
    with pytest.raises(OutputError, match="No folder for the result"):
        second.result()


def test_progress_counts_the_time_that_is_left(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store, now = open_store(), [100.0]

    def advance(progress: Progress, folder: Path) -> Mapping[str, Any]:
        assert begun.wait(SECONDS)
        monkeypatch.setattr(jobs, "time", Clock)
        progress.begin("upscale")
        progress.advance(1, 2, "bytes")
        progress.advance(10, 50, "tiles")
        now[0] += 20
        progress.advance(20, 50, "tiles")
        now[0] += 5
        snapshots.append(job.snapshot())
        monkeypatch.setattr(jobs, "time", time)
        return {}

    class Clock:
        monotonic = staticmethod(lambda: now[0])

    snapshots: list[jobs.Snapshot] = []
    begun = threading.Event()
    job = store.begin(advance)
    begun.set()
    assert job.wait(SECONDS)
    download, tiles = snapshots[0].stages
    assert download.seconds_left is None
    assert tiles.position.done == 20
    assert tiles.seconds_left == pytest.approx(2 * 30 - 5)


def test_the_settings_of_a_shared_page() -> None:
    environ = {
        "RESTORE_KEEP_HOURS": "0.5",
        "RESTORE_KEEP_MB": "20",
        "RESTORE_QUEUE": "3",
        "RESTORE_LOGIN": "ann:se:cret, bob:p w ,",
    }
    settings = load_settings(environ)
    assert settings.keep_seconds == 1800
    assert settings.keep_bytes == 20 * MEBI
    assert settings.max_waiting == 3
    assert settings.login == (("ann", "se:cret"), ("bob", "p w"))
    assert "cret" not in repr(settings)
    assert load_settings({}).login == ()
    # Where anybody may send clips, they are smaller unless whoever runs the server says otherwise.
    mine = load_settings({}).max_clip_bytes
    for public in ({"SPACE_ID": "ann/restore"}, {"GRADIO_SHARE": "True"}):
        assert load_settings(public).max_clip_bytes < mine
        assert load_settings(public | {"RESTORE_MAX_CLIP_MB": "9000"}).max_clip_bytes == 9000 * MEBI
    for wrong in ("ann", "ann:", ":cret", "ann:one,cret"):
        with pytest.raises(SettingsError, match="RESTORE_LOGIN") as refused:
            load_settings({"RESTORE_LOGIN": wrong})
        assert "cret" not in str(refused.value)


def test_a_manifest_says_what_the_job_was(open_store: Open) -> None:
    job = open_store().begin(write("x"), title="old photo.png")
    assert job.wait(SECONDS)
    manifest = json.loads((job.folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["title"] == "old photo.png"
    assert manifest["state"] == "finished"
    assert manifest["files"] == ["result.txt"]
    assert manifest["result"] == {"file": "result.txt", "size": [3, 4]}
