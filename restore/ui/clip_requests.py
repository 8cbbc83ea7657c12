"""What a script asks for with a clip, in one place for all public endpoints: the upload, the options, and the job."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from gradio.data_classes import FileData

from restore.clip_pipeline import restore_in_segments
from restore.clip_plan import ClipOptions, plan_clip
from restore.errors import LimitError
from restore.executors import Executor
from restore.jobs import Job, JobStore, Steps
from restore.media.clips.encoders import Codec, Container, Encoding
from restore.media.clips.probe import probe
from restore.media.clips.reader import Deinterlace
from restore.progress import Progress
from restore.segments.folder import work_root
from restore.settings import Settings
from restore.stages import Stage
from restore.ui.upload_kind import NO_CLIPS
from restore.ui.uploads import clip_result_name, uploaded


def clip_options(
    codec: Codec,
    crf: float | None,
    container: Container | None,
    deinterlace: Deinterlace,
    square_pixels: bool,
    start: float | str | None,
    end: float | str | None,
    cuts: Sequence[float | str] | None,
    cut_threshold: float,
) -> ClipOptions:
    """The parameters that all endpoints for clips have; ``cuts`` that are ``None`` are found."""
    encoding = Encoding(codec, crf, container=container)
    shots = "auto" if cuts is None else cuts
    return ClipOptions(start, end, encoding, deinterlace, square_pixels, shots, cut_threshold)


def given_clip(video: FileData, executor: Executor) -> Path:
    """The upload; raises ``LimitError`` where no clips are taken, and ``InputError`` for what is no upload."""
    if not executor.takes_clips:
        raise LimitError(NO_CLIPS)
    return uploaded(video, "clip")


def begin_clip(
    video: FileData,
    chain: tuple[Stage, ...],
    options: ClipOptions,
    *,
    store: JobStore,
    executor: Executor,
    settings: Settings,
) -> Job:
    """Begin the work on a clip; refuses at once what can be refused, not after a wait for others."""
    source = given_clip(video, executor)
    name = clip_result_name(source, options.encoding)
    plan_clip(probe(source, settings), source, store.root / name, chain, options, settings)
    return store.begin(partial(restore_clip, source, name, chain, options, settings), title=name)


def restore_clip(
    source: Path,
    name: str,
    chain: tuple[Stage, ...],
    options: ClipOptions,
    settings: Settings,
    progress: Progress,
    folder: Path,
) -> Steps:
    """The work of a job, one segment at a time; what it gives are values for JSON, with the file by its name."""
    report = yield from restore_in_segments(
        source, folder / name, chain, progress=progress, work=work_root(settings), settings=settings, **vars(options)
    )
    return {"file": name, "report": report.to_dict()}
