"""Cut a shot into blocks of frames that overlap, for a network that sees a few frames at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import islice
from typing import TypeVar

from restore.errors import SettingsError

T = TypeVar("T")


def blocks(frames: Iterable[T], length: int, context: int) -> Generator[tuple[list[T], slice]]:
    """Blocks of ``length`` consecutive frames, each with the part of it whose results are to be kept.

    Every frame is kept once and in order. At least ``context`` frames of a block lie on either side of what is kept,
    but for the two ends of the shot. Only a shot that is shorter than a block gives a shorter one: the last block
    begins earlier instead. At most ``2 * length - 2 * context`` frames are held.
    """
    step = length - 2 * context
    if context < 0 or step < 1:
        raise SettingsError("A block needs at least one frame that is not context, and no context can be negative.")
    source = iter(frames)
    held = list(islice(source, length))
    first = 0
    while held:
        following = list(islice(source, step))
        stop = length - context if following else len(held)
        yield held, slice(first, stop)
        if not following:
            return
        held = [*held[len(following) :], *following]
        first = stop - len(following)
