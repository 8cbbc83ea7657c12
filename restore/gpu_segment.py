"""A segment of a clip as it crosses into a process that has a GPU for some seconds, and what comes back from there.

Its frames cross as they are, in float32: what was decoded is R'G'B' between the steps of any depth and lies a little
beyond its ends, so that rounding it would change the result. Frames with the same pixels share them on both sides.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from restore.chain import kept_memory
from restore.clip_plan import ClipPlan, counts_through
from restore.cost import LARGEST_GPU_SECONDS, WANTED_GPU_SECONDS, clip_bytes, clip_seconds
from restore.errors import LimitError
from restore.frame import Frame
from restore.gpu_call import WAITING, wire
from restore.inference.engine import Engine
from restore.progress import ClipProgress, Position
from restore.segments.flow import Chain, Flow, networks_of
from restore.segments.split import LONGEST_SHARE, needs_of
from restore.segments.walk import Segment
from restore.settings import MEBI, Settings
from restore.stages import OpenStage

MOST_BYTES = 1024 * MEBI
"""Of the frames that cross for a segment, there and back; while they do, several copies of them are held."""


@dataclass(frozen=True)
class PackedFrame:
    """A ``Frame`` with its pixels ``(3, H, W)`` and its alpha ``(H, W)`` as arrays of float32."""

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    bits: int
    pts: Fraction
    duration: Fraction
    repeat: bool
    shot: int


def pack(frames: Iterable[Frame]) -> tuple[PackedFrame, ...]:
    """``frames``, of which those with the same tensor get the same array."""
    arrays: dict[int, tuple[Tensor, NDArray[Any]]] = {}

    def array(values: Tensor) -> NDArray[Any]:
        if id(values) not in arrays:
            arrays[id(values)] = values, values.contiguous().numpy()
        return arrays[id(values)][1]

    return tuple(
        PackedFrame(
            array(frame.pixels),
            None if frame.alpha is None else array(frame.alpha),
            frame.bits,
            frame.pts,
            frame.duration,
            frame.repeat,
            frame.shot,
        )
        for frame in frames
    )


def unpack(packed: Sequence[PackedFrame]) -> Generator[Frame]:
    """The frames that ``pack`` was given."""
    tensors: dict[int, Tensor] = {}

    def tensor(values: NDArray[Any]) -> Tensor:
        return tensors.setdefault(id(values), torch.from_numpy(values))

    for each in packed:
        alpha = None if each.alpha is None else tensor(each.alpha)
        yield Frame(tensor(each.pixels), alpha, each.bits, each.pts, each.duration, each.repeat, each.shot)


@dataclass(frozen=True)
class SegmentAnswer:
    """What came of a ``SegmentCall``: frames of the result, what there is to say of each stage, and warnings."""

    frames: tuple[PackedFrame, ...]
    stages: tuple[Mapping[str, Any], ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class SegmentCall:
    """What the GPU is asked for with a segment of a clip: the stages of a chain from the first with a network to the
    last, over the frames that come to these.

    ``names`` are those of the parts of the work, ``asked`` are seconds of which an earlier call had too few.
    """

    chain: Chain
    segment: Segment
    frames: tuple[PackedFrame, ...]
    names: tuple[str, ...]
    settings: Settings
    asked: int = 0

    def estimate(self) -> int:
        frame = max(self.frames, key=lambda frame: frame.pixels.size)
        _, height, width = frame.pixels.shape
        networks = networks_of(self.chain.opened)
        seconds = clip_seconds(
            [stage.settings for stage in self.chain.opened[networks.start : networks.stop]],
            self.chain.rates[networks.start : networks.stop + 1],
            len(self.frames),
            width,
            height,
            alpha=frame.alpha is not None,
            bits=frame.bits,
            precision=self.settings.precision,
        )
        return max(self.asked, int(seconds))

    def work(self, engine: Engine) -> SegmentAnswer:
        parts = ClipProgress(engine.progress, self.names, [0] * len(self.names))
        networks = networks_of(self.chain.opened)
        flow = Flow(self.chain, self.segment, engine, parts, networks.start, networks.stop)
        with kept_memory(engine), closing(flow.run(unpack(self.frames))) as made:
            frames = pack(list(made))
        return SegmentAnswer(frames, flow.stages(), tuple(engine.warnings))


@dataclass
class SegmentProgress:
    """Passes on to ``parts`` how much is done of a ``SegmentCall`` over the stages ``networks``.

    Until that begins, its listener is told that a GPU is waited for.
    """

    parts: ClipProgress
    networks: range
    _begun: list[float] = field(init=False)
    _waits: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        self._begun = list(self.parts.done)
        self._wait(0)

    def _wait(self, done: float) -> None:
        self.parts.progress.report(Position(WAITING, 0, 1, done, 1, ""))

    def update(self) -> None:
        if self._waits and wire.read() is not None:
            self._waits = False
            self._wait(1)
        for part in self._numbers:
            self.parts.done[part] = self._begun[part] + wire.done(part)
        self.parts.tick()

    def finish(self, made: Sequence[Mapping[str, Any]]) -> None:
        """Count what came of each stage, and no frame that is still in work."""
        self._wait(1)
        for part, stage in zip(self._numbers, made, strict=True):
            self.parts.done[part] = self._begun[part] + stage["frames"]

    @property
    def _numbers(self) -> range:
        return range(self.networks.start + 1, self.networks.stop + 1)


@dataclass(frozen=True)
class Portion:
    """How much of a clip a GPU is lent for at once: at most ``frames``, in segments of ``seconds`` or twice as many."""

    frames: int
    seconds: Fraction


def portion_of(plan: ClipPlan, opened: Sequence[OpenStage], settings: Settings) -> Portion:
    """How a clip is cut up for a GPU that is lent to the ``opened`` stages with networks: always alike for a plan.

    As a rule a segment takes ``WANTED_GPU_SECONDS`` at most, or longer where else most of that would be for the frames
    around it. Raises ``LimitError`` where not even one frame can be done at once.
    """
    usual = Fraction(str(settings.segment_seconds))
    needs = needs_of(plan.stages, plan.rates)[0]
    around = needs.before + needs.after
    networks = networks_of(opened)
    width, height = plan.sizes[networks.start]
    alpha = plan.info.video.alpha and plan.encoder.layout.alpha
    stages, rates = plan.stages[networks.start : networks.stop], plan.rates[networks.start : networks.stop + 1]

    def coming(frames: int) -> int:
        """How many frames come to the first network, of so many of the source and those around them."""
        return counts_through(plan.stages, plan.rates, frames + around)[networks.start]

    def seconds(frames: int) -> float:
        bits, precision = plan.info.video.bits, settings.precision
        return clip_seconds(stages, rates, coming(frames), width, height, alpha=alpha, bits=bits, precision=precision)

    def size(frames: int) -> int:
        return clip_bytes(stages, rates, coming(frames), width, height, alpha=alpha)

    def fits(frames: int) -> bool:
        longest = LARGEST_GPU_SECONDS if frames <= max(1, around) else WANTED_GPU_SECONDS
        return seconds(frames) <= longest and size(frames) <= MOST_BYTES

    if not fits(1):
        raise LimitError(
            f"Even one frame of this clip, with those around it that the chain looks at, takes up to {seconds(1):.0f} "
            f"seconds and {size(1) / MEBI:.0f} MiB on the graphics card, and {LARGEST_GPU_SECONDS} seconds and "
            f"{MOST_BYTES / MEBI:.0f} MiB are there at once: choose a smaller scale or target, or a smaller model such "
            "as the built-in one."
        )
    least, most = 1, max(1, math.ceil(LONGEST_SHARE * usual * plan.rates[0]))
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(middle) else (least, middle - 1)
    return Portion(least, min(usual, least / plan.rates[0] / LONGEST_SHARE))
