"""Look at the packets of a clip and at its first frames, up to a bound, and note what they tell."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as Kind
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from restore.media.clips.facts import ColourTags, MasteringDisplay
from restore.media.clips.fields import FieldDetector, FieldFacts
from restore.media.clips.orientation import Placement, from_rotation, read_matrix

MAX_PACKETS = 20_000
MAX_BYTES = 64 * 2**20
MAX_FRAMES = 30
MAX_PIXELS = 64_000_000
MAX_MESSAGES = 8
"""Frames whose side data are looked at."""

MAX_ATTEMPTS = 600
"""Packets given to the decoder before it counts as one that makes nothing of them."""

BROKEN_OFF = (av.FFmpegError, OSError, IndexError)
"""What PyAV raises when reading packets fails; ``IndexError`` where a stream turns up that was not there at first."""

_DOLBY_VISION = {Kind.DOVI_METADATA, Kind.DOVI_RPU_BUFFER}
_FULL_RANGE = 2


@dataclass
class FirstFrame:
    """What the first frame that was decoded is like."""

    width: int
    height: int
    pixel_format: str
    colour: ColourTags
    placement: Placement


@dataclass
class Survey:
    """What was seen. Times are in ticks of the stream.

    ``times`` are those of the frames to be shown, in the order of the packets, and ``end`` is the latest of their ends.
    ``packets`` were read, ``hidden`` of them only needed to decode others, ``untimed`` of them without a timestamp.
    ``complete`` says that the file was read to its end, ``broken`` that this end was an error. ``failures`` of those
    packets given to the decoder could not be decoded. ``sizes`` are those of all frames looked at.
    """

    times: list[int] = field(default_factory=list)
    end: int | None = None
    packets: int = 0
    hidden: int = 0
    untimed: int = 0
    complete: bool = False
    broken: bool = False
    encrypted: bool = False
    failures: int = 0
    frames: int = 0
    first: FirstFrame | None = None
    sizes: list[tuple[int, int]] = field(default_factory=list)
    fields: FieldFacts = field(default_factory=FieldFacts)
    mastering: MasteringDisplay | None = None
    light: tuple[int, int] | None = None
    captions: bool = False
    hdr10_plus: bool = False
    dolby_vision: bool = False
    transparent: bool = False
    timecode: str | None = None


def survey(container: InputContainer, stream: VideoStream) -> Survey:
    """Read packets of ``stream`` from where ``container`` stands and decode the first of them.

    At most ``MAX_PACKETS`` are read and no more than ``MAX_BYTES`` of the file, and at most ``MAX_FRAMES`` frames, or
    ``MAX_PIXELS`` together, are decoded. Broken data are counted, not raised.
    """
    seen = Survey()
    detector = FieldDetector()
    pixels = attempts = 0
    first_position: int | None = None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except BROKEN_OFF:
            seen.complete = seen.broken = True
            break
        if packet is None:
            seen.complete = True
            break
        if _is_flush(packet):
            seen.complete = True
        else:
            _note_packet(seen, packet)
        enough = seen.frames >= MAX_FRAMES or (pixels >= MAX_PIXELS and seen.frames > 0) or attempts >= MAX_ATTEMPTS
        if not enough and not seen.encrypted:
            attempts += 1
            for frame in _decode(seen, packet):
                _note_frame(seen, frame)
                detector.look(frame)
                pixels += frame.width * frame.height
        if packet.pos is not None and packet.pos >= 0:
            first_position = packet.pos if first_position is None else first_position
            if packet.pos - first_position > MAX_BYTES:
                break
        if seen.packets >= MAX_PACKETS or seen.encrypted:
            break
    seen.fields = detector.finish()
    return seen


def look_at_fields(container: InputContainer, stream: VideoStream, at: int) -> FieldFacts:
    """Judge the fields of some frames around the time ``at``, in ticks; no facts where it cannot be reached."""
    detector = FieldDetector()
    seen = Survey()
    try:
        container.seek(at, stream=stream)
        for attempt, packet in enumerate(container.demux(stream)):
            for frame in _decode(seen, packet):
                seen.frames += 1
                detector.look(frame)
            if seen.frames >= MAX_FRAMES // 2 or attempt >= MAX_FRAMES * 4:
                break
    except BROKEN_OFF:  # what could be seen until here counts
        pass
    return detector.finish()


def _is_flush(packet: Packet[VideoStream]) -> bool:
    """Whether ``packet`` is the one that PyAV puts at the end to empty the decoder."""
    return packet.size == 0 and packet.pts is None and packet.dts is None


def _decode(seen: Survey, packet: Packet[VideoStream]) -> list[VideoFrame]:
    try:
        return packet.decode()
    except av.EOFError:
        return []
    except (av.FFmpegError, OSError):
        seen.failures += 1
        return []


def _note_packet(seen: Survey, packet: Packet[VideoStream]) -> None:
    seen.packets += 1
    seen.encrypted = seen.encrypted or packet.has_sidedata("encryption_info")
    if packet.is_discard:
        seen.hidden += 1
        return
    if packet.pts is None:
        seen.untimed += 1
        return
    seen.times.append(packet.pts)
    end = packet.pts + (packet.duration or 0)
    seen.end = end if seen.end is None else max(seen.end, end)


def _note_frame(seen: Survey, frame: VideoFrame) -> None:
    seen.frames += 1
    size = frame.width, frame.height
    if size not in seen.sizes:
        seen.sizes.append(size)
    seen.transparent = seen.transparent or _is_transparent(frame)
    if seen.frames > MAX_MESSAGES:
        return
    placement = _note_messages(seen, frame)
    if seen.first is None:
        seen.first = FirstFrame(*size, frame.format.name, _colour(frame), placement)
        seen.timecode = _timecode(frame)


def _note_messages(seen: Survey, frame: VideoFrame) -> Placement:
    """Note what comes beside the picture; returns how it is to be placed."""
    placement = from_rotation(frame.rotation)
    for data in _side_data(frame):
        kind = data.type
        if kind is Kind.DISPLAYMATRIX:
            placement = read_matrix(bytes(data))
        elif kind is Kind.MASTERING_DISPLAY_METADATA:
            seen.mastering = seen.mastering or _mastering(bytes(data))
        elif kind is Kind.CONTENT_LIGHT_LEVEL:
            seen.light = seen.light or struct.unpack_from("=2I", bytes(data))
        elif kind is Kind.A53_CC:
            seen.captions = True
        elif kind is Kind.DYNAMIC_HDR_PLUS:
            seen.hdr10_plus = True
        elif kind in _DOLBY_VISION:
            seen.dolby_vision = True
    return placement


def _side_data(frame: VideoFrame) -> list[SideData]:
    try:
        # A frame that was asked for its side data is only freed by the collector of cycles, so a tiny copy is asked.
        tiny = frame.reformat(width=16, height=16, format="gray")
        # PyAV declares the type of one entry as that of all of them.
        return list(cast("Iterable[SideData]", tiny.side_data))
    except (av.FFmpegError, ValueError):  # PyAV gives none at all where one is of a kind that it has no name for
        return []


def _timecode(frame: VideoFrame) -> str | None:
    try:
        timecode = frame.metadata.get("timecode")
    except UnicodeDecodeError:
        return None
    # MPEG-2 has one in every group of pictures, mostly without meaning.
    return timecode if timecode and timecode.strip("0:;.") else None


def _mastering(data: bytes) -> MasteringDisplay | None:
    """FFmpeg's AVMasteringDisplayMetadata: rationals for three primaries, white and two luminances, and what is set."""
    if len(data) < 88:
        return None
    numbers = struct.unpack_from("=22i", data)
    if not numbers[20] or not numbers[21] or not all(numbers[1:20:2]):
        return None
    values = [Fraction(numbers[at], numbers[at + 1]) for at in range(0, 20, 2)]
    red, green, blue, white = ((values[at], values[at + 1]) for at in range(0, 8, 2))
    return MasteringDisplay(red, green, blue, white, darkest=values[8], brightest=values[9])


def _colour(frame: VideoFrame) -> ColourTags:
    full: bool | None = frame.color_range == _FULL_RANGE if frame.color_range else None
    if frame.format.name.startswith("yuvj") or frame.format.is_rgb:
        full = True
    return ColourTags(int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc), full)


def _is_transparent(frame: VideoFrame) -> bool:
    """Whether a GIF's frame, which always has room for alpha, makes use of it."""
    if frame.format.name != "bgra":
        return False
    return bool((frame.to_ndarray(format="bgra")[..., 3] < 255).any())
