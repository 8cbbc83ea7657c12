"""Where the shots of a clip end: found by themselves, with a sensitivity, or by a list of times that can be edited."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.clip_plan import ClipOptions, ClipPlan
from restore.jobs import Function, Job, JobStore
from restore.media.clips.shots import CUT_THRESHOLD
from restore.progress import FRAMES, Position, Progress
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import Update, attach
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label

LOOK = "look"
"""What the search is called in the progress."""

AUTO = "auto"

BETWEEN = re.compile(r"[\s,;，、；]+")
"""What stands between two times in the field."""

LEAST_THRESHOLD, LARGEST_THRESHOLD = 5, 100
"""What the slider offers; the engine and the API go further."""

Plan = Callable[..., tuple[ClipPlan, Settings]]
"""Given the raw values of what the tab asks for, what is to be done with the clip."""


def find_cuts(plan: ClipPlan, settings: Settings, progress: Progress, folder: Path) -> dict[str, Any]:
    """The work of a job: look through the part of the clip that ``plan`` names, at nothing but where its shots end."""
    shots, video = plan.shots(), plan.info.video
    expected = video.frames or 0 if plan.start is None and plan.end is None else 0
    for number, _ in enumerate(plan.reader(settings, shots).pictures(), 1):
        progress.check()
        progress.report(Position(LOOK, 0, 1, number, max(number, expected) if expected else 0, FRAMES))
    return {"cuts": [in_the_field(plan.since_beginning(cut)) for cut in shots.cuts]}


def in_the_field(time: Fraction) -> str:
    """A time as one would type it: "7.48", "1:02.5" or "1:00:00"."""
    milliseconds = round(time * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    if not hours and not minutes:
        return seconds
    padded = seconds if rest >= 10_000 else f"0{seconds}"
    return f"{hours}:{minutes:02}:{padded}" if hours else f"{minutes}:{padded}"


class CutPanel:
    """The components, made where it is called for; a ``JobPanel`` for the cuts that are found.

    The names of the elements begin with ``prefix``.
    """

    def __init__(self, prefix: str) -> None:
        self._parameter = f"{prefix}cuts"
        self.status_id = f"{prefix}cuts-status"
        with gr.Accordion(label("cuts"), open=False, elem_id=f"{prefix}cuts") as self._accordion:
            gr.HTML(markup.note(both("cuts_info")))
            self._threshold = gr.Slider(
                LEAST_THRESHOLD,
                LARGEST_THRESHOLD,
                CUT_THRESHOLD,
                step=1,
                label=label("cut_threshold"),
                info=label("cut_threshold_info"),
                elem_id=f"{prefix}cut-threshold",
            )
            self._times = gr.Textbox(
                label=label("cut_times"),
                info=label("cut_times_info"),
                placeholder="12.5, 1:02",
                lines=1,
                max_lines=6,
                elem_id=f"{prefix}cut-times",
            )
            self._run, self._stop = run_and_stop(label("find_cuts"), f"{prefix}cuts-", primary=False, min_width=160)
            self._status = gr.HTML(visible=False, elem_id=self.status_id)

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        return [self._times, self._threshold]

    def read(self, options: ClipOptions, times: Any, threshold: Any) -> ClipOptions:
        """``options`` with the cuts that the raw values of ``inputs`` stand for."""
        given = [each for each in BETWEEN.split(times or "") if each]
        return replace(options, cuts=given or AUTO, cut_threshold=threshold)

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._times, self._status]

    @property
    def of_clip(self) -> list[Component]:
        """What ``forget`` changes."""
        return [self._times, self._status]

    def forget(self) -> Update:
        """Leave nothing of another clip."""
        return {self._times: "", self._status: gr.HTML(value="", visible=False)}

    def standing(self, html: str) -> Update:
        # Opened, because the page may come to a job that was begun before it was loaded.
        return {self._accordion: gr.Accordion(open=True), self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return self.standing(html)

    def failed(self, error: gr.Error) -> Update:
        return self.standing(markup.failure(error))

    def filled(self, job: Job) -> Update:
        cuts = job.result()["cuts"]
        words = both("cuts_found", cuts=len(cuts)) if cuts else both("no_cuts_found")
        return {**self.standing(markup.status(words, kind="good")), self._times: ", ".join(cuts)}

    def connect(
        self, page: gr.Blocks, store: JobStore, plan: Plan, inputs: list[Component], concurrency_limit: int
    ) -> None:
        """Let the cuts be found in the clip of what ``plan`` makes of ``inputs``; after all parts are made."""

        def begin(threshold: Any, *values: Any) -> tuple[Function, str]:
            clip, settings = plan(*values)
            clip = replace(clip, cuts=None, cut_threshold=threshold)
            return partial(find_cuts, clip, settings), f"Cuts of {clip.source.name}"

        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [self._threshold, *inputs],
            parameter=self._parameter,
            concurrency_limit=concurrency_limit,
        )
