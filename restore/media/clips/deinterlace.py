"""Whole pictures from interlaced ones, by FFmpeg's filter bwdif.

A clip made with interlacing holds two moments in each frame, one in its even and one in its odd lines. Only frames that
say so are touched, as long as any do: in mixed material the others come through as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from restore.media.clips.planes import planar
from restore.media.clips.timing import Picture


@dataclass
class Deinterlacer:
    """Deinterlaces pictures, and counts the frames that it touched.

    With ``fields`` each interlaced frame becomes two pictures, one for each of its fields and half as long; without, it
    becomes one: the moment of its first field. ``order`` is the field that comes first, by default what each frame
    says; with ``unmarked`` every frame counts as interlaced.
    """

    fields: bool = False
    order: Literal["top", "bottom"] | None = None
    unmarked: bool = False
    touched: int = 0
    # What the filter was given and has not given back, by the numbers that it gets for times. Without a picture: one
    # that it only looks back at.
    _waiting: deque[tuple[int, Picture | None]] = field(default_factory=deque)
    _given: int = 0

    def pictures(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """``pictures`` without interlacing; from the first interlaced one on, each waits for the next one.

        The filter begins with that one: progressive clips are not touched, whatever the layout of their planes.
        """
        graph: Graph | None = None
        before: Picture | None = None
        for picture in pictures:
            if before and _shape(before) != _shape(picture):
                yield from self._emptied(graph)
                graph = before = None
            if not graph and self._is_interlaced(picture):
                graph = self._graph(planar(picture.frame))
                if before:
                    self._give(graph, before.frame, None)
                    yield from self._ready(graph)
            if graph:
                self.touched += self._is_interlaced(picture)
                self._give(graph, picture.frame, picture)
                yield from self._ready(graph)
            else:
                yield picture
            before = picture
        yield from self._emptied(graph)

    def _is_interlaced(self, picture: Picture) -> bool:
        return self.unmarked or picture.frame.interlaced_frame

    def _graph(self, frame: VideoFrame) -> Graph:
        """The filter for frames like ``frame``."""
        graph = Graph()
        graph.threads = 2
        size = f"{frame.width}x{frame.height}"
        source = graph.add("buffer", f"video_size={size}:pix_fmt={frame.format.name}:time_base=1:pixel_aspect=1")
        mode = "send_field" if self.fields else "send_frame"
        parity = {"top": "tff", "bottom": "bff", None: "auto"}[self.order]
        which = "all" if self.unmarked else "interlaced"
        bwdif = graph.add("bwdif", f"mode={mode}:parity={parity}:deint={which}")
        graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
        return graph

    def _give(self, graph: Graph, frame: VideoFrame, picture: Picture | None) -> None:
        frame = planar(frame)
        frame.pts, frame.time_base = self._given, Fraction(1)
        self._waiting.append((self._given, picture))
        self._given += 1
        graph.vpush(frame)

    def _emptied(self, graph: Graph | None) -> Iterator[Picture]:
        if graph:
            graph.vpush(None)
            yield from self._ready(graph)

    def _ready(self, graph: Graph) -> Iterator[Picture]:
        """What the filter has finished, with the times of what it was made from."""
        last: Fraction | None = None
        while True:
            try:
                frame = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            # The number that it was given, never none; half of one more for the second field, or the same again where
            # there was a single frame.
            place = (frame.pts or 0) * (frame.time_base or Fraction(1))
            while self._waiting[0][0] < int(place):
                self._waiting.popleft()
            picture = self._waiting[0][1]
            if picture:
                yield Picture(frame, *self._times(picture, second=place != int(place) or place == last))
            last = place

    def _times(self, source: Picture, *, second: bool) -> tuple[Fraction, Fraction]:
        """When a picture made from ``source`` is shown, and for how long."""
        if not self.fields or not self._is_interlaced(source):
            return source.pts, source.duration
        half = source.duration / 2
        return (source.pts + half if second else source.pts), half


def _shape(picture: Picture) -> tuple[int, int, str]:
    return picture.frame.width, picture.frame.height, picture.frame.format.name
