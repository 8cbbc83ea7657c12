"""Small clips of every kind, made with PyAV for the tests of video."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]

MASTERING = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
"""A screen with the primaries of P3 from 0.0001 to 1000 candela per square metre, in the words of x265."""

# Rows p, q and constant of the matrices that show a stored picture as EXIF's orientations do; 16.16 and 2.30.
ONE, WHOLE = 1 << 16, 1 << 30
MATRICES: Mapping[int, tuple[int, int, int, int]] = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def picture(index: int, width: int = 96, height: int = 64) -> Pixels:
    """The picture number ``index`` of a textured ground over which a bright square moves fast, ``(H, W, 3)``."""
    rows, columns = np.mgrid[:height, :width]
    ground = 90 + 40 * np.sin(rows / 5.0) + 40 * np.cos(columns / 7.0)
    pixels = np.stack([ground, np.roll(ground, 9, axis=1), 200 - ground], axis=-1)
    side = max(4, min(width, height) // 3)
    left, top = (7 * index) % max(1, width - side), (3 * index) % max(1, height - side)
    pixels[top : top + side, left : left + side] = (240, 230, 60)
    return pixels.astype(np.uint8)


def pictures(count: int, width: int = 96, height: int = 64) -> list[Pixels]:
    return [picture(index, width, height) for index in range(count)]


def woven(count: int, width: int = 96, height: int = 64, *, top_first: bool = True) -> list[Pixels]:
    """``count`` interlaced frames: of two pictures that follow each other, every other line each."""
    frames = []
    for index in range(count):
        first, second = picture(2 * index, width, height), picture(2 * index + 1, width, height)
        frame = first.copy()
        frame[1 if top_first else 0 :: 2] = second[1 if top_first else 0 :: 2]
        frames.append(frame)
    return frames


def telecined(count: int, width: int = 96, height: int = 64) -> list[Pixels]:
    """``count`` frames of film with 3:2 pulldown: of four pictures five frames, two of them woven."""
    frames = []
    for index in range(count):
        cycle, place = divmod(index, 5)
        top, bottom = ((0, 0), (0, 1), (1, 2), (2, 2), (3, 3))[place]
        frame = picture(4 * cycle + top, width, height)
        frame[1::2] = picture(4 * cycle + bottom, width, height)[1::2]
        frames.append(frame)
    return frames


@dataclass(frozen=True)
class Sound:
    """A stream of sound: a tone of ``seconds`` that begins at ``start``."""

    codec: str = "aac"
    seconds: float = 0.5
    start: Fraction = Fraction(0)
    rate: int = 48000
    layout: str = "stereo"
    sample_format: str = "fltp"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Subtitles:
    """A stream of subtitles: lines of text with their start and length in milliseconds."""

    lines: Sequence[tuple[int, int, str]] = ((0, 200, "First"), (200, 200, "Second"))
    codec: str = "subrip"
    metadata: Mapping[str, str] = field(default_factory=dict)


def write_clip(
    path: Path,
    frames: Sequence[Pixels] | None = None,
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    rate: Fraction | int = 25,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: Mapping[str, str] | None = None,
    format: str | None = None,
    container_options: Mapping[str, str] | None = None,
    aspect: Fraction | None = None,
    colour: tuple[int, int, int, int] | None = None,
    matrix: Sequence[int] | None = None,
    alpha: Callable[[int], NDArray[np.uint8]] | None = None,
    interlaced: bool = False,
    sounds: Iterable[Sound] = (),
    subtitles: Iterable[Subtitles] = (),
    chapters: Sequence[tuple[float, float, str]] = (),
    attachments: Sequence[tuple[str, str, bytes]] = (),
    metadata: Mapping[str, str] | None = None,
    video_metadata: Mapping[str, str] | None = None,
    more_video: Sequence[Sequence[Pixels]] = (),
) -> Path:
    """Write a clip of ``frames`` (12 pictures if none are given) to ``path``, and return that.

    ``times`` are those of the frames in ticks of ``time_base``, else they follow ``rate``. ``colour`` are matrix,
    primaries, transfer and range (1: limited, 2: full) as FFmpeg's numbers; ``matrix`` is a display matrix of nine
    numbers (``display_matrix`` makes them). ``alpha`` gives the transparency of a frame. ``interlaced`` marks the
    frames as such, for codecs that FFmpeg encodes itself; x264 wants ``options={"x264-params": "tff=1"}``.
    """
    frames = pictures(12) if frames is None else frames
    with av.open(
        str(path),
        "w",
        format=format,
        options=dict(container_options or {}),
    ) as container:
        container.metadata.update(metadata or {})
        tracks = []
        for number, track in enumerate((frames, *more_video)):
            stream = container.add_stream(codec, rate=rate, options=dict(options or {}))
            assert isinstance(stream, VideoStream)
            height, width = track[0].shape[:2]
            stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
            if time_base is not None:
                stream.codec_context.time_base = time_base
                stream.time_base = time_base
            if aspect is not None:
                stream.codec_context.sample_aspect_ratio = aspect
            if colour is not None:
                context = stream.codec_context
                context.colorspace, context.color_primaries, context.color_trc, context.color_range = colour
            if matrix is not None and number == 0:
                stream.set_display_matrix(matrix)
            if interlaced:
                stream.codec_context.flags |= 0x40000 | 0x20000000  # coded and searched by fields
            stream.metadata.update((video_metadata or {}) if number == 0 else {})
            tracks.append((stream, track))
        heard = [(sound, _sound_stream(container, sound)) for sound in sounds]
        read = [(subtitle, _subtitle_stream(container, subtitle)) for subtitle in subtitles]
        for name, mimetype, data in attachments:
            container.add_attachment(name, mimetype, data)
        if chapters:
            container.set_chapters(
                [
                    {
                        "id": number,
                        "start": round(start * 1000),
                        "end": round(end * 1000),
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": title},
                    }
                    for number, (start, end, title) in enumerate(chapters)
                ]
            )
        packets: list[Packet[Any]] = []
        for stream, track in tracks:
            packets += _encoded(stream, track, times, time_base, colour, alpha)
        for sound, stream in heard:
            packets += _tone(stream, sound)
        for subtitle, stream in read:
            packets += _lines(stream, subtitle)
        for packet in sorted(packets, key=_moment):
            container.mux(packet)
    return path


def display_matrix(orientation: int) -> list[int]:
    """The display matrix under which a stored picture is shown as EXIF's ``orientation`` says."""
    a, b, c, d = MATRICES[orientation]
    return [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, WHOLE]


def write_webp(path: Path, frames: Sequence[Pixels], durations: Sequence[int]) -> Path:
    """Write an animated WebP, lossless; ``durations`` are in milliseconds."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    first.save(path, save_all=True, append_images=others, duration=list(durations), lossless=True)
    return path


def write_y4m(path: Path, header: str, frames: int = 3, size: int = 16) -> Path:
    """Write a Y4M file with ``header`` as the words of its first line and ``frames`` grey 4:2:0 frames."""
    body = b"FRAME\n" + bytes([128]) * (size * size * 3 // 2)
    path.write_bytes(b"YUV4MPEG2 " + header.encode() + b"\n" + body * frames)
    return path


def cut_off(path: Path, share: float) -> Path:
    """Cut the file at ``path`` down to ``share`` of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def corrupt(path: Path, start: float, end: float, count: int = 200, seed: int = 1) -> Path:
    """Change ``count`` random bytes between the shares ``start`` and ``end`` of the file at ``path``."""
    data = bytearray(path.read_bytes())
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.randrange(int(len(data) * start), int(len(data) * end))] = chance.randrange(256)
    path.write_bytes(data)
    return path


def exchange(path: Path, old: bytes, new: bytes) -> Path:
    """Put ``new``, as long as ``old``, in its place wherever it stands in the file at ``path``; it has to be there."""
    data = path.read_bytes()
    assert old in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def with_message(path: Path, codec: str, payload: bytes) -> Path:
    """Put ``payload``, registered user data by ITU-T T.35, before the first picture of a bare H.264 or HEVC stream."""
    head, first = {"h264": (b"\x06", b"\0\0\1\x65"), "hevc": (b"\x4e\x01", b"\0\0\1\x28")}[codec]
    body = head + bytes([4, len(payload)]) + payload + b"\x80"
    protected = bytearray()
    for byte in body:  # three bytes that look like the start of a unit are kept apart by a 3
        if byte <= 3 and protected[-2:] == b"\0\0":
            protected.append(3)
        protected.append(byte)
    data = path.read_bytes()
    at = data.index(first)
    path.write_bytes(data[:at] + b"\0\0\1" + bytes(protected) + data[at:])
    return path


def captions() -> bytes:
    """The T.35 message of a frame with closed captions (ANSI/SCTE 128, CEA-708): one empty pair of CEA-608."""
    return bytes.fromhex("b50031") + b"GA94" + bytes.fromhex("03 c1 ff fc 80 80 ff")


def hdr10_plus() -> bytes:
    """The T.35 message of a frame with HDR10+ data (SMPTE ST 2094-40): one window and no curve."""
    fields = [(1, 2), (1000, 27), (0, 1), *[(5000, 17)] * 4, (0, 4), (0, 10), (0, 1), (0, 1), (0, 1)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    bits += "0" * (-len(bits) % 8)
    return bytes.fromhex("b5003c00010401") + int(bits, 2).to_bytes(len(bits) // 8, "big")


def _encoded(
    stream: VideoStream,
    frames: Sequence[Pixels],
    times: Sequence[int] | None,
    time_base: Fraction | None,
    colour: tuple[int, int, int, int] | None,
    alpha: Callable[[int], NDArray[np.uint8]] | None,
) -> list[Packet[Any]]:
    packets = []
    for index, pixels in enumerate(frames):
        if alpha is not None:
            frame = VideoFrame.from_ndarray(np.dstack([pixels, alpha(index)]), format="rgba")
        else:
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
        tagged: dict[str, Any] = {}
        if colour is not None:
            tagged = {"dst_colorspace": colour[0], "dst_color_range": colour[3]}
        frame = frame.reformat(format=stream.pix_fmt, **tagged)
        if colour is not None:
            frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range = colour
        frame.pts = index if times is None else times[index]
        if time_base is not None:
            frame.time_base = time_base
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _sound_stream(container: OutputContainer, sound: Sound) -> Any:
    stream = container.add_stream(sound.codec, rate=sound.rate, layout=sound.layout)
    stream.metadata.update(sound.metadata)
    return stream


def _tone(stream: Any, sound: Sound) -> list[Packet[Any]]:
    total = round(sound.seconds * sound.rate)
    packets: list[Packet[Any]] = []
    resampler = av.AudioResampler(
        format=stream.codec_context.format, layout=sound.layout, rate=sound.rate, frame_size=stream.frame_size or 1024
    )
    wave = (8000 * np.sin(np.arange(total) * 2 * np.pi * 440 / sound.rate)).astype(np.int16)
    for offset in range(0, total, 1024):
        samples = wave[offset : offset + 1024]
        channels = stream.codec_context.channels
        block = np.repeat(samples, channels).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=sound.layout)
        frame.rate = sound.rate
        frame.pts = offset + int(sound.start * sound.rate)
        frame.time_base = Fraction(1, sound.rate)
        for ready in resampler.resample(frame):
            packets += stream.encode(ready)
    for ready in resampler.resample(None):
        packets += stream.encode(ready)
    return packets + stream.encode(None)


def _subtitle_stream(container: OutputContainer, subtitles: Subtitles) -> Any:
    stream = container.add_mux_stream(subtitles.codec)
    stream.time_base = Fraction(1, 1000)
    stream.metadata.update(subtitles.metadata)
    return stream


def _lines(stream: Any, subtitles: Subtitles) -> list[Packet[Any]]:
    packets: list[Packet[Any]] = []
    for start, length, text in subtitles.lines:
        data = text.encode()
        if subtitles.codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        packet: Packet[Any] = Packet(data)
        packet.stream = stream
        packet.pts = packet.dts = start
        packet.duration = length
        packet.time_base = Fraction(1, 1000)
        packets.append(packet)
    return packets


def _moment(packet: Packet[Any]) -> Fraction:
    return (packet.dts or 0) * packet.time_base
