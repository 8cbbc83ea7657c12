"""HEIC, and AVIF with more than 8 bits: what Pillow cannot hold (ISO/IEC 23008-12)."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import cv2
import imagecodecs
import numpy as np
import pi_heif
from numpy.typing import NDArray

from restore.media.decoded import Decoded, Header, Samples, further_frames, join_alpha, split_alpha
from restore.media.depth import to_bits, to_uint16
from restore.report import Dropped

AVIF_BRANDS = {b"avif", b"avis"}
HEIC_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
# Browsers show 10-bit AVIF; 12 bits belong to the professional profile, which many decoders leave out.
AVIF_DEPTH = 10
# Of 0 to 10. A third of the time of libavif's default, 6, for a file of the same size that is hardly less exact.
AVIF_SPEED = 8

_FULL_BOXES = {b"meta"}
_PLAIN_PRIMARIES = {1, 2}
_PLAIN_TRANSFERS = {1, 2, 6, 13}


def brands(prefix: bytes) -> set[bytes]:
    """The brands in the ``ftyp`` box that the file begins with; empty if it begins with something else."""
    if prefix[4:8] != b"ftyp":
        return set()
    (size,) = struct.unpack_from(">L", prefix)
    listed = prefix[8:12] + prefix[16 : max(16, min(size, len(prefix)))]
    return {listed[at : at + 4] for at in range(0, len(listed), 4)}


def probe(file: BinaryIO) -> Header:
    """Read size and number of pictures of a HEIC file. libheif has already taken its own turns into account."""
    heif = pi_heif.open_heif(file, convert_hdr_to_8bit=False)
    width, height = heif.size
    return Header(width, height, 1, len(heif))


def decode(data: bytes) -> Decoded:
    """Decode the primary picture of a HEIC file, with all the bits that it has. Raises what libheif's binding
    raises."""
    heif = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False, hdr_to_16bit=False)
    picture = heif[heif.primary_index]
    info = picture.info
    stored: NDArray[Any] = np.asarray(picture)
    bits = int(info.get("bit_depth", 8))
    samples: Samples = to_uint16(stored, bits) if stored.dtype == np.uint16 else stored.astype(np.uint8)
    pixels, alpha = split_alpha(samples)
    if picture.premultiplied_alpha and alpha is not None:
        pixels = straight(pixels, alpha)
    losses = [*further_frames(len(heif), "picture"), *description_loss(data, bool(info.get("icc_profile")))]
    if info.get("xmp"):
        losses.append(Dropped("XMP", "only EXIF, ICC profile and resolution are carried over"))
    if info.get("depth_images"):
        losses.append(Dropped("depth map", "it belongs to the picture at its old size"))
    return Decoded(
        pixels=pixels,
        alpha=alpha,
        icc_profile=info.get("icc_profile"),
        exif=info.get("exif"),
        # libheif applies irot and imir, which say the same as the orientation in EXIF: it must not be applied again.
        orientation=1,
        grey_within=0,
        bits=bits,
        losses=tuple(losses),
    )


def avif_depth(data: bytes) -> int:
    """The bits per sample of an AVIF file, from its ``av1C`` property; 8 if it does not say."""
    for kind, body in _properties(data):
        if kind == b"av1C" and len(body) >= 3:
            high, twelve = body[2] & 0x40, body[2] & 0x20
            return (12 if twelve else 10) if high else 8
    return 8


def decode_deep_avif(data: bytes, bits: int) -> tuple[Samples, Samples | None]:
    """Decode the first picture of an AVIF file with 10 or 12 bits, as stored: turns are not applied."""
    samples: NDArray[Any] = imagecodecs.avif_decode(data, 0)
    return split_alpha(to_uint16(samples, bits) if samples.dtype == np.uint16 else samples)


def encode_deep_avif(
    pixels: Samples, alpha: Samples | None, *, quality: int, icc_profile: bytes | None, exif: bytes | None
) -> bytes:
    """Encode 16-bit pixels as AVIF with ``AVIF_DEPTH`` bits. Raises ``cv2.error`` or ``ValueError``."""
    samples = join_alpha(pixels, alpha)
    if samples.ndim == 3 and samples.shape[2] == 2:
        samples = samples[..., [0, 0, 0, 1]]
    if samples.ndim == 3:
        # OpenCV keeps blue first.
        samples = samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    kinds: list[int] = []
    blocks: list[NDArray[np.uint8]] = []
    for kind, block in ((cv2.IMAGE_METADATA_ICCP, icc_profile), (cv2.IMAGE_METADATA_EXIF, exif)):
        if block:
            kinds.append(kind)
            blocks.append(np.frombuffer(block, np.uint8))
    parameters = [
        cv2.IMWRITE_AVIF_DEPTH,
        AVIF_DEPTH,
        cv2.IMWRITE_AVIF_QUALITY,
        quality,
        cv2.IMWRITE_AVIF_SPEED,
        AVIF_SPEED,
    ]
    deep = np.ascontiguousarray(to_bits(samples.astype(np.uint16), AVIF_DEPTH))
    done, encoded = cv2.imencodeWithMetadata(".avif", deep, kinds, blocks, parameters)
    if not done:
        raise ValueError("the AVIF encoder failed")
    return encoded.tobytes()


def description_loss(data: bytes, has_profile: bool) -> tuple[Dropped, ...]:
    """The loss to report when colours are described by code points (nclx) that are not those of sRGB, and not by
    ICC."""
    for kind, body in _properties(data):
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 10 and not has_profile:
            primaries, transfer, _ = struct.unpack_from(">HHH", body, 4)
            if primaries not in _PLAIN_PRIMARIES or transfer not in _PLAIN_TRANSFERS:
                what = f"colour description (primaries {primaries}, transfer {transfer})"
                return (Dropped(what, "only ICC profiles are carried over"),)
    return ()


def straight(pixels: Samples, alpha: Samples) -> Samples:
    """Divide premultiplied ``pixels`` (H, W, C) by ``alpha`` (H, W)."""
    top = np.iinfo(pixels.dtype).max
    cover = np.maximum(alpha, 1).astype(np.uint32)[..., None]
    divided = np.minimum((pixels.astype(np.uint32) * top + cover // 2) // cover, top)
    return cast("Samples", divided.astype(pixels.dtype))


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    body = data
    for name in (b"meta", b"iprp", b"ipco"):
        body = next((content for kind, content in _boxes(body) if kind == name), b"")
    yield from _boxes(body)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">L4s", data, at)
        start = at + 8
        if size == 1 and at + 16 <= len(data):
            (size,) = struct.unpack_from(">Q", data, at + 8)
            start = at + 16
        end = at + size if size else len(data)
        if end < start:
            return
        yield kind, data[start + (4 if kind in _FULL_BOXES else 0) : end]
        at = end
