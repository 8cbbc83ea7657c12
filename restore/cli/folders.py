"""A folder of pictures and clips in, a folder of results out: which files are taken, what their results are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from restore.errors import InputError, RestoreError, SettingsError
from restore.media.clips.encoders import KINDS
from restore.media.clips.encoders import SUFFIXES as CLIP_SUFFIXES
from restore.media.images import OUTPUT_SUFFIXES

# Pictures keep their suffix where results can have it too; these become PNG, which loses nothing.
READ_ONLY_SUFFIXES = frozenset({".heic", ".heif", ".gif", ".jfif"})
# Clips of these kinds become what holds the codec best.
READ_ONLY_CLIPS = frozenset(
    {".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".vob", ".flv", ".ogv", ".3gp", ".wmv", ".mxf", ".dv", ".y4m"}
)
SUFFIXES = READ_ONLY_SUFFIXES | OUTPUT_SUFFIXES.keys() | READ_ONLY_CLIPS | CLIP_SUFFIXES.keys()


@dataclass(frozen=True)
class Task:
    """One picture or clip and where its result goes; ``error`` says why it is not to be worked on.

    ``apart`` is a relative folder for what is kept beside the result, where it cannot meet that of another file.
    """

    source: Path
    target: Path
    apart: Path
    error: RestoreError | None = None


def result_name(source: Path, codec: str) -> str:
    """The file name of the result of ``source``: its own where the format can be written, and hold ``codec``."""
    suffix = source.suffix.lower()
    if suffix in CLIP_SUFFIXES or suffix in READ_ONLY_CLIPS:
        containers = KINDS[codec].containers  # type: ignore[index]  # a codec that Encoding has let pass
        return source.name if CLIP_SUFFIXES.get(suffix) in containers else f"{source.stem}.{containers[0]}"
    return source.name if suffix in OUTPUT_SUFFIXES else f"{source.stem}.png"


def is_clip_name(path: Path) -> bool:
    """Whether ``path`` is the name of a clip that can be written."""
    return path.suffix.lower() in CLIP_SUFFIXES


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
    """The pictures and clips below a folder, sorted, and the sub-folders that cannot be read, each with the reason."""

    files: tuple[Path, ...]
    unreadable: Mapping[Path, InputError]


def list_files(folder: Path, leave_out: Path | None = None) -> Listing:
    """The pictures and clips in ``folder`` and below, by their suffixes; hidden files and folders are not looked at.

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
        raise InputError(
            f"There is no picture and no clip in {folder}: give a folder with {', '.join(sorted(SUFFIXES))} files."
        )
    return Listing(tuple(sorted(found)), unreadable)


def assign(sources: Iterable[Path], folder: Path, results: Path, codec: str) -> tuple[Task, ...]:
    """Where the result of each of ``sources``, which lie below ``folder``, goes below ``results``: the same sub-folder.

    ``codec`` is that of the clips. Of two files whose results would have one name (``a.gif`` and ``a.png``), the one
    that would change its name is refused. Raises ``SettingsError`` if a result would replace a file of the folder, as
    in one that is its own result folder.
    """
    targets = {source: results / source.relative_to(folder).with_name(result_name(source, codec)) for source in sources}
    originals = {os.path.realpath(source): source for source in targets}
    for source, target in targets.items():
        replaced = originals.get(os.path.realpath(target))
        if replaced is not None:
            raise SettingsError(
                f"The result of {source} would replace {replaced}: choose another folder for the results."
            )
    owners: dict[Path, Path] = {}
    for source in sorted(targets, key=lambda source: (targets[source].name != source.name, source)):
        owners.setdefault(targets[source], source)
    return tuple(
        Task(source, target, apart)
        if owners[target] == source
        else Task(
            source, target, apart, InputError(f"its result would replace that of {owners[target].name}: rename one.")
        )
        for (source, target), apart in zip(targets.items(), _apart(targets, folder), strict=True)
    )


def _apart(sources: Iterable[Path], folder: Path) -> list[Path]:
    """For each file its sub-folder of ``folder``, and below that its name where another file differs in the suffix."""
    files = [source.relative_to(folder) for source in sources]
    alike = Counter(file.with_suffix("") for file in files)
    return [file.parent if alike[file.with_suffix("")] == 1 else file for file in files]
