"""What crosses into a process that has a GPU for some seconds, and what comes back from there.

The call for a chain over one picture is here, that for a segment of a clip in ``gpu_segment``. A picture crosses as
integers of the depth of its source, in a quarter or half of the room that its values take as floats. The source
survives that exactly. The result is rounded there to the depth to which its file is rounded anyway, and not between the
stages of a chain. Two things may differ by one step from a chain that runs in this process: colours that were filled in
where nothing can be seen, which are rounded on the way in, and grey pictures, of which each of the three channels is
rounded before the mean is taken.

Exceptions do not cross: an error comes back as a value. How far the work is, and whether it should stop, goes through
memory that both processes see.
"""

from __future__ import annotations

import logging
import mmap
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from restore.cost import LARGEST_GPU_SECONDS, gpu_seconds
from restore.errors import LimitError, RestoreError
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.pipeline import run_opened
from restore.progress import Position, Progress
from restore.report import StageReport
from restore.settings import Settings
from restore.stages import OpenStage

logger = logging.getLogger(__name__)

WAITING = "gpu"
"""The stage that is shown until the GPU is there."""

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Pixels:
    """A frame in integers: ``colour`` ``(3, H, W)`` and ``alpha`` ``(H, W)``, uint8 up to 8 bits and uint16 above."""

    colour: NDArray[Any]
    alpha: NDArray[Any] | None
    bits: int
    pts: Fraction
    duration: Fraction


def pack(frame: Frame) -> Pixels:
    """A frame in the nearest integers of its depth."""
    alpha = None if frame.alpha is None else _to_integers(frame.alpha, frame.bits)
    return Pixels(_to_integers(frame.pixels, frame.bits), alpha, frame.bits, frame.pts, frame.duration)


def unpack(pixels: Pixels) -> Frame:
    """The frame that ``pack`` was given, up to the rounding."""
    alpha = None if pixels.alpha is None else _to_floats(pixels.alpha)
    return Frame(_to_floats(pixels.colour), alpha, pixels.bits, pixels.pts, pixels.duration)


def _to_integers(values: torch.Tensor, bits: int) -> NDArray[Any]:
    result: NDArray[Any] = np.empty(tuple(values.shape), np.uint8 if bits <= 8 else np.uint16)
    for plane, integers in zip(values, result, strict=True):  # one by one, to need no copy of the whole in floats
        integers[...] = plane.mul(_largest(result)).round().numpy()
    return result


def _to_floats(integers: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(integers.astype(np.float32)).div_(_largest(integers))


def _largest(integers: NDArray[Any]) -> float:
    return float(np.iinfo(integers.dtype).max)


@dataclass(frozen=True)
class PictureAnswer:
    """What came of a ``PictureCall``."""

    pixels: Pixels
    reports: tuple[StageReport, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PictureCall:
    """What the GPU is asked for with a picture: an opened chain over it."""

    opened: tuple[OpenStage, ...]
    pixels: Pixels
    settings: Settings

    def estimate(self) -> int:
        _, height, width = self.pixels.colour.shape
        estimate = gpu_seconds(
            [stage.settings for stage in self.opened],
            width,
            height,
            alpha=self.pixels.alpha is not None,
            bits=self.pixels.bits,
            precision=self.settings.precision,
        )
        return int(estimate)

    def check(self) -> None:
        """Raise ``LimitError`` for what would take longer than a GPU can be had for."""
        if (estimate := self.estimate()) > LARGEST_GPU_SECONDS:
            raise LimitError(
                f"This may take up to {estimate} seconds on the graphics card, and it is lent for "
                f"{LARGEST_GPU_SECONDS} at most: choose a smaller scale or target, a smaller model such as the "
                "built-in one, or a smaller picture."
            )

    def work(self, engine: Engine) -> PictureAnswer:
        frame, reports = run_opened(self.opened, unpack(self.pixels), engine)
        return PictureAnswer(pack(frame), tuple(reports), tuple(engine.warnings))


Answer = TypeVar("Answer", covariant=True)


class Call(Protocol[Answer]):
    """What the GPU is asked for; it can be pickled, and so can the answer."""

    @property
    def settings(self) -> Settings: ...

    def estimate(self) -> int:
        """The seconds that it may take, even if that is longer than a GPU can be had for."""
        ...

    def work(self, engine: Engine) -> Answer:
        """What is to be done where the GPU is; raises whatever it raises."""
        ...


@dataclass(frozen=True)
class Failure:
    """Why nothing came of a call. An error that was not foreseen is a ``RuntimeError`` with its class and its text."""

    error: RestoreError | RuntimeError


def seconds(call: Call[Any]) -> int:
    """Seconds of GPU time to ask for; at most ``LARGEST_GPU_SECONDS``."""
    return min(call.estimate(), LARGEST_GPU_SECONDS)


class _Wire:
    """The memory that both processes see: one byte asks to stop, the others say how far the work is: the last position,
    and how much is done of each part.

    Forked processes share it with the one that imported this module. There is one call at a time. A position that is
    read while it is written may be half of the next one; it is only shown, and read again soon.
    """

    _POSITION = struct.Struct("=?qdd16s")

    _DONE = struct.Struct("=d")
    _PARTS = 64  # those after them are not shown

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 1 + self._POSITION.size + self._PARTS * self._DONE.size)

    def clear(self) -> None:
        self._memory[:] = bytes(len(self._memory))

    def ask_to_stop(self) -> None:
        self._memory[0] = 1

    @property
    def asked_to_stop(self) -> bool:
        return self._memory[0] != 0

    def write(self, position: Position) -> None:
        unit = position.unit.encode()
        self._POSITION.pack_into(self._memory, 1, True, position.index, position.done, position.total, unit)
        if position.index < self._PARTS:
            self._DONE.pack_into(self._memory, self._place(position.index), position.done)

    def read(self) -> tuple[int, float, float, str] | None:
        """Index of the stage, done, total and unit; ``None`` before the first position."""
        begun, index, done, total, unit = self._POSITION.unpack_from(self._memory, 1)
        return (index, done, total, unit.rstrip(b"\0").decode()) if begun else None

    def done(self, index: int) -> float:
        """How much is done of the part ``index``."""
        if index >= self._PARTS:
            return 0.0
        done: float
        (done,) = self._DONE.unpack_from(self._memory, self._place(index))
        return done

    def _place(self, index: int) -> int:
        return 1 + self._POSITION.size + index * self._DONE.size


wire = _Wire()


def run(call: Call[Answer]) -> Answer | Failure:
    """Do what ``call`` asks for on the device of this process, to which the GPU was given; raises nothing."""

    def listen(position: Position) -> None:
        wire.write(position)
        if wire.asked_to_stop:
            progress.cancel()

    progress = Progress(listen)
    try:
        return call.work(Engine.start(call.settings, progress, download=False))
    except RestoreError as error:
        return Failure(error)
    except Exception as error:  # whatever it is, only its name would be told on the other side
        logger.exception("The chain failed on the GPU for a reason that was not foreseen")
        return Failure(RuntimeError(f"{type(error).__name__} on the GPU: {error}"))


def watch(
    function: Callable[[Call[Answer]], Answer | Failure], call: Call[Answer], update: Callable[[], None]
) -> Answer | Failure:
    """``function(call)``, which runs ``run`` in another process; meanwhile ``update`` is called again and again.

    It passes on how far ``wire`` says that the work is. What it raises, such as ``Cancelled``, is raised as soon as the
    call has ended, which is asked to stop: at once where the chain runs, but a GPU that is waited for is still waited
    for.
    """
    wire.clear()
    with ThreadPoolExecutor(1, "restore-gpu") as pool:
        future = pool.submit(copy_context().run, function, call)
        try:
            while not wait([future], POLL_SECONDS).done:
                update()
        except BaseException:
            wire.ask_to_stop()
            raise
    answer = future.result()
    update()
    return answer


class PictureProgress:
    """What the listener of this process was told last of a ``PictureCall``."""

    def __init__(self, progress: Progress, stages: Sequence[str]) -> None:
        self._progress = progress
        self._stages = stages
        self._index: int | None = None
        progress.begin(WAITING, 0, len(stages))
        progress.advance(0, 1, "")

    def update(self) -> None:
        self._progress.check()
        position = wire.read()
        if position is None:
            return
        index, done, total, unit = position
        if self._index is None:
            self._progress.advance(1, 1, "")
        if self._index != index:
            self._progress.begin(self._stages[index], index, len(self._stages))
            self._index = index
        self._progress.advance(done, total, unit)
