"""What a clip goes through between its decoder and its encoder, whether in one stream or segment by segment."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace

import torch

from restore.clip_plan import ClipPlan
from restore.frame import Frame
from restore.inference import allocator
from restore.inference.engine import Engine
from restore.inference.resample import lanczos
from restore.media.transparency import fill_transparent
from restore.progress import ClipProgress
from restore.stages import OpenStage, Stage
from restore.stages.untouched import spared

RECIPE = "restore:recipe"
"""The name under which the recipe is written into the metadata of the result."""

DECODE, ENCODE = "decode", "encode"
"""The names of the parts of the work that are no stages."""

DECODED_AHEAD = 2
"""Decoded frames that wait for the first stage."""

ENCODED_BEHIND = 1
"""Finished frames that wait for the encoder."""

PASS_BYTES = {"cpu": 2**30}
"""What one pass of a network may take where decoder, encoder and the frames on their way share the memory."""


@dataclass
class Clock:
    """Seconds that one part of the work has taken."""

    seconds: float = 0.0


def open_stages(stages: Sequence[Stage], engine: Engine, names: Sequence[str]) -> list[OpenStage]:
    """Choose the models and download what is missing; the downloads show under the names of the parts."""
    first = names.index(DECODE) + 1 if DECODE in names else 0
    opened = []
    for index, stage in enumerate(stages, first):
        engine.progress.begin(names[index], index, len(names))
        opened.append(spared(stage.open(engine), engine))
    return opened


def staged(
    stage: OpenStage, frames: Iterator[Frame], engine: Engine, parts: ClipProgress, part: int, clock: Clock
) -> Generator[Frame]:
    """What ``stage`` makes of ``frames``, with its progress and the time that it takes itself.

    Frames outside of ``engine.span`` are not counted.
    """
    waited = 0.0

    def wanted() -> Iterator[Frame]:
        nonlocal waited
        while True:
            began = time.monotonic()
            frame = next(frames, None)
            waited += time.monotonic() - began
            if frame is None:
                return
            yield frame
            del frame

    own = replace(engine, progress=parts.of_part(part), pass_bytes=PASS_BYTES.get(engine.device.type))
    with closing(stage.run(wanted(), own)) as results:
        while True:
            began, waited = time.monotonic(), 0.0
            frame = next(results, None)
            clock.seconds += time.monotonic() - began - waited
            if frame is None:
                return
            parts.done[part] += engine.span.holds(frame.pts)
            parts.tick()
            yield frame
            del frame


def prepared(frame: Frame, plan: ClipPlan) -> Frame:
    """A decoded frame as the first stage gets it: with square pixels, and transparent only where the result can be."""
    pixels, alpha = frame.pixels, frame.alpha
    if alpha is not None and not plan.encoder.layout.alpha:
        pixels, alpha = torch.ones(1).lerp(pixels, alpha), None
    if alpha is not None and plan.stages:
        pixels = fill_transparent(pixels, alpha)
    width, height = plan.size
    if (frame.width, frame.height) != (width, height):
        pixels = lanczos(pixels, height, width)
        alpha = None if alpha is None else lanczos(alpha[None], height, width)[0]
    if not all(stage.keeps_frames for stage in plan.stages):
        # Networks were trained on what can be shown; a chain that keeps the frames keeps what lies a little beyond.
        pixels = pixels.clamp(0, 1)
    return replace(frame, pixels=pixels, alpha=alpha)


def cropped(frame: Frame, plan: ClipPlan) -> Frame:
    """A frame in the size that is written."""
    width, height = plan.written
    if (frame.width, frame.height) == (width, height):
        return frame
    alpha = None if frame.alpha is None else frame.alpha[:height, :width]
    return replace(frame, pixels=frame.pixels[:, :height, :width], alpha=alpha)


def kept_memory(engine: Engine) -> AbstractContextManager[object]:
    """Inside, memory that was given back is used again, where that is quicker."""
    return allocator.reuse() if engine.device.type == "cpu" else nullcontext()
