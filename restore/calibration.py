"""What the stages cost on this machine: measured once on a small moving pattern, and kept for the next time.

What is kept lies in ``$HF_HOME/restore/costs``, one JSON file for each combination of machine, device, precision,
version of this program, models and those settings that change how much there is to compute.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeVar

import torch

from restore.caches import own_folder
from restore.chain import PASS_BYTES
from restore.errors import OutputError
from restore.faces.align import SIDE
from restore.frame import Frame
from restore.inference import allocator
from restore.inference.device import choose_precision, name_of
from restore.inference.engine import Engine
from restore.inference.threads import start_beside
from restore.inventory import processor_name
from restore.models import AUTO
from restore.report import write_json
from restore.settings import MEGA
from restore.stages import Faces, Interpolate, OpenStage, Stage, Upscale
from restore.version import __version__

log = logging.getLogger(__name__)

T = TypeVar("T")

FORM = 1
"""The version of the files: others are measured again."""

LEVELS = ((64, 48), (128, 96), (256, 192), (512, 384), (1024, 768))
"""Sizes of the frames that are measured, as many of them as there is time for."""

LEVEL_SECONDS, LONGEST_SECONDS = 1.5, 4.0
"""A size is measured if it is expected to take at most so many seconds. It may take the longer time where the time
hardly depends on the size, as what it does to large frames cannot be told from small ones then."""

GROWS = 1.5
"""Times as long for four times as large a frame: where it is less, the time hardly depends on the size."""

FRAMES, FEWEST = 6, 3
"""Frames of a size that are measured, and those of a stage that takes long for the smallest."""

SHORTEST_SECONDS = 0.05
"""What took less says nothing of whether anybody disturbed it: clocks are coarse."""

SLOW_SECONDS = 0.2
"""Seconds for a frame of the smallest size from which on a stage counts as one that takes long."""

STARVED = 0.85
"""Of a processor, the least that a thread gets which nobody disturbs."""

USUAL_GAIN = 0.85
"""The power of the number of processors that says how much quicker they are together, where it cannot be measured."""

BUSY_SECONDS = 120.0
"""How long what was measured beside other work counts; it is not kept on the disk."""

SCALES = (1, 2, 3, 4, 6, 8)
"""The scales that are told apart: it is one network, and one resampling that takes less time than it."""

_lock = threading.Lock()
_known: dict[str, tuple[StageCost, float]] = {}
"""By key, with the time when it was measured or read."""


@dataclass(frozen=True)
class Point:
    """Seconds of work for each frame of a size that comes in: those of one thread alone, or those of a GPU."""

    megapixels: float
    seconds: float


@dataclass(frozen=True)
class StageCost:
    """What a stage costs: ``start`` seconds of work once, and for each frame that comes in what ``points`` say.

    Several processors do the work ``gain`` times as fast as one. ``busy`` says that they had other work while it was
    measured, so that the gain is assumed; ``share`` is how much of a processor was left.
    """

    start: float
    points: tuple[Point, ...]
    gain: float = 1.0
    busy: bool = False
    share: float = 1.0

    def work(self, megapixels: float) -> float:
        """Seconds of work for a frame of this size: along the points, and on from the last two of them."""
        first, *_ = points = self.points
        if len(points) == 1:
            return first.seconds * max(1.0, megapixels / first.megapixels)
        if megapixels <= first.megapixels:
            return first.seconds
        pairs = list(pairwise(points))
        low, high = next((pair for pair in pairs if megapixels <= pair[1].megapixels), pairs[-1])
        slope = (high.seconds - low.seconds) / (high.megapixels - low.megapixels)
        if megapixels > high.megapixels:
            slope = max(0.0, slope)
        return high.seconds + slope * (megapixels - high.megapixels)

    def reach(self, megapixels: float) -> float:
        """How many times larger than the largest frame that was measured one of this size is; at least 1."""
        return max(1.0, megapixels / self.points[-1].megapixels)


def stage_cost(stage: Stage, opened: OpenStage, rate: Fraction, deep: bool, engine: Engine) -> StageCost:
    """What ``stage`` costs, opened as it will run on the device of ``engine``; measured if that was not done before.

    ``rate`` is that of the frames that come in, ``deep`` says that they have more than 8 bits. An ``Upscale`` that has
    a ``target`` is to be given with the scale that it comes to. Measuring takes some seconds. Raises what the stage
    raises, and ``Cancelled``.
    """
    alike = _alike(stage, opened)
    parts = _identity(alike, opened, rate, deep, engine)
    key = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
    with _lock:
        found, when = _known.get(key, (None, 0.0))
        if found is not None and found.busy and time.monotonic() - when > BUSY_SECONDS:
            found = None
        found = found or _read(key)
        if found is None:
            found = _measure(alike.open(_quiet(engine, rate)), rate, deep, engine)
            when = time.monotonic()
            if not found.busy:
                _write(key, parts, found)
        _known[key] = found, when
        return found


def face_seconds(stage: Faces, deep: bool, engine: Engine) -> float:
    """Seconds that one face takes, once it has been found; measured if that was not done before."""
    aligned = replace(stage, aligned=True)
    opened = aligned.open(_quiet(engine, Fraction(1)))
    if not opened.models:
        return 0.0
    cost = stage_cost(aligned, opened, Fraction(1), deep, engine)
    return cost.work(SIDE * SIDE / MEGA) / cost.gain


def _alike(stage: Stage, opened: OpenStage) -> Stage:
    """The settings with one value for all that cost the same, so that they are measured once."""
    model = opened.models[0].name if opened.models else AUTO
    if isinstance(stage, Upscale):
        scale = next(each for each in SCALES if each >= stage.scale)
        named = model if opened.models else stage.model
        return replace(
            stage, model=named, scale=scale, target=None, material="photo", strength=min(1, math.ceil(stage.strength))
        )
    if isinstance(stage, Interpolate) and opened.models:
        return replace(stage, model=model, sound="stretch")
    if isinstance(stage, Faces) and opened.models:
        return replace(stage, model=model, strength=min(1, math.ceil(stage.strength)), fidelity=0.5, only_center=False)
    return stage


def _identity(stage: Stage, opened: OpenStage, rate: Fraction, deep: bool, engine: Engine) -> dict[str, Any]:
    """Everything that the cost depends on."""
    device = engine.device
    return {
        "form": FORM,
        "version": __version__,
        "torch": torch.__version__,
        "machine": processor_name(),
        "processors": processors(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "precision": name_of(choose_precision(engine.settings, device)),
        "asked": engine.settings.precision,
        "deep": deep,
        "tile": engine.settings.tile,
        "models": [(use.name, use.sha256) for use in opened.models],
        "stage": stage.to_dict(),
        "ratio": round(float(stage.output_rate(rate) / rate), 2),
    }


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads() -> int:
    """How many processors a network is shared out to."""
    return min(processors(), torch.get_num_threads())


def _quiet(engine: Engine, rate: Fraction) -> Engine:
    """An engine for measuring: nobody is told how far it is, and what it says is not for the report."""
    progress = engine.progress.heard_by(None)
    pass_bytes = PASS_BYTES.get(engine.device.type)
    return Engine(engine.settings, progress, engine.device, download=False, pass_bytes=pass_bytes, rate=rate)


def _measure(opened: OpenStage, rate: Fraction, deep: bool, engine: Engine) -> StageCost:
    """Measure with one thread, whose own time does not depend on what else the machine does, and then with all."""
    bench = _Bench(opened, rate, deep, _quiet(engine, rate))
    if engine.device.type != "cpu":
        return bench.cost()
    cost = _alone(bench.cost)
    if bench.share < STARVED:
        return replace(cost, gain=_threads() ** USUAL_GAIN, busy=True, share=min(1.0, bench.share))
    return replace(cost, gain=bench.gain(cost))


def _alone(work: Callable[[], T]) -> T:
    """What ``work`` gives in a thread whose operations of torch use one processor."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    start_beside(run, "calibration").join()
    if errors:
        raise errors[0]
    return results[0]


class _Bench:
    """Measures an opened stage, and how much of a processor its thread got meanwhile."""

    def __init__(self, opened: OpenStage, rate: Fraction, deep: bool, engine: Engine) -> None:
        self.opened, self.rate, self.deep, self.engine = opened, rate, deep, engine
        self.levels: Sequence[tuple[int, int]] = LEVELS
        if isinstance(opened.settings, Faces) and opened.settings.aligned:
            self.levels = ((SIDE, SIDE),)
        self.count = FRAMES
        self._seconds = self._worked = 0.0

    @property
    def share(self) -> float:
        """How much of a processor the thread got."""
        return self._worked / self._seconds if self._seconds else 1.0

    def cost(self) -> StageCost:
        with self._memory():
            first = self._run(*self.levels[0], 2)
            points: list[Point] = []
            for width, height in self.levels:
                if not self._has_time(points, width * height / MEGA):
                    break
                points.append(Point(width * height / MEGA, self._frame(width, height)))
                self.count = FEWEST if points[0].seconds > SLOW_SECONDS else FRAMES
        return StageCost(max(0.0, first - 2 * points[0].seconds), tuple(points))

    def gain(self, cost: StageCost) -> float:
        """How many times as fast all processors are, with the largest frames that were measured."""
        index = len(cost.points) - 1
        with self._memory():
            began = time.perf_counter()
            for _ in range(2):
                self._run(*self.levels[index], self.count)
            seconds = (time.perf_counter() - began) / 2
        return min(float(_threads()), max(1.0, cost.points[-1].seconds * self._divisor / seconds))

    def _has_time(self, points: list[Point], megapixels: float) -> bool:
        if len(points) < 2:
            return True
        flat = points[-1].seconds < GROWS * points[-2].seconds
        expected = self.count * StageCost(0.0, tuple(points)).work(megapixels)
        return expected <= (LONGEST_SECONDS if flat else LEVEL_SECONDS)

    @property
    def _divisor(self) -> int:
        """Frames that a run over ``count`` frames works on: between some frames there is one pair fewer."""
        return self.count - 1 if isinstance(self.opened.settings, Interpolate) else self.count

    def _frame(self, width: int, height: int) -> float:
        return min(self._run(width, height, self.count) for _ in range(2)) / self._divisor

    def _run(self, width: int, height: int, count: int) -> float:
        """Seconds of work that so many frames take."""
        frames = list(_pattern(width, height, count, self.rate, self.deep))
        began, busy = time.perf_counter(), time.process_time()
        for _ in self.opened.run(frames, self.engine):
            self.engine.progress.check()
        if self.engine.device.type != "cpu":
            _finish(self.engine.device)
            return time.perf_counter() - began
        seconds, worked = time.perf_counter() - began, time.process_time() - busy
        if seconds > SHORTEST_SECONDS:
            self._seconds += seconds
            self._worked += worked
        return worked

    def _memory(self) -> AbstractContextManager[Any]:
        return allocator.reuse() if self.engine.device.type == "cpu" else nullcontext()


def _finish(device: torch.device) -> None:
    """Wait until the device has done what it was asked for."""
    (torch.cuda if device.type == "cuda" else torch.mps).synchronize()


def _pattern(width: int, height: int, count: int, rate: Fraction, deep: bool) -> Iterator[Frame]:
    """Frames of a texture that moves by two pixels each time, with some noise: nothing repeats, everything moves."""
    random = torch.Generator().manual_seed(0)
    room = 2 * count
    coarse = torch.rand(1, 3, (height + room) // 8 + 2, (width + room) // 8 + 2, generator=random)
    texture = torch.nn.functional.interpolate(coarse, size=(height + room, width + room), mode="bicubic")[0]
    for index in range(count):
        shift = 2 * index
        pixels = texture[:, shift : shift + height, shift : shift + width]
        noisy = pixels + 0.02 * torch.randn(pixels.shape, generator=random)
        yield Frame(noisy.clamp(0, 1).contiguous(), bits=10 if deep else 8, pts=index / rate, duration=1 / rate)


def _read(key: str) -> StageCost | None:
    """What was measured earlier; ``None`` where there is nothing, or nothing that can be used."""
    try:
        data = json.loads((own_folder("costs") / f"{key}.json").read_text(encoding="utf-8"))
        points = tuple(Point(**point) for point in data["points"])
        start, gain = float(data["start"]), float(data["gain"])
        numbers = [start, gain - 1, *(value for point in points for value in asdict(point).values())]
        if not points or not all(math.isfinite(value) and value >= 0 for value in numbers):
            raise ValueError("these are not the numbers of a cost")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.info("A measured cost is measured again: %s", error)
        return None
    return StageCost(start, points, gain)


def _write(key: str, parts: dict[str, Any], cost: StageCost) -> None:
    """Keep a cost; where nothing can be written it is kept for this process alone."""
    folder = own_folder("costs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / f"{key}.json", {"of": parts, **asdict(cost)})
    except (OSError, OutputError) as error:
        log.info("A measured cost is not kept: %s", error)


def forget() -> None:
    """Remove everything that was measured, so that it is measured again; raises ``OutputError``."""
    with _lock:
        _known.clear()
        for path in own_folder("costs").glob("*.json"):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"{path} cannot be removed: {error.strerror}.") from error
