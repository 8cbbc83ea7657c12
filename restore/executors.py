"""Where a job's steps and its chain run: in this process, or on a GPU that ZeroGPU lends for some seconds."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Sequence
from typing import Protocol

from restore import pipeline
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.report import StageReport
from restore.stages import Stage


class Steps(Protocol):
    """What an executor needs of a job."""

    def step(self) -> bool:
        """Do one segment; returns whether the job has ended, and raises nothing."""
        ...


class Executor(Protocol):
    """Who runs the jobs, one after the other, in the order in which they came."""

    def submit(self, job: Steps) -> None:
        """Call ``job.step()`` until the job has ended, once those before it have; returns at once."""
        ...

    def run_chain(self, stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
        """What ``restore.pipeline.run_chain`` does, where this executor has the hardware for it."""
        ...

    def close(self, seconds: float) -> None:
        """Take no more jobs, and wait up to ``seconds`` for the one that runs."""
        ...


class LocalExecutor:
    """One worker thread, and the device of this process.

    Each job runs in the context of the thread that submitted it. Gradio keeps the visitor's request in there.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[contextvars.Context, Steps] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="restore-jobs", daemon=True)
        self._thread.start()

    def submit(self, job: Steps) -> None:
        self._queue.put((contextvars.copy_context(), job))

    def run_chain(self, stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
        return pipeline.run_chain(stages, frame, engine)

    def close(self, seconds: float) -> None:
        self._queue.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while self._one_job():
            pass

    def _one_job(self) -> bool:
        # A function of its own, so that a job is not held while the next one is waited for.
        entry = self._queue.get()
        if entry is None:
            return False
        context, job = entry
        while not context.run(job.step):
            pass
        return True


def choose_executor() -> Executor:
    """The executor for where this process runs."""
    return LocalExecutor()
