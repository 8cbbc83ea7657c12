"""How many seconds of a GPU to ask for, where one is lent for a time that must be named beforehand.

For a picture and for a part of a clip.

Too little, and the work is ended with nothing to show; too much, and the visitor waits longer or is refused. So the
figures are on the safe side. They are assumptions and not measurements: far below what the cards that are lent promise,
to have room for the overlap of tiles, for layers that are bound by memory and for a card that is shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from restore.clip_plan import counts_through
from restore.models import BUILT_IN
from restore.settings import MEGA
from restore.stages import Interpolate, Stage

LARGEST_GPU_SECONDS = 120
"""Seconds that one call may take at most; what needs more has to be refused, or cut up, before it is asked for."""

WANTED_GPU_SECONDS = 40
"""Seconds that one call for a part of a clip should take: who asks for less has to wait less."""

START_SECONDS = 6.0
"""To start the process and the device, and to send the picture there and back."""

BYTES_PER_SECOND = 250e6
"""Of the frames of a clip, on their way there and back."""

LOAD_SECONDS = 2.0
"""To read the weights of one stage and to bring them onto the device."""

MACS_PER_SECOND = {"half": 4e12, "float32": 2e12}
"""Multiply-accumulate operations in the body of a network, by its precision."""

FLOAT_BYTES = 4

FLOW_SECONDS_PER_MEGAPIXEL = 20.0
"""To make a megapixel between two frames with no network, where that lies between two stages with networks."""

SECONDS_PER_MEGAPIXEL = 0.15
"""To fetch, resample and pack a megapixel that comes out of a network; processors do this, not the GPU."""


def gpu_seconds(
    stages: Sequence[Stage], width: int, height: int, *, alpha: bool = False, bits: int = 8, precision: str = "auto"
) -> float:
    """Whole seconds of GPU time to ask for, for a chain over one picture of this size in pixels.

    ``alpha`` says that the picture has transparency, which goes through the networks as well; ``bits`` is its depth,
    above 8 of which a network may have to run in float32; ``precision`` is that of the settings. The result is at least
    some seconds and never less for a larger picture at the same scale; it may be more than ``LARGEST_GPU_SECONDS``.
    Raises ``LimitError`` for a picture that a stage refuses.
    """
    pictures = 2 if alpha else 1
    seconds = START_SECONDS
    for stage in stages:
        seconds += LOAD_SECONDS + pictures * lent_seconds(stage, width, height, bits=bits, precision=precision)
        width, height = stage.output_size(width, height)
    return float(math.ceil(seconds))


def clip_seconds(
    stages: Sequence[Stage],
    rates: Sequence[Fraction],
    frames: int,
    width: int,
    height: int,
    *,
    alpha: bool = False,
    bits: int = 8,
    precision: str = "auto",
) -> float:
    """Whole seconds of GPU time to ask for, for a chain over ``frames`` frames of a clip that follow each other.

    ``rates`` are the frames a second before the first of ``stages`` and after each; all else is as for ``gpu_seconds``.
    """
    pictures = 2 if alpha else 1
    counts = counts_through(stages, rates, frames)
    seconds = START_SECONDS + clip_bytes(stages, rates, frames, width, height, alpha=alpha) / BYTES_PER_SECOND
    for stage, most in zip(stages, map(max, pairwise(counts)), strict=True):
        seconds += LOAD_SECONDS + most * pictures * lent_seconds(stage, width, height, bits=bits, precision=precision)
        width, height = stage.output_size(width, height)
    return float(math.ceil(seconds))


def clip_bytes(
    stages: Sequence[Stage], rates: Sequence[Fraction], frames: int, width: int, height: int, *, alpha: bool = False
) -> int:
    """Bytes of so many frames in float32 and of what a chain makes of them; for the rest see ``clip_seconds``."""
    counts = counts_through(stages, rates, frames)
    last_width, last_height = width, height
    for stage in stages:
        last_width, last_height = stage.output_size(last_width, last_height)
    pixels = counts[0] * width * height + counts[-1] * last_width * last_height
    return pixels * (4 if alpha else 3) * FLOAT_BYTES


def lent_seconds(stage: Stage, width: int, height: int, *, bits: int = 8, precision: str = "auto") -> float:
    """Seconds that ``stage`` takes for a frame of this size on a GPU that is lent; see ``gpu_seconds``."""
    if isinstance(stage, Interpolate) and stage.model == BUILT_IN:  # which works on a processor wherever it is
        return width * height / MEGA * FLOW_SECONDS_PER_MEGAPIXEL
    slow = precision == "float32" or (bits > 8 and precision == "auto")
    work = stage.work(width, height)
    return work.macs / MACS_PER_SECOND["float32" if slow else "half"] + work.pixels / MEGA * SECONDS_PER_MEGAPIXEL
