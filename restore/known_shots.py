"""Tell stages beforehand which shot a time belongs to, where their settings name times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from restore.clip_plan import ClipPlan
from restore.colour.references import by_shot
from restore.errors import SettingsError
from restore.inference.engine import Engine
from restore.progress import FRAMES, Position
from restore.stages import Colorize, Stage

LOOK = "look"
"""What the search for cuts is called in the progress."""


def with_known_shots(plan: ClipPlan, engine: Engine) -> ClipPlan:
    """``plan`` with the numbers of shots in place of the times that its stages name.

    For that the cuts have to be known: where they were not given, the part to restore is looked through once.
    """
    if not _name_times(plan.stages):
        return plan
    cuts = _found(plan, engine) if plan.cuts is None else plan.cuts
    begin = plan.info.video.start if plan.start is None else plan.start
    # A cut counts at the frame that begins nearest to it; so one that is half a frame after the first is none.
    first = plan.since_beginning(begin) + 1 / (2 * plan.rates[0])
    numbered = _numbered(plan.stages, [plan.since_beginning(cut) for cut in cuts], first)
    return replace(plan, stages=numbered, cuts=tuple(cuts))


def frames_with_known_shots(stages: Sequence[Stage], cuts: Sequence[Fraction] | None, rate: Fraction) -> list[Stage]:
    """As ``with_known_shots``, for frames in memory that begin at zero; raises ``SettingsError`` without ``cuts``."""
    if not _name_times(stages):
        return list(stages)
    if cuts is None:
        raise SettingsError(
            "References with times need to know when shots begin before the first frame comes: give the cuts, or the "
            "references with the numbers of their shots."
        )
    return list(_numbered(stages, cuts, 1 / (2 * rate)))


def _name_times(stages: Sequence[Stage]) -> bool:
    return any(isinstance(stage, Colorize) and stage.needs_cuts for stage in stages)


def _numbered(stages: Sequence[Stage], cuts: Sequence[Fraction], begin: Fraction) -> tuple[Stage, ...]:
    return tuple(
        replace(stage, references=by_shot(stage.references, cuts, begin)) if isinstance(stage, Colorize) else stage
        for stage in stages
    )


def _found(plan: ClipPlan, engine: Engine) -> Sequence[Fraction]:
    shots = plan.shots()
    for number, _ in enumerate(plan.reader(engine.settings, shots).pictures(), 1):
        engine.progress.check()
        most = max(number, plan.counts[0]) if plan.counts[0] else 0
        engine.progress.report(Position(LOOK, 0, 1, number, most, FRAMES))
    return shots.cuts
