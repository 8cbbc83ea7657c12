"""TIFF and BigTIFF in 1 to 16 bits per sample and more (TIFF 6.0; tifffile reads and writes the pixels)."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, BinaryIO, cast

import numpy as np
import tifffile
from numpy.typing import NDArray

from restore.media.colour import cmyk_to_rgb, lab_to_rgb, ycbcr_to_rgb
from restore.media.decoded import Decoded, Header, Samples, Unsupported, further_frames, join_alpha
from restore.media.depth import stretch_to_uint16, to_uint8, to_uint16
from restore.media.exif import (
    IMAGE_LENGTH,
    IMAGE_WIDTH,
    ORIENTATION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Exif,
    Field,
    dump_directories,
    dump_exif,
    parse_exif,
)
from restore.media.heif import straight
from restore.report import Dropped

# What is wrong with a file is said by our own errors; tifffile would say it a second time, on the terminal.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)

# Title, maker, model, page name, software, date, artist, computer, ratings, copyright, and the fields of Windows
# (XP...).
_DESCRIPTIVE = {269, 270, 271, 272, 285, 305, 306, 315, 316, 0x4746, 0x4749, 33432, *range(0x9C9B, 0x9CA0)}
# What a TIFF file says of its own pixels, and never takes from the EXIF of another file.
_PIXEL_TAGS = {
    IMAGE_WIDTH,
    IMAGE_LENGTH,
    *range(258, 267),
    273,
    274,
    *range(277, 285),
    296,
    317,
    *range(320, 326),
    338,
    339,
}
_ICC, _XMP, _IPTC, _PHOTOSHOP, _MAX_SAMPLE, _DNG_VERSION, _SUB_IFDS = 34675, 700, 33723, 34377, 281, 50706, 330
_MAX_CHANNELS = 8
_SPARE_TILE_PIXELS = 2**24
# Classic TIFF counts in 32 bits; tifffile, too, leaves this much for everything that is not pixels.
_CLASSIC_LIMIT = 2**32 - 2**25

_COLOURS: Mapping[int, int] = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3, 9: 3}
_WHITE_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _CIELAB, _ICCLAB = 0, 2, 3, 5, 6, 8, 9
_JPEG_COMPRESSIONS = {6, 7}


def probe(file: BinaryIO) -> Header:
    """Read size, orientation and number of pages. Raises what tifffile raises on a broken header."""
    with tifffile.TiffFile(file) as tiff:
        page = _first_page(tiff)
        return Header(page.imagewidth, page.imagelength, _orientation(page), len(tiff.pages))


def decode(data: bytes) -> Decoded:
    """Decode the first page and gather what belongs to it.

    12 bits in 16, and packed 9 to 15 bits, are spread over 16 bits. Float and 32-bit samples become 16 bits (see
    ``stretch_to_uint16``). Raises ``Unsupported``, and what tifffile and imagecodecs raise on a broken file.
    """
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = _first_page(tiff)
        _check_segments(page, len(data))
        losses = list(further_frames(len(tiff.pages), "page"))
        stored = _channels_last(page)
    profile = _bytes_tag(page, _ICC)
    colours = _COLOURS[page.photometric]
    if page.photometric == _PALETTE:
        pixels: Samples = _through_palette(page, stored[..., 0])
    else:
        samples, note = _to_integers(page, stored)
        losses += note
        pixels = samples[..., :colours]
    alpha: Samples | None = None
    extras = [int(kind) for kind in page.extrasamples]
    if not extras and stored.shape[2] == colours + 1:
        # Some writers leave the tag out; a fourth channel beside RGB is then alpha.
        extras = [2]
    if extras and extras[0] in (1, 2):
        plane, _ = _to_integers(page, stored[..., colours : colours + 1])
        alpha = plane[..., 0]
        if alpha.dtype != pixels.dtype:
            pixels = to_uint16(pixels, 8) if alpha.dtype == np.uint16 else pixels
        if extras[0] == 1:
            pixels = straight(pixels, alpha)
        extras = extras[1:]
    if extras:
        losses.append(
            Dropped(f"{len(extras)} extra channel{'s' * (len(extras) > 1)}", "only alpha is kept beside colour")
        )
    if page.photometric == _WHITE_IS_ZERO:
        pixels = np.iinfo(pixels.dtype).max - pixels
    elif page.photometric == _CMYK:
        pixels, lost = cmyk_to_rgb(pixels, profile)
        losses += lost
        profile = None
    elif page.photometric in (_CIELAB, _ICCLAB):
        pixels, lost = lab_to_rgb(_lab_as_unsigned(pixels, page.photometric))
        losses += lost
        profile = None
    elif page.photometric == _YCBCR and int(page.compression) not in _JPEG_COMPRESSIONS:
        if pixels.dtype != np.uint8:
            raise Unsupported("is a TIFF with Y'CbCr in more than 8 bits, which is not read: save it as RGB.")
        pixels = ycbcr_to_rgb(cast("NDArray[np.uint8]", pixels))
    for code, name in ((_XMP, "XMP"), (_IPTC, "IPTC"), (_PHOTOSHOP, "Photoshop data")):
        if code in page.tags:
            losses.append(Dropped(name, "only EXIF, ICC profile and resolution are carried over"))
    exif = replace(parse_exif(data, _DESCRIPTIVE), maker_note_at=None, thumbnail=False)
    if exif.damaged:
        losses.append(Dropped(f"{exif.damaged} EXIF fields", "they are damaged"))
    return Decoded(
        pixels=pixels,
        alpha=alpha,
        icc_profile=profile,
        exif=dump_exif(exif) if exif else None,
        dpi=_resolution(page),
        orientation=_orientation(page),
        grey_within=0 if page.photometric == _PALETTE else None,
        losses=tuple(losses),
        bits=_used_bits(page) if stored.dtype == np.uint16 else None,
    )


def encode(
    file: BinaryIO,
    pixels: Samples,
    alpha: Samples | None,
    *,
    icc_profile: bytes | None = None,
    exif: Exif | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write grey or RGB ``pixels`` (H, W, 1 or 3), 8 or 16 bits, with ``alpha``, as deflated TIFF to the empty
    ``file``.

    It becomes a BigTIFF if its samples would not fit below 4 GiB.
    """
    samples = join_alpha(pixels, alpha)
    big = samples.nbytes > _CLASSIC_LIMIT
    order = exif.order if exif else "<"
    with tifffile.TiffWriter(file, bigtiff=big, byteorder=cast("Any", order)) as writer:
        writer.write(
            samples,
            photometric="minisblack" if pixels.shape[2] == 1 else "rgb",
            planarconfig="contig" if samples.ndim == 3 else None,
            extrasamples=["unassalpha"] if alpha is not None else None,
            compression="adobe_deflate",
            predictor=True,
            resolution=dpi,
            resolutionunit="inch" if dpi else None,
            iccprofile=icc_profile,
            metadata=None,
            software=False,
        )
    if exif:
        _add_exif(file, exif, big=big)


def _add_exif(file: BinaryIO, exif: Exif, *, big: bool) -> None:
    # tifffile writes no EXIF directories. The main directory is written once more, at the end, together with them;
    # where the pixels stand does not change.
    written: dict[int, Field] = {}
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        for tag in _first_page(tiff).tags:
            file.seek(tag.valueoffset)
            written[tag.code] = Field(int(tag.dtype), tag.count, file.read(tag.valuebytecount))
    described = {tag: entry for tag, entry in exif.image.items() if tag not in _PIXEL_TAGS}
    file.seek(0, 2)
    start = file.tell() + file.tell() % 2
    directories, main = dump_directories(replace(exif, image={**described, **written}), start, big=big)
    file.seek(start)
    file.write(directories)
    file.seek(8 if big else 4)
    file.write(struct.pack(exif.order + ("Q" if big else "L"), main))


def _first_page(tiff: tifffile.TiffFile) -> tifffile.TiffPage:
    page = tiff.pages[0]
    if not isinstance(page, tifffile.TiffPage):
        raise TypeError("the first directory is not a page")
    raw = _DNG_VERSION in page.tags or (page.is_reduced and _SUB_IFDS in page.tags)
    if raw or int(page.photometric) not in _COLOURS:
        what = "a camera raw file" if raw else f"a TIFF with pixels of kind {int(page.photometric)}"
        raise Unsupported(f"is {what}, which is not read: save it as an ordinary RGB or grey TIFF first.")
    if page.imagedepth > 1 or page.samplesperpixel > _MAX_CHANNELS or page.samplesperpixel < _COLOURS[page.photometric]:
        raise Unsupported("is a TIFF with an unusual number of channels or layers: save it as RGB or grey.")
    if min(page.imagewidth, page.imagelength) < 1:
        raise ValueError("no size")
    if page.is_tiled and page.tilewidth * page.tilelength > page.imagewidth * page.imagelength + _SPARE_TILE_PIXELS:
        raise ValueError("tiles much larger than the picture")
    return page


def _check_segments(page: tifffile.TiffPage, size: int) -> None:
    # tifffile takes a segment that is not there for an empty one.
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    rows = page.tilelength if page.is_tiled else min(page.rowsperstrip, page.imagelength)
    across = -(-page.imagewidth // page.tilewidth) if page.is_tiled else 1
    expected = -(-page.imagelength // rows) * across * (page.samplesperpixel if page.planarconfig == 2 else 1)
    if len(segments) < expected or any(at <= 0 or count <= 0 or at + count > size for at, count in segments):
        raise ValueError("the file ends before its pixels do")


def _channels_last(page: tifffile.TiffPage) -> NDArray[Any]:
    stored: NDArray[Any] = page.asarray()
    if stored.ndim == 2:
        return stored[..., None]
    if stored.ndim == 3:
        return np.moveaxis(stored, 0, 2) if page.planarconfig == 2 else stored
    raise ValueError(f"pixels of shape {stored.shape}")


def _to_integers(page: tifffile.TiffPage, stored: NDArray[Any]) -> tuple[Samples, tuple[Dropped, ...]]:
    """The stored samples as uint8 or uint16 over their whole range, and what has to be said about it."""
    bits = page.bitspersample
    if stored.dtype == np.bool_:
        return stored.astype(np.uint8) * np.uint8(255), ()
    if stored.dtype == np.uint8 and bits == 8:
        return stored, ()
    if stored.dtype == np.uint8:
        return to_uint8(to_uint16(stored, bits)), ()
    if page.photometric in (_CIELAB, _ICCLAB) and stored.dtype in (np.int8, np.int16):
        return stored.view(f"u{stored.dtype.itemsize}"), ()
    if stored.dtype == np.uint16:
        used = _used_bits(page)
        return stored if used == 16 else to_uint16(stored, used), ()
    if not np.issubdtype(stored.dtype, np.number) or np.iscomplexobj(stored):
        raise Unsupported("is a TIFF with samples that are no plain numbers, which is not read.")
    samples, range_in_words = stretch_to_uint16(stored)
    return samples, (Dropped(f"{stored.dtype} samples", f"they become 16-bit ones: {range_in_words}"),)


def _used_bits(page: tifffile.TiffPage) -> int:
    """The bits of a sample that mean something; MaxSampleValue says so where they stand in 16."""
    bits = int(page.bitspersample)
    top = page.tags.valueof(_MAX_SAMPLE)
    top = max(top) if isinstance(top, tuple) and top else top
    if bits == 16 and isinstance(top, int) and 2**8 <= top < 2**15 and top == 2 ** top.bit_length() - 1:
        return top.bit_length()
    return bits


def _lab_as_unsigned(lab: Samples, photometric: int) -> Samples:
    """The encodings of TIFF as the one of ICC version 4, which Little CMS takes (see ``lab_to_rgb``)."""
    if lab.dtype == np.uint8:
        return lab if photometric == _ICCLAB else lab ^ np.array([0, 0x80, 0x80], np.uint8)
    # In 16 bits a and b (for ICCLab, L as well) count in steps of 1/256: 0xFF00 stands for what is 0xFFFF in version 4.
    raw = lab if photometric == _ICCLAB else lab ^ np.array([0, 0x8000, 0x8000], np.uint16)
    scaled = np.minimum(raw.astype(np.uint32) * 65535 // 65280, 65535).astype(np.uint16)
    if photometric == _CIELAB:
        scaled[..., 0] = raw[..., 0]
    return scaled


def _through_palette(page: tifffile.TiffPage, indices: NDArray[Any]) -> NDArray[np.uint8]:
    table = page.colormap
    if table is None or table.ndim != 2 or table.shape[0] != 3:
        raise ValueError("no palette")
    # The table has 16 bits by the book; some writers put 8-bit values into it.
    colours = (table if table.max(initial=0) < 256 else table >> 8).astype(np.uint8).T
    return colours[np.minimum(indices.astype(np.intp), len(colours) - 1)]


def _orientation(page: tifffile.TiffPage) -> int:
    value = page.tags.valueof(ORIENTATION)
    return int(value) if isinstance(value, int) and 1 <= value <= 8 else 1


def _resolution(page: tifffile.TiffPage) -> tuple[float, float] | None:
    factor = {2: 1.0, 3: 2.54}.get(int(page.tags.valueof(RESOLUTION_UNIT, default=2) or 0))
    values = [page.tags.valueof(tag) for tag in (X_RESOLUTION, Y_RESOLUTION)]
    if factor is None or not all(isinstance(value, tuple) and len(value) == 2 and value[1] for value in values):
        return None
    x, y = (value[0] / value[1] * factor for value in values)
    return x, y


def _bytes_tag(page: tifffile.TiffPage, code: int) -> bytes | None:
    value = page.tags.valueof(code)
    if isinstance(value, (tuple, list)):
        value = bytes(number & 0xFF for number in value if isinstance(number, int))
    return value if isinstance(value, bytes) else None
