"""Clean old film: dirt, scratches and noise are taken off, and the contrast is made up, by a network."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from restore import catalog
from restore.cleaning.repair import CONTEXT, FRAMES_HELD, MACS_PER_PIXEL, Repair
from restore.colour.deepremaster import BLOCK, working_size
from restore.errors import SettingsError
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.inference.trial import Trial
from restore.models import AUTO, Model, offered_for, open_model, why_missing
from restore.report import ModelUse
from restore.stages.base import NO_CONTEXT, Context, CountsNothing, FrameByFrame, Work
from restore.stages.numbers import number
from restore.stages.shots import each_of_shots

CANDIDATES = ("deepremaster",)
"""What ``auto`` takes, the best first."""

SIDES = (32, 4320)
"""The least and the most that ``mindim`` may be."""


@dataclass(frozen=True)
class Clean(FrameByFrame):
    """Take dirt, scratches and noise off old film with ``model``; frames keep their size and their colours.

    DeepRemaster's restoration repairs the luminance of a few frames of a shot at a time; a single picture is a shot of
    one frame. ``mindim`` is the shorter side, in pixels, to which frames are reduced for the network, whose changes are
    then enlarged and put on the frame; without it the network sees the frames as they are, which keeps the finest
    detail clean as well and takes longer. The published program works at 320. ``strength`` (0 to 1) blends the result
    with the original; at 0 no network runs.

    ``model="auto"`` takes the best one that is at hand. Where none can be had the frames pass through as they are, with
    a warning; a model that is named and cannot be had is an error.
    """

    stage: ClassVar[str] = "clean"

    model: str = AUTO
    mindim: int | None = None
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise SettingsError(f"model is {self.model!r}: give the name of a model, or 'auto'.")
        if self.model != AUTO and self.stage not in catalog.checkpoint(self.model).stages:
            names = ", ".join([AUTO, *offered_for(self.stage)])
            raise SettingsError(f"the model {self.model} does not clean film; use one of {names}.")
        if self.mindim is not None:
            object.__setattr__(self, "mindim", round(number("mindim", self.mindim, *SIDES)))
        object.__setattr__(self, "strength", number("strength", self.strength, 0, 1))

    @property
    def uses_shots(self) -> bool:
        return self.strength > 0

    @property
    def frames_held(self) -> int:
        return FRAMES_HELD if self.strength > 0 else 0

    @property
    def context_frames(self) -> Context:
        return Context(BLOCK - 1, BLOCK - 1) if self.strength > 0 else NO_CONTEXT

    def to_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, **asdict(self)}

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def work(self, width: int, height: int) -> Work:
        if self.strength == 0:
            return Work(0, 0)
        rows, columns = height, width
        if self.mindim is not None and self.mindim < min(width, height):
            rows, columns = working_size(height, width, self.mindim)
        overlap = BLOCK / (BLOCK - 2 * CONTEXT)
        return Work(MACS_PER_PIXEL * overlap * rows * columns, width * height)

    def open(self, engine: Engine) -> OpenClean:
        return OpenClean(self, engine)


class OpenClean(CountsNothing):
    """``Clean`` with its model on this machine, or with a reason why it does nothing."""

    def __init__(self, settings: Clean, engine: Engine) -> None:
        self.settings = settings
        self.plan: Mapping[str, Any] = {}
        self._choice: tuple[str, ...] = ()
        self._model: Model | None = None
        self._trial = Trial()
        if settings.strength == 0:
            return
        if settings.model != AUTO:
            self._model = open_model(settings.model, engine)
            return
        (first, *_) = CANDIDATES
        reason = why_missing(first, engine)
        if reason is None:
            self._model = open_model(first, engine)
            self._choice = (f"auto took {first} to clean: the first choice.",)
        else:
            engine.warn(
                f"Nothing was cleaned, because {first} {reason}: `python -m restore fetch {first}` gets it, or says "
                "why it cannot."
            )

    @property
    def notes(self) -> tuple[str, ...]:
        if self._model is None or not self._trial.failed:
            return self._choice
        return *self._choice, f"{self._model.source.name} was run in float32: {self._trial.said}."

    @property
    def models(self) -> tuple[ModelUse, ...]:
        return () if self._model is None else self._model.uses

    @property
    def precision(self) -> str:
        return str(self.plan.get("precision", "float32"))

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        if self._model is None:
            yield from frames
            return
        repair = Repair(self._model.source, engine, self.settings.mindim, trial=self._trial)
        self.plan = repair.plan
        yield from each_of_shots(frames, repair.repaired, self._finished)

    @torch.inference_mode()
    def _finished(self, frame: Frame, result: Tensor) -> Frame:
        pixels = frame.pixels.lerp(result, self.settings.strength) if self.settings.strength < 1 else result
        return replace(frame, pixels=pixels, before=None)
