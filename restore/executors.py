"""Where a job's steps and its chain run: in this process, or on a GPU that ZeroGPU lends for some seconds.

What is lent is lent for one picture at a time, or for one segment of a clip. Decoding, encoding and all that is kept
stay in this process.
"""

from __future__ import annotations

import contextvars
import logging
import os
import queue
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol, TypeVar

from restore import gpu_call, pipeline
from restore.cost import LARGEST_GPU_SECONDS
from restore.errors import BusyError, Cancelled, LimitError, RestoreError
from restore.frame import Frame
from restore.gpu_between import BetweenCall
from restore.gpu_segment import SegmentCall, SegmentProgress, pack, unpack
from restore.inference.engine import Engine
from restore.progress import ClipProgress
from restore.report import StageReport
from restore.segments.flow import Chain, Lender, Made, networks_of
from restore.segments.walk import Segment
from restore.settings import Settings
from restore.stages import Stage
from restore.stages.interpolate import OpenInterpolate

logger = logging.getLogger(__name__)

A = TypeVar("A")

LEFT_SECONDS = 20.0
"""How long somebody may be away, as while a page is loaded again, before work on a GPU that is lent to them stops."""


class Steps(Protocol):
    """What an executor needs of a job."""

    def step(self) -> bool:
        """Do one segment; returns whether the job has ended, and raises nothing."""
        ...

    def stop(self) -> None:
        """Ask the job to stop."""
        ...

    @property
    def left_seconds(self) -> float:
        """For how long nobody has watched the job any more."""
        ...


class Executor(Protocol):
    """Who runs the jobs, one after the other, in the order in which they came."""

    lender: Lender | None
    """Who has the hardware for the segments of a clip, ``None`` where this process has it."""

    def submit(self, job: Steps) -> None:
        """Call ``job.step()`` until the job has ended, once those before it have; returns at once."""
        ...

    def run_chain(self, stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
        """What ``restore.pipeline.run_chain`` does, where this executor has the hardware for it."""
        ...

    def close(self, seconds: float) -> None:
        """Take no more jobs, and wait up to ``seconds`` for the one that runs."""
        ...


class _Line:
    """One worker thread, and the jobs that wait for it.

    Each job runs in the context of the thread that submitted it: Gradio keeps the visitor's request in there.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[contextvars.Context, Steps] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="restore-jobs", daemon=True)
        self._thread.start()

    def submit(self, job: Steps) -> None:
        self._queue.put((contextvars.copy_context(), job))

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
        self._look_after(job)
        while not context.run(job.step):
            self._look_after(job)
        return True

    def _look_after(self, job: Steps) -> None:
        """What there is to do for ``job`` before each of its steps."""


class LocalExecutor(_Line):
    """Works with the device of this process."""

    lender: Lender | None = None

    def run_chain(self, stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
        return pipeline.run_chain(stages, frame, engine)


class ZeroGpuExecutor(_Line):
    """Works with a GPU that Hugging Face lends: the chain runs in a forked process, everything else in this one.

    The visitor's own quota pays for it, by the request in the context of the job. ``gpu`` is ``spaces.GPU`` or takes
    its place; the function has to be registered with it before the page is launched.
    """

    def __init__(self, gpu: Callable[..., Any] | None = None) -> None:
        super().__init__()
        if gpu is None:
            import spaces

            gpu = spaces.GPU
        self._run = gpu(gpu_call.run, duration=gpu_call.seconds)
        self.lender: Lender | None = self

    def _look_after(self, job: Steps) -> None:
        """Stop the work of whoever has closed the page, before more of their time on GPUs goes into it."""
        if job.left_seconds > LEFT_SECONDS:
            job.stop()

    def run_chain(self, stages: Sequence[Stage], frame: Frame, engine: Engine) -> tuple[Frame, list[StageReport]]:
        """What ``restore.pipeline.run_chain`` does, up to the rounding that ``restore.gpu_call`` describes.

        Also raises ``LimitError`` for what takes too long, and ``BusyError`` where no GPU can be had now.
        """
        # Here, and not where every second is paid for: the choice of the models, and their download.
        opened = pipeline.open_chain(stages, engine)
        if not any(stage.models for stage in opened):
            return pipeline.run_opened(opened, frame, engine)
        call = gpu_call.PictureCall(tuple(opened), gpu_call.pack(frame), _without_lender(engine.settings))
        call.check()
        shown = gpu_call.PictureProgress(engine.progress, [stage.stage for stage in stages])
        answer = self._ask(call, shown.update)
        for warning in answer.warnings:
            engine.warn(warning)
        return gpu_call.unpack(answer.pixels), list(answer.reports)

    def run_segment(
        self, chain: Chain, segment: Segment, frames: Sequence[Frame], engine: Engine, parts: ClipProgress
    ) -> Made:
        """As ``Lender``. Where a GPU is taken back before the work is done, one is asked for once more, for longer."""
        packed, settings = pack(frames), _without_lender(engine.settings)
        shown = SegmentProgress(parts, networks_of(chain.opened))
        for asked in (0, LARGEST_GPU_SECONDS):
            call = SegmentCall(chain, segment, packed, tuple(parts.names), settings, asked)
            try:
                answer = self._ask(call, shown.update)
                break
            except TakenBack as error:
                if call.estimate() >= LARGEST_GPU_SECONDS:
                    raise LimitError(error.for_visitors, keeps_work=True) from error
                logger.warning("A segment took longer on the GPU than %s seconds, as asked for", call.estimate())
        shown.finish(answer.stages)
        for warning in answer.warnings:
            engine.warn(warning)
        return Made(list(unpack(answer.frames)), answer.stages)

    def shown_between(
        self, opened: OpenInterpolate, first: Frame, second: Frame, position: Fraction, engine: Engine
    ) -> Frame:
        """As ``Lender``."""
        assert engine.rate is not None
        frames = first, second
        call = BetweenCall(opened, pack(frames), position, engine.rate, _without_lender(engine.settings))
        answer = self._ask(call, gpu_call.PictureProgress(engine.progress, [opened.settings.stage]).update)
        for warning in answer.warnings:
            engine.warn(warning)
        return answer.shown(frames)

    def _ask(self, call: gpu_call.Call[A], update: Callable[[], None]) -> A:
        """What came of ``call`` on a GPU; raises what went wrong there, or why there is none."""
        import gradio as gr  # not above: the engine runs without it

        try:
            answer = gpu_call.watch(self._run, call, update)
        except (gr.Error, RuntimeError) as error:
            if (worded := _in_words(error)) is None:
                raise
            raise worded from error
        if isinstance(answer, gpu_call.Failure):
            raise answer.error
        return answer


class TakenBack(LimitError):
    """The time that was asked for was over before the work was done."""


def _without_lender(settings: Settings) -> Settings:
    """``settings`` for the process to which a GPU is lent: there it is, and nobody else is asked."""
    return replace(settings, lender=None)


def choose_executor() -> Executor:
    """The executor for where this process runs."""
    return ZeroGpuExecutor() if on_zero_gpu() else LocalExecutor()


def on_zero_gpu() -> bool:
    """Whether this process runs where GPUs are lent; Hugging Face sets ``SPACES_ZERO_GPU`` there."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")


def _in_words(error: Exception) -> RestoreError | None:
    """What the package ``spaces`` raises, as one of our kinds; ``None`` for anything else.

    Its errors differ in their titles, and its messages assume that the visitor knows what ZeroGPU is.
    """
    if isinstance(error, RuntimeError):
        closed = str(error).startswith("Connection closed by visitor")
        return Cancelled("The page was closed while a graphics card was waited for.") if closed else None
    title, message = str(getattr(error, "title", "")), str(getattr(error, "message", error))
    if "illegal duration" in title:
        return LimitError(
            "This would take longer than a graphics card is lent to you at once: choose a smaller scale or target, a "
            "smaller model such as the built-in one, or a smaller picture."
        )
    if message == "GPU task aborted":
        return TakenBack(
            "The graphics card was taken back before the work was finished, as it took longer than was asked for: "
            "choose a smaller scale or target, a smaller model, or a smaller picture."
        )
    if "quota exceeded" in title:
        again = re.search(r"Try again in (\d[^.]*)", message)
        when = f"in {again[1]} (hours, minutes, seconds)" if again else "later"
        return BusyError(
            "The time on a graphics card that Hugging Face gives you for free is used up for now: try again "
            f"{when}, or log in to Hugging Face for more."
        )
    if "credits exceeded" in title:
        return BusyError("Other work of yours takes up your time on graphics cards: try again when it has ended.")
    if "queue timeout" in title or message.startswith("No GPU was available"):
        return BusyError("No graphics card became free in time: try again in some minutes.")
    return BusyError(f"Hugging Face could not lend a graphics card just now ({message}): try again in some minutes.")
