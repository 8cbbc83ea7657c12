"""A folder of pictures in, a folder of results out: which files are taken and what their results are called."""

from __future__ import annotations

import os
from collections.abc import Iterable
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


def pictures(folder: Path, leave_out: Path | None = None) -> tuple[Path, ...]:
    """The pictures in ``folder`` and below, sorted, by their suffixes; hidden files and folders are not looked at.

    ``leave_out`` is a folder that is not entered, such as one with earlier results. Links to folders are not followed.
    Raises ``InputError`` if a folder cannot be read or there is no picture at all.
    """

    def unreadable(error: OSError) -> None:
        raise InputError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error

    barred = leave_out.resolve() if leave_out is not None else None
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=unreadable):
        here = Path(place)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() != barred]
        names = [Path(name) for name in files if not name.startswith(".")]
        found.extend(here / name for name in names if name.suffix.lower() in SUFFIXES)
    if not found:
        raise InputError(f"There is no picture in {folder}: give a folder with {', '.join(sorted(SUFFIXES))} files.")
    return tuple(sorted(found))


def assign(sources: Iterable[Path], folder: Path, results: Path) -> tuple[Task, ...]:
    """Where the result of each of ``sources``, which lie below ``folder``, goes below ``results``: the same sub-folder.

    Of two pictures whose results would have one name (``a.gif`` and ``a.png``), the one that would change its name is
    refused. Raises ``SettingsError`` if a result would replace a picture, as in a folder that is its own result folder.
    """
    targets = {source: results / source.relative_to(folder).with_name(result_name(source)) for source in sources}
    originals = {source.resolve(): source for source in targets}
    for source, target in targets.items():
        if target.resolve() in originals:
            raise SettingsError(
                f"The result of {source} would replace the picture {originals[target.resolve()]}: "
                "choose another folder for the results."
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
