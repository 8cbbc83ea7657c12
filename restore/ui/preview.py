"""Pictures that any browser shows, made from ones that it may not: 8 bits, sRGB, no transparency, a bounded size.

They are for looking at only; the download is always the engine's own file.
"""

from __future__ import annotations

import base64
import io
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageCms
from numpy.typing import NDArray

from restore.media.decoded import Samples
from restore.media.depth import to_uint8
from restore.media.images import Image, read_image
from restore.settings import MEGA, Settings

logger = logging.getLogger(__name__)

UPLOAD_SIDE = 640
"""Side of the preview of an upload: sharp on dense screens, and small enough to be sent inside the page."""

SHOWN_PIXELS = 50 * MEGA
SHOWN_SIDE = 16384
"""What browsers draw without trouble; a larger result is shown reduced."""

# Above this a lossless file takes too long over a slow line; at quality 95 without subsampling the loss is not visible.
LOSSLESS_PIXELS = 1_000_000

CHECKER_SIDE = 16
CHECKER_LIGHT, CHECKER_DARK = 235, 205


@dataclass(frozen=True)
class Pair:
    """Two files of equal size in pixels, before and after; ``scale`` is their size in that of the result, at most 1."""

    before: Path
    after: Path
    width: int
    height: int
    scale: float


def load(path: Path, settings: Settings) -> PIL.Image.Image:
    """Read ``path`` upright as 8-bit sRGB, transparency over a chequerboard; raises what ``read_image`` does."""
    return flat(_to_srgb(read_image(path, settings)))


def fit(picture: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """``picture`` no larger than ``side`` in either direction; the same object when it already is."""
    longest = max(picture.size)
    if longest <= side:
        return picture
    width, height = (max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3)


def as_url(picture: PIL.Image.Image) -> str:
    """``picture`` as an address that holds all of it, so that no file of it has to be kept."""
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def write_pair(source: Path, result: Path, folder: Path, settings: Settings) -> Pair:
    """Write what the viewer shows into ``folder``: the result, and the source enlarged to the same size."""
    # A result may be larger than what is let in.
    ours = replace(settings, max_file_bytes=result.stat().st_size, max_input_pixels=settings.max_output_pixels)
    return write_pictures(_to_srgb(read_image(result, ours)), lambda: _to_srgb(read_image(source, settings)), folder)


def write_pictures(after: PIL.Image.Image, load_before: Callable[[], PIL.Image.Image], folder: Path) -> Pair:
    """``write_pair`` of a result in memory and of what ``load_before`` gives, both as RGB or RGBA."""
    scale = _shown_scale(*after.size)
    width, height = (max(1, round(length * scale)) for length in after.size)
    if scale < 1:
        after = after.resize((width, height), PIL.Image.Resampling.LANCZOS, reducing_gap=3)
    # The chequerboard comes last: were it enlarged with the picture, the two would differ where nothing is to be seen.
    after_path = write_picture(flat(after), folder / "after")
    del after  # one of them at a time: each may take hundreds of megabytes
    before = load_before().resize((width, height), PIL.Image.Resampling.BICUBIC)
    return Pair(write_picture(flat(before), folder / "before"), after_path, width, height, scale)


def _shown_scale(width: int, height: int) -> float:
    """How much a result of this size must be reduced to be shown; 1 where it need not be."""
    return min(1.0, math.sqrt(SHOWN_PIXELS / (width * height)), SHOWN_SIDE / max(width, height))


def write_picture(picture: PIL.Image.Image, stem: Path) -> Path:
    """Write a picture that browsers show, without a loss while it is small; the file, with the suffix of its format."""
    if picture.width * picture.height <= LOSSLESS_PIXELS:
        path = stem.with_suffix(".png")
        picture.save(path, compress_level=3)
    else:
        path = stem.with_suffix(".jpg")
        picture.save(path, quality=95, subsampling=0)
    return path


def _to_srgb(image: Image) -> PIL.Image.Image:
    """The picture in 8 bits, with its transparency if it has any."""
    pixels = _to_8_bits(image.pixels)
    grey = pixels.shape[2] == 1
    picture = PIL.Image.fromarray(pixels[:, :, 0] if grey else pixels)
    if image.icc_profile is not None:
        picture = _through_profile(picture, image.icc_profile)
    picture = picture.convert("RGB")
    if image.alpha is not None:
        picture.putalpha(PIL.Image.fromarray(_to_8_bits(image.alpha).reshape(pixels.shape[:2])))
    return picture


def flat(picture: PIL.Image.Image) -> PIL.Image.Image:
    """``picture`` with a chequerboard where it is transparent."""
    if picture.mode != "RGBA":
        return picture
    return PIL.Image.composite(picture.convert("RGB"), _chequerboard(picture.size), picture.getchannel("A"))


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
