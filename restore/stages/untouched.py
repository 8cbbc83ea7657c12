"""Parts of the frames that no stage invents anything in, such as burnt-in subtitles: a wrapper around any open stage.

Inside a region a frame that comes out shows what came in at its time: resampled where the stage enlarges, grey where
it colours, and of two frames between which others are made the nearer one, so that letters never mix. As every stage of
a chain is wrapped, that holds for the result whatever their order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import torch
from torch import Tensor

from restore.frame import Frame
from restore.inference.engine import Engine
from restore.inference.resample import lanczos_part
from restore.regions import Region
from restore.report import ModelUse
from restore.stages.base import OpenStage, Stage

FEATHER = 1 / 160
"""How wide the border is over which a region passes into the rest, as a share of the frame's shorter side."""

LEAST_FEATHER = 2
"""Pixels that it has at least."""


@dataclass(frozen=True)
class Patch:
    """Where a region lies in a frame of one size, with the border around it.

    ``weight``, ``(rows, columns)``, is 1 inside the region and falls to nothing over the border outside of it.
    """

    rows: slice
    columns: slice
    weight: Tensor


def patches_of(regions: Sequence[Region], height: int, width: int) -> list[Patch]:
    """The patches of ``regions`` in a frame of this size; a pixel that a region touches lies inside."""
    feather = max(LEAST_FEATHER, round(FEATHER * min(height, width)))
    patches = []
    for region in regions:
        rows, down = _ramp(region.top, region.height, height, feather)
        columns, across = _ramp(region.left, region.width, width, feather)
        patches.append(Patch(rows, columns, down[:, None] * across))
    return patches


def _ramp(begin: Fraction, length: Fraction, side: int, feather: int) -> tuple[slice, Tensor]:
    """The pixels of one side, with the weight of each."""
    first, end = floor(begin * side), ceil((begin + length) * side)
    low, high = max(0, first - feather), min(side, end + feather)
    places = torch.arange(low, high)
    outside = torch.maximum(first - places, places - (end - 1)).clamp(min=0)
    return slice(low, high), 1 - outside / (feather + 1)


class Untouched:
    """An open stage that leaves ``regions`` of the frames alone; an ``OpenStage`` itself."""

    def __init__(self, stage: OpenStage, regions: Sequence[Region]) -> None:
        self._stage, self._regions = stage, tuple(regions)
        self._patches: dict[tuple[int, int], list[Patch]] = {}

    @property
    def settings(self) -> Stage:
        return self._stage.settings

    @property
    def models(self) -> tuple[ModelUse, ...]:
        return self._stage.models

    @property
    def notes(self) -> tuple[str, ...]:
        return self._stage.notes

    @property
    def plan(self) -> Mapping[str, Any]:
        return self._stage.plan

    @property
    def precision(self) -> str:
        return self._stage.precision

    @property
    def counts(self) -> Mapping[str, int]:
        return self._stage.counts

    def recount(self, counts: Mapping[str, int], engine: Engine) -> None:
        self._stage.recount(counts, engine)

    def run(self, frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
        held: deque[Frame] = deque()
        last: tuple[Frame, Frame, Frame] | None = None

        def noted() -> Iterator[Frame]:
            for frame in frames:
                held.append(frame)
                yield frame
                del frame

        with closing(self._stage.run(noted(), engine)) as results:
            for made in results:
                source = _shown(held, made, made.pts / self.settings.stretch)
                if last is not None and _same(made, last[0]) and _same(source, last[1]):
                    result = replace(made, pixels=last[2].pixels, alpha=last[2].alpha)
                else:
                    result = replace(self.spared(made, source), repeat=False)
                last = made, source, result
                del made, source
                yield result
                del result

    def spared(self, made: Frame, source: Frame) -> Frame:
        """What a stage ``made``, with what ``source`` shows inside the regions."""
        if made.pixels is source.pixels:
            return made
        size = made.height, made.width
        if size not in self._patches:
            self._patches[size] = patches_of(self._regions, *size)
        alpha = made.alpha
        pixels = self._pasted(made.pixels, source.pixels, size)
        if alpha is not None and source.alpha is not None and alpha is not source.alpha:
            alpha = self._pasted(alpha[None], source.alpha[None], size)[0]
        return replace(made, pixels=pixels, alpha=alpha)

    def _pasted(self, made: Tensor, source: Tensor, size: tuple[int, int]) -> Tensor:
        """A copy of ``made`` ``(C, H, W)`` with the patches of ``source``, which is resampled to its size."""
        result = made.clone(memory_format=torch.contiguous_format)
        for patch in self._patches[size]:
            plain = lanczos_part(source, size, patch.rows, patch.columns).to(result.device)
            place = result[:, patch.rows, patch.columns]
            place.copy_(place.lerp(plain, patch.weight.to(result.device)))
        return result


def spared(stage: OpenStage, engine: Engine) -> OpenStage:
    """``stage``, which leaves alone what ``engine`` says is to stay untouched."""
    return Untouched(stage, engine.untouched) if engine.untouched else stage


def _shown(held: deque[Frame], made: Frame, time: Fraction) -> Frame:
    """The frame that came in whose regions ``made``, which belongs to ``time`` of the source, is to show.

    It is the nearest in time, or where a frame was passed on as it is that one; never one before those that were shown
    already. Earlier ones are let go of.
    """
    passed_on = [place for place, frame in enumerate(held) if frame.pixels is made.pixels]
    # Of two that are as near the later one, as where a shot ends between them.
    nearest = min(passed_on or range(len(held)), key=lambda place: (abs(held[place].pts - time), -place))
    for _ in range(nearest):
        held.popleft()
    return held[0]


def _same(one: Frame, other: Frame) -> bool:
    return one.pixels is other.pixels and one.alpha is other.alpha
