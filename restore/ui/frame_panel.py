"""One frame of a clip, chosen by its time, before and after: to see what a run will bring before it is begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.executors import Executor
from restore.jobs import Function, Job, JobStore
from restore.media.clips.describe import clock
from restore.media.clips.facts import ClipInfo
from restore.progress import Progress
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import Update, attach
from restore.ui.clip_preview import write_frame
from restore.ui.results import comparison, reduced, shown_pair
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.time_slider import along, time_slider
from restore.ui.viewer import before_after

Plan = Callable[..., tuple[ClipPlan, Settings]]
"""Given the time of a frame and the raw values of what the tab asks for, what is to be done with the clip."""


def preview_frame(
    plan: ClipPlan, settings: Settings, executor: Executor, progress: Progress, folder: Path
) -> dict[str, Any]:
    """The work of a job: the first frame of the part that ``plan`` names."""
    shown = write_frame(plan, folder, progress, executor, settings)
    return {"frame": {"shown": shown_pair(shown.pair), "time": clock(shown.time), "warnings": list(shown.warnings)}}


class FramePanel:
    """The components, made where it is called for; a ``JobPanel``.

    The names of the elements begin with ``prefix``, and so does the parameter of the page's address.
    """

    def __init__(self, prefix: str = "") -> None:
        self._parameter = f"{prefix}frame"
        self.status_id = f"{prefix}frame-status"
        with gr.Accordion(label("frame"), open=False, elem_id=f"{prefix}frame") as self._accordion:
            gr.HTML(markup.note(both("frame_info")))
            self.time = time_slider(f"{prefix}frame-time")
            self._run, self._stop = run_and_stop(label("frame_run"), f"{prefix}frame-")
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            self._viewer = before_after(f"{prefix}frame-viewer")
            self._reduced = gr.HTML(visible=False, elem_id=f"{prefix}frame-reduced")

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, self._viewer, self._reduced]

    @property
    def of_clip(self) -> list[Component]:
        """What ``clip`` changes."""
        return [self.time]

    def clip(self, info: ClipInfo | None) -> Update:
        """Let the frame be chosen in this clip; first one near its beginning."""
        return {self.time: along(info)}

    def standing(self, html: str) -> Update:
        # Opened, because the page may come to a job that was begun before it was loaded.
        return {self._accordion: gr.Accordion(open=True), self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return {**self.standing(html), self._viewer: gr.HTML(value=None), self._reduced: gr.HTML(visible=False)}

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        frame: Mapping[str, Any] = job.result()["frame"]
        warnings = "".join(markup.note(markup.english(warning)) for warning in frame["warnings"])
        return {
            **self.standing(markup.status(both("frame_finished", time=frame["time"]), kind="good") + warnings),
            self._viewer: gr.HTML(value=comparison(frame["shown"], job.folder)),
            self._reduced: reduced(frame["shown"]),
        }

    def connect(
        self,
        page: gr.Blocks,
        store: JobStore,
        executor: Executor,
        plan: Plan,
        inputs: list[Component],
        concurrency_limit: int,
    ) -> None:
        """Let a frame of what ``plan`` makes of ``inputs`` be previewed."""

        def begin(time: Any, *values: Any) -> tuple[Function, str]:
            clip, settings = plan(time, *values)
            return partial(preview_frame, clip, settings, executor), f"A frame of {clip.source.name}"

        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [self.time, *inputs],
            parameter=self._parameter,
            concurrency_limit=concurrency_limit,
        )
