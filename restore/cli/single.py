"""One picture, and the report of a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import restore
from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.terminal import put
from restore.errors import SettingsError
from restore.progress import Progress
from restore.settings import Settings


@dataclass(frozen=True)
class Restorer:
    """What is the same for every picture of one command."""

    steps: Sequence[Any]
    settings: Settings
    progress: Progress
    bars: Bars
    quiet: bool

    def restore(self, source: Path, target: Path) -> dict[str, Any]:
        """Restore one picture and name its result on standard output; the report as plain values."""
        try:
            report = restore.restore_image(source, target, self.steps, self.progress, settings=self.settings)
        finally:
            self.bars.close()
        if not self.quiet:
            put(str(target))
        return report.to_dict()


def run_file(restorer: Restorer, source: Path, target: Path, report: Path | None) -> int:
    """Restore one picture."""
    from restore.cli.folders import are_one, is_folder, result_name

    if is_folder(target):
        target = target / result_name(source)
    if are_one(target, source):
        raise SettingsError(f"The result would replace {source} itself: give another name.")
    check_report(report, (source, target))
    write_report(report, restorer.restore(source, target))
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
