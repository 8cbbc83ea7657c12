"""What can go wrong, in words for the person who uses the program.

Every error that the engine raises on purpose is a ``RestoreError``. Its message says what is wrong and what to do
about it, needs no traceback to be understood, and is shown as it is on the page, on the command line and in Python.
A kind is also the built-in exception that it resembles, so that code that knows nothing of this package can still
catch it.
"""

from __future__ import annotations

UNEXPECTED = "Something went wrong that this program did not foresee; the log of the server has the details. Try again."
"""What a visitor is told of an error that is none of these kinds."""


class RestoreError(Exception):
    """The base of every error that this package raises on purpose.

    ``setting`` is the environment variable that sets the limit which the work ran into. Its name is part of the
    message, but not of ``for_visitors``: who uses somebody else's server cannot change it. ``keeps_work`` says whether
    what was done by then is kept, so that the same work can go on from there.
    """

    def __init__(self, message: str = "", *, setting: str | None = None, keeps_work: bool = False) -> None:
        super().__init__(message if setting is None else f"{message} {setting} sets this limit.")
        self.for_visitors = message
        self.setting = setting
        self.keeps_work = keeps_work


class SettingsError(RestoreError, ValueError):
    """A stage, a recipe or an environment variable has a value that makes no sense."""


class InputError(RestoreError, ValueError):
    """The file that was given is missing, empty, broken or of a kind that is not supported."""


class GoneError(InputError):
    """The job that is asked for is not known, or no longer: its result was kept for as long as was promised."""


class LimitError(RestoreError, ValueError):
    """The work is larger than one of the limits in ``settings.py`` allows."""


class OutputError(RestoreError, OSError):
    """The result cannot be written: the folder is missing or read-only, the disk is full, the format cannot hold it."""


class WeightsError(RestoreError):
    """A checkpoint cannot be had or cannot be trusted: no network, not found, gated, a wrong checksum, broken."""


class ResourceError(RestoreError, MemoryError):
    """There is not enough memory for the work, even in its smallest pieces."""


class BusyError(RestoreError):
    """The server has as much to do as it takes on; later it will do."""


class Cancelled(RestoreError):
    """The work was stopped because somebody asked for it."""


class Paused(Cancelled):
    """The work was stopped before its end, and what was done by then is kept and not done again."""

    def __init__(self, message: str = "", *, setting: str | None = None, keeps_work: bool = True) -> None:
        super().__init__(message, setting=setting, keeps_work=keeps_work)
