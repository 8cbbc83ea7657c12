"""Clips that any browser plays, and single frames of them, made from ones that it may not: H.264 of 8 bits, no larger
than a screen.

They are for looking at only; the download is always the engine's own file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image

import restore
from restore.chain import ENCODE, prepared
from restore.clip_plan import ClipOptions, ClipPlan
from restore.executors import Executor
from restore.frame import Frame
from restore.inference.engine import Engine
from restore.media.clips.encoders import Encoding
from restore.media.clips.facts import ClipInfo
from restore.media.clips.reader import ClipReader
from restore.pipeline import memory_in_words, to_integers
from restore.progress import FRAMES, Position, Progress
from restore.settings import Settings
from restore.stages import Stage, Upscale
from restore.ui.preview import UPLOAD_SIDE, Pair, as_url, fit, flat, write_pictures

PLAYER = (1920, 1080)
"""The largest picture of a clip that is made to be played on the page."""

ENCODING = Encoding("h264", crf=20, preset="veryfast", bits=8, chroma="420")

PREVIEW, PREVIEW_OF_SOURCE = "preview", "preview_source"
"""What the work on them is called in the progress."""

POSTER_SECONDS = Fraction(1)
"""How far from the beginning the frame is taken that stands for a clip: many begin with black."""


def plays_in_browsers(path: Path, info: ClipInfo) -> bool:
    """Whether every browser of today plays this clip as it is."""
    video = info.video
    usual = video.pixel_format in ("yuv420p", "yuvj420p") and not video.alpha and max(video.width, video.height) <= 4096
    if path.suffix.lower() in (".mp4", ".m4v"):
        return usual and info.container == "mov" and video.codec == "h264"
    return usual and path.suffix.lower() == ".webm" and info.container == "matroska" and video.codec in ("vp8", "vp9")


def write_player(
    source: Path, info: ClipInfo, target: Path, options: ClipOptions, name: str, progress: Progress, settings: Settings
) -> None:
    """Write ``target``, the clip ``source`` or the part of it that ``options`` name as any browser plays it.

    ``name`` is what the work is called in the progress; raises what ``restore_video`` does.
    """

    def listen(position: Position) -> None:
        if position.stage == ENCODE and position.unit == FRAMES:
            progress.report(replace(position, stage=name, index=0, stages=1))

    restore.restore_video(
        source,
        target,
        _to_fit(info),
        options.start,
        options.end,
        progress.heard_by(listen),
        settings=unlimited(settings),
        encoding=ENCODING,
        deinterlace=options.deinterlace,
        cuts=(),
    )


def unlimited(settings: Settings) -> Settings:
    """``settings`` that let in what came out: a result may be larger than what may be uploaded."""
    return replace(settings, max_clip_bytes=2**62, max_input_pixels=settings.max_output_pixels)


def fit_player(width: int, height: int) -> tuple[int, int]:
    """The size in which a clip of this size is played: even, and no larger than ``PLAYER``."""
    factor = min(1.0, PLAYER[0] / width, PLAYER[1] / height)
    return tuple(max(2, round(length * factor / 2) * 2) for length in (width, height))  # type: ignore[return-value]


def _to_fit(info: ClipInfo) -> list[Stage]:
    width, height = info.video.display_size
    wanted = fit_player(width, height)
    return [] if wanted == (width, height) else [Upscale(strength=0, target=f"{wanted[0]}x{wanted[1]}")]


@dataclass(frozen=True)
class ShownFrame:
    """A frame before and after, its time from the beginning of the clip, and what the visitor should know."""

    pair: Pair
    time: Fraction
    warnings: tuple[str, ...]


def write_frame(plan: ClipPlan, folder: Path, progress: Progress, executor: Executor, settings: Settings) -> ShownFrame:
    """Run the chain of ``plan`` over the first frame of its part, and write that frame before and after to ``folder``.

    Raises ``RestoreError`` kinds.
    """
    engine = Engine.start(settings, progress)
    engine.untouched = plan.untouched
    frame = prepared(next(plan.reader(settings).frames()), plan)
    with memory_in_words("this frame"):
        result, _ = executor.run_chain(plan.stages, frame, engine)
    progress.check()
    pair = write_pictures(to_picture(result), lambda: to_picture(frame), folder)
    return ShownFrame(pair, plan.since_beginning(frame.pts), tuple(engine.warnings))


def first_frame(plan: ClipPlan, settings: Settings) -> PIL.Image.Image:
    """The first frame of the part that ``plan`` names, as the first stage gets it; raises ``RestoreError`` kinds."""
    return flat(to_picture(prepared(next(plan.reader(settings).frames()), plan)))


def poster(path: Path, info: ClipInfo, settings: Settings) -> str:
    """``picture_of`` as an address that holds it."""
    return as_url(fit(picture_of(path, info, settings), UPLOAD_SIDE))


def picture_of(path: Path, info: ClipInfo, settings: Settings) -> PIL.Image.Image:
    """A frame near the beginning, with square pixels; raises what ``ClipReader.frames`` does."""
    duration = info.video.duration
    start = None if duration is None else info.video.start + min(POSTER_SECONDS, duration / 2)
    frame = next(ClipReader(path, info, start=start, settings=settings).frames())
    return flat(to_picture(frame)).resize(info.video.display_size)


def to_picture(frame: Frame) -> PIL.Image.Image:
    """``frame`` as 8 bits, with its transparency if it has any."""
    picture = PIL.Image.fromarray(to_integers(frame.pixels.clamp(0, 1).permute(1, 2, 0), np.dtype(np.uint8)))
    if frame.alpha is not None:
        picture.putalpha(PIL.Image.fromarray(to_integers(frame.alpha, np.dtype(np.uint8))))
    return picture
