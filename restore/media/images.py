"""Pictures in and out: PNG, JPEG, WebP, TIFF, BMP, AVIF, and for reading HEIC and GIF as well.

A picture comes in upright, with its own depth, grey or RGB, and with its ICC profile, EXIF and resolution; what could
not be kept is listed. What kind of file it is, is decided by its first bytes and never by its name. It goes out whole
or not at all.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from restore.errors import InputError, LimitError, OutputError, ResourceError, RestoreError
from restore.media import exif as exif_block
from restore.media import heif, pillow, png, tiff
from restore.media.atomic import check_target, replacing, unwritable
from restore.media.colour import matching_profile
from restore.media.decoded import Decoded, Header, Samples, Unsupported
from restore.media.depth import to_uint8
from restore.media.exif import Exif
from restore.media.orientation import swaps_sides, upright
from restore.media.source import open_source
from restore.report import Dropped
from restore.settings import MEGA, Settings
from restore.version import __version__

logger = logging.getLogger(__name__)

OUTPUT_SUFFIXES: Mapping[str, str] = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".bmp": "BMP",
}

INPUT_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF", "HEIC", "GIF")

# libjpeg stops at 65,500 and libpng at a million, short of what their headers could say. Decoders of AVIF, browsers
# among them, refuse more than 32,768 a side and 16,384 x 16,384 in all.
_LONGEST_SIDE = {"PNG": 1_000_000, "JPEG": 65_500, "WEBP": 16_383, "AVIF": 32_768, "TIFF": 2**31 - 1, "BMP": 2**31 - 1}
_MOST_PIXELS = {"AVIF": 16_384 * 16_384, "BMP": (2**32 - 2**10) // 4}
_LARGEST_EXIF = {"JPEG": 65_533 - len(exif_block.PREFIX)}
_LARGEST_JPEG_PROFILE = 255 * 65_519
_WITH_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF"}
_WITH_16_BITS = {"PNG", "TIFF"}
_WITH_GREY_PROFILE = {"PNG", "JPEG", "TIFF", "AVIF"}
_HIGHEST_DPI = 65_535
# The whole numbers that the formats' own fields count in, as dots per inch; TIFF has fractions.
_DPI_STEPS = {"JPEG": 1.0, "PNG": 0.0254, "BMP": 0.0254, "TIFF": 1e-6}


@dataclass(frozen=True)
class ImageInfo:
    """What the header of a picture says.

    ``width`` and ``height`` are as a person sees it; ``frames`` counts the pictures in the file.
    """

    width: int
    height: int
    format: str
    frames: int = 1


@dataclass(frozen=True)
class Image:
    """A picture in memory.

    ``pixels`` is upright, (H, W, 1) grey or (H, W, 3) RGB; its dtype is the depth. ``alpha``, (H, W), is straight (not
    premultiplied) and of the same dtype. ``exif`` is a block without the ``Exif`` prefix, its orientation 1 and without
    thumbnail; ``icc_profile`` describes pixels of this kind; ``dpi`` is (x, y). ``losses`` says what reading left out.
    ``bits`` is how many bits the source had, which may be fewer than the dtype has (0 at first: as many).
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    alpha: NDArray[np.uint8] | NDArray[np.uint16] | None
    format: str
    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    losses: tuple[Dropped, ...] = ()
    bits: int = 0

    def __post_init__(self) -> None:
        depth = 8 * self.pixels.dtype.itemsize
        object.__setattr__(self, "bits", min(self.bits or depth, depth))


@dataclass(frozen=True)
class Written:
    """What of a picture went into the file (``carried``, as words) and what did not (``dropped``).

    ``dropped`` does not repeat the losses of reading.
    """

    carried: tuple[str, ...]
    dropped: tuple[Dropped, ...]


def probe_image(path: Path, settings: Settings) -> ImageInfo:
    """Read the header of the picture at ``path``; no pixel is decoded.

    Raises ``InputError`` if there is no readable picture, ``LimitError`` if the file or the picture is larger than
    ``settings`` allow.
    """
    with open_source(path, settings) as file:
        kind = _sniff(file, path.name)
        header = _probe(file, kind, path.name, settings)
    width, height = header.width, header.height
    if swaps_sides(header.orientation):
        width, height = height, width
    return ImageInfo(width, height, kind, header.frames)


def read_image(path: Path, settings: Settings) -> Image:
    """Read the picture at ``path``: the first one, if the file has several.

    The depth stays: 8 bits, or 16 for everything above. CMYK and L*a*b* become sRGB. Raises ``InputError`` if there is
    no readable and complete picture, ``LimitError`` if the file or the picture is larger than ``settings`` allow, and
    ``ResourceError`` if the memory does not suffice.
    """
    with open_source(path, settings) as file:
        kind = _sniff(file, path.name)
        _probe(file, kind, path.name, settings)
        file.seek(0)
        data = file.read()
    with _decoding(path.name):
        decoded = _decode(data, kind)
        return _finish(decoded, kind)


def check_output_pixels(width: int, height: int, settings: Settings) -> None:
    """Raise ``LimitError`` if a picture of this size has more pixels than ``settings`` allow to be made."""
    if width * height > settings.max_output_pixels:
        raise LimitError(
            f"The result would have {width} x {height} = {width * height / MEGA:.1f} megapixels and at most "
            f"{settings.max_output_pixels / MEGA:g} are made: choose a smaller scale or target.",
            setting="RESTORE_MAX_OUTPUT_MEGAPIXELS",
        )


def check_image_target(path: Path, width: int, height: int, settings: Settings) -> str:
    """Say what format a picture of ``width`` x ``height`` pixels would be written in at ``path``.

    Meant to be asked before the work as well. Raises ``OutputError`` if the suffix is none of ``OUTPUT_SUFFIXES``, if
    the format cannot hold a picture of that size or if the folder cannot be written to, and ``LimitError`` if the
    picture has more pixels than ``settings`` allow.
    """
    kind = OUTPUT_SUFFIXES.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(OUTPUT_SUFFIXES)
        raise OutputError(f"{path.name} cannot be written: the name has to end in one of {known}.")
    check_output_pixels(width, height, settings)
    if max(width, height) > _LONGEST_SIDE[kind] or width * height > _MOST_PIXELS.get(kind, width * height):
        most = f"{_LONGEST_SIDE[kind]} pixels a side"
        if kind in _MOST_PIXELS:
            most += f" and {_MOST_PIXELS[kind] / MEGA:.0f} megapixels in all"
        raise OutputError(f"{kind} cannot hold {width} x {height} pixels (at most {most}): choose PNG or TIFF.")
    check_target(path)
    return kind


def write_image(
    image: Image,
    path: Path,
    *,
    quality: int = 95,
    recipe: str | None = None,
    software: str = f"Restore {__version__}",
    settings: Settings | None = None,
    check: Callable[[], None] = lambda: None,
) -> Written:
    """Write ``image`` to ``path`` in the format that its suffix names; an existing file is replaced in one step.

    ``quality``, 1 to 100, is for JPEG (always 4:4:4), WebP and AVIF. ``recipe``, a JSON string, goes into the EXIF as
    ImageHistory, with ``software`` as Software if there is none yet, and in PNG also into a text chunk. 16 bits stay
    16 bits in PNG and TIFF, become 10 in AVIF and 8 elsewhere; what is reported are the bits of the source. Where a
    format has no alpha, the picture is put on white. ``check`` is called when the file is whole and has not yet got its
    name; it may raise, for a request to stop that came while the picture was being encoded.

    Raises ``OutputError`` if the format cannot hold the picture or the file cannot be written, ``LimitError`` if the
    picture is larger than ``settings`` (the default ones if none are given) allow, ``ResourceError`` if the memory does
    not suffice. Then nothing is left, and what was at ``path`` before is unchanged.
    """
    height, width = image.pixels.shape[:2]
    kind = check_image_target(path, width, height, settings or Settings())
    if not 1 <= quality <= 100:
        raise OutputError(f"The quality is {quality}: give a number from 1 to 100.")
    plan = _plan(image, kind, recipe=_ascii_json(recipe) if recipe else None, software=software)
    with replacing(path) as temporary:
        try:
            with temporary.open("r+b") as file:
                _encode(file, plan, kind, quality)
        except MemoryError as error:
            raise ResourceError(f"There is not enough memory to write {path.name}.") from error
        except OSError as error:
            raise unwritable(path, error) from error
        except Exception as error:
            raise OutputError(f"{path.name} cannot be written as {kind}: {error}. Choose another format.") from error
        check()
    return Written(plan.carried, plan.dropped)


def _sniff(file: BinaryIO, name: str) -> str:
    prefix = file.read(512)
    brands = heif.brands(prefix)
    if prefix.startswith(png.SIGNATURE):
        return "PNG"
    if prefix.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if prefix[:4] == b"RIFF" and prefix[8:12] == b"WEBP":
        return "WEBP"
    if prefix[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if prefix[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if brands & heif.AVIF_BRANDS:
        return "AVIF"
    if brands & heif.HEIC_BRANDS:
        return "HEIC"
    if prefix[:2] == b"BM" and len(prefix) > 18 and prefix[15:18] == b"\0\0\0":
        return "BMP"
    raise InputError(f"{name} is not a picture of a known kind: give a {', '.join(INPUT_FORMATS)} file.")


def _probe(file: BinaryIO, kind: str, name: str, settings: Settings) -> Header:
    file.seek(0)
    with _decoding(name):
        if kind == "PNG":
            header = png.probe(file)
        elif kind == "TIFF":
            header = tiff.probe(file)
        elif kind == "HEIC":
            header = heif.probe(file)
        else:
            header = pillow.probe(file, kind)
        if header.width < 1 or header.height < 1:
            raise ValueError("a side of no pixels")
    pixels = header.width * header.height
    if pixels > settings.max_input_pixels:
        raise LimitError(
            f"{name} has {header.width} x {header.height} = {pixels / MEGA:.1f} megapixels and at most "
            f"{settings.max_input_pixels / MEGA:g} are read: make it smaller.",
            setting="RESTORE_MAX_INPUT_MEGAPIXELS",
        )
    return header


def _decode(data: bytes, kind: str) -> Decoded:
    if kind == "PNG":
        return png.decode(data)
    if kind == "TIFF":
        return tiff.decode(data)
    if kind == "HEIC":
        return heif.decode(data)
    return pillow.decode(data, kind)


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder says about a broken file into one of our errors.

    Decoders of broken files raise nearly everything, so nearly everything is caught; the cause is kept and logged.
    """
    try:
        yield
    except RestoreError:
        raise
    except Unsupported as error:
        raise InputError(f"{name} {error}") from error
    except MemoryError as error:
        raise ResourceError(f"There is not enough memory to read {name}.") from error
    except PillowImage.DecompressionBombError as error:
        raise LimitError(f"{name} has more pixels than are read: make it smaller.") from error
    except Exception as error:
        logger.info("cannot decode %s", name, exc_info=True)
        raise InputError(f"{name} is broken or incomplete and cannot be read: get a whole copy of it.") from error


def _finish(decoded: Decoded, kind: str) -> Image:
    """Set the picture upright and keep of its metadata what is sound."""
    losses = list(decoded.losses)
    exif, lost = _sound_exif(decoded.exif)
    losses += lost
    orientation = decoded.orientation or exif_block.orientation_of(exif)
    pixels = decoded.pixels
    within = decoded.grey_within
    # A profile is made for RGB and would be lost with it.
    if within is not None and pixels.shape[2] == 3 and not decoded.icc_profile and _is_grey(pixels, within):
        pixels = pixels[..., 1:2]
    profile, lost = matching_profile(decoded.icc_profile, pixels.shape[2])
    losses += lost
    dpi, lost = _resolution(_sensible(decoded.dpi), _sensible(exif_block.resolution_of(exif)))
    losses += lost
    if dpi and swaps_sides(orientation):
        dpi = dpi[1], dpi[0]
    return Image(
        pixels=upright(pixels, orientation),
        alpha=None if decoded.alpha is None else upright(decoded.alpha, orientation),
        format=kind,
        icc_profile=profile,
        exif=exif_block.dump_exif(exif_block.set_upright(exif)) if exif else None,
        dpi=dpi,
        losses=tuple(losses),
        bits=decoded.bits or 0,
    )


def _sound_exif(block: bytes | None) -> tuple[Exif, tuple[Dropped, ...]]:
    if not block:
        return Exif(), ()
    try:
        exif = exif_block.parse_exif(block)
    except ValueError:
        return Exif(), (Dropped("EXIF", "it is broken"),)
    losses = []
    if exif.damaged:
        losses.append(Dropped("EXIF fields" if exif else "EXIF", f"{exif.damaged} of them are damaged"))
    if exif.thumbnail:
        losses.append(Dropped("EXIF thumbnail", "it shows the picture as it was"))
    return exif, tuple(losses)


def _is_grey(pixels: Samples, within: int) -> bool:
    green = pixels[..., 1].astype(np.int32)
    return all(bool(np.abs(green - pixels[..., channel]).max() <= within) for channel in (0, 2))


def _resolution(
    stated: tuple[float, float] | None, in_exif: tuple[float, float] | None
) -> tuple[tuple[float, float] | None, tuple[Dropped, ...]]:
    """The resolution to keep of the one that the format itself states and the one in the EXIF."""
    if stated is None or in_exif is None:
        return stated or in_exif, ()
    # The EXIF is exact, and made with the picture; the format's own is rounded, and often its writer's default.
    if _close(stated, in_exif):
        return in_exif, ()
    why = f"the EXIF says {in_exif[0]:g} x {in_exif[1]:g}, which is kept"
    return in_exif, (Dropped(f"resolution {stated[0]:g} x {stated[1]:g}", why),)


def _close(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether one resolution may pass for the other: whole numbers, say, for what they were rounded from."""
    return all(math.isclose(a, b, rel_tol=0.02) for a, b in zip(one, other, strict=True))


def _sensible(dpi: tuple[float, float] | None) -> tuple[float, float] | None:
    return dpi if dpi and all(math.isfinite(value) and 0 < value <= _HIGHEST_DPI for value in dpi) else None


@dataclass(frozen=True)
class _Plan:
    """Exactly what goes into the file."""

    pixels: Samples
    alpha: Samples | None
    profile: bytes | None
    exif: Exif
    dpi: tuple[float, float] | None
    recipe: str | None
    carried: tuple[str, ...]
    dropped: tuple[Dropped, ...]


def _plan(image: Image, kind: str, *, recipe: str | None, software: str) -> _Plan:
    """Fit ``image`` to what ``kind`` can hold, and note what is carried and what is dropped."""
    carried: list[str] = []
    dropped: list[Dropped] = []
    pixels, alpha = image.pixels, image.alpha
    height, width, channels = pixels.shape
    if alpha is not None and kind not in _WITH_ALPHA:
        pixels, alpha = _on_white(pixels, alpha), None
        dropped.append(Dropped("alpha", f"{kind} has none; the picture was put on white"))
    elif alpha is not None:
        carried.append("alpha")
    if pixels.dtype == np.uint16:
        bits = f"{image.bits} bits"
        if kind in _WITH_16_BITS or (kind == "AVIF" and image.bits <= heif.AVIF_DEPTH):
            carried.append(bits)
        elif kind == "AVIF":
            dropped.append(Dropped(bits, f"AVIF was written with {heif.AVIF_DEPTH}"))
        else:
            pixels = to_uint8(cast("NDArray[np.uint16]", pixels))
            alpha = None if alpha is None else to_uint8(cast("NDArray[np.uint16]", alpha))
            dropped.append(Dropped(bits, f"{kind} has 8; the values were rounded"))
    profile, lost = matching_profile(image.icc_profile, channels)
    dropped += lost
    if profile and (reason := _profile_does_not_fit(profile, kind, grey=channels == 1, alpha=alpha is not None)):
        profile = None
        dropped.append(Dropped("ICC profile", reason))
    carried += ["ICC profile"] if profile else []
    dpi = _sensible(image.dpi)

    exif, lost = _sound_exif(image.exif)
    dropped += lost
    has_exif = bool(exif)
    if kind == "BMP":
        if has_exif:
            dropped.append(Dropped("EXIF", "BMP has none"))
        if recipe:
            dropped.append(Dropped("recipe", "BMP has no place for it"))
        dpi = _fitting_resolution(dpi, kind, Exif(), carried, dropped)
        return _Plan(pixels, alpha, profile, Exif(), dpi, None, tuple(carried), tuple(dropped))
    exif = exif_block.with_size(exif_block.set_upright(exif), width, height)
    if dpi and (has_exif or kind in ("WEBP", "AVIF")):
        exif = exif_block.with_resolution(exif, dpi)
    described = exif_block.with_recipe(exif, recipe, software) if recipe else exif
    if not _fits(described, kind) and recipe:
        # The recipe goes first: without it the picture still has all that it came with.
        dropped.append(Dropped("recipe", f"with it the EXIF would be larger than {kind} allows"))
        described = exif
    if not _fits(described, kind):
        dropped.append(Dropped("EXIF", f"it is larger than {kind} allows"))
        described, has_exif = Exif(), False
    dpi = _fitting_resolution(dpi, kind, described, carried, dropped)
    carried += ["EXIF"] if has_exif else []
    return _Plan(pixels, alpha, profile, described, dpi, recipe, tuple(carried), tuple(dropped))


def _profile_does_not_fit(profile: bytes, kind: str, *, grey: bool, alpha: bool) -> str | None:
    if kind == "BMP":
        return "BMP has none"
    if kind == "JPEG" and len(profile) > _LARGEST_JPEG_PROFILE:
        return "it is larger than JPEG allows"
    if grey and (kind not in _WITH_GREY_PROFILE or (kind == "AVIF" and alpha)):
        return f"it describes grey and {kind} stores RGB here"
    return None


def _fitting_resolution(
    dpi: tuple[float, float] | None, kind: str, exif: Exif, carried: list[str], dropped: list[Dropped]
) -> tuple[float, float] | None:
    """``dpi`` if the format's own field can hold it; notes whether the file has it at all, there or in its EXIF."""
    if dpi is None:
        return None
    step = _DPI_STEPS.get(kind)
    own = step is not None and _close(dpi, (round(dpi[0] / step) * step, round(dpi[1] / step) * step))
    in_exif = exif_block.resolution_of(exif) if kind != "TIFF" else None
    if own or (in_exif and _close(dpi, in_exif)):
        carried.append("resolution")
    else:
        dropped.append(Dropped("resolution", f"{kind} cannot hold {dpi[0]:g} x {dpi[1]:g} dots per inch"))
    return dpi if own else None


def _fits(exif: Exif, kind: str) -> bool:
    return kind not in _LARGEST_EXIF or len(_exif_bytes(exif, kind) or b"") <= _LARGEST_EXIF[kind]


def _exif_bytes(exif: Exif, kind: str) -> bytes | None:
    if not exif:
        return None
    block = exif_block.dump_exif(exif)
    if len(block) > _LARGEST_EXIF.get(kind, len(block)):
        return exif_block.dump_exif(exif, keep_maker_note_in_place=False)
    return block


def _on_white(pixels: Samples, alpha: Samples) -> Samples:
    top = np.iinfo(pixels.dtype).max
    # The largest sum, top * top + top // 2, still fits into 32 bits.
    cover = alpha.astype(np.uint32)[..., None]
    mixed = (pixels.astype(np.uint32) * cover + top * (top - cover) + top // 2) // top
    return cast("Samples", mixed.astype(pixels.dtype))


def _ascii_json(recipe: str) -> str:
    """The same JSON with escapes for everything beyond ASCII, the only text that EXIF is sure to hold."""
    return re.sub(r"[^\x20-\x7e]", lambda match: json.dumps(match[0])[1:-1], recipe)


def _encode(file: BinaryIO, plan: _Plan, kind: str, quality: int) -> None:
    pixels, alpha, profile = plan.pixels, plan.alpha, plan.profile
    if kind == "TIFF":
        tiff.encode(file, pixels, alpha, icc_profile=profile, exif=plan.exif, dpi=plan.dpi)
        return
    exif = _exif_bytes(plan.exif, kind)
    if kind == "PNG":
        data = png.encode(pixels, alpha, icc_profile=profile, exif=exif, dpi=plan.dpi, recipe=plan.recipe)
    elif kind == "AVIF" and pixels.dtype == np.uint16:
        data = heif.encode_deep_avif(pixels, alpha, quality=quality, icc_profile=profile, exif=exif)
    else:
        data = pillow.encode(pixels, alpha, kind, quality=quality, icc_profile=profile, exif=exif, dpi=plan.dpi)
    file.write(data)
