"""The tab "Restore a film": a clip, and a whole chain of stages over it in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import RestoreError, SettingsError
from restore.executors import Executor
from restore.jobs import Function, JobStore
from restore.media.clips.facts import ClipInfo
from restore.media.clips.seconds import seconds_of
from restore.recipes import decode_chain
from restore.settings import Settings
from restore.stages import Colorize
from restore.ui import markup
from restore.ui.attach import QUIET, Update, attach
from restore.ui.clip_again import lasting
from restore.ui.clip_options import ClipComponents
from restore.ui.clip_tryout_panel import ClipTryout
from restore.ui.clip_upload import ClipUpload
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.cut_panel import CutPanel
from restore.ui.errors import to_gradio_error
from restore.ui.film_chain import chain_editor, chosen_steps, colours, editor_value, loaded_steps, with_model
from restore.ui.film_link import chain_link, link_to
from restore.ui.film_moment import MomentPanel
from restore.ui.film_panel import FilmPanel
from restore.ui.film_summary import FilmSummary
from restore.ui.frame_panel import FramePanel
from restore.ui.reference_panel import ReferencePanel
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.uploads import clip_result_name, given_upload
from restore.ui.video_tab import FRAME_SECONDS

PREFIX = "film-"

CHAIN = "chain"
"""The parameter of the page's address that holds a chain."""

PARAMETERS = (
    "film",
    "film-pair",
    "film-frame",
    "film-moment",
    "film-try",
    "film-cuts",
    "film-shots",
    "film-proposals",
    CHAIN,
)
"""The parameters of the page's address that belong to this tab."""


def build_film_tab(
    page: gr.Blocks, store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int
) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = ClipUpload(settings, PREFIX)
            chain = chain_editor(f"{PREFIX}chain", CHAIN)
            link = chain_link(f"{PREFIX}link")
            summary = FilmSummary(PREFIX)
            run, stop = run_and_stop(label("run"), PREFIX)
            with gr.Accordion(label("advanced"), open=False, elem_id=f"{PREFIX}advanced"):
                clip = ClipComponents(PREFIX)
            cuts = CutPanel(PREFIX)
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = FilmPanel(settings, PREFIX, "film", "film-pair")
    with gr.Column(visible=False) as shots:
        references = ReferencePanel(PREFIX, settings)
    frame = FramePanel(PREFIX)
    moment = MomentPanel(PREFIX)
    tryout = ClipTryout(settings, PREFIX)
    asked: list[Component] = [upload.file, chain, *clip.inputs, *cuts.inputs]

    def read(file: Mapping[str, Any] | None, steps: object, *values: Any) -> ClipWork:
        source = given_upload(file, both("no_clip"))
        parts = iter(values)
        choice = clip.read(*islice(parts, len(clip.inputs)))
        choice = cuts.read(choice, *parts)
        return ClipWork(source, clip_result_name(source, choice.encoding), chosen_steps(steps), settings, choice)

    def with_references(work: ClipWork, id: Any, time: Any = None) -> ClipWork:
        """With the pictures that were chosen for all shots, or with that of the shot which is shown at ``time``."""
        chosen = references.read(store, id, work.source, None if time is None else seconds_of("time", time))
        stages = [replace(each, references=chosen) if isinstance(each, Colorize) else each for each in work.stages]
        return replace(work, stages=stages)

    def read_all(id: Any, *values: Any) -> ClipWork:
        return with_references(read(*values), id)

    def show_clip(info: ClipInfo | None) -> Update:
        return {**frame.clip(info), **moment.clip(info), **tryout.clip(info), **cuts.forget()}

    def plan_all(*values: Any) -> tuple[ClipPlan, Settings]:
        return plan_work(read(*values), store.root), settings

    def plan_colour(*values: Any) -> tuple[ClipPlan, Settings]:
        work = read(*values)
        stage = next((each for each in work.stages if isinstance(each, Colorize)), None)
        if stage is None:
            raise SettingsError("The chain has no stage that gives colour: add Colorize, or switch it on.")
        return plan_work(replace(work, stages=[stage]), store.root), settings

    def plan_frame(time: Any, id: Any, *values: Any) -> tuple[ClipPlan, Settings]:
        work = with_references(read(*values), id, time)
        stages = [stage for stage in work.stages if not stage.only_clips]
        if not stages:
            raise SettingsError("No stage of the chain changes a single frame: preview three seconds.")
        part = replace(work.options, start=time, end=time + FRAME_SECONDS)
        return plan_work(replace(work, stages=stages, options=part), store.root), settings

    def begin(*values: Any) -> tuple[Function, str]:
        """Refuse at once what can be refused, not after a wait for others."""
        work = read_all(*values)
        plan_work(work, store.root)
        return lasting(work, "film"), work.name

    def follow(value: object) -> Update:
        """What depends on the chain alone."""
        return {link: link_to(value), shots: gr.Column(visible=colours(value))}

    def use_model(name: str, value: object) -> Update:
        return {chain: with_model(value, name)}

    def load(value: object) -> Any:
        try:
            return editor_value(loaded_steps(value))
        except RestoreError as error:
            raise to_gradio_error(error) from None

    def from_link(request: gr.Request) -> Update:
        if CHAIN not in request.query_params:
            return {link: gr.skip()}
        try:
            value = editor_value(decode_chain(request.query_params[CHAIN]))
        except RestoreError as error:
            # In the page, because of an event that waits for no other Gradio shows no error.
            return {link: markup.failure(to_gradio_error(error))}
        return {chain: value, **follow(value)}

    upload.connect(show_clip, [*frame.of_clip, *moment.of_clip, *tryout.of_clip, *cuts.of_clip], lambda name: {}, [])
    clip.connect(upload.file, settings)
    summary.connect(store, read, asked, [upload.file.change, *clip.chosen], follow, [link, shots])
    shots_found = references.connect(page, store, executor, plan_colour, upload.file, asked, concurrency_limit)
    asked_with_shots = [shots_found, *asked]
    identity = attach(
        page,
        store,
        panel,
        run,
        stop,
        begin,
        asked_with_shots,
        parameter="film",
        forgets=["film-pair", CHAIN],
        concurrency_limit=concurrency_limit,
        remembered=True,
        live=panel.live,
        going_on=panel.so_far.going_on(store, settings),
    )
    chain.upload(load, chain, chain, preprocess=False, concurrency_limit=None, **QUIET)
    page.load(from_link, None, [chain, link, shots], queue=False, **QUIET)
    panel.connect(page, store, identity, settings, concurrency_limit)
    cuts.connect(page, store, plan_all, asked, concurrency_limit)
    frame.connect(page, store, executor, plan_frame, asked_with_shots, concurrency_limit)
    for one, other in ((frame.time, moment.time), (moment.time, frame.time)):
        # The three seconds are those around the frame.
        one.input(None, one, other, js="(time) => time", **QUIET)
    moment.connect(page, store, read_all, asked_with_shots, concurrency_limit)
    tryout.connect_clip(page, store, read, asked, use_model, [chain], concurrency_limit)
