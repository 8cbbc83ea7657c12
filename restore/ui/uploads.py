"""What a visitor or a script hands over: files that were uploaded to this server, and nothing else.

No request names a place on the server: what stands where a file is expected must lie in the folder of the uploads.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder, is_in_or_equal

from restore.errors import InputError, SettingsError
from restore.media.clips.encoders import KINDS, SUFFIXES, Encoding
from restore.media.images import OUTPUT_SUFFIXES
from restore.ui.errors import SECONDS

logger = logging.getLogger(__name__)

HASH = re.compile("[0-9a-f]{64}")
"""The folders in which Gradio keeps uploads, and copies of other files, by what is in them."""

ON_ITS_WAY = re.compile("tmp[a-z0-9_]{8}")
"""Files in which Gradio keeps what has come of an upload; it leaves them where the connection breaks off."""

IDLE_SECONDS = 600
"""Without a byte, after which nothing more is expected of an upload."""

SAME = "same"
FORMATS: Mapping[str, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
"""The formats in which a result can be asked for, and how the names of their files end."""

NOT_UPLOADED = (
    "This must be a file that was uploaded to this server: give handle_file(path) with gradio_client, or "
    "upload it to /gradio_api/upload first and give the path that it answers with."
)


def is_upload(path: str) -> bool:
    """Whether ``path`` is in the folder of the uploads; an address of the web is not."""
    # What no file system can look up (a NUL byte, a name that is too long) is not there either.
    try:
        return is_in_or_equal(path, get_upload_folder()) and Path(path).is_file()
    except (OSError, ValueError):
        return False


def uploaded(file: object, what: str = "picture") -> Path:
    """The uploaded file that Gradio's file data stand for, a ``what``; raises ``InputError`` for anything else."""
    if file is None:
        raise InputError(f"There is no {what} yet: choose one first.")
    path = file.get("path") if isinstance(file, Mapping) else None
    if not isinstance(path, str) or not is_upload(path):
        raise InputError(NOT_UPLOADED)
    return Path(path)


def given_upload(file: object, missing: str) -> Path:
    """``uploaded`` for the page, where a file that was not chosen yet is no mistake of anybody's program.

    ``missing`` says so, as HTML.
    """
    if file is None:
        raise gr.Error(missing, duration=SECONDS, print_exception=False)
    return uploaded(file)


def name_among_uploads(upload: Path) -> str:
    """What a job keeps of where an upload is."""
    return upload.relative_to(get_upload_folder()).as_posix()


def still_there(name: str) -> Path | None:
    """The upload of that name among the uploads; none where it is not kept any more."""
    path = Path(get_upload_folder()) / name
    return path if is_upload(str(path)) else None


def keep_longer(upload: Path) -> None:
    """Count an upload that somebody works with as one that has just come, if it is still there."""
    with suppress(OSError):
        times = upload.stat()
        # What was given already is given again, which is a change of the file all the same.
        os.utime(upload, ns=(times.st_atime_ns, times.st_mtime_ns))


def result_name(upload: Path, upload_format: str, saved_as: str = SAME) -> str:
    """``photo.bmp`` saved as ``"jpeg"`` becomes ``photo_restored.jpg``; formats that cannot be written become PNG.

    Of the visitor's name only what is harmless in every file system and header is kept. Raises ``SettingsError`` for
    a format that is neither ``SAME`` nor one of ``FORMATS``.
    """
    if saved_as != SAME and saved_as not in FORMATS:
        raise SettingsError(f"There is no format {saved_as!r} to save as: give one of {', '.join((SAME, *FORMATS))}.")
    writable = {name: suffix for suffix, name in reversed(list(OUTPUT_SUFFIXES.items()))}
    suffix = writable.get(upload_format, ".png") if saved_as == SAME else FORMATS[saved_as]
    return f"{_harmless(upload.stem) or 'picture'}_restored{suffix}"


def clip_result_name(upload: Path, encoding: Encoding) -> str:
    """``holiday.avi`` becomes ``holiday_restored.mp4``: in the container that was asked for, else in the upload's own
    where that can hold the codec. Of the visitor's name only what is harmless is kept.
    """
    fitting = KINDS[encoding.codec].containers
    own = SUFFIXES.get(upload.suffix.lower())
    container = encoding.container or (own if own in fitting else fitting[0])
    return f"{_harmless(upload.stem) or 'clip'}_restored.{container}"


def _harmless(stem: str) -> str:
    return re.sub(r"[^\w .()+-]", "_", stem).strip(" .")[:80]


def remove_old(page: gr.Blocks, seconds: float) -> None:
    """Remove the uploads that are older than ``seconds`` or broke off, but not what belongs to the page itself.

    Gradio's own ``delete_cache`` knows no upload that was never used, and takes the results of jobs for its own: it
    removes them when the server stops, whatever their age.
    """
    for file in Path(get_upload_folder()).glob("*"):
        if ON_ITS_WAY.fullmatch(file.name):
            with suppress(OSError):  # the upload has just come to its end
                if file.is_file() and time.time() - file.stat().st_mtime > IDLE_SECONDS:
                    file.unlink()
    belong = {str(file) for block in page.blocks.values() for file in block.keep_in_cache}
    for folder in Path(get_upload_folder()).glob("*"):
        if not HASH.fullmatch(folder.name):
            continue
        try:
            for file in folder.iterdir():
                # Not the time of the last change to the file, which a copy takes along from what it was made from.
                if str(file) not in belong and time.time() - file.stat().st_ctime > seconds:
                    file.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
        except OSError as error:  # something new has just come into it, or another process removed it
            logger.info("Not removed: %s", error)


def keep_removing(page: gr.Blocks, seconds: float, every: float) -> None:
    """Start a thread that calls ``remove_old`` now and again ``every`` so many seconds."""

    def remove() -> None:
        while True:
            remove_old(page, seconds)
            time.sleep(every)

    threading.Thread(target=remove, name="restore-uploads", daemon=True).start()
