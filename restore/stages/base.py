"""What every stage has in common."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Protocol

from restore.frame import Frame
from restore.inference.engine import Engine
from restore.report import ModelUse


@dataclass(frozen=True)
class Work:
    """What the networks of a stage compute for one frame, on a graphics card."""

    macs: float
    """Multiply-accumulate operations."""

    pixels: float
    """Pixels that come out of the last network, before they are resampled to the size that was asked for."""


@dataclass(frozen=True)
class Context:
    """The frames that a stage looks at beside those that it makes something of, as many as come in.

    ``before`` and ``after`` are those of the same shot. Of those behind them, ``next_shot`` also count where a new shot
    has begun.
    """

    before: int = 0
    after: int = 0
    next_shot: int = 0


NO_CONTEXT = Context()


class OpenStage(Protocol):
    """A stage whose choices are made and whose files are on this machine: what is left is to run it.

    It can be pickled, to run in another process on the same machine. ``plan`` and ``precision`` are complete once the
    frames have run through.
    """

    @property
    def settings(self) -> Stage: ...

    @property
    def models(self) -> tuple[ModelUse, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say of the choices, in sentences."""
        ...

    @property
    def plan(self) -> Mapping[str, Any]: ...

    @property
    def precision(self) -> str: ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What was counted of the frames that ran through, for ``notes`` and ``plan``; empty where nothing is."""
        ...

    def recount(self, counts: Mapping[str, int], engine: Engine) -> None:
        """Let ``notes`` speak of ``counts``, which are sums over several runs on ``engine``, instead of the last."""
        ...

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        """Turn frames into frames on the device of ``engine``, with no network connection."""
        ...


class CountsNothing:
    """What open stages inherit whose notes say nothing of the frames that ran through."""

    @property
    def counts(self) -> Mapping[str, int]:
        return {}

    def recount(self, counts: Mapping[str, int], engine: Engine) -> None:
        """There is nothing to say of them."""


class Stage(Protocol):
    """The settings of a stage: a frozen, hashable dataclass that validates itself."""

    stage: ClassVar[str]

    only_clips: ClassVar[bool]
    """Whether the stage has nothing to do with a single picture."""

    gives_colour: ClassVar[bool]
    """Whether frames without colour come out with it, so that a grey file becomes one in colour."""

    keeps_frames: ClassVar[bool]
    """Whether frames of the source come out again as they were, so that what lies a little outside of [0, 1] stays."""

    @property
    def uses_shots(self) -> bool:
        """Whether the stage reads ``Frame.shot``; shots are looked for, and frames kept waiting, only if so."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them, with the name of the stage under ``stage``."""
        ...

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """The size ``(width, height)`` that a frame of this size gets; raises ``LimitError`` where it can have none."""
        ...

    def output_rate(self, rate: Fraction) -> Fraction:
        """The frames a second of a clip that comes in with ``rate``; raises ``LimitError`` where it can have none."""
        ...

    @property
    def stretch(self) -> Fraction:
        """How many times as long a clip becomes: the times of its frames are multiplied by this."""
        ...

    @property
    def keeps_sound(self) -> bool:
        """Whether a clip keeps its sound, which is stretched as its frames are."""
        ...

    @property
    def frames_held(self) -> int:
        """How many frames wait in the stage at most, beside the one that it works on."""
        ...

    @property
    def context_frames(self) -> Context:
        """The frames around a part of a clip with which that part comes out as it does in the whole, or nearly so."""
        ...

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the user's that have a part in what comes out, beside the clip and the models."""
        ...

    def work(self, width: int, height: int) -> Work:
        """What a frame of this size costs; raises ``LimitError`` as ``output_size`` does."""
        ...

    def open(self, engine: Engine) -> OpenStage:
        """Choose the models and download what is missing; raises ``SettingsError`` and ``WeightsError``.

        Nothing is loaded and the device is not touched, so this can be done where there is none yet: ``engine.device``
        only says which one the stage will run on.
        """
        ...


class FrameByFrame:
    """What settings inherit whose stage makes one frame of each, in its time, of pictures and of clips."""

    only_clips: ClassVar[bool] = False
    gives_colour: ClassVar[bool] = False
    keeps_frames: ClassVar[bool] = False

    def output_rate(self, rate: Fraction) -> Fraction:
        return rate

    @property
    def stretch(self) -> Fraction:
        return Fraction(1)

    @property
    def keeps_sound(self) -> bool:
        return True

    @property
    def frames_held(self) -> int:
        return 0

    @property
    def context_frames(self) -> Context:
        return NO_CONTEXT

    @property
    def files(self) -> tuple[Path, ...]:
        return ()


def each_once(frames: Iterable[Frame], work: Callable[[Frame], Frame]) -> Generator[Frame]:
    """What ``work`` makes of each frame, in its time; of a frame that repeats the one before it, the same once more."""
    return each_in_groups(frames, lambda frame: 1, lambda group: [work(frame) for frame in group])


def each_in_groups(
    frames: Iterable[Frame], at_once: Callable[[Frame], int], work: Callable[[Sequence[Frame]], Sequence[Frame]]
) -> Generator[Frame]:
    """As ``each_once``, but ``work`` gets several frames at once, of one size and depth, as many as it gives back.

    At most as many frames wait for each other as ``at_once`` says of the first of them.
    """
    last: Frame | None = None
    group: list[Frame] = []
    waiting: list[tuple[Frame, int]] = []
    most = 1

    def flushed() -> Generator[Frame]:
        nonlocal last
        made = work(group)
        last = made[-1]
        for frame, number in waiting:
            yield _in_its_time(made[number], frame)
        group.clear()
        waiting.clear()

    for frame in frames:
        if frame.repeat and last is not None and not group:
            yield _in_its_time(last, frame)
            continue
        if group and not frame.repeat and not _alike(group[0], frame):
            yield from flushed()
        if not group or not frame.repeat:
            most = most if group else at_once(frame)
            group.append(frame)
        waiting.append((frame, len(group) - 1))
        if len(waiting) >= most:
            yield from flushed()
    if group:
        yield from flushed()


def _in_its_time(made: Frame, frame: Frame) -> Frame:
    return replace(frame, pixels=made.pixels, alpha=made.alpha, before=made.before)


def _alike(one: Frame, other: Frame) -> bool:
    return one.pixels.shape == other.pixels.shape and one.bits == other.bits
