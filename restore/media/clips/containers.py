"""Open a clip, and nothing but that one file.

FFmpeg reads some 350 kinds of files, and among them are lists that make it open others, on this machine or over the
network. So the kind is decided by the file's content from a list of those below, before a demuxer reads anything, and
the demuxer is given an open file rather than a name: no name is ever interpreted (as a protocol, a pattern or an
option), and there is no protocol left with which another file could be reached.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from restore.errors import InputError, LimitError, ResourceError, RestoreError
from restore.media.clips.signatures import (
    PREFIX,
    is_animated_webp,
    is_container,
    is_scrambled,
    lacks_index,
    what_instead,
    y4m_parameters,
)
from restore.media.source import open_source
from restore.settings import MEGA, Settings, load_settings

DEMUXERS = (
    "mov",  # MP4, MOV, M4V, 3GP, MJ2, and sequences of AVIF and HEIC
    "matroska",
    "webm",
    "avi",
    "mpegts",
    "mpeg",  # program streams: MPG, VOB
    "flv",
    "ogg",
    "asf",  # WMV
    "mxf",
    "dv",
    "gif",
    "apng",
    "nut",
    "ivf",
    "rm",
    "wtv",
    "yuv4mpegpipe",
    "mpegvideo",  # from here on bare streams of pictures
    "m4v",
    "h263",
    "h264",
    "hevc",
    "vvc",
    "av1",
    "obu",
    "vc1",
)
"""FFmpeg's names of what is opened. None of these follows a reference to another file."""

BARE = frozenset({"mpegvideo", "m4v", "h263", "h264", "hevc", "vvc", "av1", "obu", "vc1"})
"""Kinds of files without a container, hence without times."""

KNOWN = "MP4, MOV, MKV, WebM, AVI, MPEG, TS, FLV, OGV, WMV, MXF, DV, GIF, APNG, animated WebP or Y4M"

SECONDS = 60
"""How long opening, and later each single packet, may take before a file counts as one that cannot be read."""

_NO_MOVING_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def open_clip(path: Path, settings: Settings | None = None) -> InputContainer:
    """Open the clip at ``path``; the caller closes it. No frame has been decoded by the caller's decoders yet.

    The container has at least one stream of moving pictures that can be decoded (``main_video`` chooses), no larger
    than ``settings`` (the process's own if none are given) allow; its decoders refuse much larger frames later on too.
    Raises ``InputError`` for everything that is no clip or cannot be opened, an animated WebP included, which
    ``webp.py`` reads, ``LimitError`` if the file or its picture is too large and ``ResourceError`` if the memory does
    not suffice.
    """
    settings = settings or load_settings()
    with open_source(path, settings, clip=True) as file:
        prefix = file.read(PREFIX)
        instead = what_instead(prefix)
        if instead:
            raise InputError(f"{path.name} {instead}.")
        if is_animated_webp(prefix):
            raise InputError(f"{path.name} is an animated WebP, which has no streams that could be read.")
        if is_scrambled(prefix):
            raise InputError(f"{path.name} is encrypted and cannot be read: give a copy without protection.")
        container = _open(file, prefix, path.name, settings)
    try:
        stream = main_video(container, path.name)
        check_pixels(stream.width, stream.height, path.name, settings)
        for other in container.streams.video:
            if other.codec_context is not None:
                other.codec_context.options = _decoder_limits(settings)
    except BaseException:
        container.close()
        raise
    return container


def read_prefix(path: Path, settings: Settings) -> bytes:
    """The first bytes of the file at ``path``; raises what ``open_source`` raises."""
    with open_source(path, settings, clip=True) as file:
        return file.read(PREFIX)


def main_video(container: InputContainer, name: str) -> VideoStream:
    """The stream of pictures to restore: of those marked as default, else of all, the largest, else the first.

    Cover art and thumbnails do not count. Raises ``InputError`` if there is none that can be decoded; ``name`` is that
    of the file.
    """
    moving = [stream for stream in container.streams.video if is_moving(stream)]
    known = [stream for stream in moving if stream.codec_context is not None]
    sized = [stream for stream in known if stream.width > 0 and stream.height > 0]
    if sized:
        return max(sized, key=_rank)
    if known:
        raise InputError(
            f"{name} says it has a video stream, but no picture of it can be found: it is cut off or broken."
        )
    if moving:
        raise InputError(
            f"The pictures of {name} are coded in a way that is not known here: convert it to H.264 first."
        )
    if container.streams.audio:
        raise InputError(f"{name} holds sound but no moving picture: give a clip.")
    raise InputError(f"{name} holds no moving picture: it is empty, cut off, or not a clip.")


def is_moving(stream: VideoStream) -> bool:
    """Whether ``stream`` is more than cover art or thumbnails."""
    return not stream.disposition & _NO_MOVING_PICTURE


def check_pixels(width: int, height: int, name: str, settings: Settings) -> None:
    """Raise ``LimitError`` if a picture of this size has more pixels than ``settings`` allow to be read."""
    if width * height > settings.max_input_pixels:
        raise LimitError(
            f"{name} has {width} x {height} = {width * height / MEGA:.1f} megapixels and at most "
            f"{settings.max_input_pixels / MEGA:g} are read: make it smaller.",
            setting="RESTORE_MAX_INPUT_MEGAPIXELS",
        )


def _open(file: BinaryIO, prefix: bytes, name: str, settings: Settings) -> InputContainer:
    options = {
        # A protocol that knows an open file by its number; FFmpeg makes its own copy of it.
        "fd": str(file.fileno()),
        "protocol_whitelist": "fd",
        "format_whitelist": ",".join(DEMUXERS),
        # For the frames that FFmpeg decodes on its own account while it opens the file.
        **_decoder_limits(settings),
    }
    file.seek(0)
    try:
        return av.open("fd:", mode="r", options=options, metadata_errors="replace", timeout=SECONDS)
    except MemoryError as error:
        raise ResourceError(
            f"Opening {name} takes more memory than there is: it is broken, or too large for this machine."
        ) from error
    except av.error.ExitError as error:
        raise InputError(f"{name} cannot be read: opening it took longer than {SECONDS} seconds.") from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(file, prefix, name, settings) from error


def _unreadable(file: BinaryIO, prefix: bytes, name: str, settings: Settings) -> RestoreError:
    """The words for a file that no demuxer takes."""
    if lacks_index(file):
        return InputError(
            f"{name} lacks its index, without which no frame can be found: its recording or copying was cut off. "
            "Get a whole copy of it."
        )
    parameters = y4m_parameters(prefix)
    width, height = parameters.get("W", ""), parameters.get("H", "")
    if re.fullmatch(r"[0-9]{1,9} [0-9]{1,9}", f"{width} {height}"):
        try:
            check_pixels(int(width), int(height), name, settings)
        except LimitError as error:
            return error
    if is_container(prefix):
        return InputError(
            f"{name} is broken or cut off so early that nothing of it can be read: get a whole copy of it."
        )
    return InputError(f"{name} is not a clip of a kind that is known here: give {KNOWN}.")


def _decoder_limits(settings: Settings) -> dict[str, str]:
    # Decoders count the whole blocks at the edges too, which for narrow pictures is a good part more.
    return {"max_pixels": str(2 * settings.max_input_pixels)}


def _rank(stream: VideoStream) -> tuple[bool, bool, int, int]:
    marked = bool(stream.disposition & Disposition.default)
    dependent = bool(stream.disposition & Disposition.dependent)
    return not dependent, marked, stream.width * stream.height, -stream.index
