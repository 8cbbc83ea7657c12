"""Whether frames are whole pictures or two fields woven together, judged by FFmpeg's ``idet`` on a sample of them.

``idet`` compares the lines of a frame with those of its neighbours in time: fields taken one after the other fit better
into another frame than into their own. It also says which fields merely repeat the frame before, which is how film was
brought to 30 frames per second (3:2 pulldown: one field repeated in five frames, of either kind in turn).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from restore.media.clips.facts import Scan

Order = Literal["top", "bottom"]

ENOUGH = 8
"""Frames that have to be seen before their look counts against what they are marked as."""

_CYCLE = 5
_SMALLEST = 16

FEWEST_LINES = 400
"""Frames with fewer lines come from formats that have no fields; what looks like them there is noise of the coder."""


@dataclass(frozen=True)
class FieldFacts:
    """Of ``frames`` looked at, with ``lines`` each: how many are ``marked`` as interlaced, how many look like it with
    their ``top`` or their ``bottom`` field first, how many look ``progressive`` (the others leave it open), and whether
    they are ``telecined``."""

    lines: int = 0
    frames: int = 0
    marked: int = 0
    top: int = 0
    bottom: int = 0
    progressive: int = 0
    telecined: bool = False

    @property
    def combed(self) -> int:
        return self.top + self.bottom

    @property
    def scan(self) -> Scan:
        """What the frames are taken for: telecined where the pattern is there, else what most are marked as.

        Frames that are not marked but nearly all look interlaced, with the same field first, are taken to be it.
        """
        if self.telecined:
            return "telecined"
        if self.marked:
            return "interlaced" if 2 * self.marked >= self.frames else "mixed"
        if self.lines >= FEWEST_LINES and self.frames >= ENOUGH and max(self.top, self.bottom) >= 0.8 * self.frames:
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
            self.top + other.top,
            self.bottom + other.bottom,
            self.progressive + other.progressive,
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
        if shape == self._shape and self._source is not None:
            self._source.push(frame)
            self._drain()

    def finish(self) -> FieldFacts:
        if self._source is not None:
            self._source.push(None)
            self._drain()
        return FieldFacts(
            self._shape[1] if self._shape else 0,
            self._frames,
            self._marked,
            self._looks["tff"],
            self._looks["bff"],
            self._looks["progressive"],
            _is_telecined(self._repeats),
        )

    def _open(self, frame: VideoFrame) -> None:
        graph = Graph()
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

    def _drain(self) -> None:
        assert self._sink is not None
        while True:
            try:
                frame = self._sink.pull()
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
