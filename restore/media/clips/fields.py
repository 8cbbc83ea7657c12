"""Whether frames are whole pictures or two fields woven together, judged by a sample of them.

Two things are looked at. Where something moves, the lines of a woven frame differ more from the lines next to them,
which belong to the other field, than from those one further; in a whole picture it is the other way round. And FFmpeg's
``idet`` compares the fields of frames that follow each other: it tells which field comes first, and which fields merely
repeat the frame before, which is how film was brought to 30 frames per second (3:2 pulldown: one field repeated in five
frames, of either kind in turn).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import av
import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from restore.media.clips.facts import Scan

Order = Literal["top", "bottom"]

ENOUGH = 8
"""Frames that have to be seen moving before their look counts against what they are marked as."""

MOVED = 25
"""By how many of 255 levels a sample has to change from one frame to the next to count as moving."""

LEAST_MOVING = 0.002
"""The share of samples that have to move for a frame to tell anything."""

COMBED = 1.1
"""How much more neighbouring lines have to differ than every other line does. Of whole pictures that were measured none
was above 0.8, of woven ones none below 1.1; noise alone gives 1."""

_CYCLE = 5
_COLUMNS = 4
_SMALLEST = 16

FEWEST_LINES = 400
"""Frames with fewer lines come from formats that have no fields; what looks like them there is noise of the coder."""


@dataclass(frozen=True)
class FieldFacts:
    """Of ``frames`` looked at, with ``lines`` each: how many are ``marked`` as interlaced, how many ``combed`` and how
    many ``whole`` among those in which something moves, in how many ``top`` or ``bottom`` seems to come first, and
    whether they are ``telecined``."""

    lines: int = 0
    frames: int = 0
    marked: int = 0
    combed: int = 0
    whole: int = 0
    top: int = 0
    bottom: int = 0
    telecined: bool = False

    @property
    def scan(self) -> Scan:
        """What the frames are taken for: telecined where the pattern is there, else what most are marked as.

        Frames that are not marked, but of which nearly all that move are combed, are taken to be interlaced.
        """
        if self.telecined:
            return "telecined"
        if self.marked:
            return "interlaced" if 2 * self.marked >= self.frames else "mixed"
        if self.lines >= FEWEST_LINES and self.combed >= max(ENOUGH, 0.8 * (self.combed + self.whole)):
            return "interlaced"
        return "progressive"

    @property
    def order(self) -> Order | None:
        """Which field the frames show first; ``None`` where as many say one thing as the other."""
        if self.top == self.bottom:
            return None
        return "top" if self.top > self.bottom else "bottom"

    def joined(self, other: FieldFacts) -> FieldFacts:
        """The facts of both samples together."""
        return FieldFacts(
            max(self.lines, other.lines),
            self.frames + other.frames,
            self.marked + other.marked,
            self.combed + other.combed,
            self.whole + other.whole,
            self.top + other.top,
            self.bottom + other.bottom,
            self.telecined or other.telecined,
        )


class FieldDetector:
    """Takes frames that follow each other, with ``look``, and sums them up with ``finish``."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._source: FilterContext | None = None
        self._sink: FilterContext | None = None
        self._shape: tuple[int, int, str] | None = None
        self._frames = 0
        self._marked = 0
        self._combed = 0
        self._whole = 0
        self._before: NDArray[np.int16] | None = None
        self._looks: Counter[str] = Counter()
        self._repeats: list[str] = []

    def look(self, frame: VideoFrame) -> None:
        """Take the next frame; one of another size or format than the first is only counted."""
        self._frames += 1
        self._marked += frame.interlaced_frame
        shape = frame.width, frame.height, frame.format.name
        if min(frame.width, frame.height) < _SMALLEST:
            return
        if self._shape is None:
            self._shape = shape
            self._open(frame)
        if shape == self._shape:
            self._compare_lines(frame)
            self._push(frame)

    def finish(self) -> FieldFacts:
        self._push(None)
        return FieldFacts(
            self._shape[1] if self._shape else 0,
            self._frames,
            self._marked,
            self._combed,
            self._whole,
            self._looks["tff"],
            self._looks["bff"],
            _is_telecined(self._repeats),
        )

    def _open(self, frame: VideoFrame) -> None:
        graph = Graph()
        graph.threads = 1
        # The times and the shape of pixels make no difference to what is looked for.
        self._source = graph.add(
            "buffer", f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/25"
        )
        judge = graph.add("idet")
        self._sink = graph.add("buffersink")
        self._source.link_to(judge)
        judge.link_to(self._sink)
        graph.configure()
        self._graph = graph

    def _compare_lines(self, frame: VideoFrame) -> None:
        # Every fourth column tells as much in a quarter of the time.
        lines = frame.to_ndarray(format="gray")[:, ::_COLUMNS].astype(np.int16)
        before, self._before = self._before, lines
        if before is None:
            return
        moving = (np.abs(lines - before) > MOVED)[1:-1]
        if np.count_nonzero(moving) < LEAST_MOVING * moving.size:
            return
        neighbours = int(np.abs(lines[1:-1] - lines[:-2])[moving].sum(dtype=np.int64))
        field = int(np.abs(lines[2:] - lines[:-2])[moving].sum(dtype=np.int64))
        if neighbours > COMBED * field:
            self._combed += 1
        else:
            self._whole += 1

    def _push(self, frame: VideoFrame | None) -> None:
        if self._source is None or self._sink is None:
            return
        try:
            self._source.push(frame)
            self._drain(self._sink)
        except (av.FFmpegError, OSError):  # the frames of a broken file change in ways that a filter does not take
            self._source = None

    def _drain(self, sink: FilterContext) -> None:
        while True:
            try:
                frame = sink.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            self._looks[frame.metadata.get("lavfi.idet.multiple.current_frame", "")] += 1
            self._repeats.append(frame.metadata.get("lavfi.idet.repeated.current_frame", ""))


def _is_telecined(repeats: list[str]) -> bool:
    """Whether top and bottom fields are repeated every five frames each, at two different places of the cycle."""
    places = {side: [index for index, repeated in enumerate(repeats) if repeated == side] for side in ("top", "bottom")}
    phases = {side: {index % _CYCLE for index in where} for side, where in places.items()}
    return (
        all(len(where) >= 2 and len(phases[side]) == 1 for side, where in places.items())
        and phases["top"] != phases["bottom"]
        and sum(map(len, places.values())) >= len(repeats) // _CYCLE
    )
