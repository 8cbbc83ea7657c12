"""A folder of pictures in, a folder of results out: which files are taken and what their results are called."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from restore.errors import InputError, RestoreError, SettingsError
from restore.media.images import OUTPUT_SUFFIXES

# Pictures keep their suffix where results can have it too; these become PNG, which loses nothing.
READ_ONLY_SUFFIXES = frozenset({".heic", ".heif", ".gif", ".jfif"})
SUFFIXES = READ_ONLY_SUFFIXES | OUTPUT_SUFFIXES.keys()


@dataclass(frozen=True)
class Task:
    """One picture and where its result goes; ``error`` says why it is not to be worked on."""

    source: Path
    target: Path
    error: RestoreError | None = None


def result_name(source: Path) -> str:
    """The file name of the result of ``source``."""
    return source.name if source.suffix.lower() in OUTPUT_SUFFIXES else f"{source.stem}.png"


# os.path rather than pathlib: that raises for links in a circle, for names that are too long and for folders without
# permission. Whoever opens the file then has the right words for these.


def is_folder(path: Path) -> bool:
    """Whether ``path`` is a folder; also ``False`` where that cannot be known."""
    return os.path.isdir(path)  # noqa: PTH112


def is_there(path: Path) -> bool:
    """Whether there is something at ``path``; also ``False`` where that cannot be known."""
    return os.path.exists(path)  # noqa: PTH110


def are_one(path: Path, other: Path) -> bool:
    """Whether both lead to one place, by whatever links."""
    return os.path.realpath(path) == os.path.realpath(other)


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder, sorted, and the sub-folders that could not be looked into, each with the reason."""

    pictures: tuple[Path, ...]
    unreadable: Mapping[Path, InputError]


def list_pictures(folder: Path, leave_out: Path | None = None) -> Listing:
    """The pictures in ``folder`` and below, by their suffixes; hidden files and folders are not looked at.

    ``leave_out`` is a folder that is not entered, such as one with earlier results. Links to folders are not followed.
    Raises ``InputError`` if ``folder`` itself cannot be read or there is nothing in it to work on.
    """
    unreadable: dict[Path, InputError] = {}

    def note(error: OSError) -> None:
        place = Path(error.filename)
        problem = InputError(f"The folder {place} cannot be read: {error.strerror}.")
        if place == folder:
            raise problem from error
        unreadable[place] = problem

    barred = os.path.realpath(leave_out) if leave_out is not None else None
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=note):
        here = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".") and os.path.realpath(here / name) != barred]
        names = [Path(name) for name in files if not name.startswith(".")]
        found.extend(here / name for name in names if name.suffix.lower() in SUFFIXES)
    if not found and not unreadable:
        raise InputError(f"There is no picture in {folder}: give a folder with {', '.join(sorted(SUFFIXES))} files.")
    return Listing(tuple(sorted(found)), unreadable)


def assign(sources: Iterable[Path], folder: Path, results: Path) -> tuple[Task, ...]:
    """Where the result of each of ``sources``, which lie below ``folder``, goes below ``results``: the same sub-folder.

    Of two pictures whose results would have one name (``a.gif`` and ``a.png``), the one that would change its name is
    refused. Raises ``SettingsError`` if a result would replace a picture, as in a folder that is its own result folder.
    """
    targets = {source: results / source.relative_to(folder).with_name(result_name(source)) for source in sources}
    originals = {os.path.realpath(source): source for source in targets}
    for source, target in targets.items():
        replaced = originals.get(os.path.realpath(target))
        if replaced is not None:
            raise SettingsError(
                f"The result of {source} would replace the picture {replaced}: choose another folder for the results."
            )
    owners: dict[Path, Path] = {}
    for source in sorted(targets, key=lambda source: (targets[source].name != source.name, source)):
        owners.setdefault(targets[source], source)
    return tuple(
        Task(source, target)
        if owners[target] == source
        else Task(source, target, InputError(f"its result would replace that of {owners[target].name}: rename one."))
        for source, target in targets.items()
    )
