"""Write a file so that it is seen under its final name only when it is whole."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from restore.errors import OutputError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def check_target(path: Path) -> None:
    """Raise ``OutputError`` if a file could not be put at ``path``; changes nothing.

    The folder has to exist and to be writable; an existing target has to be an ordinary file that may be overwritten.
    """
    try:
        target = Path(os.path.realpath(path))
        folder = target.parent
        if not folder.is_dir():
            raise OutputError(f"{path.name} cannot be written: the folder {folder} does not exist; make it first.")
        if not _allowed(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{path.name} cannot be written: you may not write into the folder {folder}.")
        try:
            mode = target.stat().st_mode
        except FileNotFoundError:
            return
    except OutputError:
        raise
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from error
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path.name or path} is a folder: give the name of a file in it.")
    if not stat.S_ISREG(mode):
        raise OutputError(f"{path.name} is not an ordinary file and is not written to: choose another name.")
    if not _allowed(target, os.W_OK):
        raise OutputError(f"{path.name} is there already and is write-protected: choose another name.")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give an empty file to write to, beside ``path``; it takes the place of ``path`` when the block ends well.

    The file has the suffix of ``path`` and the permissions that any new file gets, or those of the file that it
    replaces; a symbolic link at ``path`` stays and the file that it points at is replaced. The block may open the
    file by name as often as it likes. If it raises anything, ``KeyboardInterrupt`` included, the file is deleted and
    ``path`` is as it was before.

    Raises ``OutputError`` when the folder is missing or not writable, when ``path`` is a folder or a device, and when
    the disk is full; other exceptions of the block come out unchanged.
    """
    check_target(path)
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".restore-{secrets.token_hex(8)}.part{_short(target.suffix)}")
    try:
        # os.open rather than tempfile: the ordinary 0o666 less the umask, not 0o600.
        try:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except OSError as error:
            raise unwritable(path, error) from error
        yield temporary
        try:
            if target.exists():
                shutil.copymode(target, temporary)
            # Some file systems report a full disk only here; and after a power cut the name must not be there without
            # the bytes.
            with temporary.open("r+b") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError as error:
            raise unwritable(path, error) from error
    except OutputError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise unwritable(path, error) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _allowed(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _short(suffix: str) -> str:
    # A name may be one long "suffix"; the temporary one must stay inside the limit of the file system.
    return suffix if len(suffix) <= 16 else ""


def unwritable(path: Path, error: OSError | ValueError) -> OutputError:
    """The error to raise because ``error`` kept ``path`` from being written."""
    number = error.errno if isinstance(error, OSError) else None
    if number in _FULL:
        return OutputError(f"{path.name} cannot be written: the disk is full; make room or choose another folder.")
    if isinstance(error, PermissionError):
        return OutputError(f"{path.name} cannot be written: you may not write into the folder {path.parent}.")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return OutputError(f"{path.name} cannot be written: {reason}. Choose another name or folder.")
