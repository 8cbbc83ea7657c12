"""What will come out of a clip, and how long it takes, before the work."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from restore import catalog
from restore.calibration import face_seconds, processors, stage_cost
from restore.chain import DECODE, ENCODE
from restore.clip_plan import ClipOptions, ClipPlan, Seconds, plan_clip
from restore.clip_sample import Sample, look_into
from restore.cost import LOAD_SECONDS, START_SECONDS, WANTED_GPU_SECONDS, lent_seconds
from restore.errors import WeightsError
from restore.executors import on_zero_gpu
from restore.inference.engine import Engine
from restore.media.clips.encoders import Encoding
from restore.media.clips.probe import probe
from restore.media.clips.reader import Deinterlace
from restore.media.clips.sequence import ImageSequence
from restore.media.clips.shots import CUT_THRESHOLD
from restore.models import BUILT_IN
from restore.pipeline import given, path_of
from restore.progress import Progress
from restore.regions import Rectangle
from restore.segments.split import LONGEST_SHARE
from restore.settings import MEBI, MEGA, Settings, load_settings
from restore.stages import Colorize, Faces, Stage, Upscale, parse_steps

SPREAD = 1.2
"""How much quicker or slower the work may be than what was measured says."""

FAR, SPREAD_FAR = 16, 1.15
"""From how many times larger a frame than the largest that was measured the range is wider, and by how much."""

SMALLEST_SHARE = 0.1
"""Of a processor, the least that is taken for what other work leaves."""

SPREAD_RECKONED = 2.0
"""How much wider it is where nothing could be measured."""

TEMPORAL_CONTEXT = 1.5
"""How much the frames around its windows may add to what a network costs that looks at several at once."""

MOST_FACES = 4
"""Faces in a frame for which there is room in the range."""

OPENING_SECONDS = 0.5
"""To open the clip, and to close and to check the result."""

BYTES_LOW, BYTES_HIGH = 0.6, 1.8
"""What the result may take, as shares of what some frames took: grain that is taken off, and detail that is found."""

Language = Literal["en", "zh"]


@dataclass(frozen=True)
class StageEstimate:
    """A part of the work: the name of the stage, or "decode" and "encode"; its models; seconds at least and at most.

    ``measured`` says whether the seconds come from a measurement on this machine. The parts run at the same time.
    """

    stage: str
    models: tuple[str, ...]
    low: float
    high: float
    measured: bool = True


@dataclass(frozen=True)
class Estimate:
    """What will come out, and what it takes.

    ``seconds_low`` and ``seconds_high`` are of time. ``gpu_seconds`` are those of a graphics card at the most, 0 where
    none does the work; ``processor_seconds`` those of all processors together. ``size`` is (width, height), ``rate``
    frames a second and ``length`` seconds, both exact; ``frames`` of that are about as many as will be written, 0 where
    nobody knows how long the clip is. The file will take between ``bytes_low`` and ``bytes_high``, the disk must have
    room for ``disk_bytes`` and has ``free_bytes``.
    ``parts`` are the parts of the work, and ``warnings`` sentences for the user.
    """

    seconds_low: float
    seconds_high: float
    gpu_seconds: float
    processor_seconds: float
    size: tuple[int, int]
    rate: Fraction
    length: Fraction
    frames: int
    bytes_low: int
    bytes_high: int
    disk_bytes: int
    free_bytes: int
    parts: tuple[StageEstimate, ...]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, ready for JSON; ``rate`` and ``length`` are text as "24000/1001"."""
        return {
            **asdict(self),
            "seconds_low": round(self.seconds_low, 2),
            "seconds_high": round(self.seconds_high, 2),
            "gpu_seconds": round(self.gpu_seconds, 2),
            "processor_seconds": round(self.processor_seconds, 2),
            "rate": str(self.rate),
            "length": str(self.length),
        }


def estimate(
    source: str | Path | ImageSequence,
    steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any],
    target: str | Path | None = None,
    start: Seconds | None = None,
    end: Seconds | None = None,
    progress: Progress | None = None,
    *,
    settings: Settings | None = None,
    encoding: Encoding | None = None,
    deinterlace: Deinterlace = "auto",
    square_pixels: bool = True,
    cuts: Literal["auto"] | Sequence[Seconds] = "auto",
    cut_threshold: float = CUT_THRESHOLD,
    untouched: str | Sequence[Rectangle] = (),
) -> Estimate:
    """Say what ``restore_video`` would make of the clip ``source`` with these arguments, and how long it would take.

    Without a ``target`` an MP4 in the folder for temporary files is thought of. Some frames of the clip are decoded
    and encoded, and each stage is measured on a small pattern unless that was done before (then it takes about a
    second); nothing is downloaded. A stage whose model is not on this machine is reckoned by its arithmetic. Raises
    what ``restore_video`` raises for settings, clips and sizes that cannot be.
    """
    path = path_of("source", source.path if isinstance(source, ImageSequence) else source)
    settings = given("settings", settings, Settings) or load_settings()
    engine = _Listening.start(settings, given("progress", progress, Progress) or Progress(), download=False)
    stages = parse_steps(steps)
    encoding = given("encoding", encoding, Encoding) or Encoding()
    options = ClipOptions(start, end, encoding, deinterlace, square_pixels, cuts, cut_threshold, untouched)
    if target is None:
        target = Path(tempfile.gettempdir()) / f"estimate.{'mkv' if encoding.codec in ('prores', 'ffv1') else 'mp4'}"
    info = probe(source if isinstance(source, ImageSequence) else path, settings)
    plan = plan_clip(info, path, path_of("target", target), stages, options, settings)
    sample = look_into(plan, encoding, settings, engine.progress)
    reckoner = _Reckoner(plan, engine, 1 - sample.repeats)
    works = [reckoner.work(index) for index in range(len(stages))]
    return _together(plan, sample, works, [*info.warnings, *plan.encoder.warnings, *engine.warnings], settings)


class _Listening(Engine):
    """An engine whose warnings are for the estimate alone: nothing has been done yet that a log should tell."""

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)


@dataclass(frozen=True)
class _Work:
    """A part, and the seconds of all processors together that it takes."""

    part: StageEstimate
    processor: float
    on_gpu: bool


class _Reckoner:
    """What each stage of a plan costs; of the frames only the share ``computed`` is not a repeat."""

    def __init__(self, plan: ClipPlan, engine: Engine, computed: float) -> None:
        self.plan, self.engine, self.computed = plan, engine, computed
        self.sizes = [plan.size]
        for stage in plan.stages:
            self.sizes.append(stage.output_size(*self.sizes[-1]))
        self.deep = plan.info.video.bits > 8

    def work(self, index: int) -> _Work:
        stage = self._as_measured(index)
        width, height = self.sizes[index]
        frames = self.plan.counts[index] * self.computed
        if on_zero_gpu():
            return self._lent(stage, frames, width, height)
        try:
            opened = stage.open(self.engine)
        except WeightsError:
            return self._reckoned(stage, frames, width, height)
        names = tuple(use.name for use in opened.models)
        megapixels = width * height / MEGA
        cost = stage_cost(stage, opened, self.plan.rates[index], self.deep, self.engine)
        processor = cost.start + frames * cost.work(megapixels)
        low = high = cost.start + frames * cost.work(megapixels) / cost.gain
        spread = SPREAD
        if cost.reach(megapixels) > FAR:
            spread *= SPREAD_FAR
        if cost.busy:
            high /= max(SMALLEST_SHARE, cost.share)
            self.engine.warn(
                "The machine is busy with other work: the range goes from the time without it to the time beside it."
            )
        if isinstance(stage, Upscale) and stage.uses_shots:
            high *= TEMPORAL_CONTEXT
        if isinstance(stage, Faces) and names:
            high += frames * MOST_FACES * face_seconds(stage, self.deep, self.engine)
            self.engine.warn(
                f"Each face takes time, and nobody has counted them yet: the range goes from none to {MOST_FACES} in a "
                "frame."
            )
        part = StageEstimate(stage.stage, names, low / spread, high * spread)
        return _Work(part, processor, self.engine.device.type != "cpu")

    def _as_measured(self, index: int) -> Stage:
        """The stage, an enlargement to a target with the scale that it comes to, and colours without references, which
        belong to shots that only the work finds.
        """
        stage = self.plan.stages[index]
        if isinstance(stage, Colorize):
            return replace(stage, references=())
        if isinstance(stage, Upscale) and stage.target is not None:
            return replace(stage, target=None, scale=max(1.0, stage.factor(*self.sizes[index])))
        return stage

    def _reckoned(self, stage: Stage, frames: float, width: int, height: int) -> _Work:
        """By arithmetic, from what the built-in enlargement does in a second."""
        yardstick = Upscale(model=BUILT_IN, scale=4)
        cost = stage_cost(yardstick, yardstick.open(self.engine), Fraction(25), self.deep, self.engine)
        largest = cost.points[-1]
        macs = yardstick.work(1, 1).macs * largest.megapixels * MEGA
        processor = frames * stage.work(width, height).macs / macs * largest.seconds
        seconds = processor / cost.gain
        name = getattr(stage, "model", stage.stage)
        self._warn_of_download(name)
        part = StageEstimate(stage.stage, (name,), seconds / SPREAD_RECKONED, seconds * SPREAD_RECKONED, measured=False)
        return _Work(part, processor, self.engine.device.type != "cpu")

    def _warn_of_download(self, name: str) -> None:
        entry = catalog.checkpoint(name)
        size = "" if entry.download_bytes is None else f" ({entry.download_bytes / MEGA:.0f} MB)"
        self.engine.warn(
            f"{name} is not on this machine: it has to be downloaded first{size}, and its time was reckoned and not "
            "measured."
        )

    def _lent(self, stage: Stage, frames: float, width: int, height: int) -> _Work:
        """On a GPU that is lent, which cannot be tried beforehand: with the time that each of the calls takes to begin,
        which the stages share.
        """
        settings, bits = self.engine.settings, self.plan.info.video.bits
        work = frames * lent_seconds(stage, width, height, bits=bits, precision=settings.precision)
        length = float(self.plan.counts[0] / self.plan.rates[0])
        calls = math.ceil(
            max(
                length / (LONGEST_SHARE * settings.segment_seconds),
                work / (WANTED_GPU_SECONDS - START_SECONDS - LOAD_SECONDS),
            )
        )
        seconds = work + max(1, calls) * (START_SECONDS / len(self.plan.stages) + LOAD_SECONDS)
        name = getattr(stage, "model", stage.stage)
        part = StageEstimate(stage.stage, (name,), seconds / SPREAD_RECKONED**2, seconds, measured=False)
        return _Work(part, 0.0, True)


def _together(
    plan: ClipPlan, sample: Sample, works: Sequence[_Work], warnings: list[str], settings: Settings
) -> Estimate:
    """The whole: the slowest of decoding, stages and encoding, or all of it, shared out among the processors."""
    decode, encode = plan.counts[0] * sample.decode, plan.counts[-1] * sample.encode
    parts = (
        StageEstimate(DECODE, (), decode / SPREAD, decode * SPREAD),
        *(work.part for work in works),
        StageEstimate(ENCODE, (), encode / SPREAD, encode * SPREAD),
    )
    beside = plan.counts[0] * sample.decode_processor + plan.counts[-1] * sample.encode_processor
    busy = (beside + sum(work.processor for work in works)) / processors()
    low = max(sum(work.part.low for work in works), decode / SPREAD, encode / SPREAD, busy / SPREAD)
    high = max(sum(work.part.high for work in works), decode * SPREAD, encode * SPREAD, busy * SPREAD)
    if not plan.counts[0]:
        warnings.append("Nobody knows how long the clip is before it is read to its end: all figures are for nothing.")

    sound = sum(stream.bit_rate or 0 for stream in plan.info.audio) / 8 if plan.keeps_sound else 0.0
    length = plan.counts[-1] / plan.rates[-1]
    pictures, beside_it = sample.bytes_of(plan.counts[-1]), sound * float(length)
    bytes_low, bytes_high = (round(pictures * share + beside_it) for share in (BYTES_LOW, BYTES_HIGH))
    disk = 2 * bytes_high + settings.min_free_bytes
    free = shutil.disk_usage(plan.target.resolve().parent).free
    if free < disk:
        warnings.append(
            f"The disk may be too small: {disk / MEBI:.0f} MiB should be free and {free / MEBI:.0f} MiB are."
        )
    return Estimate(
        seconds_low=OPENING_SECONDS + low,
        seconds_high=OPENING_SECONDS + high,
        gpu_seconds=sum(work.part.high for work in works if work.on_gpu),
        processor_seconds=beside + sum(work.processor for work in works),
        size=plan.written,
        rate=plan.rates[-1],
        length=length,
        frames=plan.counts[-1],
        bytes_low=bytes_low,
        bytes_high=bytes_high,
        disk_bytes=disk,
        free_bytes=free,
        parts=parts,
        warnings=tuple(dict.fromkeys(warnings)),
    )


def in_one_line(estimate: Estimate, language: Language = "en") -> str:
    """The size, rate, length, bytes and time of an estimate as one line in English or Chinese."""
    width, height = estimate.size
    rate = f"{float(estimate.rate):.6g}"
    low, high = (_size(value) for value in (estimate.bytes_low, estimate.bytes_high))
    length = clock(math.ceil(estimate.length))
    if language == "zh":
        time = _range(estimate, "秒", "分钟", "小时")
        return f"{width}×{height}，每秒 {rate} 帧，时长 {length}，{low} 至 {high}，约需 {time}"
    time = _range(estimate, "s", "min", "h")
    return f"{width}×{height}, {rate} frames a second, {length} long, {low} to {high}, done in about {time}"


def clock(seconds: int) -> str:
    """Seconds as 0:05, 12:34 or 1:02:03."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _size(count: int) -> str:
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _range(estimate: Estimate, seconds: str, minutes: str, hours: str) -> str:
    """Both ends of the time, in the unit that suits the larger one."""
    unit, length = seconds, 1
    for larger, its_length in ((minutes, 60), (hours, 3600)):
        if estimate.seconds_high >= 1.5 * its_length:
            unit, length = larger, its_length
    ends = [value / length for value in (estimate.seconds_low, estimate.seconds_high)]
    low, high = (f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0") for value in ends)
    return f"{high} {unit}" if low == high else f"{low}–{high} {unit}"
