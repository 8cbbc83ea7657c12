"""What the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

from restore.errors import OutputError


class Unheard(OutputError):
    """Standard output takes no more; unlike a file that cannot be written, this concerns every picture."""


def say(message: str) -> None:
    """One line for the person at the terminal, above the bar that is being drawn."""
    with suppress(OSError):  # nobody is left to be told, and the exit code is still to be the right one
        tqdm.write(f"restore: {message}", file=sys.stderr)


def put(text: str = "", end: str = "\n") -> None:
    """Write ``text`` to standard output at once; raises ``Unheard``, or ``BrokenPipeError`` if its reader has gone."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        # What is still in the buffer would be tried again when the process ends.
        with suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise Unheard(f"Standard output cannot be written to: {error.strerror}.") from error


def open_streams() -> None:
    """Make standard output and error usable where they are closed, and able to name any file."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # This also takes the descriptor, which the next file would get and with it what C libraries print.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (open until the process ends)
        # A file name need not be text in the terminal's encoding; it is to come out as it went in.
        getattr(sys, name).reconfigure(errors="surrogateescape")


class Lines(logging.Handler):
    """Show log records as lines, each text once: what is wrong with one picture of a folder is often wrong with all."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if text not in self._said:
            self._said.add(text)
            say(text)


@contextmanager
def logging_to(handler: logging.Handler) -> Iterator[None]:
    """Send the log records of every library to ``handler``."""
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
