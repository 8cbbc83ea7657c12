"""The tab "Video super-resolution": one clip in, the same clip restored and enlarged out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import gradio as gr
import PIL.Image
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.executors import Executor
from restore.jobs import JobStore
from restore.media.clips.facts import ClipInfo
from restore.settings import Settings
from restore.stages import Stage
from restore.ui import clip_card
from restore.ui.attach import Update
from restore.ui.clip_options import ClipComponents
from restore.ui.clip_preview import first_frame
from restore.ui.clip_results import ClipPanel
from restore.ui.clip_run import ClipRun
from restore.ui.clip_tryout_panel import ClipTryout
from restore.ui.clip_upload import ClipUpload
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.cut_panel import CutPanel
from restore.ui.face_panel import FacePanel
from restore.ui.frame_panel import FramePanel
from restore.ui.options import CLIP_WORDS, UpscaleOptions
from restore.ui.texts import both
from restore.ui.tryout_panel import into
from restore.ui.uploads import clip_result_name, given_upload

PREFIX = "clip-"

PARAMETERS = ("video", "frame", "pair", "clip-faces", "clip-cuts", "clip-try")
"""The parameters of the page's address that name jobs of this tab."""

FRAME_SECONDS = 1
"""Of which the first frame is previewed."""


def build_video_tab(
    page: gr.Blocks, store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int
) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = ClipUpload(settings, PREFIX)
            options = UpscaleOptions(settings, CLIP_WORDS, PREFIX)
            options.size_cards()
            faces = FacePanel(settings, PREFIX, moving=True)
            run = ClipRun(PREFIX)
            with options.advanced():
                options.size_by_hand()
                clip = ClipComponents(PREFIX)
            cuts = CutPanel(PREFIX)
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = ClipPanel(settings, PREFIX, "video", "pair")
    frame = FramePanel()
    tryout = ClipTryout(settings, PREFIX)
    asked: list[Component] = [upload.file, *clip.inputs, *cuts.inputs, *options.inputs, *faces.options.inputs]

    def read(file: Mapping[str, Any] | None, *values: Any) -> ClipWork:
        source = given_upload(file, both("no_clip"))
        parts = iter(values)
        choice = clip.read(*islice(parts, len(clip.inputs)))
        choice = cuts.read(choice, *islice(parts, len(cuts.inputs)))
        chosen = options.read(*islice(parts, len(options.inputs)))
        face = faces.options.read(*parts)
        stages: list[Stage] = [chosen.stage] if face is None else [chosen.stage, face]
        return ClipWork(source, clip_result_name(source, choice.encoding), stages, chosen.settings, choice)

    def show_clip(info: ClipInfo | None) -> Update:
        return {**frame.clip(info), **tryout.clip(info), **faces.forget(), **cuts.forget()}

    def choose_example(name: str) -> Update:
        return {options.preset: name, **options.choose_preset(name)}

    def plan_all(*values: Any) -> tuple[ClipPlan, Settings]:
        work = read(*values)
        return plan_work(work, store.root), work.settings

    def plan_frame(time: Any, *values: Any) -> tuple[ClipPlan, Settings]:
        work = read(*values)
        # A moment of the clip, however long all of it is.
        part = replace(work.options, start=time, end=time + FRAME_SECONDS)
        return plan_work(replace(work, options=part), store.root), work.settings

    def look(time: Any, *values: Any) -> tuple[Callable[[], PIL.Image.Image], str]:
        clip_of_frame, chosen = plan_frame(time, *values)
        return partial(first_frame, clip_of_frame, chosen), clip_of_frame.source.name

    upload.connect(
        show_clip,
        [*frame.of_clip, *tryout.of_clip, *faces.of_upload, *cuts.of_clip],
        choose_example,
        [options.preset, *options.governed],
    )
    options.connect(page)
    clip.connect(upload.file, settings)
    identity = run.connect(
        page,
        store,
        settings,
        panel,
        read,
        asked,
        words=clip_card.foreseen,
        changes=[upload.file.change, *clip.encoding_chosen],
        parameter="video",
        forgets=["pair"],
        concurrency_limit=concurrency_limit,
    )
    panel.connect(page, store, identity, settings, concurrency_limit)
    cuts.connect(page, store, plan_all, asked, concurrency_limit)
    frame.connect(page, store, executor, plan_frame, asked, concurrency_limit)
    faces.connect(page, store, look, [frame.time, *asked], concurrency_limit)
    used: list[Component] = [options.model, options.preset]
    tryout.connect_clip(page, store, read, asked, into(options), used, concurrency_limit)
