"""The tab "Video super-resolution": one clip in, the same clip restored and enlarged out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image
from gradio.components import Component

import restore
from restore.clip_plan import ClipOptions, ClipPlan, plan_clip, seconds_of
from restore.errors import Cancelled, RestoreError
from restore.executors import Executor
from restore.jobs import Function, JobStore
from restore.media.clips.probe import probe
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Stage
from restore.ui import clip_card, examples, markup
from restore.ui.attach import QUIET, Update, attach
from restore.ui.clip_options import ClipComponents
from restore.ui.clip_preview import (
    PREVIEW,
    PREVIEW_OF_SOURCE,
    first_frame,
    plays_in_browsers,
    poster,
    unlimited,
    write_player,
)
from restore.ui.clip_results import ClipPanel, options_values
from restore.ui.errors import to_gradio_error
from restore.ui.face_panel import FacePanel
from restore.ui.frame_panel import FramePanel
from restore.ui.image_tab import PREVIEW_STYLES, PREVIEWS_AT_ONCE, upload_preview
from restore.ui.options import CLIP_WORDS, UpscaleOptions
from restore.ui.results import result_values
from restore.ui.texts import both, label
from restore.ui.uploads import clip_result_name, given_upload, name_among_uploads, uploaded

logger = logging.getLogger(__name__)

# What the file chooser offers beside what the browser itself takes for a clip.
SUFFIXES = [
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".m2ts",
    ".vob",
    ".flv",
    ".ogv",
    ".3gp",
    ".mxf",
    ".dv",
    ".wmv",
    ".m2v",
    ".h264",
    ".hevc",
    ".y4m",
    ".gif",
    ".apng",
    ".webp",
]

BEFORE, AFTER = "before.mp4", "after.mp4"

FRAME_SECONDS = 1
"""Of which the first frame is previewed."""


@dataclass(frozen=True)
class ClipWork:
    """What the visitor asked for: the clip, what is to be done with it, and what its result is called."""

    source: Path
    name: str
    stages: Sequence[Stage]
    settings: Settings
    options: ClipOptions


def restore_upload(work: ClipWork, progress: Progress, folder: Path) -> dict[str, Any]:
    """The work of a job: restore a clip, with what browsers play of source and result and the report beside it."""
    source, target, settings, options = work.source, folder / work.name, work.settings, work.options
    report = restore.restore_video(
        source,
        target,
        work.stages,
        options.start,
        options.end,
        progress,
        settings=settings,
        encoding=options.encoding,
        deinterlace=options.deinterlace,
        square_pixels=options.square_pixels,
    )
    report_path = folder / f"{target.stem}_report.json"
    report.write(report_path)

    played = played_beside(source, target, options, progress, settings)
    progress.check()
    return result_values(
        target.name, report.to_dict(), report_path.name, played=played, options=options_values(options)
    )


def played_beside(
    source: Path, target: Path, options: ClipOptions, progress: Progress, settings: Settings
) -> dict[str, Any] | None:
    """What the players get: files beside ``target``, made where a browser would not play what is there already.

    None where they cannot be made, as on a full disk: the result, which may have taken hours, is worth more.
    """
    before, after, offset = None, target.name, 0.0
    try:
        info, result = probe(source, settings), probe(target, unlimited(settings))
        if plays_in_browsers(source, info):
            offset = 0.0 if options.start is None else float(seconds_of("start", options.start))
        else:
            before = BEFORE
            write_player(source, info, target.with_name(before), options, PREVIEW_OF_SOURCE, progress, settings)
        if not plays_in_browsers(target, result):
            after = AFTER
            whole = ClipOptions(deinterlace="off")
            write_player(target, result, target.with_name(after), whole, PREVIEW, progress, settings)
    except Cancelled:
        raise
    except RestoreError as error:
        logger.warning("There is nothing to play of %s: %s", target.name, error)
        return None
    return {"source": name_among_uploads(source), "before": before, "after": after, "offset": offset}


def build_video_tab(
    page: gr.Blocks, store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int
) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    nothing_yet = clip_card.limits(settings)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = gr.File(
                label=label("upload_clip"),
                file_types=["video", *SUFFIXES],
                height=140,
                elem_id="clip-upload",
                elem_classes="restore-upload",
            )
            shown = gr.HTML(visible=False, css_template=PREVIEW_STYLES, apply_default_css=False, elem_id="clip-shown")
            facts = gr.HTML(nothing_yet, elem_id="clip-facts")
            example = examples.clip_row("clip-examples")
            options = UpscaleOptions(settings, CLIP_WORDS, "clip-")
            options.size_cards()
            faces = FacePanel(settings, "clip-", moving=True)
            foreseen = gr.HTML(visible=False, elem_id="clip-foreseen")
            with gr.Row():
                run = gr.Button(
                    label("run"),
                    variant="primary",
                    scale=2,
                    min_width=120,
                    elem_id="clip-run",
                    elem_classes="restore-once",
                )
                stop = gr.Button(label("stop"), variant="stop", interactive=False, min_width=100, elem_id="clip-stop")
            with options.advanced():
                options.size_by_hand()
                clip = ClipComponents()
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = ClipPanel(settings)
    frame = FramePanel()
    asked: list[Component] = [upload, *clip.inputs, *options.inputs, *faces.options.inputs]

    def show_upload(file: Mapping[str, Any] | None) -> Update:
        if file is None:
            return {shown: gr.HTML(visible=False), facts: nothing_yet, **frame.clip(None), **faces.forget()}
        try:
            path = uploaded(file)
            info = probe(path, settings)
            address = poster(path, info, settings)
        except RestoreError as error:
            # Below the file, where it stays until another one is chosen; Run says it again.
            failure = markup.failure(to_gradio_error(error))
            return {shown: gr.HTML(visible=False), facts: failure, **frame.clip(None), **faces.forget()}
        except Exception as error:
            raise to_gradio_error(error) from None
        preview = upload_preview(address, both("clip_preview"), "clip-upload-preview")
        return {
            shown: gr.HTML(value=preview, visible=True),
            facts: clip_card.card(info),
            **frame.clip(info),
            **faces.forget(),
        }

    def load_example(event: gr.SelectData) -> Update:
        name = str(event.value)
        file = examples.as_upload(examples.CLIPS[name])
        return {upload: file, options.preset: name, **options.choose_preset(name)}

    def read(file: Mapping[str, Any] | None, *values: Any) -> ClipWork:
        source = given_upload(file, both("no_clip"))
        parts = iter(values)
        choice = clip.read(*islice(parts, len(clip.inputs)))
        chosen = options.read(*islice(parts, len(options.inputs)))
        face = faces.options.read(*parts)
        stages: list[Stage] = [chosen.stage] if face is None else [chosen.stage, face]
        return ClipWork(source, clip_result_name(source, choice.encoding), stages, chosen.settings, choice)

    def plan(work: ClipWork) -> ClipPlan:
        """What is going to be done; refuses at once what can be refused, not after a wait for others."""
        info = probe(work.source, settings)
        return plan_clip(info, work.source, store.root / work.name, work.stages, work.options, work.settings)

    def foresee(*values: Any) -> Update:
        try:
            words = "" if values[0] is None else clip_card.foreseen(plan(read(*values)))
        except RestoreError:  # which is said below the upload, or when the work is asked for
            words = ""
        return {foreseen: gr.HTML(value=words, visible=bool(words))}

    def begin(*values: Any) -> tuple[Function, str]:
        work = read(*values)
        plan(work)
        return partial(restore_upload, work), work.name

    def plan_frame(time: Any, *values: Any) -> tuple[ClipPlan, Settings]:
        work = read(*values)
        # A moment of the clip, however long all of it is.
        part = replace(work.options, start=time, end=time + FRAME_SECONDS)
        return plan(replace(work, options=part)), work.settings

    def look(time: Any, *values: Any) -> tuple[Callable[[], PIL.Image.Image], str]:
        clip_of_frame, chosen = plan_frame(time, *values)
        return partial(first_frame, clip_of_frame, chosen), clip_of_frame.source.name

    upload.change(
        show_upload,
        upload,
        [shown, facts, *frame.of_clip, *faces.of_upload],
        preprocess=False,
        concurrency_limit=PREVIEWS_AT_ONCE,
        **QUIET,
    )
    gr.on(
        [upload.change, *(each.input for each in clip.encoding)],  # type: ignore[attr-defined]
        foresee,
        asked,
        foreseen,
        preprocess=False,
        concurrency_limit=PREVIEWS_AT_ONCE,
        **QUIET,
    )
    example.select(load_example, None, [upload, options.preset, *options.governed], queue=False, **QUIET)
    options.connect(page)
    clip.connect()
    identity = attach(
        page,
        store,
        panel,
        run,
        stop,
        begin,
        asked,
        parameter="video",
        concurrency_limit=concurrency_limit,
        forgets=["pair"],
    )
    panel.connect(page, store, identity, settings, concurrency_limit)
    frame.connect(page, store, executor, plan_frame, asked, concurrency_limit)
    faces.connect(page, store, look, [frame.time, *asked], concurrency_limit)
