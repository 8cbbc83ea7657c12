"""What every stage has in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from restore.frame import Frame
from restore.inference.engine import Engine
from restore.report import ModelUse


class OpenStage(Protocol):
    """A stage on a device. ``plan``, ``models`` and ``precision`` are complete once the frames have run through."""

    @property
    def models(self) -> tuple[ModelUse, ...]: ...

    @property
    def plan(self) -> Mapping[str, Any]: ...

    @property
    def precision(self) -> str: ...

    def run(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Turn frames into frames."""
        ...


class Stage(Protocol):
    """The settings of a stage: a frozen, hashable dataclass that validates itself."""

    stage: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON has them, with the name of the stage under ``stage``."""
        ...

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """The size ``(width, height)`` that a frame of this size gets; raises ``LimitError`` where it can have none."""
        ...

    def open(self, engine: Engine) -> OpenStage:
        """Get the models and be ready for frames; raises ``SettingsError`` and ``WeightsError``."""
        ...
