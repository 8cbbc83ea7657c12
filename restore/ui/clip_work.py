"""The work of a job on one clip: what was asked for, and the result with what browsers play of it."""

from __future__ import annotations

import logging
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from restore.clip_pipeline import restore_in_segments, restore_partly
from restore.clip_plan import ClipOptions, ClipPlan, plan_clip, stretch_of
from restore.errors import Cancelled, RestoreError
from restore.media.clips.probe import probe
from restore.media.clips.seconds import seconds_of
from restore.progress import Progress
from restore.segments.folder import work_root
from restore.segments.run import Done
from restore.settings import Settings
from restore.stages import Stage
from restore.ui.clip_preview import PREVIEW, PREVIEW_OF_SOURCE, plays_in_browsers, unlimited, write_player
from restore.ui.results import result_values
from restore.ui.uploads import name_among_uploads

logger = logging.getLogger(__name__)

BEFORE, AFTER = "before.mp4", "after.mp4"


@dataclass(frozen=True)
class ClipWork:
    """What the visitor asked for: the clip, what is to be done with it, and what its result is called."""

    source: Path
    name: str
    stages: Sequence[Stage]
    settings: Settings
    options: ClipOptions


def options_values(options: ClipOptions, stretch: Fraction) -> dict[str, Any]:
    """What a job keeps of ``options``: what is needed to read the same part of the source again.

    ``stretch`` is how many times as long as that the result lasts.
    """
    return {
        "start": None if options.start is None else str(options.start),
        "end": None if options.end is None else str(options.end),
        "deinterlace": options.deinterlace,
        "square_pixels": options.square_pixels,
        "stretch": str(stretch),
    }


def plan_work(work: ClipWork, folder: Path) -> ClipPlan:
    """What is going to be done, with a result in ``folder``; raises at once what can be refused before the work."""
    info = probe(work.source, work.settings)
    return plan_clip(info, work.source, folder / work.name, work.stages, work.options, work.settings)


def restore_upload(work: ClipWork, progress: Progress, folder: Path) -> Generator[Done, None, dict[str, Any]]:
    """The work of a job: restore a clip, with what browsers play of source and result and the report beside it.

    One segment at a time; those that are done are kept, also for another job on the same clip with the same settings.
    """
    source, target, settings, options = work.source, folder / work.name, work.settings, work.options
    report = yield from restore_in_segments(
        source, target, work.stages, progress=progress, work=work_root(settings), **settings_of(work)
    )
    report_path = folder / f"{target.stem}_report.json"
    report.write(report_path)

    stretch = stretch_of(work.stages)
    played = played_beside(source, target, options, progress, settings)
    progress.check()
    return result_values(
        target.name,
        report.to_dict(),
        report_path.name,
        played=None if played is None else {**played, "stretch": float(stretch)},
        options=options_values(options, stretch),
    )


def restore_file(work: ClipWork, progress: Progress, folder: Path) -> Generator[Done, None, dict[str, Any]]:
    """The same for a script, which gets nothing but the file and the report."""
    report = yield from restore_in_segments(
        work.source,
        folder / work.name,
        work.stages,
        progress=progress,
        work=work_root(work.settings),
        **settings_of(work),
    )
    return {"file": work.name, "report": report.to_dict()}


def partial_result(work: ClipWork, target: Path) -> Done:
    """Write what is done so far of ``work`` to ``target``, with the sound of that part; raises ``OutputError`` where
    that is nothing yet. Whoever is at work on it goes on.
    """
    return restore_partly(work.source, target, work.stages, work=work_root(work.settings), **settings_of(work))


def settings_of(work: ClipWork) -> dict[str, Any]:
    """All that was chosen for the clip beside the chain, as the functions that restore it take it."""
    return {"settings": work.settings, **vars(work.options)}


def played_beside(
    source: Path, target: Path, options: ClipOptions, progress: Progress, settings: Settings
) -> dict[str, Any] | None:
    """What the players get: files beside ``target``, made where a browser would not play what is there already.

    None where they cannot be made, as on a full disk: the result, which may have taken hours, is worth more.
    """
    before, after, offset = None, target.name, 0.0
    try:
        info, result = probe(source, settings), probe(target, unlimited(settings))
        if plays_in_browsers(source, info):
            offset = 0.0 if options.start is None else float(seconds_of("start", options.start))
        else:
            before = BEFORE
            write_player(source, info, target.with_name(before), options, PREVIEW_OF_SOURCE, progress, settings)
        if not plays_in_browsers(target, result):
            after = AFTER
            whole = ClipOptions(deinterlace="off")
            write_player(target, result, target.with_name(after), whole, PREVIEW, progress, settings)
    except Cancelled:
        raise
    except RestoreError as error:
        logger.warning("There is nothing to play of %s: %s", target.name, error)
        return None
    return {"source": name_among_uploads(source), "before": before, "after": after, "offset": offset}
