"""Jobs: what is long, kept apart from whoever watches it.

A job is an object with ``step()``, which an executor calls until the job has ended; the page, the API and the tests
only look at it. It has an unguessable id and a folder of its own. The result of one that finished stays there, with a
manifest that says what it is, so that it can be asked for by its id again, by another process as well, while it is
kept; the folder of one that failed or was stopped disappears.
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
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.errors import UNEXPECTED, BusyError, Cancelled, GoneError, OutputError, Paused, RestoreError
from restore.process_mark import is_left_behind, put_mark, remove_mark
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

# Results are served to whoever knows the name of the folder, so it must not be guessable; the prefix tells ours from
# what else lies there.
PREFIX = "restore-"
ID_BYTES = 16
ID = re.compile(r"[A-Za-z0-9_-]{22}")
MANIFEST = "job.json"
MANIFEST_VERSION = 1

LEAST_FREE_BYTES = 500 * MEBI
# Jobs with no result are remembered for a while, so that whoever watches one still learns what became of it.
REMEMBERED_SECONDS = 3600.0
REMEMBERED_JOBS = 1000
TIDY_SECONDS = 600.0

GONE = "There is no such job any more: its result is no longer kept, or the address is not complete."


class State(StrEnum):
    """How a job stands. The last three are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


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
    the visitor, if the job failed or was stopped.
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
        self._function: Function | None = function
        self._steps: Steps | None = None
        self._ahead = ahead
        self._progress = Progress(self._listen)
        self._paces: dict[tuple[int, str, str], _Pace] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._state = State.WAITING
        self._result: Mapping[str, Any] = {}
        self._error: BaseException | None = None
        self._created = time.time()
        self._since = self._until = time.monotonic()

    @classmethod
    def from_manifest(cls, id: str, root: Path, manifest: Mapping[str, Any]) -> Job:
        """A finished job of an earlier process; raises ``KeyError``, ``TypeError`` or ``ValueError`` for any other."""

        def nothing(progress: Progress, folder: Path) -> Mapping[str, Any]:
            raise RuntimeError("The job has ended.")

        job = cls(id, root, str(manifest["title"]), nothing, lambda job: 0)
        job._created, job._result = float(manifest["created"]), dict(manifest["result"])
        job._since = job._until - float(manifest["seconds"])
        job._end(State(manifest["state"]), job._until)
        return job

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen: the job finished, failed or was stopped, and its folder is in order."""
        return self._ended.is_set()

    @property
    def stopping(self) -> bool:
        """Whether somebody asked the job to stop and it has not come to its end yet."""
        return not self.ended and self._progress.cancelled

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
        text = None if error is None else error.for_visitors if isinstance(error, RestoreError) else UNEXPECTED
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
        """Ask the job to stop: one that waits ends at once, one that runs as soon as it can; an ended one stays."""
        with self._lock:
            self._progress.cancel()
            if self._state is State.WAITING:
                self._end(State.STOPPED, time.monotonic(), _stopped())

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
            _remove(self.folder)
            with self._lock:
                if stopped:
                    self._end(State.STOPPED, time.monotonic(), error if isinstance(error, Paused) else _stopped())
                else:
                    self._end(State.FAILED, time.monotonic(), error)
        return True

    def _advance(self, function: Function) -> Mapping[str, Any] | None:
        """Begin the work, or take the next step of it; what it returned, ``None`` as long as there is more to do."""
        if self._steps is None:
            try:
                self.folder.mkdir(mode=0o700, parents=True)
                put_mark(self.folder)
            except OSError as error:
                raise OutputError(f"No folder for the result can be made on the server: {error.strerror}.") from error
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
        files = sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))
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
            if self._state in (State.FAILED, State.STOPPED):
                return time.monotonic() - self._until > REMEMBERED_SECONDS
            return self._state is State.FINISHED


def _stopped() -> Cancelled:
    return Cancelled("The job was stopped before it was finished; nothing was kept.")


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


class JobStore:
    """The jobs of this process, and the results below ``root`` that are kept.

    Finished jobs go when they are older than ``keep_seconds``, and the oldest of them before that where all results
    together are larger than ``keep_bytes``; what a killed process left half done goes at once. That is looked after at
    the beginning, whenever a job begins, and every ten minutes. Nothing below ``root`` is touched that is not ours.
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
        self.tidy()
        self._check_disk()
        with self._lock:
            # One of those that have not ended is not waiting but running, or just about to.
            waiting = sum(not job.ended for job in self._jobs.values()) - 1
            if waiting >= self._max_waiting:
                jobs = "1 job is" if waiting == 1 else f"{waiting} jobs are"
                raise BusyError(f"The server is busy: {jobs} waiting already. Try again in some minutes.")
            job = Job(secrets.token_urlsafe(ID_BYTES), self.root, title, function, self._ahead_of)
            self._jobs[job.id] = job
            # With the lock held, so that the jobs run in the order that their places in the queue were told.
            self._executor.submit(job)
        return job

    def find(self, id: str) -> Job:
        """The job with this id, also a finished one of an earlier process; raises ``GoneError`` if there is none."""
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
                manifest = folder / MANIFEST
                whole = manifest.is_file()
                ended = (manifest if whole else folder).stat().st_mtime
                if time.time() - ended > self._keep_seconds or (not whole and is_left_behind(folder)):
                    _remove(folder)
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
        """A finished job from its manifest; none where it or one of the files is missing."""
        manifest = self.root / f"{PREFIX}{id}" / MANIFEST
        try:
            values = json.loads(manifest.read_text(encoding="utf-8"))
            if values["version"] != MANIFEST_VERSION:
                return None
            if not all((manifest.parent / file).exists() for file in values["files"]):
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
