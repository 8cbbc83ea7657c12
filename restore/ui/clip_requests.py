"""What a script asks for with a clip, in one place for all public endpoints: the upload, the options, and the job."""

from __future__ import annotations

from collections.abc import Sequence

from gradio.data_classes import FileData

from restore.clip_plan import ClipOptions
from restore.jobs import Job, JobStore
from restore.media.clips.encoders import Codec, Container, Encoding
from restore.media.clips.reader import Deinterlace
from restore.settings import Settings
from restore.stages import Stage
from restore.ui.clip_again import lasting
from restore.ui.clip_work import ClipWork, plan_work
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
    untouched: Sequence[str] | None,
) -> ClipOptions:
    """The parameters that all endpoints for clips have; ``cuts`` that are ``None`` are found."""
    encoding = Encoding(codec, crf, container=container)
    shots = "auto" if cuts is None else cuts
    return ClipOptions(start, end, encoding, deinterlace, square_pixels, shots, cut_threshold, untouched or ())


def begin_clip(
    video: FileData,
    chain: tuple[Stage, ...],
    options: ClipOptions,
    *,
    store: JobStore,
    settings: Settings,
) -> Job:
    """Begin the work on a clip; refuses at once what can be refused, not after a wait for others."""
    source = uploaded(video, "clip")
    name = clip_result_name(source, options.encoding)
    work = ClipWork(source, name, chain, settings, options)
    plan_work(work, store.root)
    return store.begin(lasting(work, "file"), title=name)
