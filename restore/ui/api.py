"""The public endpoints: what scripts call over HTTP and through gradio_client.

Their names, parameters, defaults and results are a contract; ``tests/snapshots`` holds it. Every picture is a job as on
the page, so that a script which lost its connection, or which has no time to wait, can ask for the result later.
"""

# No ``from __future__ import annotations`` here: Gradio derives the schema of an endpoint from the types themselves.

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.data_classes import FileData
from gradio.events import api

import restore
from restore.errors import InputError, SettingsError
from restore.executors import Executor
from restore.inventory import device_facts, model_facts
from restore.jobs import Job, JobStore, Snapshot, State
from restore.media.clips.encoders import Codec, Container
from restore.media.clips.facts import ClipInfo
from restore.media.clips.reader import Deinterlace
from restore.media.images import probe_image
from restore.progress import FRAMES, Progress
from restore.settings import Settings
from restore.stages import Colorize, Faces, Interpolate, Stage, Upscale
from restore.stages.interpolate import Duplicates, Sound
from restore.ui.clip_again import join_so_far, resume
from restore.ui.clip_requests import begin_clip as begin_clip_job
from restore.ui.clip_requests import clip_options
from restore.ui.colour_source import look
from restore.ui.errors import to_api_error
from restore.ui.gate import cancellable
from restore.ui.http_steps import steps_over_http
from restore.ui.upload_kind import probe_upload
from restore.ui.uploaded_references import uploaded_references
from restore.ui.uploads import result_name, uploaded

POLL_SECONDS = 0.2

Material = Literal["photo", "scan", "illustration", "faithful"]
Format = Literal["same", "png", "jpeg", "webp", "tiff", "avif"]
Result = tuple[FileData, dict[str, Any]]

VIDEO_SCALE = 2.0
"""Clips are long, and what they are shown on has its limits: less than for pictures."""

PROBES_AT_ONCE = 2

DETACHED = "The connection to this job was ended; the job itself runs on. Ask /job_result for {id}."


def register(store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int) -> None:
    """Add the public endpoints to the ``gr.Blocks`` that is being built.

    ``concurrency_limit`` is how many clients may wait for their jobs at once, those of the page included.
    """

    async def restore_image(
        image: FileData,
        model: str = "auto",
        scale: float = 4.0,
        target: str | None = None,
        denoise: float = 0.5,
        strength: float = 1.0,
        material: Material = "photo",
        format: Format = "same",
        steps: list[dict[str, Any]] | dict[str, Any] | None = None,
        faces: str | None = None,
        face_fidelity: float = 0.5,
        face_strength: float = 1.0,
        untouched: list[str] | None = None,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Restore and enlarge one picture. The answer is the file of the result and a report.

        The scale is 1 to 8, or give a target such as "4k" or "3840x2160" in its place. Denoise and strength are 0 to 1.
        In place of all that, steps takes a whole chain of stages, or a recipe. A null stands for no target, no steps.

        Before that comes once, at the beginning, no file and the id of the job: {"job": "..."}. With the id, /job
        tells how the job stands, /job_result gives its result again while it is kept, and /stop_job stops it.

        Parameters:
            image: an uploaded picture (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC or GIF)
            model: the name of a model, as /models lists them; "auto" takes the best one at hand for the material
            scale: how many times larger the result is, from 1 (the same size, only cleaned) to 8
            target: in place of the scale a size to fit into, such as "3840x2160", "1080p" or "4k"
            denoise: from 0 (keep the grain) to 1 (remove it), for models that come in a strong and a weak version
            strength: from 0 (only enlarge) to 1 (the model alone)
            material: what "auto" chooses for; with "faithful" a model that invents nothing
            format: what the result is saved as; "same" keeps the format of the picture, or takes PNG for HEIC and GIF
            steps: a whole chain of stages, or a recipe, in place of all the other settings but the format
            faces: the name of a model that restores faces, or "auto"; null leaves faces to the other model
            face_fidelity: for "codeformer", from 0 (draw what it knows of faces) to 1 (keep to what it sees)
            face_strength: from 0 (faces as they were) to 1 (as the model makes them)
            untouched: parts to leave as they are, such as subtitles: ["0,85%,100%,15%"], left, top, width, height

        Returns:
            The picture in full quality.
            What was done: settings, models with their licences, device, seconds, what was kept and dropped, warnings.
        """
        try:
            own = {
                "model": model,
                "scale": scale,
                "target": target,
                "denoise": denoise,
                "strength": strength,
                "material": material,
            }
            face = {"model": faces, "fidelity": face_fidelity, "strength": face_strength}

            def begin() -> Job:
                chain = _chain(own, face, steps)
                source = uploaded(image)
                name = result_name(source, probe_image(source, settings).format, format)
                return store.begin(partial(_restore, source, name, chain, settings, executor, untouched), title=name)

            async with aclosing(answers_of(begin)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            raise to_api_error(error) from None

    async def upscale_video(
        video: FileData,
        model: str = "auto",
        scale: float = 2.0,
        target: str | None = None,
        denoise: float = 0.5,
        strength: float = 1.0,
        material: Material = "photo",
        codec: Codec = "h264",
        crf: float | None = None,
        container: Container | None = None,
        deinterlace: Deinterlace = "auto",
        square_pixels: bool = True,
        start: float | str | None = None,
        end: float | str | None = None,
        steps: list[dict[str, Any]] | dict[str, Any] | None = None,
        faces: str | None = None,
        face_fidelity: float = 0.5,
        face_strength: float = 1.0,
        cuts: list[float | str] | None = None,
        cut_threshold: float = 27.0,
        untouched: list[str] | None = None,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Restore and enlarge one clip, with all its sound, subtitles and times. The answer is the file and a report.

        The settings up to the material, steps, and those of faces are as for /restore_image. As there, the id of the
        job comes first and once: {"job": "..."}.

        Parameters:
            video: an uploaded clip (MP4, MOV, MKV, WebM, AVI, MPEG, FLV, MXF, GIF and more)
            model: the name of a model, as /models lists them; "auto" takes the best one at hand for the material
            scale: how many times larger the result is, from 1 (the same size, only cleaned) to 8
            target: in place of the scale a size to fit into, such as "3840x2160", "1080p" or "4k"
            denoise: from 0 (keep the grain) to 1 (remove it), for models that come in a strong and a weak version
            strength: from 0 (only enlarge) to 1 (the model alone)
            material: what "auto" chooses for; with "faithful" a model that invents nothing
            codec: what the result is encoded as; HEVC and AV1 have 10 bits, ProRes and FFV1 keep transparency
            crf: the quality, smaller is better; null for that of the codec (17 for H.264)
            container: what the result comes in; null for that of the upload where it can hold the codec
            deinterlace: what becomes of interlaced frames: one picture, one for each of the two fields, or nothing
            square_pixels: whether a clip with narrow or wide pixels becomes as it is shown
            start: where to begin, in seconds from the beginning, or as "1:02:03.5"; null for the beginning
            end: where to end, likewise; null for the end
            steps: a whole chain of stages, or a recipe, in place of the settings up to the material and those of faces
            faces: the name of a model that restores faces, or "auto"; null leaves faces to the other model
            face_fidelity: for "codeformer", from 0 (draw what it knows of faces) to 1 (keep to what it sees)
            face_strength: from 0 (faces as they were) to 1 (as the model makes them)
            cuts: the times at which shots begin, in seconds from the beginning or as "1:02.5"; null finds them
            cut_threshold: how much a frame has to differ from the one before to begin a shot, of 255; less finds more
            untouched: parts to leave as they are, such as subtitles: ["0,85%,100%,15%"], left, top, width, height

        Returns:
            The clip.
            What was done: settings, models, device, seconds, encoding, frames, what was kept and dropped, warnings.
        """
        try:
            own = {
                "model": model,
                "scale": scale,
                "target": target,
                "denoise": denoise,
                "strength": strength,
                "material": material,
            }
            face = {"model": faces, "fidelity": face_fidelity, "strength": face_strength}

            def begin() -> Job:
                chain = _chain(own, face, steps, VIDEO_SCALE)
                part = clip_options(
                    codec, crf, container, deinterlace, square_pixels, start, end, cuts, cut_threshold, untouched
                )
                return begin_clip(video, chain, part)

            async with aclosing(answers_of(begin)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            raise to_api_error(error) from None

    async def interpolate_video(
        video: FileData,
        fps: float | str | None = None,
        factor: float | None = None,
        slow_motion: bool = False,
        model: str = "auto",
        duplicates: Duplicates = "keep",
        cuts: list[float | str] | None = None,
        cut_threshold: float = 27.0,
        sound: Sound = "stretch",
        motion_scale: float | None = None,
        codec: Codec = "h264",
        crf: float | None = None,
        container: Container | None = None,
        deinterlace: Deinterlace = "auto",
        square_pixels: bool = True,
        start: float | str | None = None,
        end: float | str | None = None,
        untouched: list[str] | None = None,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Make frames between the frames of a clip: another frame rate, or slow motion. The answer is file and report.

        The frames come at exact times; nothing is mixed across a cut. For a chain with other stages, /upscale_video
        takes steps with {"stage": "interpolate"}. As there, the id of the job comes first and once: {"job": "..."}.

        Parameters:
            video: an uploaded clip (MP4, MOV, MKV, WebM, AVI, MPEG, FLV, MXF, GIF and more)
            fps: the frames a second of the result, such as 60 or "60000/1001"
            factor: in place of that, how many times as many frames, or as slow; 2 where neither is given
            slow_motion: whether the clip is to last as many times as long as the factor says
            model: the name of a model, as /models lists them, "built-in", which needs none, or "auto": the best at hand
            duplicates: "resample" finds frames that only repeat the one before and evens the motion out without them
            cuts: the times at which shots begin, in seconds from the beginning or as "1:02.5"; null finds them
            cut_threshold: how much a frame has to differ from the one before to begin a shot, of 255; less finds more
            sound: in slow motion, "stretch" for slower sound at the same pitch, "none" for no sound
            motion_scale: from 0.25 to 1, the size at which motion is looked for; null goes by that of the frames
            codec: what the result is encoded as; HEVC and AV1 have 10 bits, ProRes and FFV1 keep transparency
            crf: the quality, smaller is better; null for that of the codec (17 for H.264)
            container: what the result comes in; null for that of the upload where it can hold the codec
            deinterlace: what becomes of interlaced frames: one picture, one for each of the two fields, or nothing
            square_pixels: whether a clip with narrow or wide pixels becomes as it is shown
            start: where to begin, in seconds from the beginning, or as "1:02:03.5"; null for the beginning
            end: where to end, likewise; null for the end
            untouched: parts to leave as they are, such as subtitles: ["0,85%,100%,15%"], left, top, width, height

        Returns:
            The clip.
            What was done: settings, models, device, seconds, encoding, frames, what was kept and dropped, warnings.
        """
        try:

            def begin() -> Job:
                stage = Interpolate(
                    model=model,
                    fps=fps,
                    factor=factor,
                    slow_motion=slow_motion,
                    duplicates=duplicates,
                    scale=motion_scale,
                    sound=sound,
                )
                part = clip_options(
                    codec, crf, container, deinterlace, square_pixels, start, end, cuts, cut_threshold, untouched
                )
                return begin_clip(video, (stage,), part)

            async with aclosing(answers_of(begin)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            raise to_api_error(error) from None

    async def colorize_image(
        image: FileData,
        model: str = "auto",
        render_factor: int = 35,
        saturation: float = 1.0,
        keep_luma: bool = True,
        recolour: bool = False,
        format: Format = "same",
        references: list[FileData] | None = None,
        mindim: int = 320,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Colour one black-and-white picture, sepia and other tints included. The answer is the file and a report.

        A picture in colour is refused unless recolour is true. For a chain with other stages, /restore_image takes
        steps with {"stage": "colorize"}. As there, the id of the job comes first and once: {"job": "..."}.

        Parameters:
            image: an uploaded picture (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC or GIF)
            model: the name of a model, as /models lists them; "auto" takes the best one at hand
            render_factor: from 7 to 45, for the models of DeOldify: more for finer colours, less for bolder ones
            saturation: from 0 (grey) over 1 (what the model gives) to 3
            keep_luma: whether light and shade stay exactly; else the result is that of the published program
            recolour: whether colours that are there already may be replaced by invented ones
            format: what the result is saved as; "same" keeps the format of the picture, or takes PNG for HEIC and GIF
            references: uploaded pictures with the colours that are wanted
            mindim: the shorter side in pixels, from 64 to 1080, at which "deepremaster" sees the picture

        Returns:
            The picture in full quality.
            What was done: settings, models with their licences, device, seconds, what was kept and dropped, warnings.
        """
        try:

            def begin() -> Job:
                stage = Colorize(
                    model,
                    render_factor,
                    uploaded_references(references),
                    saturation,
                    keep_luma=keep_luma,
                    mindim=mindim,
                )
                source = uploaded(image)
                name = result_name(source, probe_image(source, settings).format, format)
                check_colourless(source, recolour)
                return store.begin(partial(_restore, source, name, (stage,), settings, executor, None), title=name)

            async with aclosing(answers_of(begin)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            raise to_api_error(error) from None

    async def colorize_video(
        video: FileData,
        model: str = "auto",
        render_factor: int = 35,
        saturation: float = 1.0,
        keep_luma: bool = True,
        recolour: bool = False,
        cuts: list[float | str] | None = None,
        cut_threshold: float = 27.0,
        codec: Codec = "h264",
        crf: float | None = None,
        container: Container | None = None,
        deinterlace: Deinterlace = "auto",
        square_pixels: bool = True,
        start: float | str | None = None,
        end: float | str | None = None,
        references: list[FileData] | None = None,
        reference_shots: list[int | None] | None = None,
        reference_times: list[float | str | None] | None = None,
        steadiness: float = 0.5,
        mindim: int = 320,
        untouched: list[str] | None = None,
    ) -> AsyncIterator[tuple[FileData | None, dict[str, Any]]]:
        """Colour one black-and-white clip, with its sound, subtitles and times. The answer is the file and a report.

        A clip in colour is refused unless recolour is true. For a chain with other stages, /upscale_video takes steps
        with {"stage": "colorize"}. As there, the id of the job comes first and once: {"job": "..."}.

        Parameters:
            video: an uploaded clip (MP4, MOV, MKV, WebM, AVI, MPEG, FLV, MXF, GIF and more)
            model: the name of a model, as /models lists them; "auto" takes the best one at hand
            render_factor: from 7 to 45, for the models of DeOldify: more for finer colours, less for bolder ones
            saturation: from 0 (grey) over 1 (what the model gives) to 3
            keep_luma: whether light and shade stay exactly; else the result is that of the published program
            recolour: whether colours that are there already may be replaced by invented ones
            cuts: the times at which shots begin, in seconds from the beginning or as "1:02.5"; null finds them
            cut_threshold: how much a frame has to differ from the one before to begin a shot, of 255; less finds more
            codec: what the result is encoded as; HEVC and AV1 have 10 bits, ProRes and FFV1 keep transparency
            crf: the quality, smaller is better; null for that of the codec (17 for H.264)
            container: what the result comes in; null for that of the upload where it can hold the codec
            deinterlace: what becomes of interlaced frames: one picture, one for each of the two fields, or nothing
            square_pixels: whether a clip with narrow or wide pixels becomes as it is shown
            start: where to begin, in seconds from the beginning, or as "1:02:03.5"; null for the beginning
            end: where to end, likewise; null for the end
            references: uploaded pictures with the colours that are wanted
            reference_shots: for each of these the shot that it is for, counted from 0; null for every other shot
            reference_times: the same as a time in that shot, in seconds from the beginning or as "1:02.5"
            steadiness: from 0 (colours as the model gives them) to 1 (held still within a shot)
            mindim: the shorter side in pixels, from 64 to 1080, at which "deepremaster" sees the frames
            untouched: parts to leave as they are, such as subtitles: ["0,85%,100%,15%"], left, top, width, height

        Returns:
            The clip.
            What was done: settings, models, device, seconds, encoding, frames, what was kept and dropped, warnings.
        """
        try:

            def begin() -> Job:
                stage = Colorize(
                    model,
                    render_factor,
                    uploaded_references(references, reference_shots, reference_times),
                    saturation,
                    steadiness,
                    keep_luma,
                    mindim,
                )
                part = clip_options(
                    codec, crf, container, deinterlace, square_pixels, start, end, cuts, cut_threshold, untouched
                )
                check_colourless(uploaded(video, "clip"), recolour)
                return begin_clip(video, (stage,), part)

            async with aclosing(answers_of(begin)) as answers:
                async for answer in answers:
                    yield answer
        except Exception as error:
            raise to_api_error(error) from None

    def check_colourless(source: Path, recolour: bool) -> None:
        """Raise ``InputError`` for what is in colour, unless its colours may be replaced."""
        if not recolour and look(source, settings).coloured:
            raise InputError(
                f"{source.name} is in colour already: give recolour=true to replace its colours by invented ones."
            )

    begin_clip = partial(begin_clip_job, store=store, settings=settings)

    def probe(file: FileData) -> dict[str, Any]:
        """Tell what a clip or a picture is, without decoding more than its beginning.

        Parameters:
            file: an uploaded clip or picture

        Returns:
            {"kind": "clip", ...} with size, times, colours, streams and warnings, or {"kind": "picture", ...}
        """
        try:
            return _probed(uploaded(file, "file"), settings)
        except Exception as error:
            raise to_api_error(error) from None

    def models() -> dict[str, Any]:
        """List the models, which of them are on the server, and the device that the work runs on.

        Returns:
            {"device": {"name", "kind", "precision", "memory_bytes"}, "models": [{"name", "state", "licence", ...}]}
        """
        try:
            return {
                "device": asdict(device_facts(settings)),
                "models": [asdict(facts) for facts in model_facts(settings)],
            }
        except Exception as error:
            raise to_api_error(error) from None

    def job(id: str) -> dict[str, Any]:
        """Tell how a job stands.

        Parameters:
            id: what /restore_image or another endpoint that makes a file gave as "job"

        Returns:
            {"job", "state", "ahead", "seconds", "progress", "error"}; state is "waiting", "running", "finished",
            "failed", "stopped" or "paused", and ahead counts the jobs that come before this one
        """
        try:
            return state_of(store.find(id))
        except Exception as error:
            raise to_api_error(error) from None

    def job_result(id: str, partial: bool = False) -> Result:
        """Give the result of a finished job again, while it is kept; or what is done so far of a clip.

        Parameters:
            id: what /restore_image or another endpoint that makes a file gave as "job"
            partial: of a clip that waits, runs, was stopped or failed, give what is done, from the beginning on

        Returns:
            The picture or clip in full quality.
            The report, as it was given with it; of a part {"job", "partial": true, "segments", "until"}, in seconds.
        """
        try:
            found = store.find(id)
            if partial and not (found.ended and found.snapshot().state is State.FINISHED):
                return _so_far(found, settings)
            if not found.ended:
                raise InputError(
                    "This job has not finished yet: ask /job how it stands, or give partial=true for what is done."
                )
            return _result(found)
        except Exception as error:
            raise to_api_error(error) from None

    def stop_job(id: str) -> dict[str, Any]:
        """Stop a job, whether it runs or waits; a job that has ended already stays as it is.

        On a clip it is "paused": what is done is kept, /job_result gives it with partial=true, and /resume_job goes on.

        Parameters:
            id: what /restore_image or another endpoint that makes a file gave as "job"

        Returns:
            How the job stands, as /job tells it; a running one ends within a second or two.
        """
        try:
            found = store.find(id)
            if not found.ended:
                found.stop()
            return state_of(found)
        except Exception as error:
            raise to_api_error(error) from None

    def resume_job(id: str) -> dict[str, Any]:
        """Let a job on a clip go on that was stopped, that failed, or whose server ended; its id stays the same.

        Parameters:
            id: what /begin_video or another endpoint that makes a clip gave as "job"

        Returns:
            How the job stands, as /job tells it; one that waits or runs stays as it is.
        """
        try:
            return state_of(resume(store, id, settings))
        except Exception as error:
            raise to_api_error(error) from None

    for work in (restore_image, upscale_video, interpolate_video, colorize_image, colorize_video):
        give_result_type(work, Result)
        api(work, concurrency_id="engine", concurrency_limit=concurrency_limit)
    api(probe, concurrency_limit=PROBES_AT_ONCE)
    for light in (models, job, job_result, stop_job, resume_job):
        api(light, concurrency_limit=None)
    # The same under the names that go with /begin_video.
    api(job, api_name="job_status", concurrency_limit=None)
    api(stop_job, api_name="cancel_job", concurrency_limit=None)


async def answers_of(begin: Callable[[], Job]) -> AsyncGenerator[tuple[FileData | None, dict[str, Any]]]:
    """The id of the job that ``begin`` begins, in a thread, and its result when it has ended."""
    job = await asyncio.to_thread(begin)
    with cancellable(job.stop), job.watched():
        yield None, {"job": job.id}
        ahead = job.snapshot().ahead
        try:
            while not job.ended:
                _show(job.snapshot(), ahead)
                await asyncio.sleep(POLL_SECONDS)
        except asyncio.CancelledError:
            # Gradio ends every run of a client together where it is asked to cancel one that it still queues.
            raise gr.Error(DETACHED.format(id=job.id), print_exception=False) from None
    yield _result(job)


def give_result_type(function: Callable[..., Any], result: Any) -> None:
    """Tell Gradio what comes in the end out of a function that also yields before: it looks at the signature."""
    signature = inspect.signature(function).replace(return_annotation=result)
    function.__signature__ = signature  # type: ignore[attr-defined]  # which inspect.signature prefers


def _chain(
    own: Mapping[str, Any], face: Mapping[str, Any], steps: object, scale: float = Upscale.scale
) -> tuple[Stage, ...]:
    """The stages that a caller asked for, in one way or the other; raises ``SettingsError``.

    ``face`` are the settings for faces, which are left alone where its model is ``None``. ``scale`` is that of those
    who give none.
    """
    if steps is None:
        return (Upscale(**own),) if face["model"] is None else (Upscale(**own), Faces(**face))
    usual = {field.name: field.default for field in fields(Upscale)} | {"scale": scale}
    mixed = [name for name, value in own.items() if value != usual[name]]
    usual_face = {field.name: field.default for field in fields(Faces)} | {"model": None}
    names = {"model": "faces", "fidelity": "face_fidelity", "strength": "face_strength"}
    mixed += [names[name] for name, value in face.items() if value != usual_face[name]]
    if mixed:
        raise SettingsError(f"Give either steps or {', '.join(mixed)}: in a chain, every step has settings of its own.")
    return steps_over_http(steps)


def _restore(
    source: Path,
    name: str,
    chain: tuple[Stage, ...],
    settings: Settings,
    executor: Executor,
    untouched: list[str] | None,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job; what it gives are values for JSON, with the file by its name in the job's folder."""
    report = restore.restore_image(
        source,
        folder / name,
        chain,
        progress,
        settings=settings,
        untouched=untouched or (),
        run_chain=executor.run_chain,
    )
    return {"file": name, "report": report.to_dict()}


def _probed(path: Path, settings: Settings) -> dict[str, Any]:
    """What the file is, by its content."""
    info = probe_upload(path, settings)
    if isinstance(info, ClipInfo):
        return {"kind": "clip", **info.to_dict()}
    return {"kind": "picture", "name": path.name, "size": path.stat().st_size, **asdict(info)}


def _result(job: Job) -> Result:
    """File and report of a job that has ended; raises an error with the sentence on what ended it."""
    error = job.snapshot().error
    if error is not None:  # logged already where it happened, if nobody foresaw it
        raise gr.Error(error, print_exception=False)
    result = job.result()
    name = result.get("file")
    if not isinstance(name, str):
        raise InputError("The result of this job is not one file: it can be seen on the page only.")
    path = job.folder / name
    if not path.is_file():
        raise InputError("The result of this job is not kept any more: begin it again.")
    # Below the folder of the uploads, so Gradio serves the file where it is and makes no copy.
    file = FileData(path=str(path), orig_name=path.name, size=path.stat().st_size)
    return file, {**result["report"], "job": job.id}


def _so_far(job: Job, settings: Settings) -> Result:
    """A file with what is done so far of a clip, and how much that is; raises ``InputError`` and ``OutputError``."""
    path, done = join_so_far(job, settings)
    file = FileData(path=str(path), orig_name=path.name, size=path.stat().st_size)
    return file, {"job": job.id, "partial": True, "segments": done.segments, "until": str(done.until)}


def state_of(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    snapshot = job.snapshot()
    return {
        "job": snapshot.id,
        "state": str(snapshot.state),
        "ahead": snapshot.ahead,
        "seconds": snapshot.seconds,
        "progress": [
            {**asdict(each.position), "seconds_left": each.seconds_left, "per_second": each.per_second}
            for each in snapshot.stages
        ],
        "error": snapshot.error,
    }


def _show(snapshot: Snapshot, ahead: int) -> None:
    """Send the position to the client, which finds it in ``job.status().progress_data``.

    A job that waits has one unit, the jobs that were before it when it came; one that runs has its stage and, within
    that, tiles or bytes. A clip has its frames alone, those that have come through all stages.
    """
    tracker = gr.Progress()
    if snapshot.state is State.WAITING:
        tracker((ahead - snapshot.ahead, ahead), desc="waiting", unit="jobs")
    elif snapshot.stages:
        frames = [stage for stage in snapshot.stages if stage.position.unit == FRAMES]
        position = (frames or snapshot.stages)[-1].position
        if position.unit == FRAMES:
            tracker((int(position.done), int(position.total) or None), desc=position.stage, unit=FRAMES)
            return
        tracker.tqdm(None, desc=position.stage, total=position.stages, unit="stages")
        tracker.update(position.index)
        tracker((position.done, position.total), desc=position.stage, unit=position.unit)  # type: ignore[arg-type]
