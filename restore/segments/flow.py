"""One segment on its way through the chain: the same in whichever process that runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Any, Protocol

from restore.chain import Clock, staged
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.progress import ClipProgress
from restore.segments.split import Needs
from restore.segments.walk import Segment, SpanOf, within
from restore.stages import OpenStage
from restore.stages.interpolate import OpenInterpolate


@dataclass(frozen=True)
class Chain:
    """What all segments of a clip go through.

    ``rates`` are the frames a second, and ``needs`` the frames around a segment, before the first of the ``opened``
    stages and after each; ``begin`` is when the first frame of all is shown.
    """

    opened: tuple[OpenStage, ...]
    rates: tuple[Fraction, ...]
    needs: tuple[Needs, ...]
    begin: Fraction


def networks_of(opened: Sequence[OpenStage]) -> range:
    """The numbers of the stages from the first with a network to the last: what is worth a device of its own."""
    found = [number for number, stage in enumerate(opened) if stage.models]
    return range(found[0], found[-1] + 1) if found else range(0)


@dataclass
class Flow:
    """The way of ``segment`` through the stages number ``first`` to just before ``last`` of ``chain``, by default all.

    It runs on the device of ``engine``; ``parts`` are those of the whole work.
    """

    chain: Chain
    segment: Segment
    engine: Engine
    parts: ClipProgress
    first: int = 0
    last: int | None = None
    clocks: list[Clock] = field(init=False)

    def __post_init__(self) -> None:
        self._opened = list(enumerate(self.chain.opened, 1))[self.first : self.last]
        self.clocks = [Clock() for _ in self.chain.opened]
        self._begun = list(self.parts.done)

    def run(self, frames: Generator[Frame]) -> Generator[Frame]:
        """The frames of the result, of those of the segment and the ones around it that the chain looks at."""
        chain, segment = self.chain, self.segment
        factor = prod((stage.settings.stretch for stage in chain.opened[: self.first]), start=Fraction(1))
        with ExitStack() as stack:
            stack.enter_context(closing(frames))
            for part, stage in self._opened:
                engine = replace(self.engine, rate=chain.rates[part - 1], begin=chain.begin * factor)
                factor *= stage.settings.stretch
                engine.span = SpanOf(segment=segment, factor=factor)
                frames = staged(stage, frames, engine, self.parts, part, self.clocks[part - 1])
                stack.enter_context(closing(frames))
                frames = within(frames, segment, factor, chain.needs[part])
                stack.enter_context(closing(frames))
            if not chain.opened:
                frames = within(frames, segment, factor, chain.needs[0])
            yield from frames

    def stages(self) -> tuple[Mapping[str, Any], ...]:
        """What there is to say of each stage, when all frames have come out."""
        return tuple(
            {
                "seconds": self.clocks[part - 1].seconds,
                "frames": round(self.parts.done[part] - self._begun[part]),
                "precision": stage.precision,
                "plan": dict(stage.plan),
                "counts": dict(stage.counts),
            }
            for part, stage in self._opened
        )


@dataclass(frozen=True)
class Made:
    """What came of a segment: the frames of the result, and what there is to say of each stage."""

    frames: Sequence[Frame]
    stages: tuple[Mapping[str, Any], ...]


class Lender(Protocol):
    """Somebody who has the hardware for a chain, and lends it for some seconds: for one segment at a time.

    All methods raise ``BusyError`` where it cannot be had now, and ``LimitError`` where it cannot be had for as long.
    """

    def run_segment(
        self, chain: Chain, segment: Segment, frames: Sequence[Frame], engine: Engine, parts: ClipProgress
    ) -> Made:
        """What ``Flow`` does from the first stage with a network to the last, where the hardware is.

        ``frames`` are those of the segment and the ones around it, as they come to the first of these stages.
        """
        ...

    def shown_between(
        self, opened: OpenInterpolate, first: Frame, second: Frame, position: Fraction, engine: Engine
    ) -> Frame:
        """What ``opened.shown_between`` does, where the hardware is."""
        ...
