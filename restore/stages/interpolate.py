"""Make frames between frames: another frame rate, or slow motion, on exact times."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import torch

from restore import catalog
from restore.errors import LimitError, SettingsError
from restore.frame import Frame
from restore.inference.engine import Engine, Span
from restore.interpolation import duplicates as copies
from restore.interpolation.between import MACS_PER_PIXEL, Between, BuiltInBetween, NetworkBetween
from restore.interpolation.grid import Interval, Moment, intervals
from restore.media.clips.rates import HIGHEST_RATE, parse_rate
from restore.models import AUTO, BUILT_IN, Model, choose, offered_for, open_model
from restore.report import ModelUse
from restore.stages.base import Context, Work
from restore.stages.numbers import number

Duplicates = Literal["keep", "resample"]
Sound = Literal["stretch", "none"]

CANDIDATES = ("rife-4.25", "rife-4.26", "rife-4.6", BUILT_IN)
"""What ``auto`` takes, the best first."""

LARGEST_FACTOR = 64

FINEST_RATE = 1_000_000
"""The largest denominator of a rate: those of factors with many decimals would be too large for the files."""

NEARLY_WHOLE = Fraction(1, 100)
"""How far ``time_step`` times a whole number may be from one if that number was meant: 0.33 stands for a third."""

LONGEST_MOTION = Fraction(1, 2)
"""Seconds between two frames up to which there is motion between them; a picture that stands longer is left standing.
Clips of few frames a second have twice the time of one of theirs."""


@dataclass(frozen=True)
class Interpolate:
    """Make the frame rate of a clip ``fps`` (``60`` or ``"60000/1001"``), or ``factor`` times what it is.

    Without either it is doubled; ``time_step`` is PaddleGAN's word for one divided by the factor. With ``slow_motion``
    the clip lasts ``factor`` times as long instead (twice without one), at its own rate or at ``fps``; its ``sound`` is
    stretched in time at the same pitch, or left out (``"none"``).

    ``duplicates="resample"`` looks for frames that only repeat the one before, as in animation and in film that was
    stored at a higher rate, and makes the motion even without them; ``remove_duplicates`` is PaddleGAN's word for it.
    ``scale`` (0.25 to 1) is the size at which the networks that can look for motion do so, as a share of that of the
    frame: less is quicker, and finds more of what moves far in large frames; by default it goes by their size. Across a
    cut nothing is blended: the nearer frame is repeated.

    ``model="auto"`` takes the best one at hand, and the built-in one where there is none.
    """

    stage: ClassVar[str] = "interpolate"
    uses_shots: ClassVar[bool] = True
    only_clips: ClassVar[bool] = True
    gives_colour: ClassVar[bool] = False
    keeps_frames: ClassVar[bool] = True

    model: str = AUTO
    fps: str | float | Fraction | None = None
    factor: float | None = None
    time_step: float | None = None
    slow_motion: bool = False
    duplicates: Duplicates = "keep"
    remove_duplicates: bool = False
    scale: float | None = None
    sound: Sound = "stretch"

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise SettingsError(f"model is {self.model!r}: give the name of a model, or 'auto'.")
        if self.model not in choices() and self.stage not in catalog.checkpoint(self.model).stages:
            names = ", ".join(choices())
            raise SettingsError(f"the model {self.model} does not make frames between frames; use one of {names}.")
        if self.fps is not None:
            object.__setattr__(self, "fps", str(parse_rate(self.fps, "fps").limit_denominator(FINEST_RATE)))
        for name, low, high in (("factor", 1 / LARGEST_FACTOR, LARGEST_FACTOR), ("time_step", 1 / LARGEST_FACTOR, 1)):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, number(name, getattr(self, name), low, high))
        if self.scale is not None:
            object.__setattr__(self, "scale", number("scale", self.scale, 0.25, 1))
        for name in ("slow_motion", "remove_duplicates"):
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} is {getattr(self, name)!r}: give true or false.")
        for name, kind in (("duplicates", Duplicates), ("sound", Sound)):
            if getattr(self, name) not in get_args(kind):
                raise SettingsError(f"{name} is {getattr(self, name)!r}: give one of {', '.join(get_args(kind))}.")
        if self.factor is not None and self.time_step is not None:
            raise SettingsError("factor and time_step say the same: give one of them.")
        if self.fps is not None and self.times is not None and not self.slow_motion:
            raise SettingsError("fps and factor both say how many frames there will be: give one of them.")
        if self.slow_motion and self.stretch <= 1:
            raise SettingsError(f"slow_motion with a factor of {self.stretch} is no slow motion: give one above 1.")

    @property
    def times(self) -> Fraction | None:
        """How many times as many frames, from ``factor`` or ``time_step``; ``None`` where neither was given."""
        if self.time_step is not None:
            exact = 1 / Fraction(str(self.time_step))
            whole = Fraction(round(exact))
            return whole if abs(whole / exact - 1) <= NEARLY_WHOLE else exact
        return None if self.factor is None else Fraction(str(self.factor))

    @property
    def resamples(self) -> bool:
        """Whether copies are looked for and left out."""
        return self.remove_duplicates or self.duplicates == "resample"

    def to_dict(self) -> dict[str, Any]:
        return {"stage": self.stage, **asdict(self)}

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        return width, height

    def output_rate(self, rate: Fraction) -> Fraction:
        """The frame rate that a clip of ``rate`` gets; raises ``LimitError`` for one that makes no sense."""
        if self.fps is not None:
            return Fraction(self.fps)
        if self.slow_motion:
            return rate
        result = rate * (self.times or 2)
        if result > HIGHEST_RATE:
            raise LimitError(
                f"{float(rate):g} frames a second would become {float(result):g}, and at most {HIGHEST_RATE} can be "
                "made: choose a smaller factor, or the rate itself with fps."
            )
        return result.limit_denominator(FINEST_RATE)

    @property
    def stretch(self) -> Fraction:
        return (self.times or Fraction(2)) if self.slow_motion else Fraction(1)

    @property
    def keeps_sound(self) -> bool:
        return not self.slow_motion or self.sound == "stretch"

    @property
    def frames_held(self) -> int:
        return 2 + (copies.FRAMES_HELD if self.resamples else 0)

    @property
    def context_frames(self) -> Context:
        if self.resamples:
            return Context(copies.CONTEXT, copies.CONTEXT, 1)
        return Context(0, 1, 1)

    @property
    def files(self) -> tuple[Path, ...]:
        return ()

    def work(self, width: int, height: int) -> Work:
        name = CANDIDATES[0] if self.model == AUTO else self.model
        macs = 0.0 if name == BUILT_IN else MACS_PER_PIXEL[catalog.checkpoint(name).network]
        return Work(macs * width * height, width * height)

    def open(self, engine: Engine) -> OpenInterpolate:
        return OpenInterpolate(self, engine)


def choices() -> list[str]:
    """The names of everything that ``Interpolate`` takes for a model."""
    return [AUTO, BUILT_IN, *offered_for(Interpolate.stage)]


@dataclass
class Counts:
    """What the frames of the result are: ``kept`` ones of the source, ``made`` between two, or ``repeated``."""

    kept: int = 0
    made: int = 0
    repeated: int = 0


class OpenInterpolate:
    """``Interpolate`` with its model chosen and on this machine."""

    def __init__(self, settings: Interpolate, engine: Engine) -> None:
        self.settings = settings
        self.plan: Mapping[str, Any] = {}
        self._choice: list[str] = []
        self._model: Model | None = None
        self._counts = Counts()
        self._found = copies.Found()
        self._span = Span()
        self._rates: tuple[Fraction, Fraction] | None = None
        name = settings.model
        if name == AUTO:
            name, why = _choose(engine)
            self._choice = [why]
        if name != BUILT_IN:
            self._model = open_model(name, engine)

    @property
    def models(self) -> tuple[ModelUse, ...]:
        return () if self._model is None else self._model.uses

    @property
    def precision(self) -> str:
        return str(self.plan.get("precision", "float32"))

    @property
    def counts(self) -> Mapping[str, int]:
        return {**asdict(self._counts), "copies": self._found.copies, "frames": self._found.frames}

    def recount(self, counts: Mapping[str, int], engine: Engine) -> None:
        assert engine.rate is not None
        self._counts = Counts(counts["kept"], counts["made"], counts["repeated"])
        self._found = copies.Found(counts["copies"], counts["frames"])
        self._rates = engine.rate, self._grid(engine.rate)

    def _grid(self, rate: Fraction) -> Fraction:
        """How many frames are shown of a second of a source of ``rate``: in slow motion that second takes longer."""
        return self.settings.output_rate(rate) * self.settings.stretch

    @property
    def notes(self) -> tuple[str, ...]:
        notes = list(self._choice)
        counts, found = self._counts, self._found
        if self._model is None:
            notes.append("The built-in interpolation followed the motion itself, which needs no model.")
        if self._rates is not None and self._rates[1] < self._rates[0]:
            before, after = (f"{float(rate):.6g}" for rate in self._rates)
            notes.append(f"The clip had {before} frames a second and was to have {after}: frames were left out.")
        if found.copies:
            notes.append(f"{found.copies} of {found.frames} frames only repeated the one before, and were left out.")
        if counts.kept + counts.made + counts.repeated:
            notes.append(
                f"Frames of the result: {counts.made} made between two, {counts.kept} of the source as they were, "
                f"{counts.repeated} repeated where nothing moved or a shot ended."
            )
        return tuple(notes)

    def between(self, engine: Engine) -> Between:
        """What makes the frames between two."""
        if self._model is None:
            return BuiltInBetween(engine)
        return NetworkBetween(self._model.source, engine, self.settings.scale)

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        settings = self.settings
        rate = engine.rate
        if rate is None:
            raise SettingsError("Frames are made between the frames of a clip; this is a picture: leave that step out.")
        grid = self._grid(rate)
        self._rates = rate, grid
        self._span = engine.span.times(1 / settings.stretch)
        self._counts, self._found = Counts(), copies.Found(span=self._span)
        if settings.resamples:
            frames = copies.evenly(copies.without_copies(frames, self._found), 1 / rate)
        between = self.between(engine)
        longest = _longest_motion(rate)
        yield from timed(self._shown(intervals(frames, grid, engine.begin), longest, between), settings.stretch)
        self.plan = {"rate": str(settings.output_rate(rate)), **asdict(self._counts), **between.plan}
        if settings.resamples:
            self.plan |= {"copies": self._found.copies}

    def shown_between(self, first: Frame, second: Frame, position: Fraction, engine: Engine) -> Frame:
        """What a run shows at ``position`` in (0, 1) between two frames of the source that follow each other."""
        assert engine.rate is not None
        pts = first.pts + position * (second.pts - first.pts)
        pair = Interval(first, second, (Moment(position, pts),), second.pts)
        shown = self._shown([pair], _longest_motion(engine.rate), self.between(engine))
        return next(frame for frame in shown if isinstance(frame, Frame))

    def _shown(self, pairs: Iterable[Interval], longest: Fraction, between: Between) -> Iterator[Frame | Fraction]:
        """The frames to show, and between them when what they are made of ends; the times are those of the source.

        Between two frames more than ``longest`` seconds apart nothing moves.
        """
        for pair in pairs:
            yield from self._moving(pair, between) if _moves(pair, longest) else self._standing(pair)
            yield pair.end

    def _standing(self, pair: Interval) -> Iterator[Frame]:
        """The nearer one of two shots, the first one of what else is not to be blended."""
        first, second = pair.first, pair.second
        for moment in pair.moments:
            late = second is not None and second.shot != first.shot and moment.position >= Fraction(1, 2)
            if moment.position:
                self._counts.repeated += self._span.holds(moment.pts)
            else:
                self._counts.kept += self._span.holds(moment.pts)
            yield replace(second if late and second is not None else first, pts=moment.pts, before=None)

    def _moving(self, pair: Interval, between: Between) -> Iterator[Frame]:
        first, second = pair.first, pair.second
        assert second is not None
        positions = [float(moment.position) for moment in pair.moments if moment.position]
        made = between.frames(first.pixels, second.pixels, positions, first.bits)
        for moment in pair.moments:
            if not moment.position:
                self._counts.kept += self._span.holds(moment.pts)
                yield replace(first, pts=moment.pts, before=None)
                continue
            self._counts.made += self._span.holds(moment.pts)
            alpha = first.alpha
            if first.alpha is not None and second.alpha is not None:
                alpha = first.alpha.lerp(second.alpha, float(moment.position))
            yield replace(first, pixels=next(made), alpha=alpha, pts=moment.pts, before=None)


def _choose(engine: Engine) -> tuple[str, str]:
    """The model that ``auto`` takes, and the sentence that says why it."""
    name, why_not_first = choose(CANDIDATES, engine)
    if why_not_first is None:
        return name, f"auto took {name} to make frames: the first choice."
    first = CANDIDATES[0]
    engine.warn(
        f"{first} makes better frames than {name}, which was used: `python -m restore fetch {first}` gets it, "
        "or says why it cannot."
    )
    return name, f"auto took {name} to make frames, because {first} {why_not_first}."


def _longest_motion(rate: Fraction) -> Fraction:
    """Seconds between two frames of a clip of ``rate`` above which nothing moves between them."""
    return max(LONGEST_MOTION, 2 / rate)


def _moves(pair: Interval, longest: Fraction) -> bool:
    """Whether there is motion to be seen between the two frames."""
    first, second = pair.first, pair.second
    return (
        second is not None
        and not second.repeat
        and second.shot == first.shot
        and second.pts - first.pts <= longest
        and second.pixels.shape == first.pixels.shape
        and not (torch.equal(second.pixels, first.pixels) and _same_alpha(first, second))
    )


def _same_alpha(first: Frame, second: Frame) -> bool:
    if first.alpha is None or second.alpha is None:
        return first.alpha is second.alpha
    return torch.equal(first.alpha, second.alpha)


def timed(shown: Iterable[Frame | Fraction], stretch: Fraction) -> Iterator[Frame]:
    """The frames among ``shown`` with all times multiplied by ``stretch``, each lasting until the next one.

    The last one lasts until the last of the times among them. One frame is held back.
    """
    last: Frame | None = None
    end = Fraction(0)
    for item in shown:
        if isinstance(item, Fraction):
            end = item * stretch
            continue
        pts = item.pts * stretch
        repeat = last is not None and item.pixels is last.pixels and item.alpha is last.alpha
        if last is not None:
            yield replace(last, duration=pts - last.pts)
        last = replace(item, pts=pts, repeat=repeat)
    if last is not None:
        yield replace(last, duration=max(end - last.pts, Fraction(0)))
