"""Run one engine call in a worker thread, in a folder of its own, and let the page attach to it.

The page polls; the thread works, reports through ``restore.progress.Progress`` and stops when asked. A ``Work`` owns
its folder: that of a call that failed, was stopped or is no longer wanted disappears, and the one with a result stays
until its session asks for another or ends.
"""

from __future__ import annotations

import contextvars
import logging
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from restore.errors import OutputError
from restore.progress import Position, Progress

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Served to whoever knows the name of the folder, so it must not be guessable; the prefix tells ours from Gradio's.
PREFIX = "restore-"
# A folder outlives its session only when the process was killed; Gradio keeps uploads for the same time.
ORPHAN_SECONDS = 86400.0


@dataclass(frozen=True)
class StageProgress:
    """Where one stage stands, and how many seconds it still needs at the pace so far (``None`` while unknown)."""

    position: Position
    seconds_left: float | None


class _Pace:
    """The first position of a stage and when it came, from which the time that is left follows."""

    def __init__(self, position: Position) -> None:
        self.first = self.last = position
        self.since = self.at = time.monotonic()

    def update(self, position: Position) -> None:
        self.last, self.at = position, time.monotonic()

    def stage_progress(self) -> StageProgress:
        done = self.last.done - self.first.done
        if done <= 0 or self.last.total <= 0:
            return StageProgress(self.last, None)
        pace = (self.at - self.since) / done
        # Counted down from the last report on, so that the figure moves while a slow tile is in work.
        left = pace * (self.last.total - self.last.done) - (time.monotonic() - self.at)
        return StageProgress(self.last, max(0.0, left))


class Work(Generic[T]):
    """One call of ``function(progress, folder)`` in a thread of its own, with a new, empty folder below ``root``."""

    def __init__(self, function: Callable[[Progress, Path], T], root: Path) -> None:
        self.folder = root / f"{PREFIX}{secrets.token_urlsafe(16)}"
        self._function = function
        self._progress = Progress(self._listen)
        self._paces: dict[tuple[int, str, str], _Pace] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._unwanted = False
        self._result: T | None = None
        self._error: BaseException | None = None
        self._began = time.monotonic()
        self._seconds: float | None = None

    def start(self) -> None:
        # The context goes along because Gradio keeps the visitor's request in it.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run,), name="restore-work", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether the thread is through, with a result or without."""
        return self._ended.is_set()

    @property
    def seconds(self) -> float:
        """How long the work has taken so far, or took."""
        return self._seconds if self._seconds is not None else time.monotonic() - self._began

    def wait(self, seconds: float) -> bool:
        """Wait until the thread is through, but no longer than ``seconds``; returns ``ended``."""
        return self._ended.wait(seconds)

    def stages(self) -> tuple[StageProgress, ...]:
        """Where each stage stands that has begun, in the order in which they began."""
        with self._lock:
            return tuple(pace.stage_progress() for pace in self._paces.values())

    def result(self) -> T:
        """What the function returned; raises what it raised. Only after the end."""
        if not self.ended:
            raise RuntimeError("The work has not ended yet.")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]  # set whenever there is no error

    def discard(self) -> None:
        """Stop the work if it still runs; its folder goes at once, or as soon as the thread is through."""
        self._progress.cancel()
        with self._lock:
            self._unwanted = True
            ended = self.ended
        if ended:
            self._remove_folder()

    def _run(self) -> None:
        try:
            try:
                self.folder.mkdir(mode=0o700, parents=True)
            except OSError as error:
                raise OutputError(f"No folder for the result can be made on the server: {error.strerror}.") from error
            self._result = self._function(self._progress, self.folder)
        except BaseException as error:
            _drop_locals(error)
            self._error = error
            self._remove_folder()
        with self._lock:
            self._seconds = time.monotonic() - self._began
            unwanted = self._unwanted
            # Before the lock is let go: whoever discards from here on removes the folder itself.
            if not unwanted:
                self._ended.set()
        if unwanted:
            self._remove_folder()
            self._ended.set()

    def _listen(self, position: Position) -> None:
        key = (position.index, position.stage, position.unit)
        with self._lock:
            if key in self._paces:
                self._paces[key].update(position)
            else:
                self._paces[key] = _Pace(position)

    def _remove_folder(self) -> None:
        try:
            shutil.rmtree(self.folder)
        except FileNotFoundError:
            pass
        except OSError as error:
            logger.warning("Cannot remove %s: %s", self.folder, error)


def _drop_locals(error: BaseException | None) -> None:
    """Free what the frames of the traceback hold (pictures, tiles): the error is kept while the page is open."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


class Desk:
    """The latest work of every open page below ``root``, so that Stop and a closed tab reach their own and no other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._works: dict[str, Work[Any]] = {}
        self._lock = threading.Lock()

    def begin(self, session: str, function: Callable[[Progress, Path], T]) -> Work[T]:
        """Start ``function`` for ``session``; the session's former work and its result are discarded."""
        self._remove_orphans()
        work = Work(function, self._root)
        with self._lock:
            former = self._works.get(session)
            self._works[session] = work
        if former is not None:
            former.discard()
        work.start()
        return work

    def latest(self, session: str) -> Work[Any] | None:
        """The work that ``session`` began last."""
        with self._lock:
            return self._works.get(session)

    def close(self, session: str) -> None:
        """The page of ``session`` was closed: nobody wants its work or its result any more."""
        with self._lock:
            work = self._works.pop(session, None)
        if work is not None:
            work.discard()

    def close_all(self, seconds: float = 2.0) -> None:
        """The process ends: discard everything, and give the threads ``seconds`` to clean up."""
        with self._lock:
            works = list(self._works.values())
            self._works.clear()
        for work in works:
            work.discard()
        deadline = time.monotonic() + seconds
        for work in works:
            work.wait(max(0.0, deadline - time.monotonic()))

    def _remove_orphans(self) -> None:
        with self._lock:
            ours = {work.folder for work in self._works.values()}
        for folder in self._root.glob(f"{PREFIX}*"):
            try:
                if folder not in ours and time.time() - folder.stat().st_mtime > ORPHAN_SECONDS:
                    shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.warning("Cannot remove %s: %s", folder, error)
