"""PNG in 1 to 16 bits per sample (PNG specification, third edition).

Pillow decodes most pictures; libpng itself those that Pillow gets wrong: 16-bit colour, which it reduces to 8 bits
without a word, and grey with a transparent level, which it misses below 8 bits. The chunks around the pixels are read
and written here: that way a broken or huge one cannot stop the picture.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import imagecodecs
import numpy as np
from PIL import PngImagePlugin

from restore.media.colour import LARGEST_PROFILE
from restore.media.decoded import Decoded, Header, Samples, further_frames, join_alpha, split_alpha
from restore.media.exif import orientation_of, parse_exif
from restore.report import Dropped

# libpng's warnings, such as the one about how imagecodecs reads interlaced pictures, are nothing that a user could act
# on; its errors are raised all the same.
logging.getLogger("imagecodecs").setLevel(logging.CRITICAL)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RECIPE_KEYWORD = b"restore:recipe"

_PIXEL_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
# Before PNG had a chunk for EXIF, ImageMagick and others put it into text, in hexadecimal; "APP1" may also be XMP.
_RAW_EXIF_CHUNKS = {b"tEXt", b"zTXt"}
_RAW_EXIF_KEYWORDS = {b"Raw profile type exif", b"Raw profile type APP1"}
_LARGEST_TEXT = 2**22
_METRE_PER_INCH = 0.0254
_GREY, _RGB, _PALETTE = 0, 2, 3
# The depths that each colour type may have: grey, RGB, palette, grey and alpha, RGB and alpha.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SRGB_GAMMA = 45455


@dataclass(frozen=True)
class _Chunk:
    kind: bytes
    data: bytes
    raw: bytes


def probe(file: BinaryIO) -> Header:
    """Read size, orientation and number of frames. Raises ``ValueError`` or ``struct.error`` on a broken header."""
    width = height = 0
    exif = text_exif = b""
    frames = 1
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        size, kind = struct.unpack(">L4s", head)
        if kind == b"IHDR" and not width:
            width, height = struct.unpack(">LL", file.read(8))
            file.seek(size - 8 + 4, 1)
        elif kind == b"acTL" and size >= 4:
            (frames,) = struct.unpack(">L", file.read(4))
            file.seek(size - 4 + 4, 1)
        elif kind == b"eXIf":
            exif = exif or file.read(size)
            file.seek(4, 1)
        elif kind in _RAW_EXIF_CHUNKS and size <= _LARGEST_TEXT:
            text_exif = text_exif or _exif_in_text(kind, file.read(size)) or b""
            file.seek(4, 1)
        else:
            file.seek(size + 4, 1)
    if not width or not height:
        raise ValueError("no size in the header")
    return Header(width, height, _orientation(exif or text_exif), max(1, frames))


def decode(data: bytes) -> Decoded:
    """Decode the picture and gather what belongs to it. Raises what libpng's binding and ``struct`` raise."""
    chunks = list(_chunks(data))
    if not chunks or chunks[0].kind != b"IHDR":
        raise ValueError("no header")
    pixels, alpha = split_alpha(_samples(chunks))
    found = {chunk.kind: chunk.data for chunk in reversed(chunks)}
    losses = list(further_frames(struct.unpack_from(">L", found[b"acTL"])[0], "frame") if b"acTL" in found else ())
    profile = None
    if b"iCCP" in found:
        profile = _profile(found[b"iCCP"])
        if profile is None:
            losses.append(Dropped("ICC profile", "it is broken or larger than 16 MiB"))
    exif, keyword = found.get(b"eXIf"), None
    if not exif:
        exif, keyword = _first_exif_in_text(chunks)
    colour = found.get(b"gAMA", b"")
    if len(colour) == 4 and not {b"iCCP", b"sRGB", b"cICP"} & set(found):
        (gamma,) = struct.unpack(">L", colour)
        if abs(gamma - _SRGB_GAMMA) > 500:
            losses.append(Dropped(f"gamma {gamma / 100_000:g} (gAMA)", "the pixels are taken as they are"))
    if b"cICP" in found and not profile:
        losses.append(Dropped("colour description (cICP)", "only ICC profiles are carried over"))
    texts = {chunk.data.split(b"\0", 1)[0][:79] for chunk in chunks if chunk.kind in _TEXT_CHUNKS}
    texts -= {RECIPE_KEYWORD, keyword or RECIPE_KEYWORD}
    if texts:
        names = ", ".join(sorted(text.decode("latin-1") for text in texts))
        losses.append(Dropped(f"PNG text: {names}"[:200], "only EXIF, ICC profile and resolution are carried over"))
    return Decoded(
        pixels=pixels,
        alpha=alpha,
        icc_profile=profile,
        exif=exif,
        dpi=_resolution(found.get(b"pHYs", b"")),
        grey_within=0 if chunks[0].data[9] == _PALETTE else None,
        losses=tuple(losses),
    )


def encode(
    pixels: Samples,
    alpha: Samples | None,
    *,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    recipe: str | None = None,
) -> bytes:
    """Encode grey or RGB ``pixels`` (H, W, 1 or 3), 8 or 16 bits, with ``alpha`` (H, W). ``recipe`` has to be ASCII."""
    samples = join_alpha(pixels, alpha)
    # Rows with their filter bytes, blocks that deflate could not make smaller, and heads of chunks. imagecodecs' own
    # guess leaves the filter bytes out, which in narrow pictures are much.
    raw = samples.nbytes + len(samples)
    room = raw + raw // 256 + 4096
    # Level 6 with all filters is what libpng's own authors use for photographs.
    picture = bytes(imagecodecs.png_encode(samples, 6, filter=imagecodecs.PNG.FILTER.ALL, out=room))
    extra = b""
    if icc_profile:
        extra += _pack(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc_profile))
    if dpi:
        extra += _pack(b"pHYs", struct.pack(">LLB", *(round(value / _METRE_PER_INCH) for value in dpi), 1))
    if exif:
        extra += _pack(b"eXIf", exif)
    if recipe:
        extra += _pack(b"tEXt", RECIPE_KEYWORD + b"\0" + recipe.encode("ascii"))
    header_end = len(SIGNATURE) + 8 + 13 + 4
    return picture[:header_end] + extra + picture[header_end:]


def _chunks(data: bytes) -> Iterator[_Chunk]:
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, at)
        end = at + 12 + size
        yield _Chunk(kind, data[at + 8 : end - 4], data[at:end])
        if kind == b"IEND":
            return
        at = end


def _samples(chunks: list[_Chunk]) -> Samples:
    header = chunks[0].data
    if len(header) != 13:
        raise ValueError("a header of the wrong size")
    depth, colour = header[8], header[9]
    if depth not in _DEPTHS.get(colour, ()):
        raise ValueError(f"{depth} bits with colour type {colour}")
    bare = SIGNATURE + b"".join(chunk.raw for chunk in chunks if chunk.kind in _PIXEL_CHUNKS)
    if depth == 16 or colour == _GREY:
        samples: Samples = imagecodecs.png_decode(bare)
        return samples
    with PngImagePlugin.PngImageFile(io.BytesIO(bare)) as picture:
        picture.load()
        transparent = "transparency" in picture.info
        plain = {_PALETTE: "RGBA" if transparent else "RGB", _RGB: "RGBA" if transparent else "RGB"}
        return np.array(picture.convert(plain[colour]) if colour in plain else picture)


def _pack(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def _profile(data: bytes) -> bytes | None:
    packed = data.partition(b"\0")[2][1:]
    inflate = zlib.decompressobj()
    try:
        profile = inflate.decompress(packed, LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if inflate.eof else None


def _first_exif_in_text(chunks: list[_Chunk]) -> tuple[bytes | None, bytes | None]:
    """The first EXIF in a text chunk, and the keyword of that chunk."""
    for chunk in chunks:
        if block := _exif_in_text(chunk.kind, chunk.data):
            return block, chunk.data.partition(b"\0")[0]
    return None, None


def _exif_in_text(kind: bytes, data: bytes) -> bytes | None:
    """The EXIF in a text chunk: a line with a name, a line with the length, then hexadecimal."""
    keyword, _, text = data.partition(b"\0")
    if kind not in _RAW_EXIF_CHUNKS or keyword not in _RAW_EXIF_KEYWORDS:
        return None
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], _LARGEST_TEXT)
        _, length, digits = text.lstrip(b"\n").split(b"\n", 2)
        block = bytes.fromhex(digits.decode("ascii"))[: int(length)]
        parse_exif(block)
    except (ValueError, zlib.error):
        return None
    return block


def _resolution(data: bytes) -> tuple[float, float] | None:
    if len(data) != 9 or data[8] != 1:
        return None
    x, y = struct.unpack_from(">LL", data)
    return x * _METRE_PER_INCH, y * _METRE_PER_INCH


def _orientation(block: bytes) -> int:
    try:
        return orientation_of(parse_exif(block))
    except ValueError:
        return 1
