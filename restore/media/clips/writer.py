"""Frames into a clip: encoded, and timed exactly.

The encoder is told that frame number n is shown at time n; their true times are laid over its packets afterwards. So
no encoder ever rounds, drops or repeats a frame, and variable rates are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from torch import Tensor

from restore.frame import Frame
from restore.media.clips import colour
from restore.media.clips.clip_file import ClipFile
from restore.media.clips.planes import blank_frame

MOST_REORDERED = 32
"""More frames than any encoder holds back to reorder them."""


@dataclass
class ClipWriter(ClipFile):
    """A ``ClipFile`` that encodes the frames which it is given.

    Left by an exception, it drops the encoder with all that it holds. With ``ends_alone`` the last frame is a key frame
    in any case, so that it keeps a length of its own wherever its packets go.
    """

    ends_alone: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._held: tuple[VideoFrame, int] | None = None
        self._filled: tuple[Tensor, Tensor | None, VideoFrame] | None = None
        self._delay = 0

    def write(self, frame: Frame) -> None:
        """Encode ``frame``, which has the size of the plan; a later one than any before it.

        A frame whose pixels are the very tensor of the one before is not converted a second time.
        """
        if (frame.width, frame.height) != (self.plan.picture.width, self.plan.picture.height):
            raise ValueError(f"a frame of {frame.width} x {frame.height} in a clip of another size")
        with self._in_words():
            if self._output is None:
                self.open(frame.pts)
            filled = self._fill(frame)
            number = self.place(frame.pts, frame.duration)
            if self._held is not None:
                self._encode(self._held, is_last=False)
            self._held = filled, number

    def _fill(self, frame: Frame) -> VideoFrame:
        """``frame`` as the encoder takes it."""
        if self._filled is not None and self._filled[0] is frame.pixels and self._filled[1] is frame.alpha:
            return self._filled[2]
        plan = self.plan
        made, planes = blank_frame(plan.layout, frame.width, frame.height)
        colour.from_rgb(frame.pixels, frame.alpha, planes, plan.layout, plan.colour)
        if plan.pixel_format != plan.layout.name:
            made = made.reformat(format=plan.pixel_format)
        made.colorspace, made.color_primaries = plan.colour.matrix, plan.colour.primaries
        made.color_trc = plan.colour.transfer
        made.color_range = colour.FULL if plan.colour.full_range else colour.LIMITED
        self._filled = frame.pixels, frame.alpha, made
        return made

    def _encode(self, held: tuple[VideoFrame, int], *, is_last: bool) -> None:
        frame, number = held
        frame.pts, frame.time_base = number, 1 / self.plan.rate
        # MP4 stores how long a frame is shown as the distance to the next one in the order of decoding. The last frame
        # keeps a length of its own only if it is decoded last, which a key frame is.
        uneven = self.ends_alone or self._is_uneven or self._is_uneven_at_end
        alone = is_last and uneven and self.plan.codec in ("h264", "hevc")
        frame.pict_type = PictureType.I if alone else PictureType.NONE
        self._mux_all(self._video.encode_lazy(frame))

    def _mux_all(self, packets: Iterable[Packet[Any]]) -> None:
        if not self._packets:
            packets = list(packets)
            self._delay = _delay(packets)
        for packet in packets:
            assert packet.pts is not None
            self.mux(packet, packet.pts, self._delay)

    def _finish(self) -> None:
        if self._held is not None:
            self._encode(self._held, is_last=True)
            self._mux_all(self._video.encode_lazy(None))
        super()._finish()

    def _drop(self) -> None:
        """Let go of everything that is open, without encoding what is held back."""
        super()._drop()
        self._held = self._filled = None


def _delay(packets: list[Packet[Any]]) -> int:
    """By how many frames the encoder reorders: how long before the first frame is shown the first packet is decoded.

    ``packets`` are the first that it returned. x265 makes up wild decoding times for clips of a few frames, all of
    which it returns at once.
    """
    first = packets[0].dts if packets else None
    if first is not None and -MOST_REORDERED <= first <= 0:
        return -first
    return max((order - (packet.pts or 0) for order, packet in enumerate(packets)), default=0)
