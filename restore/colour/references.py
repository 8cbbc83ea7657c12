"""Reference pictures: whose colours a shot, or a whole clip, is to get, in the ways in which they can be given."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from restore.errors import SettingsError
from restore.media.clips.seconds import seconds_of

MOST = 1000
"""References that one stage takes at most."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".avif", ".heic", ".heif")
"""What counts as a picture in a folder of references."""

_NAMED_SHOT = re.compile(r"(?:shot[ _-]*)?(\d{1,6})", re.IGNORECASE)
_NAMED_TIME = re.compile(r"(\d+\.\d+|\d+(?:\.\d+)?(?=s))s?", re.IGNORECASE)
_SHOT = re.compile(r"\d{1,6}")


@dataclass(frozen=True)
class Reference:
    """A picture whose colours serve the shot number ``shot``, counted from 0, or the one that is shown at ``time``.

    ``time`` is in seconds from the beginning of the clip, or text such as ``"1:02.5"``. With neither of them the
    picture serves every shot that has none of its own. ``path`` is that of a file. Raises ``SettingsError``.
    """

    path: str
    shot: int | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not os.fspath(self.path):
            raise SettingsError(f"a reference is {self.path!r}: give the path of a picture.")
        object.__setattr__(self, "path", str(self.path))
        if self.shot is not None and (isinstance(self.shot, bool) or not isinstance(self.shot, int) or self.shot < 0):
            raise SettingsError(f"the shot of a reference is {self.shot!r}: give a whole number, counted from 0.")
        if self.time is not None:
            seconds_of("the time of a reference", self.time)
            object.__setattr__(self, "time", str(self.time).strip())
        if self.shot is not None and self.time is not None:
            raise SettingsError(f"the reference {self.path} has a shot and a time: give one of them.")

    @property
    def seconds(self) -> Fraction | None:
        """``time`` as exact seconds."""
        return None if self.time is None else seconds_of("the time of a reference", self.time)

    def to_dict(self) -> dict[str, Any]:
        """What was given, as JSON has it."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


def parse_references(value: object) -> tuple[Reference, ...]:
    """References from any of the forms in which they may be given; raises ``SettingsError``.

    A picture or a folder of pictures (see ``references_in``); a list of such, of ``Reference`` objects, or of dicts
    with their fields; or a mapping from shots (whole numbers) or times (other numbers, or text such as ``"12.5"``) to
    pictures or lists of pictures.
    """
    found = tuple(_each(value))
    if len(found) > MOST:
        raise SettingsError(f"There are {len(found)} references, and at most {MOST} are used: leave some out.")
    return found


def references_in(folder: Path) -> tuple[Reference, ...]:
    """The pictures of a folder, by name.

    One that is called as a number, or as ``shot`` and a number, is for that shot (``3.png``, ``shot_03.jpg``); one that
    is called as seconds is for the shot at that time (``12.5.png``, ``7s.png``); any other serves every shot. Raises
    ``SettingsError`` where there is no picture.
    """
    return tuple(_by_name(path) for path in pictures_in(folder))


def for_every_shot(folder: Path) -> tuple[Reference, ...]:
    """The pictures of a folder, all of them for every shot, whatever they are called: PaddleGAN's ``reference_dir``.

    Raises ``SettingsError`` where there is no picture.
    """
    return tuple(Reference(str(path)) for path in pictures_in(folder))


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder, sorted by name; raises ``SettingsError`` where there is none."""
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise SettingsError(f"The folder of references {folder} cannot be read: {error.strerror}.") from error
    if not found:
        raise SettingsError(f"The folder of references {folder} has no picture in it ({', '.join(SUFFIXES)}).")
    return found


def _by_name(path: Path) -> Reference:
    if match := _NAMED_SHOT.fullmatch(path.stem):
        return Reference(str(path), shot=int(match[1]))
    if match := _NAMED_TIME.fullmatch(path.stem):
        return Reference(str(path), time=match[1])
    return Reference(str(path))


def _each(value: object) -> Iterator[Reference]:
    if value is None:
        return
    if isinstance(value, Reference):
        yield value
    elif isinstance(value, str | os.PathLike):
        path = Path(value)
        yield from references_in(path) if str(value) and path.is_dir() else (Reference(str(value)),)
    elif isinstance(value, Mapping):
        yield from _of_fields(value) if "path" in value else _of_places(value)
    elif isinstance(value, Iterable) and not isinstance(value, bytes):
        for item in value:
            yield from _each(item)
    else:
        raise SettingsError(f"references is {value!r}: give pictures, a folder, or shots or times with their pictures.")


def _of_fields(value: Mapping[Any, Any]) -> Iterator[Reference]:
    known = [field.name for field in fields(Reference)]
    if unknown := [str(key) for key in value if key not in known]:
        raise SettingsError(f"a reference has no {', '.join(map(repr, unknown))}; it has {', '.join(known)}.")
    yield Reference(**value)


def _of_places(value: Mapping[Any, Any]) -> Iterator[Reference]:
    for place, pictures in value.items():
        several = isinstance(pictures, Sequence) and not isinstance(pictures, str | bytes)
        for picture in pictures if several else (pictures,):
            if isinstance(place, int) and not isinstance(place, bool):
                yield Reference(picture, shot=place)
            elif isinstance(place, str) and _SHOT.fullmatch(place.strip()):
                yield Reference(picture, shot=int(place))
            elif isinstance(place, str | float | Fraction):
                yield Reference(picture, time=place)  # type: ignore[arg-type]  # made text by the class itself
            else:
                raise SettingsError(f"references names {place!r}: give the number of a shot, or a time in seconds.")


def by_shot(references: Sequence[Reference], cuts: Sequence[Fraction], begin: Fraction) -> tuple[Reference, ...]:
    """The references with the number of the shot in place of the time.

    ``cuts`` are the times at which new shots begin, and ``begin`` is when the first frame is shown, all in seconds from
    the beginning of the clip. What is for a shot that ended before ``begin`` is left out.
    """
    found = []
    for reference in references:
        seconds = reference.seconds
        if seconds is None:
            found.append(reference)
        elif not any(seconds < cut <= begin for cut in cuts):
            found.append(replace(reference, shot=sum(begin < cut <= seconds for cut in cuts), time=None))
    return tuple(found)


def in_ranges(numbers: Sequence[int]) -> str:
    """Rising numbers as text: "0, 2 to 5"."""
    ranges: list[tuple[int, int]] = []
    for each in numbers:
        if ranges and each == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], each
        else:
            ranges.append((each, each))
    return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in ranges)
