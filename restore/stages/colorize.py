"""Colour black-and-white frames: chroma by a network, luma from the frame itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from restore import catalog
from restore.colour.already import noticed
from restore.colour.deepremaster import (
    BLOCK,
    MACS_PER_PIXEL,
    SIDE,
    colourised,
    reference_tensor,
    resized,
    working_size,
)
from restore.colour.eight_bits import luma
from restore.colour.merge import chroma_of, with_chroma
from restore.colour.methods import SAMPLE_SIDE, macs, method_of
from restore.colour.palette import Recolour
from restore.colour.reference_pictures import as_frame, palette_of, read_reference
from restore.colour.references import Reference, in_ranges, parse_references
from restore.colour.steady import AHEAD, REACH, steadied
from restore.errors import SettingsError, WeightsError
from restore.frame import Frame
from restore.inference.device import choose_precision, name_of
from restore.inference.engine import Engine
from restore.inference.opening import opened
from restore.inference.trial import Trial
from restore.models import AUTO, choose, offered_for, open_model
from restore.networks.deepremaster import DeepRemaster
from restore.report import ModelUse
from restore.stages.base import Context, FrameByFrame, Work
from restore.stages.numbers import number
from restore.stages.shots import each_of_known_shots

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

COLOURLESS = 1 / 255
"""The mean chroma, in [0, 1], of a reference that is not worth its name."""

MINDIMS = (64, 720)
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

    @property
    def needs_cuts(self) -> bool:
        """Whether it has to be known beforehand when shots begin, for references with times."""
        return any(each.time is not None for each in self.references)

    @property
    def frames_held(self) -> int:
        # Of a frame that waits for those ahead there are its pixels and its colours.
        return (BLOCK if self.model == DEEPREMASTER else 0) + (2 * AHEAD if self.steadiness > 0 else 0)

    @property
    def context_frames(self) -> Context:
        before = REACH if self.steadiness > 0 or self.references else 0
        after = AHEAD if self.steadiness > 0 else 0
        if self.model == DEEPREMASTER:
            return Context(max(before, BLOCK - 1), after + BLOCK - 1)
        return Context(before, after)

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(Path(each.path) for each in self.references)

    def work(self, width: int, height: int) -> Work:
        if self.model == DEEPREMASTER:
            rows, columns = working_size(height, width, self.mindim)
            return Work(MACS_PER_PIXEL * rows * columns, width * height)
        names = CANDIDATES["cuda"] if self.model == AUTO else (self.model,)
        return Work(max(macs(name, self.render_factor) for name in names), width * height)

    def open(self, engine: Engine) -> OpenColorize:
        return OpenColorize(self, engine)


class OpenColorize:
    """``Colorize`` with its model chosen and on this machine."""

    def __init__(self, settings: Colorize, engine: Engine) -> None:
        self.settings = settings
        self.plan: Mapping[str, Any] = {}
        self._choice: tuple[str, ...] = ()
        self._name = settings.model
        if self._name == AUTO:
            self._name, why = _choose(engine)
            self._choice = (why,)
        self._model = open_model(self._name, engine)
        self._trial = Trial()
        self._float32_only = False
        # How often a shot began for which a reference was used, by both their numbers.
        self._served: Counter[tuple[int, int]] = Counter()
        for path in dict.fromkeys(each.path for each in settings.references):
            if chroma_of(as_frame(read_reference(path, engine.settings))).abs().mean() < COLOURLESS:
                engine.warn(f"The reference {Path(path).name} has no colours: what it is used for becomes grey.")

    @property
    def models(self) -> tuple[ModelUse, ...]:
        return self._model.uses

    @property
    def precision(self) -> str:
        return str(self.plan.get("precision", "float32"))

    @property
    def notes(self) -> tuple[str, ...]:
        slower = (f"{self._name} was run in float32: {self._trial.said}.",) if self._trial.failed else ()
        return (*self._choice, *slower, *self._who_served())

    @property
    def counts(self) -> Mapping[str, int]:
        return {f"{index} {shot}": count for (index, shot), count in self._served.items()}

    def recount(self, counts: Mapping[str, int], engine: Engine) -> None:
        self._served = Counter()
        for name, count in counts.items():
            index, shot = map(int, name.split())
            self._served[index, shot] = count
        self._warn_of_unused(engine)

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        self._served = Counter()

        def shot(pixels: Iterator[Tensor], first: Frame) -> Generator[Tensor]:
            return self._shot(pixels, self._references(first, engine), engine)

        frames = noticed(frames, engine)
        yield from each_of_known_shots(frames, shot, lambda frame, made: replace(frame, pixels=made, before=None))
        if engine.begin is None:  # else this was a part of the clip, and others may have used the rest
            self._warn_of_unused(engine)

    def _references(self, first: Frame, engine: Engine) -> list[str]:
        """The pictures for the shot that begins with ``first``."""
        given = dict(enumerate(self.settings.references))
        if engine.rate is not None:
            if any(each.time is not None for each in given.values()):
                raise SettingsError(
                    "References with times need to know when shots begin before the first frame comes: give the cuts, "
                    "or the references with the numbers of their shots."
                )
            own = {index: each for index, each in given.items() if each.shot == first.shot}
            given = own or {index: each for index, each in given.items() if each.shot is None}
        for index in given:
            self._served[index, first.shot] += 1
        return [each.path for each in given.values()]

    def _shot(self, pixels: Iterator[Tensor], references: list[str], engine: Engine) -> Generator[Tensor]:
        """The frames of one shot, coloured."""
        settings = self.settings
        recolour, coloured = None, self._each(pixels, engine)
        if self._name == DEEPREMASTER:
            coloured = self._in_blocks(pixels, references, engine)
        elif references:
            recolour = Recolour(palette_of(references, engine.settings))
        with closing(coloured):
            found = (self._found(frame, colours, recolour) for frame, colours in coloured)
            if settings.steadiness > 0 and engine.rate is not None:
                for chroma, frame in steadied(found, settings.steadiness):
                    yield self._shown(frame, chroma)
                return
            for _, chroma, frame in found:
                yield self._shown(frame, chroma)

    @torch.inference_mode()
    def _found(self, frame: Tensor, coloured: Tensor, recolour: Recolour | None) -> tuple[Tensor, Tensor, Tensor]:
        """The luma and the chroma of a frame ``(1, 3, H, W)``, and the frame that the chroma is for."""
        light, chroma = luma(frame), chroma_of(coloured)
        if recolour is not None:
            chroma = recolour.recoloured(light, chroma)
        return light, chroma, frame if self.settings.keep_luma else coloured

    @torch.inference_mode()
    def _shown(self, frame: Tensor, chroma: Tensor) -> Tensor:
        """A frame ``(1, 3, H, W)`` with these colours, as strong as they are wanted: ``(3, H, W)``."""
        return with_chroma(frame, chroma, self.settings.saturation)[0]

    def _each(self, pixels: Iterator[Tensor], engine: Engine) -> Generator[tuple[Tensor, Tensor]]:
        """Each frame ``(1, 3, H, W)`` of a shot with what the network makes of it alone."""
        method, factor = method_of(self._name), self.settings.render_factor
        for frame in pixels:
            shown = frame[None].to(engine.device).clamp(0, 1)
            found = self._run(engine, method.colourise, method.sample, shown, factor)
            yield frame[None], found.to(frame.device)

    def _in_blocks(
        self, pixels: Iterator[Tensor], references: list[str], engine: Engine
    ) -> Generator[tuple[Tensor, Tensor]]:
        """Each frame of a shot with what DeepRemaster makes of its block and of the references."""
        pictures = [read_reference(path, engine.settings) for path in references]
        colours = reference_tensor(pictures).to(engine.device) if pictures else None
        while block := list(islice(pixels, BLOCK)):
            height, width = block[0].shape[-2:]
            size = working_size(height, width, self.settings.mindim)
            small = torch.cat([resized(frame[None], *size) for frame in block]).to(engine.device)
            found = self._run(engine, colourised, _coarse, small, colours)
            while block:
                frame, few = block.pop(0), found[:1]
                found = found[1:]
                large = functional.interpolate(few, (height, width), mode="bilinear", antialias=True)
                yield frame[None], large.to(frame.device)

    def _run(
        self, engine: Engine, work: Callable[..., Tensor], sample: Callable[..., Tensor] | None, *inputs: Any
    ) -> Tensor:
        """What ``work`` makes of the network and ``inputs``, in the fast precision unless that is too narrow for it.

        ``sample`` does the same coarsely, to see whether that precision suits the network; without one it does not.
        """
        dtype = torch.float32
        if sample is not None and not self._float32_only:
            dtype = choose_precision(engine.settings, engine.device)
            if engine.settings.precision == "auto":
                dtype = self._trial.precision(dtype, lambda tried: self._in(tried, engine, sample, *inputs))
        while True:
            found = self._in(dtype, engine, work, *inputs)
            if bool(found.isfinite().all()):
                self.plan = {"precision": name_of(dtype)} | ({"tried": self._trial.said} if self._trial.said else {})
                return found
            if dtype == torch.float32:
                raise WeightsError(f"The weights of {self._name} give no finite picture; they are damaged.")
            engine.warn(
                f"{self._name} gave numbers that are not finite in {name_of(dtype)}; it was run in float32 instead."
            )
            dtype, self._float32_only = torch.float32, True

    def _in(self, dtype: torch.dtype, engine: Engine, work: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """What ``work`` makes of the network in this precision and of ``inputs``."""
        with opened(self._model.source, engine, dtype) as network:
            return work(network, *inputs).float()

    def _who_served(self) -> Iterator[str]:
        """Which picture served which shots, in sentences."""
        for index, reference in enumerate(self.settings.references):
            shots = sorted(shot for number, shot in self._served if number == index)
            if shots:
                word = "shot" if len(shots) == 1 else "shots"
                yield f"{Path(reference.path).name} gave its colours to {word} {in_ranges(shots)}."

    def _warn_of_unused(self, engine: Engine) -> None:
        used = {index for index, _ in self._served}
        for index, reference in enumerate(self.settings.references):
            if index not in used:
                why = "every shot had references of its own"
                if reference.shot is not None:
                    why = f"there is no shot {reference.shot} (the first one is shot 0)"
                engine.warn(f"The reference {Path(reference.path).name} was not used: {why}.")


def _coarse(network: DeepRemaster, frames: Tensor, references: Tensor | None) -> Tensor:
    """What DeepRemaster makes of a small version of a block."""
    height, width = frames.shape[-2:]
    return colourised(network, resized(frames, *working_size(height, width, SAMPLE_SIDE)), references)


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
