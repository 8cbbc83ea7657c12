"""All models on one crop of a clip, at a moment that is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from restore import networks
from restore.clip_plan import ClipPlan
from restore.clip_tryout import AROUND, try_models_on_clip
from restore.errors import RestoreError, SettingsError
from restore.jobs import Function, JobStore
from restore.media.clips.facts import ClipInfo
from restore.media.clips.probe import probe
from restore.media.clips.seconds import seconds_of
from restore.models import BUILT_IN, offered_for
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Stage, Upscale
from restore.ui.attach import QUIET, Update
from restore.ui.clip_preview import first_frame
from restore.ui.clip_work import ClipWork, plan_work
from restore.ui.image_tab import PREVIEWS_AT_ONCE
from restore.ui.preview import UPLOAD_SIDE, as_url, fit
from restore.ui.time_slider import along
from restore.ui.tryout_panel import TryoutPanel, Use, picked

SECONDS_AROUND = 1
"""The part around the moment in which its frame, and those around it, are looked for, unless frames are few."""

Read = Callable[..., ClipWork]
"""Given the raw values of what the tab asks for, the clip first, what was asked for."""


def model_names() -> list[str]:
    """The models to try: the built-in one, then those that look at one frame, then those that use time."""
    names = offered_for(Upscale.stage)
    return sorted(names, key=lambda name: (name != BUILT_IN, networks.uses_time(name)))


def try_clip(
    plan: ClipPlan,
    time: Any,
    centre: tuple[float, float],
    stage: Stage,
    download: bool,
    settings: Settings,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job: run every model over a crop of the frame at ``time``."""
    moment = plan.info.start + seconds_of("time", time)
    tryout = try_models_on_clip(
        plan,
        folder,
        moment,
        centre,
        model_names(),
        stage.to_dict(),
        progress,
        download=download,
        settings=settings,
    )
    return {"tryout": tryout.to_dict()}


class ClipTryout(TryoutPanel):
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        super().__init__(settings, model_names(), prefix, clip=True)

    @property
    def time(self) -> Component:
        """The moment, in seconds from the beginning of the clip."""
        assert self._time is not None
        return self._time

    @property
    def of_clip(self) -> list[Component]:
        """What ``clip`` changes."""
        return [self.time]

    def clip(self, info: ClipInfo | None) -> Update:
        """Let the moment be chosen in this clip."""
        return {self.time: along(info)}

    def connect_clip(
        self,
        page: gr.Blocks,
        store: JobStore,
        read: Read,
        inputs: list[Component],
        use: Use,
        used: list[Component],
        concurrency_limit: int,
    ) -> None:
        """Let a crop be tried of the clip that ``read`` makes of ``inputs``, and a model be taken over by ``use``.

        The first of ``inputs`` is the clip.
        """

        def plan(time: Any, work: ClipWork) -> ClipPlan:
            if isinstance(time, bool) or not isinstance(time, int | float) or time < 0:
                raise SettingsError(f"The time is {time!r}: give seconds.")
            rate = probe(work.source, work.settings).video.frame_rate
            beside = max(SECONDS_AROUND, float((AROUND + 2) / rate))
            part = replace(work.options, start=max(0, time - beside), end=time + beside)
            return plan_work(replace(work, stages=(), options=part), store.root)

        def work(centre: tuple[float, float], download: bool, time: Any, *values: Any) -> tuple[Function, str]:
            asked = read(*values)
            clip, stage = plan(time, asked), enlarging(asked)
            job = partial(try_clip, clip, time, centre, stage, download, asked.settings)
            return job, f"All models on a crop of {asked.source.name}"

        def show(time: Any, across: Any, down: Any, file: Mapping[str, Any] | None, *values: Any) -> Any:
            if file is None:
                return None
            try:
                asked = read(file, *values)
                part = replace(asked.options, start=time, end=time + SECONDS_AROUND)
                clip = plan_work(replace(asked, stages=(), options=part), store.root)
                picture = first_frame(clip, asked.settings)
            except RestoreError:  # which is said when the models are tried
                return None
            return {**picked(as_url(fit(picture, UPLOAD_SIDE)), *clip.size), "x": across / 100, "y": down / 100}

        gr.on(
            [self.unfolded, self.time.change, inputs[0].change],  # type: ignore[attr-defined]  # both have it
            show,
            [self.time, *self.place, *inputs],
            self.picker,
            preprocess=False,
            trigger_mode="always_last",
            concurrency_limit=PREVIEWS_AT_ONCE,
            **QUIET,
        )
        self.connect(page, store, work, [self.time, *inputs], use, used, concurrency_limit)


def enlarging(work: ClipWork) -> Upscale:
    """The stage of a chain whose models are tried; raises ``SettingsError`` where it has none."""
    for stage in work.stages:
        if isinstance(stage, Upscale):
            return stage
    raise SettingsError("The chain has no stage that enlarges: add one, to try its models.")
