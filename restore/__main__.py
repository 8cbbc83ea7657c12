"""The command line: ``python -m restore run``, ``models`` and ``fetch``.

Results go to standard output, everything else to standard error. Nothing heavy is imported before it is needed, so that
help and the list of models come at once.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from tqdm import tqdm

import restore
from restore import catalog
from restore.catalog import Checkpoint
from restore.errors import Cancelled, OutputError, RestoreError, SettingsError, WeightsError
from restore.progress import Position, Progress
from restore.settings import PRECISIONS, Settings, load_settings

if TYPE_CHECKING:
    from restore.folders import Task

OK, FAILED, USAGE = 0, 1, 2
STOPPED = 128  # plus the number of the signal, as a shell has it: 130 after Ctrl-C

DEFAULT_STEPS: Sequence[Mapping[str, Any]] = ({"stage": "upscale", "model": "auto"},)


class Unheard(OutputError):
    """Standard output takes no more; unlike a file that cannot be written, this concerns every picture."""


def say(message: str) -> None:
    """One line for the person at the terminal, above the bar that is being drawn."""
    with suppress(OSError):  # nobody is left to be told, and the exit code is still to be the right one
        tqdm.write(f"restore: {message}", file=sys.stderr)


def put(text: str = "", end: str = "\n") -> None:
    """Write ``text`` to standard output at once; raises ``Unheard``, or ``BrokenPipeError`` if its reader has gone."""
    try:
        print(text, end=end, flush=True)
    except OSError as error:
        # What is still in the buffer would be tried again when the process ends.
        with suppress(io.UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise Unheard(f"Standard output cannot be written to: {error.strerror}.") from error


def open_streams() -> None:
    """Make standard output and error usable where they are closed, and able to name any file."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # This also takes the descriptor, which the next file would get and with it what C libraries print.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (open until the process ends)
        # A file name need not be text in the terminal's encoding; it is to come out as it went in.
        getattr(sys, name).reconfigure(errors="surrogateescape")


class Lines(logging.Handler):
    """Show log records as lines, each text once: what is wrong with one picture of a folder is often wrong with all."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if text not in self._said:
            self._said.add(text)
            say(text)


@contextmanager
def logging_to(handler: logging.Handler) -> Iterator[None]:
    """Send the log records of every library to ``handler``."""
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)


# --- progress and signals --------------------------------------------------------------------------------------------


class Bars:
    """A listener that draws one bar for each stage; ``label`` goes before its name."""

    def __init__(self) -> None:
        self.label = ""
        self._bar: tqdm[NoReturn] | None = None
        self._key: tuple[int, str, str] | None = None

    def __call__(self, position: Position) -> None:
        key = (position.index, position.stage, position.unit)
        if key != self._key or self._bar is None or position.done < self._bar.n:
            self.close()
            self._key, self._bar = key, self._open(position)
        self._bar.total = position.total
        self._bar.update(position.done - self._bar.n)

    def _open(self, position: Position) -> tqdm[NoReturn]:
        number = f" ({position.index + 1}/{position.stages})" if position.stages > 1 else ""
        size = position.unit == "bytes"
        # A terminal without a size, as containers have it, would get empty lines.
        sized = os.get_terminal_size(sys.stderr.fileno()).columns > 0
        words = (self.label, f"{position.stage}{number}", "download" if size else "")
        return tqdm(
            desc=" ".join(word for word in words if word),
            total=position.total,
            unit="B",
            unit_scale=True,
            # Pixels and tiles say less to a person than the time that is left; bytes do, with their rate.
            bar_format=None if size else "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
            dynamic_ncols=sized,
            ncols=None if sized else 80,
            nrows=None if sized else 24,
            file=sys.stderr,
        )

    def close(self) -> None:
        """Finish the bar that is being drawn, if there is one."""
        if self._bar is not None:
            self._bar.close()
        self._bar = self._key = None


@dataclass
class Stop:
    """The signal that asked this process to stop, if one did."""

    signal: int | None = None


@contextmanager
def stoppable(progress: Progress) -> Iterator[Stop]:
    """Let the first SIGINT or SIGTERM ask ``progress`` to stop.

    A second one raises ``KeyboardInterrupt`` where the program just is, so that it tidies up at least; a third one ends
    the process whatever it does.
    """
    stop = Stop()
    # A signal that the parent had ignored (nohup, a job in the background) stays ignored.
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]

    def ask(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        progress.cancel()
        for each in ours:
            signal.signal(each, insist)

    def insist(number: int, frame: FrameType | None) -> None:
        for each in ours:
            signal.signal(each, signal.SIG_DFL)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in ours}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- run -------------------------------------------------------------------------------------------------------------


def read_steps(text: str) -> list[Any] | dict[str, Any]:
    """The steps in ``text``: JSON itself, or the path of a file with it (``@`` before the path is allowed).

    Raises ``SettingsError`` if it cannot be read or is neither a list of steps nor a recipe.
    """
    where = "--steps"
    if not text.lstrip().startswith(("[", "{")):
        path = Path(text.removeprefix("@"))
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")  # Windows begins text files with a byte-order mark
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
            raise SettingsError(
                f"--steps is neither JSON (a list in [brackets]) nor a file that can be read: {where}: {reason}."
            ) from error
    try:
        steps = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = (
            f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "as a whole"
        )
        problem = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise SettingsError(f"{where} is not valid JSON: {problem} ({place}).") from error
    if not isinstance(steps, list | dict):
        raise SettingsError(f'{where} must be a list of steps, such as [{{"stage": "upscale"}}], or a recipe.')
    return steps


def chosen_steps(arguments: argparse.Namespace) -> Sequence[Any]:
    """The validated steps that the options ask for."""
    from restore.stages import parse_steps

    shortcut = {"model": arguments.model, "scale": arguments.scale}
    given = {name: value for name, value in shortcut.items() if value is not None}
    if arguments.steps is not None and given:
        raise SettingsError(f"--{' and --'.join(given)} cannot be combined with --steps: put it into the steps.")
    if arguments.steps is not None:
        return parse_steps(read_steps(arguments.steps))
    return parse_steps([{**DEFAULT_STEPS[0], **given}])


@dataclass(frozen=True)
class Job:
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


def run_file(job: Job, source: Path, target: Path, report: Path | None) -> int:
    """Restore one picture."""
    from restore.folders import are_one, is_folder, result_name

    if is_folder(target):
        target = target / result_name(source)
    if are_one(target, source):
        raise SettingsError(f"The result would replace {source} itself: give another name.")
    check_report(report, (source, target))
    write_report(report, job.restore(source, target))
    return OK


def run_folder(job: Job, source: Path, target: Path, report: Path | None) -> int:
    """Restore every picture below ``source`` into ``target``, going on past those that fail."""
    from restore.folders import are_one, assign, is_folder, is_there, list_pictures

    if is_there(target) and not is_folder(target):
        raise SettingsError(f"{source} is a folder and {target} is not: give a folder for the results.")
    listing = list_pictures(source, leave_out=None if are_one(target, source) else target)
    tasks = assign(listing.pictures, source, target)
    done = Done()
    try:
        done.made += make_folder(target)
        check_report(report, [source, *(path for task in tasks for path in (task.source, task.target))])
        for folder, problem in listing.unreadable.items():
            done.fail(folder, problem)
        for number, task in enumerate(tasks, start=1):
            job.bars.label = f"[{number}/{len(tasks)}] {task.source.name}"
            try:
                done.rows.append(run_task(job, task, done.made))
            except (Cancelled, SettingsError, Unheard):  # these concern every picture
                raise
            except RestoreError as error:
                done.fail(task.source, error)
    except Cancelled as error:
        raise Cancelled(f"Stopped: {done.good} of {len(tasks)} pictures are finished, no other was written.") from error
    finally:
        try:
            if done.rows:
                write_report(report, {"files": done.rows})
        finally:
            done.end()
    if done.failures:
        failed = f"{len(tasks) - done.good} of {len(tasks)} pictures failed"
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


def run_task(job: Job, task: Task, made: list[Path]) -> dict[str, Any]:
    """Restore one picture of a folder; its row of the report. The folders that had to be made are added to ``made``."""
    job.progress.check()
    if task.error is not None:
        raise task.error
    made += make_folder(task.target.parent)
    # The report of a picture has its name only, and two sub-folders may hold the same names.
    return job.restore(task.source, task.target) | {"source": str(task.source), "target": str(task.target)}


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of ``folders`` that are there and have nothing in them."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def make_folder(folder: Path) -> list[Path]:
    """Make ``folder`` with its parents; those that were not there before, outermost first. Raises ``OutputError``."""
    from restore.folders import is_there

    missing = [path for path in (folder, *folder.parents) if not is_there(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        remove_empty(missing)
        raise OutputError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return missing[::-1]


def run(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``run``."""
    from restore.folders import is_folder

    if not arguments.source or not arguments.target:  # pathlib takes no name for the current folder
        raise SettingsError("The name of IN or OUT is empty: give a picture or a folder for each.")
    source, target = Path(arguments.source), Path(arguments.target)
    report = None if arguments.report is None else Path(arguments.report)
    settings = load_settings()
    if arguments.device is not None:
        settings = replace(settings, device=arguments.device)
    if arguments.precision is not None:
        settings = replace(settings, precision=arguments.precision)
    job = Job(chosen_steps(arguments), settings, progress, bars, arguments.quiet)
    return (run_folder if is_folder(source) else run_file)(job, source, target, report)


# --- models and fetch ------------------------------------------------------------------------------------------------


def scale_of(entry: Checkpoint) -> int | None:
    """How many times a model enlarges, or ``None`` for one that does not; from the catalogue, without its network."""
    # The published networks say it in their arguments; ours has it in its name, because it can do nothing else.
    known = entry.arguments.get("scale", entry.arguments.get("upscale"))
    return {"compact-x4": 4}.get(entry.network) if known is None else int(known)


def describe(entry: Checkpoint, settings: Settings) -> dict[str, Any]:
    """What ``models`` tells about a model: plain values, ready for JSON."""
    from restore import weights

    try:
        found = weights.find(entry, settings)
        problem = None
    except WeightsError as error:
        found, problem = None, str(error)
    return {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "stages": list(entry.stages),
        "scale": scale_of(entry),
        "licence": entry.licence,
        "commercial": entry.commercial,
        "size": found.path.stat().st_size if found else entry.size,
        "source": entry.source,
        "file": str(found.path) if found else None,
        "origin": found.use.origin if found else None,
        "verified": found.use.verified if found else None,
        "problem": problem,
    }


def on_disk(row: Mapping[str, Any]) -> str:
    """The last column of the table of models."""
    if row["problem"]:
        return "damaged"
    if row["origin"] is None:
        return "no"
    return "yes" if row["origin"] == "built-in" or row["verified"] else "yes (unverified)"


def models(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``models``."""
    settings = load_settings()
    rows = [describe(entry, settings) for entry in catalog.checkpoints().values()]
    if arguments.json:
        put(json.dumps(rows, indent=2, ensure_ascii=False))
        return OK
    table = [("NAME", "STAGES", "SCALE", "SIZE", "ON DISK", "LICENCE")]
    for row in rows:
        licence = row["licence"] + ("" if row["commercial"] else " (non-commercial)")
        scale = f"x{row['scale']}" if row["scale"] else "-"
        size = f"{row['size'] / 1e6:.1f} MB" if row["size"] else "-"
        table.append((row["name"], ", ".join(row["stages"]) or "-", scale, size, on_disk(row), licence))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        put("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if row["problem"]:
            say(row["problem"])
    return OK


def with_companions(names: Sequence[str]) -> list[Checkpoint]:
    """The models of these names, each followed by those it works with; raises ``SettingsError`` for an unknown name."""
    wanted: dict[str, Checkpoint] = {}
    for name in names:
        entry = catalog.checkpoint(name)
        for each in (entry, *(catalog.checkpoint(other) for other in entry.companions.values())):
            wanted.setdefault(each.name, each)
    return list(wanted.values())


def fetch(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``fetch``: download models, going on past those that cannot be had."""
    from restore import weights

    if bool(arguments.models) == arguments.all:
        raise SettingsError("Give the names of models or --all; `python -m restore models` lists them.")
    settings = load_settings()
    failures: list[str] = []
    for entry in with_companions(list(catalog.checkpoints()) if arguments.all else arguments.models):
        progress.begin(entry.name)
        try:
            found = weights.obtain(entry, settings, progress)
        except WeightsError as error:
            failures.append(str(error))
            continue
        finally:
            bars.close()
        if not arguments.quiet:
            put(str(found.path))
            if not entry.commercial:
                say(f"{entry.name} must not be used commercially ({entry.licence}).")
    for failure in failures:
        say(failure)
    return FAILED if failures else OK


# --- the command line itself -----------------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        say(f"{message}; see {self.prog} --help")
        sys.exit(USAGE)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End after --help or --version, whose text is still in the buffer."""
        try:
            put(end="")
        except Unheard as error:
            say(str(error))
            status = FAILED
        except BrokenPipeError:
            status = FAILED
        super().exit(status, message)


RUN_HELP = """\
IN is a picture or a folder. A folder is worked through with its sub-folders and OUT is then a folder, made if it is not
there; pictures keep their format (HEIC and GIF become PNG), and one that fails does not stop the others.

examples:
  python -m restore run old.jpg new.png
  python -m restore run old.jpg new.png --model built-in --scale 2
  python -m restore run scans/ restored/ --report report.json
  python -m restore run old.jpg new.png --steps '[{"stage": "upscale", "model": "built-in", "scale": 4}]'
  python -m restore run old.jpg new.png --steps recipe.json

exit code: 0 all is done, 1 something failed, 2 wrong options, 130 stopped by Ctrl-C
"""


def parser() -> Parser:
    """The options of all commands."""
    top = Parser(prog="python -m restore", description="Restore old photos.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"restore {restore.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[..., int], text: str, epilog: str = "") -> Parser:
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        made.set_defaults(run=run, quiet=False)
        made.add_argument("--debug", action="store_true", help="show where in the program an error came from")
        return made

    one = command("run", run, "restore a picture, or every picture in a folder", RUN_HELP)
    one.add_argument(
        "source", metavar="IN", help="a picture (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC) or a folder of them"
    )
    one.add_argument("target", metavar="OUT", help="the result; its suffix says its format")
    one.add_argument(
        "--steps",
        metavar="JSON|FILE",
        help="what to do: a list of steps or a recipe, as JSON or as a file with it (one upscale with the best model)",
    )
    one.add_argument("--model", metavar="NAME", help="short for one upscale with this model; see `models` (auto)")
    one.add_argument("--scale", type=float, metavar="N", help="short for one upscale, N times as large, 1 to 8 (4)")
    one.add_argument("--report", metavar="FILE", help="write what was done, with which models and how long, as JSON")
    one.add_argument("--device", type=str.lower, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps (auto)")
    one.add_argument("--precision", choices=PRECISIONS, help="arithmetic of the networks (auto)")
    one.add_argument("--quiet", action="store_true", help="say nothing but errors")

    listing = command("models", models, "list the models, their licences, and which of them are on this machine")
    listing.add_argument("--json", action="store_true", help="as JSON, with more about each")

    getting = command("fetch", fetch, "download models, so that they are there when they are needed")
    getting.add_argument("models", metavar="MODEL", nargs="*", help="a name that `models` lists")
    getting.add_argument("--all", action="store_true", help="every model")
    getting.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run the command in ``words`` (those of the process by default); the exit code."""
    open_streams()
    arguments = parser().parse_args(words)
    bars = Bars()
    progress = Progress(bars if sys.stderr.isatty() and not arguments.quiet else None)
    lines = Lines(logging.ERROR if arguments.quiet else logging.WARNING)
    with stoppable(progress) as stop, logging_to(lines):
        try:
            code: int = arguments.run(arguments, progress, bars)
            return code
        except BrokenPipeError:  # whoever read our output has gone, as `head` does; nobody is left to be told
            return FAILED
        except KeyboardInterrupt:
            say("Stopped at once.")
            return STOPPED + (stop.signal or signal.SIGINT)
        except Exception as error:
            if arguments.debug:
                raise
            if isinstance(error, Cancelled):
                say(str(error))
                return STOPPED + (stop.signal or signal.SIGINT)
            if isinstance(error, RestoreError):
                say(str(error))
                return USAGE if isinstance(error, SettingsError) else FAILED
            say(f"a fault in this program, please report it: {type(error).__name__}: {error} (--debug tells more)")
            return FAILED


if __name__ == "__main__":
    sys.exit(main())
