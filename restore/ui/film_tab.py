"""The tab "Restore a film": a clip, and a whole chain of stages over it in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import RestoreError, SettingsError
from restore.executors import Executor
from restore.jobs import Function, JobStore
from restore.media.clips.facts import ClipInfo
from restore.recipes import decode
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import QUIET, Update, attach
from restore.ui.clip_options import ClipComponents
from restore.ui.clip_upload import ClipUpload
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.cut_panel import CutPanel
from restore.ui.errors import to_gradio_error
from restore.ui.film_chain import chain_editor, chosen_steps, editor_value, loaded_steps
from restore.ui.film_link import chain_link, link_to
from restore.ui.film_moment import MomentPanel
from restore.ui.film_panel import FilmPanel, restore_film
from restore.ui.film_so_far import AtWork
from restore.ui.film_summary import FilmSummary
from restore.ui.frame_panel import FramePanel
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.uploads import clip_result_name, given_upload
from restore.ui.video_tab import FRAME_SECONDS

PREFIX = "film-"

CHAIN = "chain"
"""The parameter of the page's address that holds a chain."""

PARAMETERS = ("film", "film-pair", "film-frame", "film-moment", "film-cuts", CHAIN)
"""The parameters of the page's address that belong to this tab."""


def build_film_tab(
    page: gr.Blocks, store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int
) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = ClipUpload(settings, PREFIX)
            chain = chain_editor(f"{PREFIX}chain")
            link = chain_link(f"{PREFIX}link")
            summary = FilmSummary(PREFIX)
            run, stop = run_and_stop(label("run"), PREFIX)
            with gr.Accordion(label("advanced"), open=False, elem_id=f"{PREFIX}advanced"):
                clip = ClipComponents(PREFIX)
            cuts = CutPanel(PREFIX)
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = FilmPanel(settings, PREFIX, "film", "film-pair")
    frame = FramePanel(PREFIX)
    moment = MomentPanel(PREFIX)
    at_work = AtWork()
    asked: list[Component] = [upload.file, chain, *clip.inputs, *cuts.inputs]

    def read(file: Mapping[str, Any] | None, steps: object, *values: Any) -> ClipWork:
        source = given_upload(file, both("no_clip"))
        parts = iter(values)
        choice = clip.read(*islice(parts, len(clip.inputs)))
        choice = cuts.read(choice, *parts)
        return ClipWork(source, clip_result_name(source, choice.encoding), chosen_steps(steps), settings, choice)

    def show_clip(info: ClipInfo | None) -> Update:
        return {**frame.clip(info), **moment.clip(info), **cuts.forget()}

    def plan_all(*values: Any) -> tuple[ClipPlan, Settings]:
        return plan_work(read(*values), store.root), settings

    def plan_frame(time: Any, *values: Any) -> tuple[ClipPlan, Settings]:
        work = read(*values)
        stages = [stage for stage in work.stages if not stage.only_clips]
        if not stages:
            raise SettingsError("No stage of the chain changes a single frame: preview three seconds.")
        part = replace(work.options, start=time, end=time + FRAME_SECONDS)
        return plan_work(replace(work, stages=stages, options=part), store.root), settings

    def begin(*values: Any) -> tuple[Function, str]:
        """Refuse at once what can be refused, not after a wait for others."""
        work = read(*values)
        plan_work(work, store.root)
        return partial(restore_film, at_work, work), work.name

    def load(value: object) -> Any:
        try:
            return editor_value(loaded_steps(value))
        except RestoreError as error:
            raise to_gradio_error(error) from None

    def from_link(request: gr.Request) -> Update:
        if CHAIN not in request.query_params:
            return {link: gr.skip()}
        try:
            value = editor_value(decode(request.query_params[CHAIN]))
        except RestoreError as error:
            # In the page, because of an event that waits for no other Gradio shows no error.
            return {link: markup.failure(to_gradio_error(error))}
        return {chain: value, link: link_to(value)}

    upload.connect(show_clip, [*frame.of_clip, *moment.of_clip, *cuts.of_clip], lambda name: {}, [])
    clip.connect()
    summary.connect(store, read, asked, [upload.file.change, chain.input, chain.change, *clip.chosen])
    identity = attach(
        page,
        store,
        panel,
        run,
        stop,
        begin,
        asked,
        parameter="film",
        forgets=["film-pair", CHAIN],
        concurrency_limit=concurrency_limit,
        remembered=True,
        live=panel.live,
    )
    chain.upload(load, chain, chain, preprocess=False, concurrency_limit=None, **QUIET)
    gr.on(
        [chain.input, chain.change],
        link_to,
        chain,
        link,
        preprocess=False,
        trigger_mode="always_last",  # or what is changed while the link is on its way would not come into it
        concurrency_limit=None,
        **QUIET,
    )
    page.load(from_link, None, [chain, link], queue=False, **QUIET)
    panel.connect(page, store, at_work, identity, settings, concurrency_limit)
    cuts.connect(page, store, plan_all, asked, concurrency_limit)
    frame.connect(page, store, executor, plan_frame, asked, concurrency_limit)
    moment.connect(page, store, read, asked, concurrency_limit)
