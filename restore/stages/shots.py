"""Go through a clip shot by shot, for what looks at several frames at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace

from torch import Tensor

from restore.frame import Frame


def each_of_shots(
    frames: Iterable[Frame],
    work: Callable[[Iterator[Tensor], int], Generator[Tensor]],
    finish: Callable[[Frame, Tensor], Frame],
) -> Generator[Frame]:
    """What ``finish`` makes of each frame and of what ``work`` made of its pixels, in its time.

    ``work`` gets the pixels of a shot one by one, as it asks for them, and their depth in bits; it gives one result for
    each, in order. Frames of another size or depth count as another shot. A frame that repeats the one before it
    becomes the same once more: ``work`` does not get it.
    """
    return each_of_known_shots(frames, lambda pixels, first: work(pixels, first.bits), finish)


def each_of_known_shots(
    frames: Iterable[Frame],
    work: Callable[[Iterator[Tensor], Frame], Generator[Tensor]],
    finish: Callable[[Frame, Tensor], Frame],
) -> Generator[Frame]:
    """As ``each_of_shots``, but ``work`` is told the first frame of the shot instead of the depth."""
    reader = _Reader(iter(frames))
    while (first := reader.following) is not None:
        waiting: deque[Frame] = deque()
        with closing(work(reader.pixels_of_shot(waiting), first)) as results:
            for result in results:
                made = finish(waiting[0], result)
                del result
                yield _in_its_time(made, waiting.popleft())
                while waiting and waiting[0].repeat:
                    yield _in_its_time(made, waiting.popleft())


class _Reader:
    """The frames of a clip, of which the next one is known."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        # What the first frame repeats, if it says so, is not there.
        first = next(frames, None)
        self.following = None if first is None else replace(first, repeat=False)

    def pixels_of_shot(self, waiting: deque[Frame]) -> Iterator[Tensor]:
        """The pixels of the frames up to the next cut; each frame is put into ``waiting``, those that repeat too."""
        while (frame := self.following) is not None:
            waiting.append(frame)
            self.following = next(self._frames, None)
            while self.following is not None and self.following.repeat:
                waiting.append(self.following)
                self.following = next(self._frames, None)
            yield frame.pixels
            if self.following is None or not _same_shot(frame, self.following):
                return


def _same_shot(one: Frame, other: Frame) -> bool:
    return one.shot == other.shot and one.pixels.shape == other.pixels.shape and one.bits == other.bits


def _in_its_time(made: Frame, frame: Frame) -> Frame:
    return replace(frame, pixels=made.pixels, alpha=made.alpha, before=made.before)
