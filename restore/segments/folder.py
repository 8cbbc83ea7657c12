"""The folder of a piece of work: its segments, what there is to know of each, and who works in it.

``job.json`` says what the work is and how the clip is cut up. A segment is a Matroska file with nothing but pictures,
and a JSON file beside it that is written when the segment is whole; one without the other is no segment. Everything
appears under its name by renaming, when its bytes are on the disk.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from restore import caches, checksums
from restore.errors import BusyError, OutputError
from restore.media.atomic import unwritable
from restore.report import write_json
from restore.segments.key import FORM, name_of
from restore.segments.split import Bounds
from restore.settings import Settings

logger = logging.getLogger(__name__)

JOB, LOCKS, MASTER = "job.json", "locks", "master"

OURS = re.compile(r"[0-9a-f]{32}")
"""The names of our folders: where they are kept there may be others, which are not touched."""


def work_root(settings: Settings) -> Path:
    """The folder in which all work is kept, each piece in a folder of its own; it may not exist yet."""
    return settings.work_dir or caches.own_folder("work")


def usable(root: Path) -> bool:
    """Whether work can be kept below ``root``, which is made if need be; says why, in the log, where it cannot."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        if os.access(root, os.W_OK | os.X_OK):
            return True
        reason = "it cannot be written to"
    except OSError as error:
        reason = error.strerror or str(error)
    logger.warning("What is done of a clip is not kept in %s, for %s: an interrupted run begins anew.", root, reason)
    return False


@dataclass(frozen=True)
class Record:
    """What there is to know of a segment that is whole.

    ``times`` are the second at which each of its frames is shown, after the last stage, and for how long. ``order``
    names the frames in the order of their packets. ``read`` counts what the reader met in its own frames, ``stages``
    are the reports of the stages on this segment, ``seconds`` what else took how long.
    """

    bounds: Bounds
    times: tuple[tuple[Fraction, Fraction], ...]
    order: tuple[int, ...]
    sha256: str
    read: Mapping[str, int]
    stages: tuple[Mapping[str, Any], ...]
    seconds: Mapping[str, float]
    warnings: tuple[str, ...] = ()

    @property
    def delay(self) -> int:
        """How many packets come before the first frame can be shown."""
        return max((place - number for place, number in enumerate(self.order)), default=0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "form": FORM,
            "bounds": self.bounds.to_dict(),
            "times": [[str(pts), str(duration)] for pts, duration in self.times],
            "order": list(self.order),
            "sha256": self.sha256,
            "read": dict(self.read),
            "stages": [dict(stage) for stage in self.stages],
            "seconds": dict(self.seconds),
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """The record that ``to_dict`` wrote; raises ``KeyError``, ``TypeError`` or ``ValueError`` for any other."""
        if values["form"] != FORM:
            raise ValueError(f"the form is {values['form']!r}")
        times = tuple((Fraction(pts), Fraction(duration)) for pts, duration in values["times"])
        order = tuple(int(number) for number in values["order"])
        if sorted(order) != list(range(len(times))):
            raise ValueError("the packets are not those of the frames")
        return cls(
            bounds=Bounds.from_dict(values["bounds"]),
            times=times,
            order=order,
            sha256=str(values["sha256"]),
            read={name: int(count) for name, count in values["read"].items()},
            stages=tuple(dict(stage) for stage in values["stages"]),
            seconds={name: float(length) for name, length in values["seconds"].items()},
            warnings=tuple(str(warning) for warning in values["warnings"]),
        )


@dataclass
class Shelf:
    """The segments that are kept in one form; ``records`` are those that were found whole, by number."""

    folder: Path
    records: dict[int, Record] = field(default_factory=dict)

    def clip(self, number: int) -> Path:
        """Where the pictures of segment ``number`` are, or will be."""
        return self.folder / f"{number:06d}.mkv"

    def look(self, *, clean: bool = False) -> None:
        """Find the segments that are whole; with ``clean``, what was left half done is removed."""
        self.records = {}
        for path in sorted(self.folder.glob("*")):
            if clean and path.name.startswith("."):
                path.unlink(missing_ok=True)  # what a process that was killed was writing
            elif path.suffix == ".json" and (record := _read(path, self)) is not None:
                self.records[record.bounds.number] = record

    def drop(self, number: int) -> None:
        """Let go of segment ``number``, if there is one: its record first."""
        self.records.pop(number, None)
        self._note(number).unlink(missing_ok=True)
        self.clip(number).unlink(missing_ok=True)

    def put(self, record: Record) -> None:
        """Take the segment, whose pictures are in their place, for one that is whole; raises ``OutputError``."""
        write_json(self._note(record.bounds.number), record.to_dict())
        self.records[record.bounds.number] = record

    def _note(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"


def _read(path: Path, shelf: Shelf) -> Record | None:
    """The record at ``path``, if it and its segment are as they were written."""
    try:
        record = Record.from_dict(json.loads(path.read_text(encoding="utf-8")))
        clip = shelf.clip(record.bounds.number)
        # A segment may have no frame of the result, where there are few a second.
        if clip.stem == path.stem and (not record.times or checksums.compute(clip) == record.sha256):
            return record
        logger.warning("The segment %s is damaged and is made again.", clip)
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        logger.warning("The segment of %s cannot be used and is made again: %s", path, error)
    return None


@dataclass
class WorkFolder:
    """The folder of the work that ``frames`` and ``encoding`` name (see ``key``), below ``root``.

    ``plan`` is what was decided when the work began: ``memory``, in bytes, that it was planned for, whether a lossless
    ``master`` of each segment is kept, for which ``keep_master`` asks, and once the whole clip has been read also
    ``whole``, what there is to say of that. ``bounds`` are those of the segments, as far as they are known.
    """

    root: Path
    frames: Mapping[str, Any]
    encoding: Mapping[str, Any]
    keep_master: bool = False
    plan: dict[str, Any] = field(default_factory=dict)
    bounds: list[Bounds] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path = self.root / name_of(dict(self.frames))
        self.master = Shelf(self.path / MASTER)
        self.encoded = self._encoded()

    def _encoded(self) -> Shelf:
        """The segments in the final encoding; those that came from lossless ones, which are rounded, are others."""
        from_master = bool(self.plan.get("master"))
        return Shelf(self.path / name_of({**self.encoding, "from_master": from_master}))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, the folder is there and belongs to this piece of work alone; what it has is known.

        Raises ``BusyError`` where somebody else works in it, and ``OutputError`` where it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with _locked(self.root, self.path.name) as ours:
                if not ours:
                    raise BusyError(
                        "Somebody is at work on this very clip with these very settings: wait until that has ended, or "
                        "stop it; what it has done by then is not done again."
                    )
                self.look(clean=True)
                for shelf in (self.encoded, self.master):
                    shelf.folder.mkdir(exist_ok=True)
                self.save()
                yield
        except OSError as error:
            if isinstance(error, OutputError):
                raise
            raise unwritable(self.path, error) from error

    def look(self, *, clean: bool = False) -> None:
        """Read what there is; nothing is where there is no folder. With ``clean``, remove what is left half done."""
        self.plan, self.bounds = {}, []
        try:
            values = json.loads((self.path / JOB).read_text(encoding="utf-8"))
            if values["form"] == FORM:
                self.bounds = [Bounds.from_dict(each) for each in values["bounds"]]
                self.plan = dict(values["plan"])
        except FileNotFoundError:
            pass
        except (OSError, KeyError, TypeError, ValueError) as error:
            logger.warning("%s cannot be read, and the work begins anew: %s", self.path / JOB, error)
        if self.keep_master:
            self.plan["master"] = True
        self.encoded = self._encoded()
        self.encoded.look(clean=clean)
        self.master.look(clean=clean)

    def save(self) -> None:
        """Write down the plan and the bounds; raises ``OutputError``."""
        bounds = [each.to_dict() for each in self.bounds]
        write_json(
            self.path / JOB,
            {
                "form": FORM,
                "frames": dict(self.frames),
                "encoding": dict(self.encoding),
                "plan": self.plan,
                "bounds": bounds,
            },
        )

    def done(self, shelf: Shelf) -> Sequence[Record]:
        """The segments of ``shelf`` from the first one on, up to the first that is missing."""
        done: list[Record] = []
        while (record := shelf.records.get(len(done))) is not None and self._fits(record):
            done.append(record)
        return done

    def _fits(self, record: Record) -> bool:
        number = record.bounds.number
        return number < len(self.bounds) and self.bounds[number] == record.bounds


@contextmanager
def _locked(root: Path, name: str) -> Iterator[bool]:
    """Hold the lock on the folder ``name`` below ``root``; says whether it could be had. One dies with its process."""
    folder = root / LOCKS
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except (Timeout, RuntimeError):  # the latter where this very thread has it already
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def tidy(root: Path, settings: Settings, keep: Path | None = None) -> None:
    """Remove work below ``root`` that is older than it is kept, and the oldest where all of it is too large.

    What somebody works at stays, and so does ``keep``.
    """
    found: list[tuple[float, Path, int]] = []
    for folder in root.glob("*"):
        try:
            if not OURS.fullmatch(folder.name) or folder == keep or not folder.is_dir():
                continue
            job = folder / JOB
            touched = (job if job.is_file() else folder).stat().st_mtime
            size = sum(file.stat().st_size for file in folder.rglob("*"))
        except FileNotFoundError:  # somebody else tidies as well
            continue
        found.append((touched, folder, size))
    total = sum(size for _, _, size in found)
    for touched, folder, size in sorted(found):
        if time.time() - touched <= settings.work_keep_seconds and total <= settings.work_keep_bytes:
            continue
        with _locked(root, folder.name) as ours:
            if ours:
                _remove(folder)
                total -= size


def _remove(folder: Path) -> None:
    """Remove the folder of a piece of work, what it says of itself first."""
    try:
        (folder / JOB).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except OSError as error:
        logger.warning("Cannot remove %s: %s", folder, error)
