"""One frame between two of a clip, chosen by their time, as a run would make it: a look before the run is begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.clip_plan import ClipPlan
from restore.errors import SettingsError
from restore.jobs import Function, Job, JobStore
from restore.media.clips.describe import clock
from restore.media.clips.facts import ClipInfo
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Interpolate
from restore.ui import markup
from restore.ui.attach import Update, attach
from restore.ui.between_preview import RealFrame, write_between
from restore.ui.results import comparison, reduced, shown_pair
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.time_slider import along, time_slider
from restore.ui.viewer import PAGE_WORDS, Cell, before_after, grid_value, try_grid

LEAST, MOST, STEP = 0.05, 0.95, 0.05
"""Where between the two frames the new one may lie."""

Plan = Callable[..., tuple[ClipPlan, Interpolate, Settings]]
"""Given a time in seconds and the raw values of what the tab asks for: the part of the clip around it, the stage."""

WORDS = {"before": both("between_mixed"), "after": both("between_made")}


def preview_between(
    plan: ClipPlan,
    stage: Interpolate,
    moment: Fraction,
    position: Fraction,
    settings: Settings,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job: the frame between the two around ``moment``."""
    shown = write_between(plan, stage, moment, position, folder, progress, settings)
    return {
        "between": {
            "first": _real(shown.first),
            "second": _real(shown.second),
            "shown": shown_pair(shown.pair),
            "made": shown.made,
            "cut": shown.cut,
            "notes": list(shown.notes),
        }
    }


def _real(frame: RealFrame) -> dict[str, str]:
    return {"file": frame.file.name, "time": clock(frame.time)}


class BetweenPanel:
    """The components, made where it is called for; a ``JobPanel``."""

    status_id = "between-status"

    def __init__(self) -> None:
        with gr.Accordion(label("between"), open=False, elem_id="between") as self._accordion:
            gr.HTML(markup.note(both("between_info")))
            with gr.Row():
                self.time = time_slider("between-time")
                self._position = gr.Slider(
                    LEAST,
                    MOST,
                    0.5,
                    step=STEP,
                    label=label("between_position"),
                    info=label("between_position_info"),
                    min_width=200,
                    elem_id="between-position",
                )
            self._run, self._stop = run_and_stop(label("between_run"), "between-")
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            self._frames = try_grid("between-frames")
            self._viewer = before_after("between-viewer", replace(PAGE_WORDS, **WORDS))
            self._reduced = gr.HTML(visible=False, elem_id="between-reduced")

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, self._frames, self._viewer, self._reduced]

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
        return {
            **self.standing(html),
            self._frames: gr.HTML(value=None),
            self._viewer: gr.HTML(value=None),
            self._reduced: gr.HTML(visible=False),
        }

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        values: Mapping[str, Any] = job.result()["between"]
        first, second, shown = values["first"], values["second"], values["shown"]
        words = both("between_finished", first=first["time"], second=second["time"])
        notes = [markup.english(note) for note in values["notes"]]
        if not values["made"]:
            notes.insert(0, both("between_cut") if values["cut"] else both("between_still"))
        middle = both("between_made") if values["made"] else both("between_repeated")
        cells = [
            Cell(None, both("between_real", time=first["time"]), job.folder / first["file"]),
            Cell(None, middle, job.folder / shown["after"]),
            Cell(None, both("between_real", time=second["time"]), job.folder / second["file"]),
        ]
        return {
            **self.standing(markup.status(words, kind="good") + "".join(map(markup.note, notes))),
            self._frames: gr.HTML(value=grid_value(cells, shown["width"], shown["height"])),
            self._viewer: gr.HTML(value=comparison(shown, job.folder)),
            self._reduced: reduced(shown),
        }

    def connect(
        self,
        page: gr.Blocks,
        store: JobStore,
        plan: Plan,
        inputs: list[Component],
        concurrency_limit: int,
    ) -> None:
        """Let a frame of what ``plan`` makes of ``inputs`` be previewed."""

        def begin(time: Any, position: Any, *values: Any) -> tuple[Function, str]:
            if isinstance(position, bool) or not isinstance(position, int | float) or not LEAST <= position <= MOST:
                raise SettingsError(f"The position is {position!r}: choose from {LEAST} to {MOST}.")
            clip, stage, settings = plan(time, *values)
            moment = clip.info.start + Fraction(str(time))
            work = partial(preview_between, clip, stage, moment, Fraction(str(position)), settings)
            return work, f"Between two frames of {clip.source.name}"

        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [self.time, self._position, *inputs],
            parameter="between",
            concurrency_limit=concurrency_limit,
        )
