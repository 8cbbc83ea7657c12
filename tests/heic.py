"""Make small lossless HEIC files: PyAV has an HEVC encoder, and nothing that the project uses writes the container."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
from numpy.typing import NDArray


def heic(
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    quarter_turns: int = 0,
    mirror: int | None = None,
    exif: bytes | None = None,
    transfer: int = 13,
) -> bytes:
    """The RGB ``pixels`` (H, W, 3), 8 bits or 10 bits in uint16, both sides at least 16 and even, as a HEIC file.

    ``quarter_turns`` anticlockwise and then ``mirror`` (0: top and bottom change places, 1: left and right) are what a
    reader has to do with the stored picture (irot, imir). ``exif`` is a block without prefix; ``transfer`` is the code
    point of the transfer function.
    """
    height, width = pixels.shape[:2]
    depth = 10 if pixels.dtype == np.uint16 else 8
    configuration, sample = _encode(pixels, "gbrp10le" if depth == 10 else "gbrp")
    properties = [
        configuration,
        _full(b"ispe", struct.pack(">LL", width, height)),
        _full(b"pixi", bytes([3, depth, depth, depth])),
        # Primaries as sRGB, matrix 0 (the three planes are G, B and R), full range.
        _box(b"colr", b"nclx" + struct.pack(">HHHB", 1, transfer, 0, 0x80)),
    ]
    if quarter_turns:
        properties.append(_box(b"irot", bytes([quarter_turns])))
    if mirror is not None:
        properties.append(_box(b"imir", bytes([mirror])))
    # Bit 7 marks what a reader must not ignore: the codec's configuration and the turns.
    essential = [number | (0x80 if number == 1 or number > 4 else 0) for number in range(1, len(properties) + 1)]
    items = [(1, b"hvc1", sample)]
    references = b""
    if exif:
        items.append((2, b"Exif", struct.pack(">L", 0) + exif))
        references = _full(b"iref", _box(b"cdsc", struct.pack(">HHH", 2, 1, 1)))
    entries = b"".join(
        _full(b"infe", struct.pack(">HH4s", item, 0, kind) + b"\0", version=2) for item, kind, _ in items
    )
    before = _full(b"hdlr", struct.pack(">L4s12s", 0, b"pict", b"") + b"\0") + _full(b"pitm", struct.pack(">H", 1))
    after = (
        _full(b"iinf", struct.pack(">H", len(items)) + entries)
        + references
        + _box(
            b"iprp",
            _box(b"ipco", *properties),
            _full(b"ipma", struct.pack(">LHB", 1, 1, len(essential)) + bytes(essential)),
        )
    )
    start = _box(b"ftyp", b"heic" + struct.pack(">L", 0) + b"mif1heic")
    location_size = 12 + 4 + 14 * len(items)
    at = len(start) + 12 + len(before) + location_size + len(after) + 8
    locations = b""
    for item, _, content in items:
        locations += struct.pack(">HHHLL", item, 0, 1, at, len(content))
        at += len(content)
    location = _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)) + locations)
    assert len(location) == location_size
    content = b"".join(content for _, _, content in items)
    return start + _full(b"meta", before + location + after) + _box(b"mdat", content)


def _encode(pixels: NDArray[np.uint8] | NDArray[np.uint16], layout: str) -> tuple[bytes, bytes]:
    """One frame of lossless HEVC: the ``hvcC`` box and the coded picture, both taken out of an MP4."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=1)
        stream.width, stream.height, stream.pix_fmt = pixels.shape[1], pixels.shape[0], layout
        stream.options = {"preset": "ultrafast", "x265-params": "lossless=1:log-level=none:info=0:pools=1"}
        frame = av.VideoFrame.from_ndarray(pixels, format=layout)
        for packet in [*stream.encode(frame), *stream.encode()]:
            # With a single frame x265 leaves the decoding time undefined.
            packet.pts = packet.dts = 0
            container.mux(packet)
    movie = file.getvalue()
    at = movie.index(b"hvcC") - 4
    (size,) = struct.unpack_from(">L", movie, at)
    with av.open(io.BytesIO(movie)) as container:
        return movie[at : at + size], bytes(next(container.demux(video=0)))


def _box(kind: bytes, *contents: bytes) -> bytes:
    body = b"".join(contents)
    return struct.pack(">L4s", 8 + len(body), kind) + body


def _full(kind: bytes, *contents: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">L", version << 24), *contents)
