"""Whole pictures from interlaced ones, by FFmpeg's filter bwdif.

A clip made with interlacing holds two moments in each frame, one in its even and one in its odd lines. Only frames that
say so are touched: in mixed material the others come through as they are. Which field is first is what each frame says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from restore.media.clips.planes import planar
from restore.media.clips.timing import Picture


@dataclass
class Deinterlacer:
    """Deinterlaces pictures, and counts the frames that it touched.

    With ``fields`` each interlaced frame becomes two pictures, one for each of its fields and half as long; without, it
    becomes one: the moment of its first field.
    """

    fields: bool = False
    touched: int = 0
    # The numbers of pictures that wait for the one behind them, which is all that the filter is told of their times.
    _waiting: deque[tuple[int, Picture]] = field(default_factory=deque)
    _given: int = 0

    def pictures(self, pictures: Iterator[Picture]) -> Iterator[Picture]:
        """``pictures`` without interlacing, in a planar layout; one of them is held back until the next one comes."""
        graph: Graph | None = None
        shape: tuple[int, int, str] | None = None
        for picture in pictures:
            frame = planar(picture.frame)
            if graph is None or shape != (frame.width, frame.height, frame.format.name):
                if graph:
                    graph.vpush(None)
                    yield from self._ready(graph)
                shape = frame.width, frame.height, frame.format.name
                graph = _graph(*shape, fields=self.fields)
            self.touched += frame.interlaced_frame
            frame.pts, frame.time_base = self._given, Fraction(1)
            self._waiting.append((self._given, replace(picture, frame=frame)))
            self._given += 1
            graph.vpush(frame)
            yield from self._ready(graph)
        if graph:
            graph.vpush(None)
            yield from self._ready(graph)

    def _ready(self, graph: Graph) -> Iterator[Picture]:
        """What the filter has finished, with the times of what it was made from."""
        while True:
            try:
                frame: VideoFrame = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            # The time that it was given, or half of one more for the second field; never none.
            place = (frame.pts or 0) * (frame.time_base or Fraction(1))
            while self._waiting[0][0] < int(place):
                self._waiting.popleft()
            yield Picture(frame, *self._times(self._waiting[0][1], second=place != int(place)))

    def _times(self, source: Picture, *, second: bool) -> tuple[Fraction, Fraction]:
        """When a picture made from ``source`` is shown, and for how long."""
        if not self.fields or not source.frame.interlaced_frame:
            return source.pts, source.duration
        half = source.duration / 2
        return (source.pts + half if second else source.pts), half


def _graph(width: int, height: int, pixel_format: str, *, fields: bool) -> Graph:
    graph = Graph()
    graph.threads = 2
    source = graph.add("buffer", f"video_size={width}x{height}:pix_fmt={pixel_format}:time_base=1:pixel_aspect=1")
    mode = "send_field" if fields else "send_frame"
    bwdif = graph.add("bwdif", f"mode={mode}:parity=auto:deint=interlaced")
    sink = graph.add("buffersink")
    graph.link_nodes(source, bwdif, sink).configure()
    return graph
