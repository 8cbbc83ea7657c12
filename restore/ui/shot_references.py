"""Which picture gives each shot of a clip its colours, as a visitor chose it on the page.

It is kept in the folder of the job that found the shots, under names of the program's own, so that a page that is
loaded again still has it, and goes when that job goes. Nothing that a visitor says names a file.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import PIL.ImageOps

from restore.colour.references import Reference
from restore.errors import InputError
from restore.jobs import Job
from restore.media.atomic import replacing
from restore.media.clips.seconds import seconds_of
from restore.settings import Settings
from restore.ui.preview import fit, load, write_picture
from restore.ui.uploaded_references import ServedReference

CHOICES = "references.json"

LARGEST_OWN = 2048
"""Side to which a picture of the visitor's is reduced: more than any model looks at."""

AROUND = (128, 128, 128)
"""What is seen around a picture of another shape."""

_LOCK = threading.Lock()

Use = Literal["coloured", "own"]


@dataclass(frozen=True)
class Choice:
    """What there is for a shot beside its frame: names of files, and which of the two is its reference, if any.

    ``own_seen`` is the visitor's own picture in the shape of a frame.
    """

    coloured: str | None = None
    own: str | None = None
    own_seen: str | None = None
    used: Use | None = None


def new_file(folder: Path, number: int, what: str) -> Path:
    """A name, without its suffix, that no picture of this shot had before: browsers keep what they have seen."""
    return folder / f"shot_{number + 1:03d}_{what}_{time.time_ns() // 1_000_000}"


class ShotReferences:
    """The shots that the finished ``job`` found and what was chosen for them; shots are counted from 0."""

    def __init__(self, job: Job) -> None:
        self.id, self.folder = job.id, job.folder
        self.found: Mapping[str, Any] = job.result()
        self.shots: Sequence[Mapping[str, Any]] = self.found.get("shots", ())
        if not self.shots:
            raise InputError("This job has found no shots: look for them first.")

    def frame(self, number: int) -> Path:
        """The picture of a shot as it is in the clip; raises ``InputError`` for a shot that is not there."""
        if not 0 <= number < len(self.shots):
            raise InputError(f"There is no shot {number + 1}: choose one of {len(self.shots)}.")
        return self.folder / str(self.shots[number]["file"])

    def choice(self, number: int) -> Choice:
        """What there is for a shot."""
        return self._read().get(number, Choice())

    def picture(self, number: int) -> Path:
        """The picture that stands for a shot now: its reference, or how it would be coloured, or its frame."""
        choice = self.choice(number)
        name = choice.own if choice.used == "own" else choice.coloured
        return self.frame(number) if name is None else self.folder / name

    def seen(self, number: int) -> Path:
        """The same in the size that the pictures of all shots have."""
        choice = self.choice(number)
        if choice.used == "own" and choice.own_seen is not None:
            return self.folder / choice.own_seen
        return self.picture(number)

    def propose(self, number: int, coloured: Path) -> None:
        """Keep how a model colours a shot, which is its reference only if the one before was."""
        self._change(number, lambda choice: replace(choice, coloured=coloured.name))

    def accept(self, number: int) -> None:
        """Make the coloured picture of a shot its reference; raises ``InputError`` where there is none."""
        if self.choice(number).coloured is None:
            raise InputError(f"Shot {number + 1} has not been coloured yet: have it coloured first.")
        self._change(number, lambda choice: replace(choice, used="coloured"))

    def give(self, number: int, upload: Path, settings: Settings) -> None:
        """Make a picture of the visitor's the reference of a shot; raises what reading a picture does."""
        self.frame(number)
        picture = fit(load(upload, settings), LARGEST_OWN)
        own = write_picture(picture, new_file(self.folder, number, "own"))
        framed = PIL.ImageOps.pad(picture, (self.found["width"], self.found["height"]), color=AROUND)
        seen = write_picture(framed, new_file(self.folder, number, "seen"))
        self._change(number, lambda choice: replace(choice, own=own.name, own_seen=seen.name, used="own"))

    def drop(self, number: int) -> None:
        """Leave a shot without a reference."""
        self.frame(number)
        self._change(number, lambda choice: replace(choice, used=None))

    def references(self) -> tuple[Reference, ...]:
        """The references of all shots that have one, by times that lie in their middle."""
        return tuple(
            ServedReference(str(self.picture(number)), time=str(self.shots[number]["time"])) for number in self._used()
        )

    def reference_at(self, seconds: Fraction) -> tuple[Reference, ...]:
        """The reference of the shot that is shown then, if it has one, without its time."""
        shown = max(
            (number for number, shot in enumerate(self.shots) if seconds_of("start", shot["start"]) <= seconds),
            default=0,
        )
        return (ServedReference(str(self.picture(shown))),) if shown in self._used() else ()

    def _used(self) -> list[int]:
        return sorted(number for number, choice in self._read().items() if choice.used is not None)

    def _read(self) -> dict[int, Choice]:
        path = self.folder / CHOICES
        if not path.exists():
            return {}
        return {int(number): Choice(**values) for number, values in json.loads(path.read_text("utf-8")).items()}

    def _change(self, number: int, change: Callable[[Choice], Choice]) -> None:
        with _LOCK:
            choices = self._read()
            choices[number] = change(choices.get(number, Choice()))
            with replacing(self.folder / CHOICES) as partial:
                values = {str(key): asdict(value) for key, value in choices.items()}
                partial.write_text(json.dumps(values), encoding="utf-8")
