"""One clip that shows two side by side: the source enlarged on the left, the result on the right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from restore.clip_plan import ClipPlan
from restore.frame import Frame
from restore.inference.resample import lanczos
from restore.media.clips.containers import open_clip
from restore.media.clips.encoders import Picture, plan_encoding
from restore.media.clips.planes import layout_of
from restore.media.clips.probe import probe
from restore.media.clips.reader import ClipReader
from restore.media.clips.streams import OtherStreams
from restore.media.clips.writer import ClipWriter
from restore.progress import FRAMES, Position, Progress
from restore.settings import Settings
from restore.streaming import ahead
from restore.ui.clip_preview import ENCODING, fit_player, unlimited

STAGE = "compare"
"""What the work is called in the progress."""

AHEAD = 2
"""Decoded frames of each clip that wait."""


def write_side_by_side(
    plan: ClipPlan,
    result: Path,
    target: Path,
    progress: Progress,
    settings: Settings,
    stretch: Fraction = Fraction(1),
) -> None:
    """Write ``target``: the part of the source that ``plan`` names beside ``result``, which was made of it.

    ``stretch`` is how many times as long the result lasts. Each frame of it stands beside that of the source which is
    shown then; the sound is the result's. Raises ``RestoreError`` kinds.
    """
    ours = unlimited(settings)
    info = probe(result, ours)
    reader = ClipReader(result, info, deinterlace="off", settings=ours)
    width, height = fit_player(*info.video.display_size)
    encoder = plan_encoding(
        ENCODING,
        target,
        Picture(
            2 * width,
            height,
            layout_of("yuv420p"),
            reader.colour,
            info.video.frame_rate,
            info.video.time_base,
        ),
    )
    with ExitStack() as stack:
        sources = stack.enter_context(closing(ahead(plan.reader(ours).frames(), AHEAD, check=progress.check)))
        results = stack.enter_context(closing(ahead(reader.frames(), AHEAD, check=progress.check)))
        container = stack.enter_context(open_clip(result, ours))
        others = OtherStreams(container, info, encoder.container, None, None)
        writer = stack.enter_context(ClipWriter(target, encoder, others, check=progress.check))
        for number, (before, after) in enumerate(_together(sources, results, stretch), 1):
            halves = [_on_white(frame, width, height) for frame in (before, after)]
            writer.write(replace(after, pixels=torch.cat(halves, dim=2), alpha=None))
            progress.report(Position(STAGE, 0, 1, number, max(number, info.video.frames or 0), FRAMES))


def _together(sources: Iterator[Frame], results: Iterator[Frame], stretch: Fraction) -> Iterator[tuple[Frame, Frame]]:
    """Every result with the source that is shown when it begins; both clips begin at the same moment."""
    source = next(sources)
    following = next(sources, None)
    begin: tuple[Fraction, Fraction] | None = None
    for result in results:
        if begin is None:
            begin = source.pts, result.pts
        # Well inside both frames, because files round their times.
        inside = min(result.duration / stretch, source.duration) / 2
        moment = begin[0] + (result.pts - begin[1]) / stretch + inside
        while following is not None and following.pts <= moment:
            source, following = following, next(sources, None)
        yield source, result


def _on_white(frame: Frame, width: int, height: int) -> Tensor:
    pixels = frame.pixels if frame.alpha is None else torch.ones(1).lerp(frame.pixels, frame.alpha)
    return pixels if (frame.width, frame.height) == (width, height) else lanczos(pixels, height, width)
