"""The formats that Pillow holds in full: JPEG, WebP, GIF, BMP, and AVIF with 8 bits."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, ImageFile, JpegImagePlugin, WebPImagePlugin
from PIL import Image as PillowImage

from restore.media.colour import cmyk_to_rgb
from restore.media.decoded import Decoded, Header, Samples, Unsupported, further_frames, join_alpha, split_alpha
from restore.media.exif import PREFIX, orientation_of, parse_exif
from restore.media.heif import AVIF_SPEED, avif_depth, decode_deep_avif, description_loss
from restore.report import Dropped

# What Pillow finds odd in a file is in our own losses, if it matters; the terminal is not the place for it. Once, here:
# warnings.catch_warnings would change the filters of all threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Image.open would guess among all formats and apply a pixel limit of its own, which warns; ours has been applied
# before.
_OPEN: Mapping[str, Callable[[BinaryIO], Any]] = {
    "JPEG": JpegImagePlugin.jpeg_factory,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}
_OTHER_METADATA = {"xmp": "XMP", "photoshop": "IPTC and Photoshop data", "comment": "comment"}
_GREY_WITHIN = {"AVIF": 0, "GIF": 0}
_CENTIMETRES_PER_INCH = 2.54


def probe(file: BinaryIO, kind: str) -> Header:
    """Read size, orientation and number of frames. Raises what Pillow raises on a broken header."""
    with _open(file, kind) as picture:
        try:
            exif = parse_exif(picture.info["exif"])
        except (KeyError, ValueError):
            orientation = 1
        else:
            orientation = orientation_of(exif)
        return Header(picture.width, picture.height, orientation, getattr(picture, "n_frames", 1))


def decode(data: bytes, kind: str) -> Decoded:
    """Decode the first picture and gather what belongs to it. Raises ``Unsupported`` and what Pillow raises."""
    with _open(io.BytesIO(data), kind) as picture:
        frames = getattr(picture, "n_frames", 1)
        losses = list(further_frames(frames, "picture" if kind == "JPEG" else "frame"))
        # Taken before the pixels are decoded, which changes it.
        info = dict(picture.info)
        deep = avif_depth(data) if kind == "AVIF" else 8
        profile = info.get("icc_profile")
        alpha: Samples | None
        if deep > 8:
            pixels, alpha = decode_deep_avif(data, deep)
        elif picture.mode == "CMYK":
            pixels, lost = cmyk_to_rgb(np.array(picture), profile)
            alpha, profile = None, None
            losses += lost
        else:
            pixels, alpha = split_alpha(np.array(_plain(picture)))
        palette = picture.mode == "P"
    if kind == "AVIF":
        losses += description_loss(data, bool(profile))
    for key, name in _OTHER_METADATA.items():
        if info.get(key):
            losses.append(Dropped(name, "only EXIF, ICC profile and resolution are carried over"))
    return Decoded(
        pixels=pixels,
        alpha=alpha,
        icc_profile=profile,
        exif=info.get("exif"),
        dpi=_resolution(info, kind),
        grey_within=_webp_grey_within(data) if kind == "WEBP" else 0 if palette else _GREY_WITHIN.get(kind),
        losses=tuple(losses),
        bits=deep,
    )


def encode(
    pixels: Samples,
    alpha: Samples | None,
    kind: str,
    *,
    quality: int,
    icc_profile: bytes | None = None,
    exif: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """Encode 8-bit grey or RGB ``pixels`` (H, W, 1 or 3) as ``kind``; ``alpha`` where the format has it."""
    samples = join_alpha(pixels, alpha)
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if samples.ndim == 2 else samples.shape[2]]
    picture = PillowImage.fromarray(samples)
    options: dict[str, Any] = {"icc_profile": icc_profile, "exif": exif}
    if kind == "JPEG":
        options |= {"quality": quality, "subsampling": 0, "dpi": dpi or (0, 0)}
        options["exif"] = PREFIX + exif if exif else b""
    elif kind == "WEBP":
        options |= {"quality": quality, "method": 4}
    elif kind == "AVIF":
        options |= {"quality": quality, "subsampling": "4:0:0" if mode == "L" else "4:4:4", "speed": AVIF_SPEED}
    elif kind == "BMP":
        # Zero says unknown; without it Pillow writes 96.
        options = {"dpi": dpi or (0, 0)}
    if mode == "LA" or (mode == "L" and kind == "WEBP"):
        picture = picture.convert("RGBA" if mode == "LA" else "RGB")
    if kind == "JPEG":
        return _small_jpeg(picture, options)
    return _saved(picture, kind, options)


def _small_jpeg(picture: PillowImage.Image, options: Mapping[str, Any]) -> bytes:
    """A progressive JPEG with the best Huffman tables, or a plain one where Pillow's encoder could not hold that."""
    plain = _saved(picture, "JPEG", options)
    # libjpeg has to put such a file out in one go, and Pillow's buffer for it is a guess that falls short of very
    # detailed pictures; libjpeg then complains on the terminal as well. It never comes out larger than the plain one.
    guess = picture.width * picture.height * (2 if options["quality"] >= 95 else 1)
    described = sum(len(options[name] or b"") for name in ("exif", "icc_profile"))
    if len(plain) - described > max(guess, ImageFile.MAXBLOCK):
        return plain
    return _saved(picture, "JPEG", {**options, "optimize": True, "progressive": True})


def _saved(picture: PillowImage.Image, kind: str, options: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    # Never straight into the file: Pillow's encoders then write past Python and forget why they failed.
    picture.save(buffer, kind, **{name: value for name, value in options.items() if value is not None})
    return buffer.getvalue()


def _open(file: BinaryIO, kind: str) -> Any:
    file.seek(0)
    return _OPEN[kind](file)


def _plain(picture: Any) -> Any:
    """The picture as L, LA, RGB or RGBA; loads its pixels."""
    picture.load()
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode == "P":
        return picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    if picture.mode in ("L", "RGB") and "transparency" in picture.info:
        return picture.convert("RGBA")
    if picture.mode in ("L", "LA", "RGB", "RGBA"):
        return picture
    if picture.mode == "RGBX":
        return picture.convert("RGB")
    raise Unsupported(f"has pixels of kind {picture.mode}, which are not read: save it as RGB or grey.")


def _webp_grey_within(data: bytes) -> int:
    """WebP has no grey; the conversion from Y'CbCr, which only its lossy kind has, leaves neutral colours a step
    apart."""
    at, end = 12, len(data)
    while at + 8 <= end:
        kind, size = struct.unpack_from("<4sL", data, at)
        if kind in (b"VP8L", b"VP8 "):
            return 0 if kind == b"VP8L" else 1
        # The first frame of an animation is inside, after 16 bytes of its own.
        at += 8 + (16 if kind == b"ANMF" else size + size % 2)
    return 0


def _resolution(info: Mapping[str, Any], kind: str) -> tuple[float, float] | None:
    if kind == "JPEG":
        # Pillow's own "dpi" is 72 when the EXIF is broken, which nobody said.
        factor = {1: 1.0, 2: _CENTIMETRES_PER_INCH}.get(info.get("jfif_unit", 0))
        density = info.get("jfif_density")
        return (density[0] * factor, density[1] * factor) if factor and density else None
    dpi = info.get("dpi")
    return (float(dpi[0]), float(dpi[1])) if dpi else None
