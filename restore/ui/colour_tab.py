"""The tab "Colorization": one black-and-white photo or clip in, the same in colour out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import InputError, RestoreError
from restore.executors import Executor
from restore.jobs import Function, JobStore
from restore.media.clips.facts import ClipInfo
from restore.media.clips.seconds import seconds_of
from restore.settings import Settings
from restore.stages import Colorize
from restore.ui import clip_card, image_tab
from restore.ui.attach import QUIET, Update, attach
from restore.ui.clip_again import lasting
from restore.ui.clip_options import ClipComponents
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.colour_options import ColourOptions
from restore.ui.colour_panel import ColourPanel
from restore.ui.colour_source import ColourSource
from restore.ui.colour_upload import ColourUpload
from restore.ui.cut_panel import CutPanel
from restore.ui.frame_panel import FramePanel
from restore.ui.image_tab import FORMAT_TITLES, PREVIEWS_AT_ONCE
from restore.ui.reference_panel import ReferencePanel
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import label
from restore.ui.uploads import FORMATS, SAME, clip_result_name, result_name
from restore.ui.video_tab import FRAME_SECONDS

PREFIX = "colour-"

PARAMETERS = ("coloured", "colour-frame", "coloured-pair", "colour-cuts", "colour-shots", "colour-proposals")
"""The parameters of the page's address that name jobs of this tab."""


@dataclass(frozen=True)
class PictureWork:
    """What the visitor asked for with a picture: what is to be done with it, and what its result is called."""

    source: Path
    name: str
    stage: Colorize


def build_colour_tab(
    page: gr.Blocks, store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int
) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = ColourUpload(settings, PREFIX)
            options = ColourOptions(settings, PREFIX)
            foreseen = gr.HTML(visible=False, elem_id=f"{PREFIX}foreseen")
            run, stop = run_and_stop(label("run"), PREFIX)
            with gr.Accordion(label("advanced"), open=False, elem_id=f"{PREFIX}advanced"):
                options.advanced()
                saved_as = gr.Dropdown(
                    [(label("format_same"), SAME), *((FORMAT_TITLES[name], name) for name in FORMATS)],
                    value=SAME,
                    label=label("format"),
                    info=label("format_info"),
                    elem_id=f"{PREFIX}format",
                )
                with gr.Column(visible=False) as clip_settings:
                    clip = ClipComponents(PREFIX)
            with gr.Column() as shots:
                cuts = CutPanel(PREFIX)
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = ColourPanel(settings, PREFIX, "coloured", "coloured-pair")
    with gr.Column() as below:
        references = ReferencePanel(PREFIX, settings)
        frame = FramePanel(PREFIX)
    asked: list[Component] = [
        upload.file,
        upload.anew,
        saved_as,
        *clip.inputs,
        *cuts.inputs,
        *options.inputs,
    ]

    def read(file: object, anew: Any, saved_as: Any, *values: Any) -> PictureWork | ClipWork:
        source = upload.read(file, anew)
        parts = iter(values)
        of_clip, of_cuts = (tuple(islice(parts, len(each.inputs))) for each in (clip, cuts))
        stage = options.read(*parts)
        if not isinstance(source.info, ClipInfo):
            return PictureWork(source.path, result_name(source.path, source.info.format, saved_as), stage)
        choice = cuts.read(clip.read(*of_clip), *of_cuts)
        return ClipWork(source.path, clip_result_name(source.path, choice.encoding), [stage], settings, choice)

    def read_clip(*values: Any) -> ClipWork:
        work = read(*values)
        if not isinstance(work, ClipWork):
            raise InputError(f"{work.source.name} is a picture, and this is for clips: choose a clip.")
        return work

    def show(source: ColourSource | None) -> Update:
        info = None if source is None or not isinstance(source.info, ClipInfo) else source.info
        moves = info is not None
        # Also while there is nothing, because the page may come to what was made of a clip before it was loaded.
        may_move = moves or source is None
        return {
            saved_as: gr.Dropdown(visible=not moves),
            clip_settings: gr.Column(visible=moves),
            shots: gr.Column(visible=may_move),
            below: gr.Column(visible=may_move),
            **frame.clip(info),
            **cuts.forget(),
        }

    def plan_all(*values: Any) -> tuple[ClipPlan, Settings]:
        return plan_work(read_clip(*values), store.root), settings

    def read_with_references(id: Any, values: Sequence[Any], time: Any = None) -> PictureWork | ClipWork:
        """With the references of all shots, or with that of the shot which is shown at ``time``."""
        work = read(*values)
        if not isinstance(work, ClipWork):
            return work
        (stage,) = work.stages
        chosen = references.read(store, id, work.source, None if time is None else seconds_of("time", time))
        return replace(work, stages=[replace(stage, references=chosen)])  # type: ignore[type-var]  # a stage is one

    def plan_frame(time: Any, id: Any, *values: Any) -> tuple[ClipPlan, Settings]:
        read_clip(*values)  # which refuses a picture
        work = read_with_references(id, values, time)
        assert isinstance(work, ClipWork)
        part = replace(work.options, start=time, end=time + FRAME_SECONDS)
        return plan_work(replace(work, options=part), store.root), settings

    def foresee(file: Mapping[str, Any] | None, _anew: Any, *values: Any) -> gr.HTML:
        html = ""
        try:
            # Whether it is to be coloured anew makes no difference to what is foreseen.
            work = None if file is None else read(file, True, *values)
            if isinstance(work, ClipWork):
                html = clip_card.foreseen(plan_work(work, store.root))
        except RestoreError:  # which is said below the upload, or when the work is asked for
            html = ""
        return gr.HTML(value=html, visible=bool(html))

    def begin(id: Any, *values: Any) -> tuple[Function, str]:
        """Refuse at once what can be refused, not after a wait for others."""
        work = read_with_references(id, values)
        if isinstance(work, ClipWork):
            plan_work(work, store.root)
            return lasting(work, "clip"), work.name
        return partial(image_tab.restore_upload, work.source, work.name, [work.stage], settings, executor), work.name

    of_upload = [saved_as, clip_settings, shots, below, *frame.of_clip, *cuts.of_clip]
    upload.connect(show, of_upload)
    options.connect(page)
    clip.connect(upload.file, settings)
    gr.on(
        [upload.file.change, *clip.encoding_chosen],
        foresee,
        asked,
        foreseen,
        preprocess=False,
        concurrency_limit=PREVIEWS_AT_ONCE,
        **QUIET,
    )
    shots_found = references.connect(page, store, executor, plan_all, upload.file, asked, concurrency_limit)
    identity = attach(
        page,
        store,
        panel,
        run,
        stop,
        begin,
        [shots_found, *asked],
        parameter="coloured",
        concurrency_limit=concurrency_limit,
        forgets=["coloured-pair"],
        remembered=True,
        going_on=panel.so_far.going_on(store, settings),
    )
    panel.connect(page, store, identity, settings, concurrency_limit)
    cuts.connect(page, store, plan_all, asked, concurrency_limit)
    frame.connect(page, store, executor, plan_frame, [shots_found, *asked], concurrency_limit)
