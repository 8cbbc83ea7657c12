"""Try several models on the same small crop of a clip at one moment, those that use time with the frames around it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from restore import networks, weights
from restore.catalog import Checkpoint
from restore.chain import DECODE, kept_memory, open_stages, prepared
from restore.clip_plan import ClipPlan
from restore.errors import InputError, WeightsError
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.media.images import Image, write_image
from restore.models import BUILT_IN
from restore.pipeline import memory_in_words, to_integers
from restore.progress import ClipProgress, Progress
from restore.segments.flow import Chain, Flow, Made
from restore.segments.split import Needs
from restore.segments.walk import Segment
from restore.settings import Settings
from restore.stages import Upscale, recipe
from restore.tryout import CROP, PLAIN, Box, Trial, Tryout, crop_box, left_out, tried_models, tried_stage

AROUND = 5
"""Frames before and after the one that is shown, for models that look at several, unless they need more."""


def try_models_on_clip(
    plan: ClipPlan,
    folder: Path,
    moment: Fraction,
    centre: tuple[float, float],
    models: Sequence[str],
    step: Mapping[str, Any],
    progress: Progress | None = None,
    *,
    download: bool,
    settings: Settings,
) -> Tryout:
    """Run each of ``models`` over a square crop of the frame that is shown at ``moment``, as ``try_models`` does.

    ``moment`` is on the clip's own clock, within the part that ``plan`` names; of the chain of ``plan`` nothing runs. A
    model that looks at several frames gets those of the same shot around that one, in that part. The files are PNGs of
    8 bits. Raises ``RestoreError`` kinds, ``InputError`` among them where the part has no frame.
    """
    progress = progress or Progress()
    entries = tried_models(models)
    box = crop_box(*plan.size, centre)
    stage = tried_stage(step, box)
    crops, place = _crops(plan, moment, box, max(_around(entry) for entry in entries), settings)
    progress.check()
    bench = _Bench(crops, place, plan.rates[0], stage, folder, settings, download)
    plain = bench.enlarged([replace(stage, model=BUILT_IN, strength=0)], progress)
    return Tryout(
        source_size=plan.size,
        box=box,
        scale=stage.scale,
        size=stage.output_size(box.width, box.height),
        crop=bench.write(crops[place], CROP, []),
        plain=bench.write(plain.frame, PLAIN, plain.steps),
        trials=tuple(
            bench.attempt(entry, progress.share(number, len(entries))) for number, entry in enumerate(entries)
        ),
    )


def _around(entry: Checkpoint) -> int:
    """How many frames before and after its own a model is given."""
    return max(AROUND, networks.temporal(entry.name).needed_context) if networks.uses_time(entry.name) else 0


def _crops(plan: ClipPlan, moment: Fraction, box: Box, around: int, settings: Settings) -> tuple[list[Frame], int]:
    """The crop of the frame that is shown at ``moment``, and of as many as ``around`` before and after it, of its shot.

    Also the place of the first one among them.
    """
    shown: deque[Frame] = deque(maxlen=around + 1)
    after: list[Frame] = []
    with closing(cast(Generator[Frame], plan.reader(settings, plan.shots()).frames())) as frames:
        for frame in _cropped((prepared(frame, plan) for frame in frames), box):
            if not shown or (frame.pts <= moment and not after):
                shown.append(frame)
            elif len(after) < around:
                after.append(frame)
            if len(after) == around and frame.pts > moment:
                break
    if not shown:
        raise InputError(f"{plan.source.name} has no frame there: choose another moment.")
    shot = shown[-1].shot
    before = [frame for frame in shown if frame.shot == shot]
    return [*before, *(frame for frame in after if frame.shot == shot)], len(before) - 1


def _cropped(frames: Iterable[Frame], box: Box) -> Iterable[Frame]:
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    for frame in frames:
        alpha = None if frame.alpha is None else frame.alpha[rows, columns].clone()
        yield replace(frame, pixels=frame.pixels[:, rows, columns].clone(), alpha=alpha, repeat=False)


@dataclass(frozen=True)
class _Enlarged:
    """What a stage made of the crop, in so many ``seconds``."""

    frame: Frame
    steps: Sequence[Upscale]
    seconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Bench:
    """What is the same for all the models."""

    crops: Sequence[Frame]
    place: int
    rate: Fraction
    stage: Upscale
    folder: Path
    settings: Settings
    download: bool

    def write(self, frame: Frame, name: str, steps: Sequence[Upscale]) -> str:
        """Write ``frame`` as a PNG; the name of the file."""
        pixels = to_integers(frame.pixels.clamp(0, 1).permute(1, 2, 0), np.dtype(np.uint8))
        alpha = None if frame.alpha is None else to_integers(frame.alpha.clamp(0, 1), np.dtype(np.uint8))
        chain = json.dumps(recipe(steps)) if steps else None
        file = f"{name}.png"
        write_image(Image(pixels, alpha, "png"), self.folder / file, recipe=chain, settings=self.settings)
        return file

    def attempt(self, entry: Checkpoint, progress: Progress) -> Trial:
        """Run one model over the crop, and over those around it if it looks at several frames."""
        if not self.download and weights.find(entry, self.settings) is None:
            return left_out(entry, self.stage, self.settings)
        try:
            made = self.enlarged([replace(self.stage, model=entry.name)], progress)
        except WeightsError as error:
            return replace(Trial.of(entry), problem=str(error))
        file = self.write(made.frame, entry.name, made.steps)
        return replace(Trial.of(entry), file=file, seconds=made.seconds, warnings=made.warnings)

    def enlarged(self, steps: Sequence[Upscale], progress: Progress) -> _Enlarged:
        """What a chain of one stage makes of the crop, where the hardware for it is."""
        engine = Engine.start(self.settings, progress, download=self.download)
        (stage,) = steps
        names = (DECODE, stage.stage)
        chain_of_one = tuple(open_stages(steps, engine, names))
        frames, place = ([self.crops[self.place]], 0) if not stage.uses_shots else (list(self.crops), self.place)
        end = frames[place + 1].pts if place + 1 < len(frames) else None
        # As a segment of one frame, with those around it.
        segment = Segment(0, place, frames[place].pts, after_cut=False, frames=1, end=end)
        needs = Needs(place, len(frames) - place - 1)
        chain = Chain(chain_of_one, (self.rate, self.rate), (needs, Needs()), frames[0].pts)
        parts = ClipProgress(progress, names, (1, 1))
        with memory_in_words("this crop"), kept_memory(engine):
            made = self._made(chain, segment, frames, engine, parts)
        progress.check()
        (frame,) = made.frames
        return _Enlarged(frame, steps, sum(each["seconds"] for each in made.stages), tuple(engine.warnings))

    def _made(
        self, chain: Chain, segment: Segment, frames: Sequence[Frame], engine: Engine, parts: ClipProgress
    ) -> Made:
        """What comes of ``segment``, where the hardware for the chain is."""
        lender = self.settings.lender
        if lender is not None and any(stage.models for stage in chain.opened):
            return lender.run_segment(chain, segment, frames, engine, parts)
        flow = Flow(chain, segment, engine, parts)
        results = list(flow.run(frame for frame in frames))
        return Made(results, flow.stages())
