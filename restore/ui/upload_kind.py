"""Whether an upload is a picture or a clip, by what is in it."""

from __future__ import annotations

from pathlib import Path

from restore.errors import InputError, RestoreError
from restore.media.clips.facts import ClipInfo
from restore.media.clips.probe import probe
from restore.media.images import OUTPUT_SUFFIXES, ImageInfo, probe_image
from restore.settings import Settings

ANIMATIONS = ("GIF", "PNG", "WEBP")
"""The formats of pictures in which several are shown one after the other."""

PICTURES = OUTPUT_SUFFIXES.keys() | {".heic", ".heif", ".gif", ".jfif"}


def probe_upload(path: Path, settings: Settings) -> ImageInfo | ClipInfo:
    """What the header of a picture says, or what was found of a clip; raises what ``probe_image`` and ``probe`` do.

    Where the file is neither, its name decides which of them says so.
    """
    try:
        picture = probe_image(path, settings)
    except RestoreError as no_picture:
        try:
            return probe(path, settings)
        except InputError:
            if path.suffix.lower() in PICTURES:
                raise no_picture from None
            raise
    moves = picture.frames > 1 and picture.format in ANIMATIONS
    return probe(path, settings) if moves else picture
