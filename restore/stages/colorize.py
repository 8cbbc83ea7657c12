"""Colour black-and-white frames: chroma by a network, luma from the frame itself."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch

from restore import catalog
from restore.colour.deepremaster import SIDE
from restore.colour.merge import with_own_luma
from restore.colour.methods import macs, method_of
from restore.colour.references import Reference, parse_references
from restore.errors import SettingsError
from restore.frame import Frame
from restore.inference.device import choose_precision, name_of
from restore.inference.engine import Engine
from restore.inference.opening import opened
from restore.models import AUTO, choose, offered_for, open_model
from restore.report import ModelUse
from restore.stages.base import CountsNothing, FrameByFrame, Work, each_once
from restore.stages.numbers import number

BUILT_IN = "built-in-colour"
DEEPREMASTER = "deepremaster"

CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "cpu": ("ddcolor-tiny", BUILT_IN),
    "cuda": ("ddcolor-large", "ddcolor-tiny", BUILT_IN),
    "mps": ("ddcolor-large", "ddcolor-tiny", BUILT_IN),
}
"""What ``auto`` takes on each kind of device, the best first."""

RENDER_FACTORS = (7, 45)
"""The least and the largest, as published."""

MOST_SATURATION = 3.0

MINDIMS = (64, 1080)
"""The least and the largest; what DeepRemaster takes grows with the fourth power of it."""


@dataclass(frozen=True)
class Colorize(FrameByFrame):
    """Give frames the colours that ``model`` thinks of; frames keep their size.

    ``model="auto"`` takes the best one that is at hand for the device. ``render_factor`` (7 to 45) is for DeOldify,
    which sees a square of 16 times as many pixels: more of them give finer colours, fewer bolder ones. ``saturation``
    (0 to 3) multiplies the colours. With ``keep_luma`` the frame turned grey is what it was turned grey before,
    whatever the network did; without it the result is that of the published program.

    ``references`` are pictures whose colours are wanted: a list, or ``{shot or time: picture}``, or a folder (see
    ``restore.colour.references``). ``deepremaster`` finds what suits each place in them; of the frames of other models
    the colours of each lightness are brought closer to what they are in the references. ``mindim`` is the shorter side
    at which ``deepremaster`` sees the frames.

    ``steadiness`` (0 to 1) holds the colours of a shot still: they follow what moves, and change the less from frame to
    frame, the more of it there is.
    """

    stage: ClassVar[str] = "colorize"
    gives_colour: ClassVar[bool] = True

    model: str = AUTO
    render_factor: int = 35
    references: tuple[Reference, ...] = ()
    saturation: float = 1.0
    steadiness: float = 0.5
    keep_luma: bool = True
    mindim: int = SIDE

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise SettingsError(f"model is {self.model!r}: give the name of a model, or 'auto'.")
        if self.model != AUTO and self.stage not in catalog.checkpoint(self.model).stages:
            names = ", ".join([AUTO, *offered_for(self.stage)])
            raise SettingsError(f"the model {self.model} does not colour pictures; use one of {names}.")
        object.__setattr__(self, "render_factor", round(number("render_factor", self.render_factor, *RENDER_FACTORS)))
        object.__setattr__(self, "references", parse_references(self.references))
        object.__setattr__(self, "saturation", number("saturation", self.saturation, 0, MOST_SATURATION))
        object.__setattr__(self, "steadiness", number("steadiness", self.steadiness, 0, 1))
        object.__setattr__(self, "mindim", round(number("mindim", self.mindim, *MINDIMS)))
        if not isinstance(self.keep_luma, bool):
            raise SettingsError(f"keep_luma is {self.keep_luma!r}: give true or false.")

    @property
    def uses_shots(self) -> bool:
        return self.steadiness > 0 or bool(self.references) or self.model == DEEPREMASTER

    def to_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, **asdict(self), "references": [each.to_dict() for each in self.references]}

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def work(self, width: int, height: int) -> Work:
        names = CANDIDATES["cuda"] if self.model == AUTO else (self.model,)
        return Work(max(macs(name, self.render_factor) for name in names), width * height)

    def open(self, engine: Engine) -> OpenColorize:
        return OpenColorize(self, engine)


class OpenColorize(CountsNothing):
    """``Colorize`` with its model chosen and on this machine."""

    def __init__(self, settings: Colorize, engine: Engine) -> None:
        self.settings = settings
        self.plan: Mapping[str, Any] = {}
        self.notes: tuple[str, ...] = ()
        self._name = settings.model
        if self._name == AUTO:
            self._name, why = _choose(engine)
            self.notes = (why,)
        self._model = open_model(self._name, engine)

    @property
    def models(self) -> tuple[ModelUse, ...]:
        return self._model.uses

    @property
    def precision(self) -> str:
        return str(self.plan.get("precision", "float32"))

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        dtype = choose_precision(engine.settings, engine.device)
        self.plan = {"precision": name_of(dtype)}
        yield from each_once(frames, lambda frame: self._coloured(frame, engine, dtype))

    def _coloured(self, frame: Frame, engine: Engine, dtype: torch.dtype) -> Frame:
        settings = self.settings
        pixels = frame.pixels[None]
        with opened(self._model.source, engine, dtype) as network:
            shown = pixels.to(engine.device).clamp(0, 1)
            coloured = method_of(self._name).colourise(network, shown, settings.render_factor).float().to(pixels.device)
        if settings.keep_luma:
            coloured = with_own_luma(pixels, coloured, settings.saturation)
        elif settings.saturation != 1:
            coloured = with_own_luma(coloured, coloured, settings.saturation)
        return replace(frame, pixels=coloured[0], before=None)


def _choose(engine: Engine) -> tuple[str, str]:
    """The model that ``auto`` takes, and the sentence that says why it."""
    candidates = CANDIDATES[engine.device.type]
    name, why_not_first = choose(candidates, engine)
    if why_not_first is None:
        return name, f"auto took {name} to colour: the first choice."
    engine.warn(
        f"{candidates[0]} colours better than {name}, which was used: "
        f"`python -m restore fetch {candidates[0]}` gets it, or says why it cannot."
    )
    return name, f"auto took {name} to colour, because {candidates[0]} {why_not_first}."
