"""Watch which files of a folder are opened, as the kernel tells it (Linux's inotify)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AVAILABLE = sys.platform == "linux"
_OPENED = 0x20
_NON_BLOCKING = 0x800


@contextmanager
def opened_in(folder: Path) -> Iterator[list[str]]:
    """The names of files in ``folder`` that were opened, by whomever, are in the list when the block has ended."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_NON_BLOCKING)
    assert watch >= 0
    names: list[str] = []
    try:
        assert libc.inotify_add_watch(watch, os.fsencode(folder), _OPENED) >= 0
        yield names
        while True:
            try:
                events = os.read(watch, 65536)
            except BlockingIOError:
                break
            while events:
                (length,) = struct.unpack_from("=I", events, 12)
                name = os.fsdecode(events[16 : 16 + length].rstrip(b"\0"))
                if name:
                    names.append(name)
                events = events[16 + length :]
    finally:
        os.close(watch)
