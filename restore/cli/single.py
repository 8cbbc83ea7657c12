"""One picture or clip, and the report of a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import restore
from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.clips import refuse_for_picture
from restore.cli.terminal import put
from restore.errors import SettingsError
from restore.progress import Progress
from restore.settings import Settings


@dataclass(frozen=True)
class Restorer:
    """What is the same for every picture and clip of one command.

    ``clips`` are the options of the latter, ``crops`` is the folder that faces are kept in, ``work`` the one in which
    clips are kept on the way, also as lossless frames with ``keep_master``. With ``partial`` nothing is computed: what
    is done of a clip is the result.
    """

    steps: Sequence[Any]
    settings: Settings
    progress: Progress
    bars: Bars
    quiet: bool
    clips: Mapping[str, Any] = field(default_factory=dict)
    crops: str | None = None
    work: Path | None = None
    keep_master: bool = False
    partial: bool = False

    @cached_property
    def _usable_work(self) -> Path | None:
        """The folder for clips on the way; none where it cannot be used, which is said once, unless it has to be."""
        from restore.segments.folder import usable

        return self.work if self.work is None or self.keep_master or usable(self.work) else None

    def _so_far(self, source: Path | restore.ImageSequence, target: Path) -> dict[str, Any]:
        """Put into ``target`` what is done of a clip, and say how much that is."""
        from restore.cli.folders import is_clip_name

        if not is_clip_name(target) or self.work is None:
            raise SettingsError(f"--partial is for clips, and {target.name} is none: leave it out.")
        what: dict[str, Any] = {"steps": self.steps, "progress": self.progress, "settings": self.settings}
        done = restore.restore_partly(source, target, work=self.work, **what, **self.clips)
        self.bars.close()
        if not self.quiet:
            put(str(target))
        return {"partial": True, "segments": done.segments, "until": str(done.until)}

    def restore(self, source: Path | restore.ImageSequence, target: Path, apart: Path = Path()) -> dict[str, Any]:
        """Restore one picture or clip, as the suffix of ``target`` says, and name its result on standard output; the
        report as plain values. ``apart`` is where its faces go below the folder for them.

        Raises ``SettingsError`` for numbered pictures that are to become one picture.
        """
        from restore.cli.folders import is_clip_name

        what: dict[str, Any] = {"steps": self.steps, "progress": self.progress, "settings": self.settings}
        what["crops"] = self.crops and Path(self.crops) / apart
        try:
            if self.partial:
                return self._so_far(source, target)
            if is_clip_name(target):
                kept: dict[str, Any] = {"work": self._usable_work, "keep_master": self.keep_master}
                report = restore.restore_video(source, target, **what, **kept, **self.clips)
            elif isinstance(source, Path):
                left_alone = self.clips.get("untouched", ())
                report = restore.restore_image(source, target, **what, untouched=left_alone)
            else:
                raise SettingsError(
                    f"Numbered pictures become a clip, and {target.name} is none: name it such as out.mp4."
                )
        finally:
            self.bars.close()
        if not self.quiet:
            put(str(target))
        return report.to_dict()

    @property
    def codec(self) -> str:
        """The codec of the clips."""
        encoding: restore.Encoding | None = self.clips.get("encoding")
        return (encoding or restore.Encoding()).codec


def run_file(
    restorer: Restorer, source: Path, target: Path, report: Path | None, frames: restore.ImageSequence | None = None
) -> int:
    """Restore one picture or clip, or the ``frames`` that are at ``source``."""
    from restore.cli.folders import are_one, is_clip_name, is_folder, result_name

    if is_folder(target):
        target = target / result_name(source, restorer.codec)
    if are_one(target, source):
        raise SettingsError(f"The result would replace {source} itself: give another name.")
    if not is_clip_name(target):
        refuse_for_picture(restorer.clips, target.name)
    check_report(report, (source, target))
    write_report(report, restorer.restore(frames or source, target))
    return OK


def write_report(path: Path | None, data: Mapping[str, Any]) -> None:
    """Write ``data`` as JSON to ``path``, if there is one; raises ``OutputError``."""
    from restore.report import write_json

    if path is not None:
        write_json(path, data)


def check_report(path: Path | None, taken: Iterable[Path]) -> None:
    """Refuse, before the long work, a report that could not be written or would replace one of ``taken``.

    Raises ``OutputError`` and ``SettingsError``.
    """
    from restore.media.atomic import check_target

    if path is None:
        return
    if os.path.realpath(path) in {os.path.realpath(each) for each in taken}:
        raise SettingsError(f"The report would replace {path}: give another name after --report.")
    check_target(path)
