"""Jobs: what is long, kept apart from whoever watches it.

A job is an object with ``step()``, which an executor calls until the job has ended; the page, the API and the tests
only look at it. It has an unguessable id and a folder of its own. The result of one that finished stays there, with a
manifest that says what it is, so that it can be asked for by its id again, by another process as well, while it is
kept; the folder of one that failed or was stopped disappears.

Work that is ``Lasting`` can be described, so of such a job the folder keeps what was asked for, from the beginning on:
whatever ends the job or the process before the work is done, it is still found by its id, says what became of it, and
can be taken up again.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import UNEXPECTED, BusyError, Cancelled, GoneError, InputError, OutputError, Paused, RestoreError
from restore.process_mark import MARK, is_left_behind, put_mark, remove_mark
from restore.progress import Position, Progress
from restore.report import write_json
from restore.settings import MEBI

if TYPE_CHECKING:
    from restore.executors import Executor

logger = logging.getLogger(__name__)

Steps = Generator[object, None, Mapping[str, Any]]
"""Work that is done in pieces: it stops for a moment after each, and returns values for JSON in the end."""

Function = Callable[[Progress, Path], Mapping[str, Any] | Steps]
"""The work of a job: given somebody to report to and an empty folder, it returns values for JSON, or the steps to them.
"""


@dataclass(frozen=True)
class Lasting:
    """Work with a description of it, ``asked``, in values for JSON, from which another process can make it again."""

    function: Function
    asked: Mapping[str, Any]

    def __call__(self, progress: Progress, folder: Path) -> Mapping[str, Any] | Steps:
        return self.function(progress, folder)


# Results are served to whoever knows the name of the folder, so it must not be guessable; the prefix tells ours from
# what else lies there.
PREFIX = "restore-"
ID_BYTES = 16
ID = re.compile(r"[A-Za-z0-9_-]{22}")
MANIFEST = "job.json"
ASKED = "asked.json"
MANIFEST_VERSION = 1

LEAST_FREE_BYTES = 500 * MEBI
# Jobs with no result are remembered for a while, so that whoever watches one still learns what became of it.
REMEMBERED_SECONDS = 3600.0
REMEMBERED_JOBS = 1000
TIDY_SECONDS = 600.0

GONE = "There is no such job any more: its result is no longer kept, or the address is not complete."
STOPPED = "The work was stopped before it was finished."
KEPT = "What is done is kept: the job can go on from there."
INTERRUPTED = f"The server ended before the work was finished. {KEPT}"


class State(StrEnum):
    """How a job stands. The last four are ends; a job that is paused can go on from what it has done."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    PAUSED = "paused"


@dataclass(frozen=True)
class StageProgress:
    """Where one stage stands, how many seconds it still needs at the pace so far, and how many units it does in one
    (``None`` while unknown).
    """

    position: Position
    seconds_left: float | None
    per_second: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """How a job stood at one moment.

    ``ahead`` counts the jobs that come before one that waits. ``seconds`` is how long it has run so far, or ran; while
    it waits, how long it has waited. ``stages`` are those that have begun, in that order. ``error`` is a sentence for
    the visitor, if the job failed, was stopped or paused.
    """

    id: str
    state: State
    ahead: int
    seconds: float
    stages: tuple[StageProgress, ...] = ()
    error: str | None = None


class _Pace:
    """The first position of a stage and when it came, from which the time that is left follows."""

    def __init__(self, position: Position) -> None:
        self.first = self.last = position
        self.since = self.at = time.monotonic()

    def update(self, position: Position) -> None:
        self.last, self.at = position, time.monotonic()

    def stage_progress(self) -> StageProgress:
        done, seconds = self.last.done - self.first.done, self.at - self.since
        if done <= 0 or seconds <= 0:
            return StageProgress(self.last, None)
        per_second = done / seconds
        if self.last.total <= 0:
            return StageProgress(self.last, None, per_second)
        # Counted down from the last report on, so that the figure moves while a slow tile is in work.
        left = (self.last.total - self.last.done) / per_second - (time.monotonic() - self.at)
        return StageProgress(self.last, max(0.0, left), per_second)


class Job:
    """One piece of work and what became of it; ``JobStore.begin`` and ``JobStore.find`` give them out."""

    def __init__(self, id: str, root: Path, title: str, function: Function, ahead: Callable[[Job], int]) -> None:
        self.id = id
        self.title = title
        self.folder = root / f"{PREFIX}{id}"
        self.asked: Mapping[str, Any] | None = function.asked if isinstance(function, Lasting) else None
        self._function: Function | None = function
        self._steps: Steps | None = None
        self._ahead = ahead
        self._progress = Progress(self._listen)
        self._paces: dict[tuple[int, str, str], _Pace] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watchers = 0
        self._left: float | None = None
        self._state = State.WAITING
        self._result: Mapping[str, Any] = {}
        self._error: BaseException | None = None
        self._created = time.time()
        self._since = self._until = time.monotonic()

    @classmethod
    def from_manifest(cls, id: str, root: Path, manifest: Mapping[str, Any]) -> Job:
        """A job of an earlier process, as its manifest or what was asked of it tells; raises ``KeyError``,
        ``TypeError`` or ``ValueError`` where that makes no sense.
        """
        asked = manifest.get("asked")
        job = cls(id, root, str(manifest["title"]), Lasting(_nothing, asked) if asked else _nothing, lambda job: 0)
        job._created = float(manifest["created"])
        job._since = job._until - float(manifest["seconds"])
        state = State(manifest["state"])
        if state is State.FINISHED:
            job._result = dict(manifest["result"])
            job._end(state, job._until)
        elif state is State.FAILED:
            job._end(state, job._until, RestoreError(str(manifest["error"])))
        else:  # paused, or its process ended meanwhile
            error = str(manifest["error"]) if state is State.PAUSED else INTERRUPTED
            job._end(State.PAUSED, job._until, Paused(error))
        return job

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen: the job finished, failed, was stopped or paused, and its folder is in
        order.
        """
        return self._ended.is_set()

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the job to stop and it has not come to its end yet."""
        return not self.ended and self._progress.cancelled

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, somebody watches the job."""
        with self._lock:
            self._watchers += 1
        try:
            yield
        finally:
            with self._lock:
                self._watchers -= 1
                self._left = time.monotonic()

    @property
    def left_seconds(self) -> float:
        """For how long nobody has watched the job any more; 0 where somebody does, or nobody ever did."""
        with self._lock:
            return 0.0 if self._watchers or self._left is None else time.monotonic() - self._left

    def wait(self, seconds: float) -> bool:
        """Wait until the job has ended, but no longer than ``seconds``; returns ``ended``."""
        return self._ended.wait(seconds)

    def snapshot(self) -> Snapshot:
        """How the job stands now."""
        ahead = self._ahead(self)
        with self._lock:
            state, error = self._state, self._error
            until = self._until if self.ended else time.monotonic()
            stages = tuple(pace.stage_progress() for pace in self._paces.values())
        text = None if error is None else _for_visitors(error)
        return Snapshot(self.id, state, ahead if state is State.WAITING else 0, until - self._since, stages, text)

    def result(self) -> Mapping[str, Any]:
        """What the function returned, as JSON gives it back; raises what it raised. Only after the end."""
        if not self.ended:
            raise RuntimeError("The job has not ended yet.")
        if self._error is not None:
            # Not with the traceback of those who asked before: it would keep alive all that they held.
            raise self._error.with_traceback(None)
        return self._result

    def stop(self) -> None:
        """Ask the job to stop: one that waits ends at once, one that runs as soon as it can; an ended one stays.

        Work that is lasting is paused by that, any other is stopped for good.
        """
        with self._lock:
            self._progress.cancel()
            if self._state is State.WAITING:
                state, error = self._stopped(None)
                self._write_down(state, error)
                self._end(state, time.monotonic(), error)

    def _stopped(self, error: RestoreError | None) -> tuple[State, RestoreError]:
        """What a job that was asked to stop comes to, where ``error`` is what the work made of it."""
        if error is not None and error.keeps_work:
            return State.PAUSED, error
        if self.asked is not None:
            return State.PAUSED, Paused(f"{STOPPED} {KEPT}")
        return State.STOPPED, Cancelled(f"{STOPPED[:-1]}; nothing was kept.")

    def step(self) -> bool:
        """Do one segment of the work, for an image all of it; returns whether the job has ended. Raises nothing."""
        with self._lock:
            function = self._function
            if function is None:
                return True
            if self._state is State.WAITING:
                self._state, self._since = State.RUNNING, time.monotonic()
        try:
            result = self._advance(function)
            if result is None:
                return False
            self._keep(result)
        except BaseException as error:
            stopped = isinstance(error, Cancelled) or self._progress.cancelled
            if not isinstance(error, RestoreError):
                logger.error("The job %r failed for a reason that was not foreseen", self.title, exc_info=error)
            _drop_locals(error)
            if stopped:
                state, error = self._stopped(error if isinstance(error, RestoreError) else None)
            else:
                kept = isinstance(error, RestoreError) and error.keeps_work
                state = State.PAUSED if kept else State.FAILED
            if self.asked is None:
                _remove(self.folder)
            else:
                _clear(self.folder)
                self._write_down(state, error)
            with self._lock:
                self._end(state, time.monotonic(), error)
        return True

    def make_folder(self) -> None:
        """Make the folder, where work is lasting with what was asked for in it; raises ``OutputError``."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=self.asked is not None)
            put_mark(self.folder)
        except OSError as error:
            raise OutputError(f"No folder for the result can be made on the server: {error.strerror}.") from error
        if self.asked is not None:
            self._write_asked(State.WAITING, None)

    def _write_asked(self, state: State, error: BaseException | None) -> None:
        """Write what was asked for and what became of it; raises ``OutputError``."""
        values = {
            "version": MANIFEST_VERSION,
            "title": self.title,
            "state": str(state),
            "created": self._created,
            "seconds": time.monotonic() - self._since,
            "error": None if error is None else _for_visitors(error),
            "asked": dict(self.asked or {}),
        }
        write_json(self.folder / ASKED, values)

    def _write_down(self, state: State, error: BaseException) -> None:
        """Write what became of lasting work that has ended before its time, as far as the disk still takes it."""
        if self.asked is None:
            return
        try:
            self._write_asked(state, error)
            remove_mark(self.folder)
        except OSError as full:  # what stands there by now says that the process ended, and is of use all the same
            logger.warning("Cannot write down what became of %r: %s", self.title, full)

    def _advance(self, function: Function) -> Mapping[str, Any] | None:
        """Begin the work, or take the next step of it; what it returned, ``None`` as long as there is more to do."""
        if self._steps is None:
            self.make_folder()
            work = function(self._progress, self.folder)
            if not isinstance(work, Generator):
                return work
            self._steps = work
        try:
            next(self._steps)
        except StopIteration as end:
            result: Mapping[str, Any] = end.value
            return result
        return None

    def _keep(self, values: Mapping[str, Any]) -> None:
        """Put down what came of the work, and come to the end."""
        # As another process will read it: what is no JSON fails here and not there.
        result = json.loads(json.dumps(dict(values)))
        until = time.monotonic()
        remove_mark(self.folder)
        files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.name != ASKED)
        manifest = {
            "version": MANIFEST_VERSION,
            "title": self.title,
            "state": str(State.FINISHED),
            "created": self._created,
            "seconds": until - self._since,
            "files": files,
            "result": result,
        }
        write_json(self.folder / MANIFEST, manifest)
        with self._lock:
            # With the lock held: a request to stop counts until the very end, and not after it.
            self._progress.check()
            self._result = result
            self._end(State.FINISHED, until)
        (self.folder / ASKED).unlink(missing_ok=True)

    def _end(self, state: State, until: float, error: BaseException | None = None) -> None:
        """Come to the end, with the lock held; whatever the work holds is let go."""
        self._state, self._until, self._error, self._function, self._steps = state, until, error, None, None
        self._ended.set()

    def _listen(self, position: Position) -> None:
        key = (position.index, position.stage, position.unit)
        with self._lock:
            if key in self._paces:
                self._paces[key].update(position)
            else:
                self._paces[key] = _Pace(position)

    def forgettable(self) -> bool:
        """Whether the job finished, or ended with no result so long ago that nobody watches it any more."""
        with self._lock:
            if self._state in (State.FAILED, State.STOPPED, State.PAUSED):
                return time.monotonic() - self._until > REMEMBERED_SECONDS
            return self._state is State.FINISHED


def _nothing(progress: Progress, folder: Path) -> Mapping[str, Any]:
    """The work of a job that has ended."""
    raise RuntimeError("The job has ended.")


def _for_visitors(error: BaseException) -> str:
    return error.for_visitors if isinstance(error, RestoreError) else UNEXPECTED


def _drop_locals(error: BaseException | None) -> None:
    """Free what the frames of the traceback hold (pictures, tiles): the error is kept while somebody may ask."""
    seen: set[int] = set()  # for an error that was raised from one that came of itself
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _remove(folder: Path) -> None:
    """Remove the folder of a job, its manifest first, so that the rest is not taken for a result."""
    try:
        (folder / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        logger.warning("Cannot remove %s: %s", folder, error)


def _clear(folder: Path) -> None:
    """Remove all that is in the folder of a job but what was asked of it."""
    try:
        for path in folder.iterdir():
            if path.name in (ASKED, MARK):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("Cannot clear %s: %s", folder, error)


class JobStore:
    """The jobs of this process, and the results below ``root`` that are kept.

    Finished jobs go when they are older than ``keep_seconds``, and the oldest of them before that where all results
    together are larger than ``keep_bytes``; what a killed process left half done goes at once, but for what was asked
    of it where that can be taken up again. That is looked after at the beginning, whenever a job begins, and every ten
    minutes. Nothing below ``root`` is touched that is not ours.
    """

    def __init__(
        self, root: Path, executor: Executor, *, keep_seconds: float, keep_bytes: int, max_waiting: int
    ) -> None:
        self.root = root
        self._executor = executor
        self._keep_seconds = keep_seconds
        self._keep_bytes = keep_bytes
        self._max_waiting = max_waiting
        self._jobs: dict[str, Job] = {}  # in the order in which they began
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self.tidy()
        threading.Thread(target=self._tidy_now_and_then, name="restore-housekeeping", daemon=True).start()

    def begin(self, function: Function, *, title: str = "") -> Job:
        """Put a new job at the end of the queue and return at once.

        Raises ``BusyError`` when the queue is full and ``OutputError`` when the disk is.
        """
        return self._enter(secrets.token_urlsafe(ID_BYTES), title, function)

    def resume(self, id: str, make: Callable[[Mapping[str, Any]], Function]) -> Job:
        """Put a job that was paused, or that failed, at the end of the queue again, under the same id.

        ``make`` gives its work, of what was asked. A job that waits or runs is given back as it is. Raises
        ``GoneError`` for one that there is not, ``InputError`` for one that cannot be taken up again, what ``begin``
        raises, and what ``make`` does.
        """
        earlier = self.find(id)
        if not earlier.ended:
            return earlier
        if earlier.snapshot().state is State.FINISHED:
            raise InputError("This job has finished: there is nothing left to do.")
        if earlier.asked is None:
            raise InputError("This job cannot be taken up again: begin it anew.")
        function = Lasting(make(earlier.asked), earlier.asked)
        return self._enter(id, earlier.title, function)

    def _enter(self, id: str, title: str, function: Function) -> Job:
        """Put a job at the end of the queue; if one with its id has not ended, that one is it."""
        self.tidy()
        self._check_disk()
        with self._lock:
            earlier = self._jobs.get(id)
            if earlier is not None and not earlier.ended:
                return earlier
            # One of those that have not ended is not waiting but running, or just about to.
            waiting = sum(not job.ended for job in self._jobs.values()) - 1
            if waiting >= self._max_waiting:
                jobs = "1 job is" if waiting == 1 else f"{waiting} jobs are"
                raise BusyError(f"The server is busy: {jobs} waiting already. Try again in some minutes.")
            job = Job(id, self.root, title, function, self._ahead_of)
            if job.asked is not None:
                job.make_folder()
            self._jobs.pop(id, None)  # to be the last one
            self._jobs[id] = job
            # With the lock held, so that the jobs run in the order that their places in the queue were told.
            self._executor.submit(job)
        return job

    def find(self, id: str) -> Job:
        """The job with this id, also one of an earlier process that finished or can be taken up again.

        Raises ``GoneError`` if there is none.
        """
        # Whatever is not of the form that we give out is refused before any file is touched.
        if isinstance(id, str) and ID.fullmatch(id):
            with self._lock:
                job = self._jobs.get(id)
            if job is None or job.snapshot().state is State.FINISHED:
                job = self._read(id)
            if job is not None:
                return job
        raise GoneError(GONE)

    def close(self, seconds: float) -> None:
        """The process ends: stop what runs and waits, and give it ``seconds`` to clean up. Results stay."""
        self._closed.set()
        deadline = time.monotonic() + seconds
        with self._lock:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stop()
        for job in jobs:
            job.wait(max(0.0, deadline - time.monotonic()))
        self._executor.close(max(0.0, deadline - time.monotonic()))

    def tidy(self) -> None:
        """Remove the results that are no longer kept, and forget the jobs that nobody can ask for."""
        with self._lock:
            self._forget()
            busy = {job.folder for job in self._jobs.values() if not job.ended}
        results = []
        for folder in self.root.glob(f"{PREFIX}*"):
            if folder in busy:
                continue
            try:
                manifest, asked = folder / MANIFEST, folder / ASKED
                whole, lasting = manifest.is_file(), asked.is_file()
                ended = (manifest if whole else asked if lasting else folder).stat().st_mtime
                if time.time() - ended > self._keep_seconds:
                    _remove(folder)
                elif not whole and is_left_behind(folder):
                    (_clear if lasting else _remove)(folder)
                elif whole:
                    results.append((ended, folder, sum(file.stat().st_size for file in folder.rglob("*"))))
            except FileNotFoundError:  # another thread tidies as well, or the job has just been stopped
                continue
        size = sum(size for _, _, size in results)
        for _, folder, length in sorted(results):
            if size <= self._keep_bytes:
                break
            _remove(folder)
            size -= length

    def _forget(self) -> None:
        """Drop the jobs from the table that need not be in it, with the lock held: results are found without it."""
        for id in [id for id, job in self._jobs.items() if job.forgettable()]:
            del self._jobs[id]
        ended = [id for id, job in self._jobs.items() if job.ended]
        for id in ended[: max(0, len(ended) - REMEMBERED_JOBS)]:
            del self._jobs[id]

    def _read(self, id: str) -> Job | None:
        """A finished job from its manifest, none where one of the files is missing, or else one that can be taken up
        again, none where another process is at it.
        """
        folder = self.root / f"{PREFIX}{id}"
        manifest = folder / MANIFEST
        try:
            if not manifest.is_file():
                manifest = folder / ASKED
            values = json.loads(manifest.read_text(encoding="utf-8"))
            if values["version"] != MANIFEST_VERSION:
                return None
            if not all((folder / file).exists() for file in values.get("files", ())):
                return None
            if values["state"] in (State.WAITING, State.RUNNING) and not is_left_behind(folder):
                return None
            return Job.from_manifest(id, self.root, values)
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("Cannot read %s: %s", manifest, error)
            return None

    def _ahead_of(self, job: Job) -> int:
        with self._lock:
            earlier = takewhile(lambda other: other is not job, self._jobs.values())
            return sum(not other.ended for other in earlier)

    def _check_disk(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.root).free
        except OSError as error:
            raise OutputError(f"The server has no folder for results: {error.strerror}.") from error
        if free < LEAST_FREE_BYTES:
            raise OutputError(
                f"The disk of the server is almost full ({free / MEBI:.0f} MiB are free): "
                "try again later, when older results are gone."
            )

    def _tidy_now_and_then(self) -> None:
        while not self._closed.wait(TIDY_SECONDS):
            self.tidy()
