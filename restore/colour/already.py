"""Notice frames that are in colour before colours are invented for them."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from restore.colour.in_colour import in_colour
from restore.frame import Frame
from restore.inference.engine import Engine

EVERY = 48
"""One of so many frames is looked at."""

WARNING = (
    "The source is in colour already, and its colours were replaced by invented ones: leave the stage colorize out to "
    "keep them."
)


def noticed(frames: Iterable[Frame], engine: Engine) -> Generator[Frame]:
    """``frames`` as they come; the first one that is seen to be in colour puts a warning into the report."""
    seen = False
    for number, frame in enumerate(frames):
        if not seen and number % EVERY == 0 and in_colour(frame.pixels.cpu().clamp(0, 1)):
            seen = True
            engine.warn(WARNING)
        yield frame
