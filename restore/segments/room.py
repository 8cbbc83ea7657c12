"""Whether the disk has room for segments."""

from __future__ import annotations

import shutil
from pathlib import Path

from restore.errors import OutputError
from restore.settings import MEBI, Settings


def fits(folder: Path, needed: float, settings: Settings) -> bool:
    """Whether ``needed`` bytes fit below ``folder``, which may not exist yet, and leave enough of the disk free."""
    place = folder
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free >= needed + settings.min_free_bytes


def bytes_in(folder: Path) -> int:
    """What the files in ``folder`` take; nothing where there is none."""
    return sum(file.stat().st_size for file in folder.glob("*") if file.is_file())


def check_room(folder: Path, settings: Settings) -> None:
    """Raise ``OutputError`` where less of the disk is free than has to stay so."""
    least = settings.min_free_bytes
    if shutil.disk_usage(folder).free < least:
        raise OutputError(
            f"The disk is almost full: less than {least / MEBI:.0f} MiB are free on it; make room.",
            setting="RESTORE_MIN_FREE_MB",
        )
