"""What a job on a clip keeps of what was asked for, and what is made of that: the work again, or what is done of it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from restore.clip_plan import ClipOptions
from restore.errors import InputError
from restore.jobs import Function, Job, JobStore, Lasting, Steps
from restore.media.clips.encoders import Encoding
from restore.progress import Progress
from restore.segments.run import Done
from restore.settings import Settings
from restore.stages import RECIPE_VERSION, Colorize, Stage, parse_steps
from restore.ui.clip_work import ClipWork, partial_result, restore_file, restore_upload
from restore.ui.film_live import restore_film
from restore.ui.uploaded_references import as_kept, kept_references
from restore.ui.uploads import keep_longer, name_among_uploads, still_there

Run = Callable[[ClipWork, Progress, Path], Steps]
"""The work of a job."""

RUNS: Mapping[str, Run] = {"file": restore_file, "clip": restore_upload, "film": restore_film}
"""The ways in which a job can restore a clip, by the names that are kept of them."""

CHOSEN = ("precision", "tile")
"""Settings that a visitor may choose for one run; all others are those of the server."""

STEM = "so_far_"
PLAYED_SECONDS = 600
"""How long a file with what was done so far is there for whoever plays it, after a newer one has been made."""


def lasting(work: ClipWork, run: str) -> Lasting:
    """The work of a job that can be taken up again; ``run`` is one of ``RUNS``."""
    options = work.options
    asked = {
        "run": run,
        "source": name_among_uploads(work.source),
        "name": work.name,
        "version": RECIPE_VERSION,
        "steps": [_as_kept(stage) for stage in work.stages],
        "options": {
            **{name: _plain(value) for name, value in vars(options).items()},
            "encoding": dict(vars(options.encoding)),
        },
        "settings": {name: getattr(work.settings, name) for name in CHOSEN},
    }
    return Lasting(partial(_run, RUNS[run], work), asked)


def resume(store: JobStore, id: str, settings: Settings) -> Job:
    """Let a job that was paused, or that failed, go on; raises what ``JobStore.resume`` does."""

    def make(asked: Mapping[str, Any]) -> Function:
        return partial(_run, RUNS[asked["run"]], work_of(asked, settings))

    return store.resume(id, make)


def work_of(asked: Mapping[str, Any], settings: Settings) -> ClipWork:
    """The work that ``lasting`` described; raises ``InputError`` where its clip is not kept any more."""
    source = still_there(asked["source"])
    if source is None:
        raise InputError(
            "The clip that this job was begun with is not kept any more: upload it again and run the same, and what "
            "is done of it is not done again."
        )
    options = {**asked["options"], "encoding": Encoding(**asked["options"]["encoding"])}
    steps = {"version": asked["version"], "steps": [_step(kept) for kept in asked["steps"]]}
    own = replace(settings, **asked["settings"])
    return ClipWork(source, asked["name"], parse_steps(steps), own, ClipOptions(**options))


def join_so_far(job: Job, settings: Settings) -> tuple[Path, Done]:
    """A file with what is done so far of a clip, whether the job waits, runs or has ended, and how much that is.

    Raises ``InputError`` for a job that is none on a clip, and ``OutputError`` where nothing is done yet.
    """
    if job.asked is None:
        raise InputError("Of this job there is nothing to be seen before it has finished.")
    work = work_of(job.asked, settings)
    for older in job.folder.glob(f"{STEM}*"):
        if time.time() - older.stat().st_mtime > PLAYED_SECONDS:
            older.unlink(missing_ok=True)
    # A name of its own, because somebody may be playing what was done a while ago.
    target = job.folder / f"{STEM}{secrets.token_hex(4)}{Path(work.name).suffix}"
    return target, partial_result(work, target)


def _run(run: Run, work: ClipWork, progress: Progress, folder: Path) -> Steps:
    """The work of a job; in the end nothing is there of what was shown meanwhile."""
    try:
        with closing(run(work, progress, folder)) as steps:
            while True:
                keep_longer(work.source)  # which may be older, by the end of the work, than uploads become
                yield next(steps)
    except StopIteration as end:
        result: Mapping[str, Any] = end.value
        return result
    finally:
        for file in folder.glob(f"{STEM}*"):
            file.unlink(missing_ok=True)


def _as_kept(stage: Stage) -> dict[str, Any]:
    """A step of a recipe, with the places of its references, of which a recipe that anybody sees says nothing."""
    values = stage.to_dict()
    return {**values, "references": as_kept(stage.references)} if isinstance(stage, Colorize) else values


def _step(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The step of which ``_as_kept`` made ``kept``."""
    values = dict(kept)
    return {**values, "references": kept_references(values["references"])} if "references" in values else values


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Fraction):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
