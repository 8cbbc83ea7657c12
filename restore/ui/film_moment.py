"""Three seconds of a clip, before and after the whole chain: to see what a run will bring before it is begun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

import restore
from restore.clip_plan import ClipOptions, stretch_of
from restore.errors import OutputError, SettingsError
from restore.jobs import Function, Job, JobStore
from restore.media.clips.describe import clock
from restore.media.clips.facts import ClipInfo
from restore.media.clips.probe import probe
from restore.media.clips.seconds import seconds_of
from restore.progress import Progress
from restore.segments.folder import work_root
from restore.ui import markup
from restore.ui.attach import Update, attach
from restore.ui.clip_preview import ENCODING
from restore.ui.clip_results import played_value
from restore.ui.clip_work import ClipWork, plan_work, played_beside, settings_of
from restore.ui.players import players
from restore.ui.results import finished
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.time_slider import along, time_slider

SECONDS = 3.0

FILE = "moment.mp4"

Read = Callable[..., ClipWork]
"""Given the raw values of what the tab asks for, what was asked for."""


def around(time: float, options: ClipOptions, last: float | None) -> ClipOptions:
    """``options`` for the seconds around ``time``, within the part that they name and before ``last``."""
    first = 0.0 if options.start is None else float(seconds_of("start", options.start))
    ends = [each for each in (last, None if options.end is None else float(seconds_of("end", options.end))) if each]
    end = min([time + SECONDS / 2, *ends])
    start = max(first, min(time - SECONDS / 2, end - SECONDS))
    end = min([start + SECONDS, *ends])
    # On the grid of thousandths, which a container can hold.
    return replace(options, start=round(start, 3), end=round(end, 3))


def preview_moment(work: ClipWork, progress: Progress, folder: Path) -> dict[str, Any]:
    """The work of a job: the part that ``work`` names, as browsers play it, beside the source."""
    target, options = folder / work.name, work.options
    restore.restore_video(
        work.source,
        target,
        work.stages,
        progress=progress,
        work=work_root(work.settings),
        **settings_of(work),
    )
    played = played_beside(work.source, target, options, progress, work.settings)
    progress.check()
    if played is None:
        raise OutputError("There is no room on the server for a preview: try again later.")
    start, end = (clock(seconds_of(name, getattr(options, name))) for name in ("start", "end"))
    return {"moment": {"played": {**played, "stretch": float(stretch_of(work.stages))}, "start": start, "end": end}}


class MomentPanel:
    """The components, made where it is called for; a ``JobPanel``.

    The names of the elements begin with ``prefix``, and so does the parameter of the page's address.
    """

    def __init__(self, prefix: str) -> None:
        self._parameter = f"{prefix}moment"
        self.status_id = f"{prefix}moment-status"
        with gr.Accordion(label("moment"), open=False, elem_id=f"{prefix}moment") as self._accordion:
            gr.HTML(markup.note(both("moment_info")))
            self.time = time_slider(f"{prefix}moment-time")
            self._run, self._stop = run_and_stop(label("moment_run"), f"{prefix}moment-")
            self._status = gr.HTML(visible=False, elem_id=self.status_id, elem_classes="restore-bars")
            self._players = players(f"{prefix}moment-players")

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, self._players]

    @property
    def of_clip(self) -> list[Component]:
        """What ``clip`` changes."""
        return [self.time]

    def clip(self, info: ClipInfo | None) -> Update:
        """Let the time be chosen in this clip; first one near its beginning."""
        return {self.time: along(info)}

    def standing(self, html: str) -> Update:
        # Opened, because the page may come to a job that was begun before it was loaded.
        return {self._accordion: gr.Accordion(open=True), self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return {**self.standing(html), self._players: gr.HTML(value=None)}

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        values = job.result()["moment"]
        words = both("moment_part", start=values["start"], end=values["end"])
        return {
            **self.standing(finished(job) + markup.note(words)),
            self._players: gr.HTML(value=played_value(values["played"], job.folder)),
        }

    def connect(
        self, page: gr.Blocks, store: JobStore, read: Read, inputs: list[Component], concurrency_limit: int
    ) -> None:
        """Let the seconds around a time be made of what ``read`` makes of ``inputs``."""

        def begin(time: Any, *values: Any) -> tuple[Function, str]:
            if isinstance(time, bool) or not isinstance(time, int | float) or time < 0:
                raise SettingsError(f"The time is {time!r}: give seconds.")
            work = read(*values)
            duration = probe(work.source, work.settings).video.duration
            part = around(time, work.options, None if duration is None else float(duration))
            work = replace(work, name=FILE, options=replace(part, encoding=ENCODING))
            plan_work(work, store.root)
            return partial(preview_moment, work), f"Three seconds of {work.source.name}"

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
