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
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import torch

from restore.caches import own_folder
from restore.clip_pipeline import PASS_BYTES
from restore.errors import OutputError
from restore.faces.align import SIDE
from restore.frame import Frame
from restore.inference import allocator
from restore.inference.device import choose_precision, name_of
from restore.inference.engine import Engine
from restore.inventory import processor_name
from restore.models import AUTO
from restore.report import write_json
from restore.settings import MEGA
from restore.stages import Faces, Interpolate, OpenStage, Stage, Upscale
from restore.version import __version__

log = logging.getLogger(__name__)

FORM = 1
"""The version of the files: others are measured again."""

LEVELS = ((64, 48), (128, 96), (256, 192), (512, 384), (1024, 768))
"""Sizes of the frames that are measured, as many of them as there is time for."""

LEVEL_SECONDS = 1.5
"""A size is measured if it is expected to take at most this long."""

FRAMES = 6
"""Frames of a size that are measured."""

QUICK_SECONDS = 0.4
"""What took less is measured three times, and the least counts: others use the machine too."""

STARVED = 0.8
"""Of a processor, the least that work on processors gets where nobody else wants them."""

BUSY_SECONDS = 120.0
"""How long what was measured beside other work counts; it is not kept on the disk."""

SCALES = (1, 2, 3, 4, 6, 8)
"""The scales that are told apart: it is one network, and one resampling that takes less time than it."""

_lock = threading.Lock()
_known: dict[str, tuple[StageCost, float]] = {}
"""By key, with the time when it was measured or read."""


@dataclass(frozen=True)
class Point:
    """Seconds for each frame of a size that comes in: of time, and of all processors together."""

    megapixels: float
    seconds: float
    processor: float


@dataclass(frozen=True)
class StageCost:
    """What a stage costs: ``start`` seconds once, and for each frame that comes in what ``points`` say, by its size.

    ``busy`` says that other work had the processors while it was measured.
    """

    start: float
    points: tuple[Point, ...]
    busy: bool = False

    def seconds(self, megapixels: float) -> float:
        """Seconds for a frame of this size, along the points and on from the last two of them."""
        return self._at(megapixels, [(point.megapixels, point.seconds) for point in self.points])

    def processor_seconds(self, megapixels: float) -> float:
        """The same in seconds of all processors together."""
        return self._at(megapixels, [(point.megapixels, point.processor) for point in self.points])

    def reach(self, megapixels: float) -> float:
        """How many times larger than the largest frame that was measured one of this size is; at least 1."""
        return max(1.0, megapixels / self.points[-1].megapixels)

    @staticmethod
    def _at(megapixels: float, points: list[tuple[float, float]]) -> float:
        if len(points) == 1 or megapixels <= points[0][0]:
            return points[0][1] * (1 if len(points) > 1 else max(1.0, megapixels / points[0][0]))
        for (x, low), (next_x, high) in pairwise(points):
            if megapixels <= next_x:
                return low + (high - low) * (megapixels - x) / (next_x - x)
        (x, low), (next_x, high) = points[-2:]
        slope = max(0.0, (high - low) / (next_x - x))
        return high + slope * (megapixels - next_x)


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
    return stage_cost(aligned, opened, Fraction(1), deep, engine).seconds(SIDE * SIDE / MEGA)


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


def _quiet(engine: Engine, rate: Fraction) -> Engine:
    """An engine for measuring: nobody is told how far it is, and what it says is not for the report."""
    progress = engine.progress.heard_by(None)
    pass_bytes = PASS_BYTES.get(engine.device.type)
    return Engine(engine.settings, progress, engine.device, download=False, pass_bytes=pass_bytes, rate=rate)


def _measure(opened: OpenStage, rate: Fraction, deep: bool, engine: Engine) -> StageCost:
    quiet = _quiet(engine, rate)
    aligned = isinstance(opened.settings, Faces) and opened.settings.aligned
    levels = ((SIDE, SIDE),) if aligned else LEVELS
    with ExitStack() as stack:
        if engine.device.type == "cpu":
            stack.enter_context(allocator.reuse())
        first, _ = _run(opened, *levels[0], 2, rate, deep, quiet)
        points: list[Point] = []
        for width, height in levels:
            if points and _expected(points, width * height / MEGA) * FRAMES > LEVEL_SECONDS:
                break
            points.append(_point(opened, width, height, rate, deep, quiet))
    busy = engine.device.type == "cpu" and any(point.processor < STARVED * point.seconds for point in points)
    return StageCost(max(0.0, first - 2 * points[0].seconds), tuple(points), busy)


def _expected(points: list[Point], megapixels: float) -> float:
    """Seconds for a frame of the next size: as after the first one it may be what every frame takes, the least then."""
    return points[0].seconds if len(points) == 1 else StageCost(0.0, tuple(points)).seconds(megapixels)


def _point(opened: OpenStage, width: int, height: int, rate: Fraction, deep: bool, engine: Engine) -> Point:
    stage = opened.settings
    made = [_run(opened, width, height, FRAMES, rate, deep, engine)]
    if made[0][0] < QUICK_SECONDS:
        made += [_run(opened, width, height, FRAMES, rate, deep, engine) for _ in range(2)]
    # Between FRAMES frames there are one fewer pairs.
    frames = FRAMES - 1 if isinstance(stage, Interpolate) else FRAMES
    seconds, processor = (min(values) / frames for values in zip(*made, strict=True))
    return Point(width * height / MEGA, seconds, processor)


def _run(
    opened: OpenStage, width: int, height: int, count: int, rate: Fraction, deep: bool, engine: Engine
) -> tuple[float, float]:
    """Seconds that ``count`` frames take: of time, and of all processors together."""
    frames = list(_pattern(width, height, count, rate, deep))
    began, busy = time.perf_counter(), time.process_time()
    for _ in opened.run(frames, engine):
        engine.progress.check()
    if engine.device.type == "cuda":
        torch.cuda.synchronize(engine.device)
    return time.perf_counter() - began, time.process_time() - busy


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
        numbers = [data["start"], *(value for point in points for value in asdict(point).values())]
        if not points or not all(isinstance(value, int | float) and value >= 0 for value in numbers):
            raise ValueError("not the numbers of a cost")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        log.info("A measured cost is measured again: %s", error)
        return None
    return StageCost(float(data["start"]), points)


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
