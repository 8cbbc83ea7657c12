"""Pictures that any browser shows, made from ones that it may not: 8 bits, sRGB, no transparency, a bounded size.

They are for looking at only; the download is always the engine's own file.
"""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
from numpy.typing import NDArray

from restore.media.decoded import Samples
from restore.media.depth import to_uint8
from restore.media.images import Image, read_image
from restore.settings import Settings

logger = logging.getLogger(__name__)

UPLOAD_SIDE = 1024
RESULT_SIDE = 2048
# Small enough to be shown pixel by pixel in the page's column on most screens.
DETAIL_SIZE = (720, 540)
# Above this a lossless file takes too long over a slow line; at quality 95 without subsampling the loss is not visible.
LOSSLESS_PIXELS = 1_000_000

CHECKER_SIDE = 16
CHECKER_LIGHT, CHECKER_DARK = 235, 205


@dataclass(frozen=True)
class Pair:
    """Two files of equal size: before and after. ``scale`` is their size in that of the result, at most 1."""

    before: Path
    after: Path
    scale: float


@dataclass(frozen=True)
class Pairs:
    """The whole picture, and its middle pixel by pixel (the same as the whole when the result is that small)."""

    whole: Pair
    detail: Pair


def load(path: Path, settings: Settings) -> PIL.Image.Image:
    """Read ``path`` upright as 8-bit sRGB, transparency over a chequerboard; raises what ``read_image`` does."""
    return _to_srgb(read_image(path, settings))


def fit(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """``picture`` no larger than ``side`` in either direction; the same object when it already is."""
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3)


def write_pairs(source: Path, result: Path, folder: Path, settings: Settings) -> Pairs:
    """Write the pictures for the before/after slider into ``folder``."""
    # A result may be larger than what is let in.
    ours = replace(settings, max_file_bytes=result.stat().st_size, max_input_pixels=settings.max_output_pixels)
    before, after = load(source, settings), load(result, ours)
    whole_after = fit(after, RESULT_SIDE)
    whole_before = before.resize(whole_after.size, PIL.Image.Resampling.BICUBIC)
    whole = _write_pair(whole_before, whole_after, folder, "whole", whole_after.width / after.width)
    width, height = (min(*lengths) for lengths in zip(after.size, DETAIL_SIZE, strict=True))
    if (width, height) == after.size:
        return Pairs(whole, whole)
    left, top = (after.width - width) // 2, (after.height - height) // 2
    box = (left, top, left + width, top + height)
    x, y = before.width / after.width, before.height / after.height
    source_box = (left * x, top * y, (left + width) * x, (top + height) * y)
    detail_before = before.resize((width, height), PIL.Image.Resampling.BICUBIC, box=source_box)
    return Pairs(whole, _write_pair(detail_before, after.crop(box), folder, "detail", 1.0))


def _write_pair(before: PIL.Image.Image, after: PIL.Image.Image, folder: Path, name: str, scale: float) -> Pair:
    return Pair(_write(before, folder / f"{name}_before"), _write(after, folder / f"{name}_after"), scale)


def _write(picture: PIL.Image.Image, stem: Path) -> Path:
    if picture.width * picture.height <= LOSSLESS_PIXELS:
        path = stem.with_suffix(".png")
        picture.save(path, compress_level=3)
    else:
        path = stem.with_suffix(".jpg")
        picture.save(path, quality=95, subsampling=0)
    return path


def _to_srgb(image: Image) -> PIL.Image.Image:
    pixels = _to_8_bits(image.pixels)
    grey = pixels.shape[2] == 1
    picture = PIL.Image.fromarray(pixels[:, :, 0] if grey else pixels)
    if image.icc_profile is not None:
        picture = _through_profile(picture, image.icc_profile)
    picture = picture.convert("RGB")
    if image.alpha is not None:
        mask = PIL.Image.fromarray(_to_8_bits(image.alpha).reshape(pixels.shape[:2]))
        picture = PIL.Image.composite(picture, _chequerboard(picture.size), mask)
    return picture


def _to_8_bits(samples: Samples) -> NDArray[np.uint8]:
    return samples.astype(np.uint8, copy=False) if samples.dtype == np.uint8 else to_uint8(samples.astype(np.uint16))


def _through_profile(picture: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    try:
        converted = PIL.ImageCms.profileToProfile(
            picture,
            PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            PIL.ImageCms.createProfile("sRGB"),
            outputMode="RGB",
        )
    except PIL.ImageCms.PyCMSError as error:
        # The profile is damaged or made for other channels; the engine's report says what became of it.
        logger.info("The preview goes without the colour profile: %s", error)
        return picture
    return converted if converted is not None else picture


def _chequerboard(size: tuple[int, int]) -> PIL.Image.Image:
    x, y = (np.arange(length) // CHECKER_SIDE for length in size)
    squares = np.where((x[None, :] + y[:, None]) % 2 == 0, CHECKER_LIGHT, CHECKER_DARK)
    return PIL.Image.fromarray(squares.astype(np.uint8)).convert("RGB")
