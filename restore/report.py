"""The report that every result carries: what was done, with which models, what was kept and what was lost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from restore.errors import OutputError
from restore.media.atomic import replacing, unwritable


@dataclass(frozen=True)
class ModelUse:
    """A model that took part. ``origin`` is ``built-in``, ``mirror``, ``hub``, ``url`` or ``local``.

    ``verified`` says that the sha256 of the file is the published one; a local file with another hash still works.
    """

    name: str
    file: str
    sha256: str
    origin: str
    verified: bool
    revision: str | None
    licence: str
    commercial: bool


@dataclass(frozen=True)
class Dropped:
    """Something of the source that the result does not have, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class StageReport:
    """One stage of the chain: its settings, what it ran on, how it was cut up and how long it took."""

    settings: Mapping[str, Any]
    models: tuple[ModelUse, ...]
    device: str
    precision: str
    plan: Mapping[str, Any]
    seconds: float
    frames: int = 1
    notes: tuple[str, ...] = ()

    @property
    def frames_per_second(self) -> float:
        return self.frames / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True)
class ClipReport:
    """What a clip was and what became of it; fractions are written as "30000/1001".

    ``source`` is what ``probe`` found, ``start`` and ``end`` are the part that was cut out and ``cuts`` the times at
    which a new shot begins, in seconds from the beginning of the source. ``frames`` were written; ``read`` counts those
    that were decoded, and what was special about them; ``reused`` those that were not computed, because they are
    exactly like the one before. The result lasts ``stretch`` times as long as the source. ``encoder`` are the settings
    that FFmpeg's encoder got. ``untouched`` are the parts of the frames that the stages left alone, as shares of their
    sides. ``seconds`` says how long decoding and encoding took, at the same time as the stages.
    ``notes`` are sentences for the user. ``segments`` says of work that was kept on the way in how many it was done,
    and how many of them this run made.
    """

    source: Mapping[str, Any]
    codec: str
    container: str
    pixel_format: str
    encoder: Mapping[str, str]
    frame_rate: str
    time_base: str
    frames: int
    reused: int
    stretch: str
    read: Mapping[str, int]
    seconds: Mapping[str, float]
    start: str | None = None
    end: str | None = None
    cuts: tuple[str, ...] = ()
    untouched: tuple[Mapping[str, float], ...] = ()
    notes: tuple[str, ...] = ()
    segments: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What happened to one source. Sizes are ``(width, height)`` in pixels, times in seconds.

    ``clip`` is there for clips alone.
    """

    version: str
    source: str
    target: str
    source_size: tuple[int, int]
    target_size: tuple[int, int]
    recipe: Mapping[str, Any]
    stages: tuple[StageReport, ...]
    seconds: float
    carried: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    warnings: tuple[str, ...] = field(default=())
    clip: ClipReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, ready for JSON."""
        data = asdict(self)
        if self.clip is None:
            del data["clip"]
        for stage, row in zip(self.stages, data["stages"], strict=True):
            row["frames_per_second"] = round(stage.frames_per_second, 3)
        return data

    def to_json(self) -> str:
        return _as_json(self.to_dict())

    def write(self, path: str | Path) -> None:
        """Write the JSON to ``path``; raises ``OutputError``."""
        write_json(path, self.to_dict())


def write_json(path: str | Path, data: Mapping[str, Any]) -> None:
    """Write ``data`` as JSON to ``path``, which is replaced only by the whole; raises ``OutputError``."""
    path = Path(path)
    try:
        with replacing(path) as file:
            # A file name that is not text becomes an escape that JSON knows.
            file.write_text(_as_json(data) + "\n", encoding="utf-8", errors="backslashreplace")
    except OutputError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


def _as_json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
