"""The public endpoints for whole chains over clips: run one and wait for it, begin one, or ask what it would take.

As in ``api``, whose jobs these are too, names, parameters and defaults are a contract that ``tests/snapshots`` holds.
"""

# No ``from __future__ import annotations`` here: Gradio derives the schema of an endpoint from the types themselves.

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from gradio.data_classes import FileData
from gradio.events import api

from restore.estimates import estimate as estimate_clip
from restore.jobs import Job, JobStore
from restore.media.clips.encoders import Codec, Container, Encoding
from restore.media.clips.reader import Deinterlace
from restore.settings import Settings
from restore.ui.api import PROBES_AT_ONCE, Result, answers_of, give_result_type, state_of
from restore.ui.clip_requests import begin_clip as begin_clip_job
from restore.ui.clip_requests import clip_options
from restore.ui.errors import to_api_error
from restore.ui.http_steps import steps_over_http
from restore.ui.uploads import clip_result_name, uploaded

Steps = list[dict[str, Any] | str] | dict[str, Any] | str

ESTIMATES_AT_ONCE = 1
"""Each measures how fast the machine is, and two at once would each see half of it."""


def register(store: JobStore, settings: Settings, concurrency_limit: int) -> None:
    """Add the public endpoints to the ``gr.Blocks`` that is being built; ``concurrency_limit`` as for ``api``."""

    async def restore_video(
        video: FileData,
        steps: Steps,
        options: dict[str, Any] | None = None,
        codec: Codec = "h264",
        crf: float | None = None,
        container: Container | None = None,
        deinterlace: Deinterlace = "auto",
        square_pixels: bool = True,
        start: float | str | None = None,
        end: float | str | None = None,
        cuts: list[float | str] | None = None,
        cut_threshold: float = 27.0,
        untouched: list[str] | None = None,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Run a chain of stages over a clip in one pass, with all its sound, subtitles and times.

        The answer is the file and a report. Before that comes once, at the beginning, no file and the id of the job:
        {"job": "..."}. With the id, /job_status tells how the job stands, /job_result gives its result again while it
        is kept, and /cancel_job stops it. /begin_video gives the id alone, and does not wait.

        Parameters:
            video: an uploaded clip (MP4, MOV, MKV, WebM, AVI, MPEG, FLV, MXF, GIF and more)
            steps: stages, a recipe, the name of one ("silent-film"), or PaddleGAN's names ["DAIN", "DeOldify", "EDVR"]
            options: PaddleGAN's options for its names, such as {"time_step": 0.5, "artistic": true}
            codec: what the result is encoded as; HEVC and AV1 have 10 bits, ProRes and FFV1 keep transparency
            crf: the quality, smaller is better; null for that of the codec (17 for H.264)
            container: what the result comes in; null for that of the upload where it can hold the codec
            deinterlace: what becomes of interlaced frames: one picture, one for each of the two fields, or nothing
            square_pixels: whether a clip with narrow or wide pixels becomes as it is shown
            start: where to begin, in seconds from the beginning, or as "1:02:03.5"; null for the beginning
            end: where to end, likewise; null for the end
            cuts: the times at which shots begin, in seconds from the beginning or as "1:02.5"; null finds them
            cut_threshold: how much a frame has to differ from the one before to begin a shot, of 255; less finds more
            untouched: parts to leave as they are, such as subtitles: ["0,85%,100%,15%"], left, top, width, height

        Returns:
            The clip.
            What was done: settings, models, device, seconds, encoding, frames, what was kept and dropped, warnings.
        """
        try:

            def begin() -> Job:
                part = clip_options(
                    codec, crf, container, deinterlace, square_pixels, start, end, cuts, cut_threshold, untouched
                )
                return begin_clip(video, steps_over_http(steps, options), part)

            async with aclosing(answers_of(begin)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            raise to_api_error(error) from None

    def begin_video(
        video: FileData,
        steps: Steps,
        options: dict[str, Any] | None = None,
        codec: Codec = "h264",
        crf: float | None = None,
        container: Container | None = None,
        deinterlace: Deinterlace = "auto",
        square_pixels: bool = True,
        start: float | str | None = None,
        end: float | str | None = None,
        cuts: list[float | str] | None = None,
        cut_threshold: float = 27.0,
        untouched: list[str] | None = None,
    ) -> dict[str, Any]:
        """Begin what /restore_video does, and answer at once with the id of the job.

        It goes on whoever is connected. /job_status tells how it stands, /job_result gives its result when it has
        finished, and /cancel_job stops it.

        Parameters:
            video: an uploaded clip (MP4, MOV, MKV, WebM, AVI, MPEG, FLV, MXF, GIF and more)
            steps: stages, a recipe, the name of one ("silent-film"), or PaddleGAN's names ["DAIN", "DeOldify", "EDVR"]
            options: PaddleGAN's options for its names, such as {"time_step": 0.5, "artistic": true}
            codec: what the result is encoded as; HEVC and AV1 have 10 bits, ProRes and FFV1 keep transparency
            crf: the quality, smaller is better; null for that of the codec (17 for H.264)
            container: what the result comes in; null for that of the upload where it can hold the codec
            deinterlace: what becomes of interlaced frames: one picture, one for each of the two fields, or nothing
            square_pixels: whether a clip with narrow or wide pixels becomes as it is shown
            start: where to begin, in seconds from the beginning, or as "1:02:03.5"; null for the beginning
            end: where to end, likewise; null for the end
            cuts: the times at which shots begin, in seconds from the beginning or as "1:02.5"; null finds them
            cut_threshold: how much a frame has to differ from the one before to begin a shot, of 255; less finds more
            untouched: parts to leave as they are, such as subtitles: ["0,85%,100%,15%"], left, top, width, height

        Returns:
            {"job", "state", "ahead", "seconds", "progress", "error"}, as /job_status gives them
        """
        try:
            part = clip_options(
                codec, crf, container, deinterlace, square_pixels, start, end, cuts, cut_threshold, untouched
            )
            return state_of(begin_clip(video, steps_over_http(steps, options), part))
        except Exception as error:
            raise to_api_error(error) from None

    async def estimate(
        video: FileData,
        steps: Steps,
        options: dict[str, Any] | None = None,
        codec: Codec = "h264",
        crf: float | None = None,
        container: Container | None = None,
        deinterlace: Deinterlace = "auto",
        square_pixels: bool = True,
        start: float | str | None = None,
        end: float | str | None = None,
    ) -> dict[str, Any]:
        """Tell what /restore_video would make of a clip, and how long it would take, without doing it.

        Nothing is downloaded. What the stages cost on the machine is measured once and kept, so the first answer takes
        some seconds.

        Parameters:
            video: an uploaded clip (MP4, MOV, MKV, WebM, AVI, MPEG, FLV, MXF, GIF and more)
            steps: as for /restore_video
            options: as for /restore_video
            codec: what the result would be encoded as
            crf: the quality, smaller is better; null for that of the codec (17 for H.264)
            container: what the result would come in; null for that of the upload where it can hold the codec
            deinterlace: what becomes of interlaced frames: one picture, one for each of the two fields, or nothing
            square_pixels: whether a clip with narrow or wide pixels becomes as it is shown
            start: where to begin, in seconds from the beginning, or as "1:02:03.5"; null for the beginning
            end: where to end, likewise; null for the end

        Returns:
            {"seconds_low", "seconds_high", "gpu_seconds", "size", "rate", "length", "frames", "bytes_low",
            "bytes_high", "disk_bytes", "parts", "warnings"}
        """
        try:

            def reckon() -> dict[str, Any]:
                stages = steps_over_http(steps, options)
                encoding = Encoding(codec, crf, container=container)
                source = uploaded(video, "clip")
                found = estimate_clip(
                    source,
                    stages,
                    store.root / clip_result_name(source, encoding),
                    start,
                    end,
                    settings=settings,
                    encoding=encoding,
                    deinterlace=deinterlace,
                    square_pixels=square_pixels,
                )
                return {name: value for name, value in found.to_dict().items() if name != "free_bytes"}

            return await asyncio.to_thread(reckon)
        except Exception as error:
            raise to_api_error(error) from None

    begin_clip = partial(begin_clip_job, store=store, settings=settings)

    give_result_type(restore_video, Result)
    api(restore_video, concurrency_id="engine", concurrency_limit=concurrency_limit)
    api(begin_video, concurrency_limit=PROBES_AT_ONCE)
    api(estimate, concurrency_id="estimate", concurrency_limit=ESTIMATES_AT_ONCE)
