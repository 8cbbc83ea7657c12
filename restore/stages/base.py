"""What every stage has in common."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, replace
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

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        """Turn frames into frames on the device of ``engine``, with no network connection."""
        ...


class Stage(Protocol):
    """The settings of a stage: a frozen, hashable dataclass that validates itself."""

    stage: ClassVar[str]

    uses_shots: ClassVar[bool]
    """Whether the stage reads ``Frame.shot``; shots are looked for, and frames kept waiting for it, only if so."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them, with the name of the stage under ``stage``."""
        ...

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """The size ``(width, height)`` that a frame of this size gets; raises ``LimitError`` where it can have none."""
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


def each_once(frames: Iterable[Frame], work: Callable[[Frame], Frame]) -> Generator[Frame]:
    """What ``work`` makes of each frame, in its time; of a frame that repeats the one before it, the same once more."""
    made: Frame | None = None
    for frame in frames:
        if made is None or not frame.repeat:
            made = work(frame)
        yield replace(frame, pixels=made.pixels, alpha=made.alpha, before=made.before)
