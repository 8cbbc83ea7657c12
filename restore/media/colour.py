"""Colour profiles: which of them a picture may keep, and the way from CMYK and Lab to RGB (Little CMS)."""

from __future__ import annotations

import io
from functools import cache
from typing import Any, Literal, cast

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import ImageCms

from restore.media.decoded import Samples
from restore.media.depth import to_uint8, to_uint16
from restore.report import Dropped

_SPACES = {b"GRAY": "grey", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "Lab"}
_CHANNELS = {"grey": 1, "RGB": 3, "CMYK": 4, "Lab": 3}
# The largest profiles in use (six-colour printers) have a few MiB; JPEG can hold 16.
LARGEST_PROFILE = 16 * 2**20


def profile_space(profile: bytes) -> str | None:
    """The colour space of the pixels that an ICC profile describes (``grey``, ``RGB``, ``CMYK``, ``Lab``).

    None if the profile is broken or describes something else.
    """
    space = _SPACES.get(profile[16:20])
    if space is None or len(profile) > LARGEST_PROFILE or profile[36:40] != b"acsp":
        return None
    try:
        ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (OSError, ImageCms.PyCMSError):
        return None
    return space


def matching_profile(profile: bytes | None, channels: int) -> tuple[bytes | None, tuple[Dropped, ...]]:
    """Keep ``profile`` only if it is whole and describes pictures with ``channels`` channels (1: grey, 3: RGB)."""
    if not profile:
        return None, ()
    space = profile_space(profile)
    if space is None:
        return None, (Dropped("ICC profile", "it is broken or of an unknown kind"),)
    wanted = "grey" if channels == 1 else "RGB"
    if space != wanted:
        return None, (Dropped("ICC profile", f"it describes {space} and the picture is {wanted}"),)
    return profile, ()


def cmyk_to_rgb(ink: Samples, profile: bytes | None) -> tuple[Samples, tuple[Dropped, ...]]:
    """Convert ink (H, W, 4), full ink at the top of the range, to sRGB (H, W, 3) of the same dtype.

    Through ``profile`` if it describes CMYK, with the perceptual intent; otherwise by red = (1 - cyan)(1 - black) and
    so on. Also says what became of the picture's own colours.
    """
    space = profile_space(profile) if profile else None
    if profile and space == "CMYK":
        rgb = _transform(ink, profile, "cmyk")
        return rgb, (Dropped("CMYK", "converted to sRGB through the picture's own ICC profile, which ends with it"),)
    top = np.iinfo(ink.dtype).max
    light = (top - ink).astype(np.uint32)
    rgb = cast("Samples", ((light[..., :3] * light[..., 3:] + top // 2) // top).astype(ink.dtype))
    missing = "it has no ICC profile"
    if profile:
        missing = f"its ICC profile describes {space} and not CMYK" if space else "it has a broken ICC profile"
    why = f"{missing}, so it was converted by the plain rule red = (1 - cyan)(1 - black)"
    return rgb, (Dropped("CMYK", why),)


def lab_to_rgb(lab: Samples) -> tuple[Samples, tuple[Dropped, ...]]:
    """Convert CIE L*a*b* (D50; L over the whole range, a and b with their zero at 128/255 of it) to sRGB."""
    return _transform(lab, _built_in("LAB"), "lab"), (Dropped("L*a*b*", "converted to sRGB"),)


def ycbcr_to_rgb(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Convert full-range Y'CbCr (H, W, 3) with the ITU-R BT.601 matrix, as in JFIF."""
    matrix = np.array([[1.0, 0.0, 1.402], [1.0, -0.344136, -0.714136], [1.0, 1.772, 0.0]], np.float32)
    centred = samples.astype(np.float32) - np.array([0.0, 128.0, 128.0], np.float32)
    rgb: NDArray[np.uint8] = np.clip(np.rint(centred @ matrix.T), 0, 255).astype(np.uint8)
    return rgb


@cache
def _built_in(name: Literal["LAB", "sRGB"]) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def _transform(samples: Samples, profile: bytes, space: str) -> Samples:
    # In 16 bits even for 8-bit pictures: the short cut of Little CMS for 8 bits tints neutral colours by one step.
    deep = samples if samples.dtype == np.uint16 else to_uint16(samples, 8)
    result: NDArray[Any] = imagecodecs.cms_transform(
        np.ascontiguousarray(deep),
        profile,
        _built_in("sRGB"),
        colorspace=space,
        outcolorspace="rgb",
        outdtype="uint16",
        intent=imagecodecs.CMS.INTENT.PERCEPTUAL,
    )
    return result if samples.dtype == np.uint16 else to_uint8(result)
