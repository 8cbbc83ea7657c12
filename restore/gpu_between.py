"""One frame between two of a clip as it is made where there is a GPU for some seconds, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from restore.cost import clip_seconds
from restore.frame import Frame
from restore.gpu_segment import PackedFrame, pack, unpack
from restore.inference.engine import Engine
from restore.settings import Settings
from restore.stages.interpolate import OpenInterpolate


@dataclass(frozen=True)
class BetweenAnswer:
    """What came of a ``BetweenCall``: a frame, which has the pixels of the one of the two that ``same`` numbers."""

    frame: PackedFrame
    same: int | None
    warnings: tuple[str, ...]

    def shown(self, frames: Sequence[Frame]) -> Frame:
        """The frame, with the very pixels of one of ``frames`` where it has those."""
        (frame,) = unpack((self.frame,))
        return frame if self.same is None else replace(frame, pixels=frames[self.same].pixels)


@dataclass(frozen=True)
class BetweenCall:
    """What the GPU is asked for: what ``opened`` shows at ``position`` between two ``frames`` of ``rate`` a second."""

    opened: OpenInterpolate
    frames: tuple[PackedFrame, ...]
    position: Fraction
    rate: Fraction
    settings: Settings

    def estimate(self) -> int:
        frame, _ = self.frames
        _, height, width = frame.pixels.shape
        precision = self.settings.precision
        rates = self.rate, self.rate
        return int(clip_seconds([self.opened.settings], rates, 2, width, height, bits=frame.bits, precision=precision))

    def work(self, engine: Engine) -> BetweenAnswer:
        first, second = unpack(self.frames)
        shown = self.opened.shown_between(first, second, self.position, replace(engine, rate=self.rate))
        same = next((place for place, frame in enumerate((first, second)) if shown.pixels is frame.pixels), None)
        return BetweenAnswer(pack([shown])[0], same, tuple(engine.warnings))
