"""Whose folder it is: a mark in it that names a process, by which others tell what one that was killed left behind."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psutil

MARK = ".process"


def put_mark(folder: Path) -> None:
    """Say that this process works in ``folder``; raises ``OSError``."""
    process = psutil.Process()
    mark = {"host": socket.gethostname(), "pid": process.pid, "began": process.create_time()}
    (folder / MARK).write_text(json.dumps(mark), encoding="utf-8")


def remove_mark(folder: Path) -> None:
    """Say that the work in ``folder`` is done; raises ``OSError``."""
    (folder / MARK).unlink(missing_ok=True)


def is_left_behind(folder: Path) -> bool:
    """Whether a process of this machine worked in ``folder`` and is gone; false where the mark is missing or senseless.

    A folder may be shared with other machines, of whose processes nothing is known here.
    """
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
        if mark["host"] != socket.gethostname():
            return False
        # The number may have been given to another process meanwhile.
        return bool(psutil.Process(mark["pid"]).create_time() != mark["began"])
    except psutil.NoSuchProcess:
        return True
    except (OSError, KeyError, TypeError, ValueError, psutil.Error):
        return False
