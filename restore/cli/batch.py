"""Every picture and clip of a folder, going on past those that fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restore.cli import FAILED, OK
from restore.cli.single import Restorer, check_report, write_report
from restore.cli.terminal import Unheard, say
from restore.errors import Cancelled, OutputError, RestoreError, SettingsError

if TYPE_CHECKING:
    from restore.cli.folders import Task


def run_folder(restorer: Restorer, source: Path, target: Path, report: Path | None) -> int:
    """Restore every picture and clip below ``source`` into ``target``, going on past those that fail."""
    from restore.cli.folders import are_one, assign, is_folder, is_there, list_files

    if is_there(target) and not is_folder(target):
        raise SettingsError(f"{source} is a folder and {target} is not: give a folder for the results.")
    listing = list_files(source, leave_out=None if are_one(target, source) else target)
    tasks = assign(listing.files, source, target, restorer.codec)
    done = Done()
    try:
        done.made += make_folder(target)
        check_report(report, [source, *(path for task in tasks for path in (task.source, task.target))])
        for folder, problem in listing.unreadable.items():
            done.fail(folder, problem)
        for number, task in enumerate(tasks, start=1):
            restorer.bars.label = f"[{number}/{len(tasks)}] {task.source.name}"
            try:
                done.rows.append(run_task(restorer, task, done.made))
            except (Cancelled, SettingsError, Unheard):  # these concern every file
                raise
            except RestoreError as error:
                done.fail(task.source, error)
    except Cancelled as error:
        raise Cancelled(f"Stopped: {done.good} of {len(tasks)} files are finished, no other was written.") from error
    finally:
        try:
            if done.rows:
                write_report(report, {"files": done.rows})
        finally:
            done.end()
    if done.failures:
        failed = f"{len(tasks) - done.good} of {len(tasks)} files failed"
        closed = f"; folders that cannot be read: {len(listing.unreadable)}" if listing.unreadable else ""
        say(f"{failed}{closed}.")
    return FAILED if done.failures else OK


@dataclass
class Done:
    """What became of a folder so far: the rows of its report, what failed, and the folders that were made for it."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    made: list[Path] = field(default_factory=list)

    @property
    def good(self) -> int:
        return len(self.rows) - len(self.failures)

    def fail(self, source: Path, error: RestoreError) -> None:
        """Note that ``source`` was not restored."""
        self.failures.append(f"{source}: {error}")
        self.rows.append({"source": str(source), "error": {"kind": type(error).__name__, "message": str(error)}})

    def end(self) -> None:
        """Say what failed, and remove the folders that were made and stayed empty."""
        remove_empty(self.made[::-1])
        for failure in self.failures:
            say(failure)


def run_task(restorer: Restorer, task: Task, made: list[Path]) -> dict[str, Any]:
    """Restore one file of a folder; its row of the report. The folders that had to be made are added to ``made``."""
    restorer.progress.check()
    if task.error is not None:
        raise task.error
    made += make_folder(task.target.parent)
    # The report of a file has its name only, and two sub-folders may hold the same names.
    report = restorer.restore(task.source, task.target, task.apart)
    return report | {"source": str(task.source), "target": str(task.target)}


def make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` with its parents; those that were not there before, outermost first. Raises ``OutputError``."""
    from restore.cli.folders import is_there

    missing = [path for path in (folder, *folder.parents) if not is_there(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remove_empty(missing)
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return missing[::-1]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of ``folders`` that are there and have nothing in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
