"""One frame for each shot of a clip, as a picture to look at, and the same as a model colours it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restore.chain import prepared
from restore.clip_plan import ClipPlan
from restore.executors import Executor
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.pipeline import memory_in_words
from restore.progress import FRAMES, Position, Progress
from restore.settings import Settings
from restore.stages import Colorize
from restore.ui.clip_preview import to_picture
from restore.ui.cut_panel import LOOK, in_the_field
from restore.ui.preview import fit, flat, load, write_picture
from restore.ui.shot_references import ShotReferences, new_file
from restore.ui.uploads import name_among_uploads

MOST_SHOTS = 60
"""Shots that are shown; a longer film is better worked on part by part."""

SIDE = 960
"""Of the pictures: more than any model looks at, and few enough to be sent to a phone."""


def look_at_shots(plan: ClipPlan, settings: Settings, progress: Progress, folder: Path) -> dict[str, Any]:
    """The work of a job: find the shots of the part that ``plan`` names, and keep the frame in the middle of each."""
    bounds = _bounds(plan, settings, progress)
    shown = []
    width = height = 1
    for number, (start, end) in enumerate(bounds[:MOST_SHOTS]):
        progress.advance(number, min(len(bounds), MOST_SHOTS), FRAMES)
        middle = (start + end) / 2
        frame = prepared(next(replace(plan, start=middle).reader(settings).frames()), plan)
        picture = fit(flat(to_picture(frame)), SIDE)
        width, height = picture.size
        shown.append(
            {
                "start": in_the_field(plan.since_beginning(start)),
                "end": in_the_field(plan.since_beginning(end)),
                "time": str(plan.since_beginning(middle)),
                "file": write_picture(picture, folder / f"shot_{number + 1:03d}").name,
            }
        )
    return {
        "shots": shown,
        "left_out": max(0, len(bounds) - MOST_SHOTS),
        "width": width,
        "height": height,
        "source": name_among_uploads(plan.source),
    }


def _bounds(plan: ClipPlan, settings: Settings, progress: Progress) -> list[tuple[Fraction, Fraction]]:
    """From when to when each shot lasts, on the clip's own clock."""
    shots, video = plan.shots(), plan.info.video
    expected = video.frames or 0 if plan.start is None and plan.end is None else 0
    first: Fraction | None = None
    last = Fraction(0)
    progress.begin(LOOK)
    for number, picture in enumerate(plan.reader(settings, shots).pictures(), 1):
        progress.check()
        progress.report(Position(LOOK, 0, 1, number, max(number, expected) if expected else 0, FRAMES))
        first = picture.pts if first is None else first
        last = picture.end
    assert first is not None, "the reader raises where there is no frame"
    cuts = [cut for cut in shots.cuts if first < cut < last]
    return list(zip([first, *cuts], [*cuts, last], strict=True))


def colour_shots(
    shots: ShotReferences,
    numbers: Sequence[int],
    stage: Colorize,
    executor: Executor,
    settings: Settings,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job: have ``stage`` colour the pictures of these shots, without references."""
    plain = replace(stage, references=())
    engine = Engine.start(settings, progress)
    for done, number in enumerate(numbers):
        picture = load(shots.frame(number), settings)
        pixels = torch.from_numpy(np.asarray(picture.convert("RGB")).copy()).permute(2, 0, 1).float() / 255
        engine.progress = progress.share(done, len(numbers))
        with memory_in_words("this frame"):
            result, _ = executor.run_chain([plain], Frame(pixels), engine)
        progress.check()
        target = new_file(shots.folder, number, "coloured")
        shots.propose(number, write_picture(to_picture(result), target))
    return {"shots_of": shots.id, "coloured": list(numbers), "warnings": list(engine.warnings)}
