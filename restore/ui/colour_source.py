"""What was uploaded to be coloured: a picture or a clip, and whether it is in colour already."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from restore.colour.in_colour import in_colour
from restore.media.clips.facts import ClipInfo
from restore.media.clips.reader import ClipReader
from restore.media.images import ImageInfo
from restore.settings import Settings
from restore.ui.clip_preview import to_picture
from restore.ui.preview import fit, load
from restore.ui.upload_kind import probe_upload

LOOKED_AT = 512
"""Side to which a picture is reduced before it is judged."""

MOMENTS = (1, 3, 5)
"""Where in a clip it is judged, in sixths of its length: the beginning and the end are often black."""


@dataclass(frozen=True)
class ColourSource:
    """An upload, what it is, and whether it is in colour."""

    path: Path
    info: ImageInfo | ClipInfo
    coloured: bool


@lru_cache(maxsize=256)
def look(path: Path, settings: Settings) -> ColourSource:
    """Look at an upload; raises what ``probe_upload`` and decoding do.

    What was found once is remembered: an upload lies in a folder that is named by what is in it.
    """
    info = probe_upload(path, settings)
    pictures = _moments(path, info, settings) if isinstance(info, ClipInfo) else iter([load(path, settings)])
    return ColourSource(path, info, any(in_colour(_pixels(picture)) for picture in pictures))


def _moments(path: Path, info: ClipInfo, settings: Settings) -> Iterator[PIL.Image.Image]:
    """Frames from here and there in a clip; the first one where nobody knows how long it is."""
    duration = info.video.duration
    if duration is None:
        yield to_picture(next(ClipReader(path, info, settings=settings).frames()))
        return
    for moment in MOMENTS:
        start = info.video.start + duration * moment / 6
        yield to_picture(next(ClipReader(path, info, start=start, settings=settings).frames()))


def _pixels(picture: PIL.Image.Image) -> torch.Tensor:
    """``(3, H, W)`` in [0, 1]."""
    small = np.asarray(fit(picture.convert("RGB"), LOOKED_AT))
    return torch.from_numpy(small.copy()).permute(2, 0, 1).float() / 255
