"""One frame made between two of a clip, with these two and with what merely mixing them would give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import PIL.Image

from restore.chain import prepared
from restore.clip_plan import ClipPlan
from restore.errors import InputError
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.interpolation.duplicates import Found, evenly, without_copies
from restore.pipeline import memory_in_words
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Interpolate
from restore.stages.untouched import Untouched
from restore.ui.clip_preview import to_picture
from restore.ui.preview import Pair, flat, write_picture, write_pictures


@dataclass(frozen=True)
class RealFrame:
    """A frame of the clip as a file, and its time from the beginning of the clip."""

    file: Path
    time: Fraction


@dataclass(frozen=True)
class ShownBetween:
    """Files of one size: the two real frames, and the pair of their mixture (before) and of the frame that was made.

    ``made`` is false where one of the two is shown in its place, and ``cut`` says that this is because a shot ends
    there. ``notes`` are sentences on the choice of the model.
    """

    first: RealFrame
    second: RealFrame
    pair: Pair
    made: bool
    cut: bool
    notes: tuple[str, ...]


def write_between(
    plan: ClipPlan,
    stage: Interpolate,
    moment: Fraction,
    position: Fraction,
    folder: Path,
    progress: Progress,
    settings: Settings,
) -> ShownBetween:
    """Make what ``stage`` shows at ``position`` in (0, 1) between the two frames around ``moment``, into ``folder``.

    ``moment`` is on the clip's own clock, within the part that ``plan`` names. Raises ``RestoreError`` kinds.
    """
    engine = replace(Engine.start(settings, progress), rate=plan.rates[0])
    progress.begin(stage.stage)
    opened = stage.open(engine)
    notes = opened.notes  # on the choice, as long as nothing was made
    frames: Iterable[Frame] = (prepared(frame, plan) for frame in plan.reader(settings, plan.shots()).frames())
    if stage.duplicates == "resample":
        frames = evenly(without_copies(frames, Found()), 1 / plan.rates[0])
    first, second = _around(frames, moment, plan.source.name)
    progress.check()
    with memory_in_words("this frame"):
        if settings.lender is not None and opened.models:
            shown = settings.lender.shown_between(opened, first, second, position, engine)
        else:
            shown = opened.shown_between(first, second, position, engine)
    if plan.untouched:
        nearer = second if position >= Fraction(1, 2) else first
        shown = Untouched(opened, plan.untouched).spared(shown, nearer)
    progress.check()
    mixed = replace(first, pixels=first.pixels.lerp(second.pixels, float(position)))
    pair = write_pictures(to_picture(shown), lambda: to_picture(mixed), folder)

    def real(frame: Frame, name: str) -> RealFrame:
        picture = flat(to_picture(frame))
        if picture.size != (pair.width, pair.height):
            picture = picture.resize((pair.width, pair.height), PIL.Image.Resampling.LANCZOS)
        return RealFrame(write_picture(picture, folder / name), plan.since_beginning(frame.pts))

    return ShownBetween(
        real(first, "first"),
        real(second, "second"),
        pair,
        made=all(shown.pixels is not frame.pixels for frame in (first, second)),
        cut=first.shot != second.shot,
        notes=notes,
    )


def _around(frames: Iterable[Frame], moment: Fraction, name: str) -> tuple[Frame, Frame]:
    """The frame that is shown at ``moment`` and the one after it, or the last two; raises ``InputError`` for one."""
    first: Frame | None = None
    second: Frame | None = None
    for frame in frames:
        first, second = second, frame
        if first is not None and frame.pts > moment:
            break
    if first is None or second is None:
        raise InputError(f"{name} has one frame only there: nothing can be made between two.")
    return first, second
