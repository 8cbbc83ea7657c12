"""Open a file that somebody gave us, within the limits and without surprises."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from restore.errors import InputError, LimitError
from restore.settings import MEBI, Settings


def open_source(path: Path, settings: Settings, *, clip: bool = False) -> BinaryIO:
    """Open ``path`` for reading; only an ordinary, non-empty file of at most ``settings.max_file_bytes`` is opened, or
    ``settings.max_clip_bytes`` for a ``clip``.

    Raises ``InputError`` for a missing file, a folder, a pipe or a device, a file without permission, an empty one, and
    ``LimitError`` for one that is too large.
    """
    name = path.name or str(path)
    try:
        # Looked at before it is opened, because opening a device may already do something, and opened without blocking,
        # because a pipe may have taken its place since.
        _check_kind(path.stat(), name)
        file = open(path, "rb", opener=_open_without_blocking)  # noqa: SIM115 (Path.open has no opener)
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist: check its name and folder.") from error
    except PermissionError as error:
        raise InputError(f"{name} cannot be opened: you have no permission to read it.") from error
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"{name} cannot be opened: {reason}.") from error
    try:
        status = os.fstat(file.fileno())
        _check_kind(status, name)
        if status.st_size == 0:
            raise InputError(f"{name} is empty: give a file with a picture or a clip in it.")
        largest = settings.max_clip_bytes if clip else settings.max_file_bytes
        if status.st_size > largest:
            raise LimitError(
                f"{name} has {status.st_size / MEBI:.1f} MiB and at most {largest / MEBI:.1f} MiB are opened: give a "
                "smaller file.",
                setting="RESTORE_MAX_CLIP_MB" if clip else "RESTORE_MAX_FILE_MB",
            )
    except BaseException:
        file.close()
        raise
    return file


def _open_without_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(status: os.stat_result, name: str) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{name} is a folder: give a file.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{name} is not an ordinary file but a pipe or a device: give a file.")
