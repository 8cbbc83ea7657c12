"""Segments into one file: their packets one after the other, with the sound and all else of the source beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av

from restore.chain import RECIPE
from restore.clip_plan import ClipPlan
from restore.errors import OutputError
from restore.media.clips.clip_file import ClipFile
from restore.media.clips.containers import open_clip
from restore.media.clips.streams import OtherStreams
from restore.segments.folder import Record, Shelf
from restore.settings import Settings
from restore.stages import recipe


def join(
    plan: ClipPlan, shelf: Shelf, records: Sequence[Record], settings: Settings, check: Callable[[], None]
) -> ClipFile:
    """Write the segments ``records``, which follow each other from the first one on, to ``plan.target``.

    Where they are not all, the sound ends with the last of them. ``check`` is called for every packet, and may raise to
    stop. Returned is the file, which says what became of the source. Raises ``OutputError``.
    """
    filled = [record for record in records if record.times]
    if not filled:
        raise OutputError("There is not one frame yet to put into a file.")
    header = _common_header(shelf, filled)
    with ExitStack() as stack:
        others = None
        if plan.info.has_streams:
            container = stack.enter_context(open_clip(plan.source, settings))
            others = OtherStreams(
                container,
                plan.info,
                plan.encoder.container,
                plan.start,
                records[-1].bounds.end or plan.end,
                stretch=plan.stretch,
                keeps_sound=plan.keeps_sound,
            )
        words = {RECIPE: json.dumps(recipe(plan.stages))}
        file = ClipFile(plan.target, plan.encoder, others, start=plan.zero, words=words, check=check)
        with file:
            file.open(filled[0].times[0][0], header)
            delay = max(record.delay for record in filled)
            for record, times in zip(filled, shown(filled), strict=True):
                _mux(file, shelf.clip(record.bounds.number), record, times, delay)
    return file


def shown(records: Sequence[Record]) -> list[tuple[tuple[Fraction, Fraction], ...]]:
    """When each frame of each of ``records`` is shown and for how long: the last one of each until the next begins."""
    times = [record.times for record in records]
    for place, (earlier, later) in enumerate(pairwise(records)):
        pts, _ = earlier.times[-1]
        times[place] = (*earlier.times[:-1], (pts, later.times[0][0] - pts))
    return times


def _mux(file: ClipFile, path: Path, record: Record, times: Sequence[tuple[Fraction, Fraction]], delay: int) -> None:
    numbers = [file.place(pts, duration) for pts, duration in times]
    with av.open(str(path)) as source:
        packets = (packet for packet in source.demux(source.streams.video[0]) if packet.size)
        for packet, number in zip(packets, record.order, strict=True):
            file.mux(packet, numbers[number], delay)


def order_of(path: Path) -> tuple[int, ...]:
    """The numbers of the frames of the segment at ``path``, counted as they are shown, in the order of its packets."""
    with av.open(str(path)) as source:
        times = [packet.pts for packet in source.demux(source.streams.video[0]) if packet.size]
    ranks = {pts: rank for rank, pts in enumerate(sorted(times, key=lambda pts: pts or 0))}
    return tuple(ranks[pts] for pts in times)


def _common_header(shelf: Shelf, records: Sequence[Record]) -> bytes | None:
    """What describes the packets of all of ``records``; raises ``OutputError`` where they differ in it."""
    headers = set()
    for record in records:
        with av.open(str(shelf.clip(record.bounds.number))) as source:
            headers.add(source.streams.video[0].codec_context.extradata)
    if len(headers) > 1:
        raise OutputError(
            "The segments of this clip were made by encoders that do not agree, and cannot be joined: begin anew, with "
            "--no-resume or another quality."
        )
    return headers.pop()
