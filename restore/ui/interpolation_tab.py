"""The tab "Frame interpolation": one clip in, the same clip with more frames a second, or in slow motion, out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import SettingsError
from restore.jobs import JobStore
from restore.media.clips.facts import ClipInfo
from restore.media.clips.probe import probe
from restore.settings import Settings
from restore.stages import Interpolate
from restore.ui import clip_card
from restore.ui.attach import Update
from restore.ui.between_panel import BetweenPanel
from restore.ui.clip_options import ClipComponents
from restore.ui.clip_results import ClipPanel
from restore.ui.clip_run import ClipRun
from restore.ui.clip_upload import ClipUpload
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.cut_panel import CutPanel
from restore.ui.interpolate_options import InterpolateOptions
from restore.ui.texts import both
from restore.ui.uploads import clip_result_name, given_upload

PREFIX = "pace-"

PARAMETERS = ("paced", "between", "paced-pair", "pace-cuts")
"""The parameters of the page's address that name jobs of this tab."""

SECONDS_BEFORE, SECONDS_AFTER = 1, 2
"""The part around a moment in which its two frames are looked for, with what tells a cut and copies of frames."""

FRAMES_AFTER = 4
"""Or as many frames, where there are few a second."""


def build_interpolation_tab(page: gr.Blocks, store: JobStore, settings: Settings, concurrency_limit: int) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            upload = ClipUpload(settings, PREFIX)
            options = InterpolateOptions(settings, PREFIX)
            cuts = CutPanel(PREFIX)
            run = ClipRun(PREFIX)
            with options.advanced():
                clip = ClipComponents(PREFIX)
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            words = both("source_clip"), both("interpolated_clip")
            panel = ClipPanel(settings, PREFIX, "paced", "paced-pair", words)
    between = BetweenPanel()
    asked: list[Component] = [upload.file, *clip.inputs, *cuts.inputs, *options.inputs]

    def read(file: Mapping[str, Any] | None, *values: Any) -> ClipWork:
        source = given_upload(file, both("no_clip"))
        parts = iter(values)
        choice = clip.read(*islice(parts, len(clip.inputs)))
        choice = cuts.read(choice, *islice(parts, len(cuts.inputs)))
        return ClipWork(source, clip_result_name(source, choice.encoding), [options.read(*parts)], settings, choice)

    def show_clip(info: ClipInfo | None) -> Update:
        return {**between.clip(info), **cuts.forget()}

    def choose_example(name: str) -> Update:
        return options.choose(duplicates=name == "illustration")  # which is drawn for every third frame

    def plan_all(*values: Any) -> tuple[ClipPlan, Settings]:
        return plan_work(read(*values), store.root), settings

    def plan_between(time: Any, *values: Any) -> tuple[ClipPlan, Interpolate, Settings]:
        if isinstance(time, bool) or not isinstance(time, int | float):
            raise SettingsError(f"The time is {time!r}: give seconds.")
        work = read(*values)
        rate = probe(work.source, settings).video.frame_rate
        after = max(SECONDS_AFTER, float(FRAMES_AFTER / rate))
        part = replace(work.options, start=max(0, time - SECONDS_BEFORE), end=time + after)
        (stage,) = work.stages
        assert isinstance(stage, Interpolate)
        return plan_work(replace(work, options=part), store.root), stage, settings

    upload.connect(show_clip, [*between.of_clip, *cuts.of_clip], choose_example, options.of_example)
    options.connect(page)
    clip.connect(upload.file, settings)
    identity = run.connect(
        page,
        store,
        settings,
        panel,
        read,
        asked,
        words=clip_card.foreseen_pace,
        changes=[upload.file.change, *clip.encoding_chosen, *options.pace_chosen],
        parameter="paced",
        forgets=["paced-pair"],
        concurrency_limit=concurrency_limit,
    )
    panel.connect(page, store, identity, settings, concurrency_limit)
    cuts.connect(page, store, plan_all, asked, concurrency_limit)
    between.connect(page, store, plan_between, asked, concurrency_limit)
