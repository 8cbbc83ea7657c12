"""What the tab for colour shows of a run: how it stands, before and after, the downloads, the report."""

from __future__ import annotations

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.jobs import Job, JobStore
from restore.settings import Settings
from restore.ui import clip_card, markup
from restore.ui.attach import Update
from restore.ui.clip_results import PairPanel, played_value
from restore.ui.players import players
from restore.ui.results import Delivery, comparison, finished, reduced
from restore.ui.so_far import SoFarPanel
from restore.ui.texts import both
from restore.ui.viewer import before_after


class ColourPanel:
    """The components, made where it is called for; a ``JobPanel``.

    It shows the jobs of the page and those of the API, which bring nothing to look at. The id of the job is the
    ``parameter`` of the page's address, that of the side-by-side clip ``pair``; the names of the elements begin with
    ``prefix``.
    """

    def __init__(self, settings: Settings, prefix: str, parameter: str, pair: str) -> None:
        self.status_id = f"{prefix}status"
        self._status = gr.HTML(
            markup.status(both("state.ready_for_either")), elem_id=self.status_id, elem_classes="restore-bars"
        )
        self._viewer = before_after(f"{prefix}viewer")
        self._reduced = gr.HTML(visible=False, elem_id=f"{prefix}reduced")
        self._players = players(f"{prefix}players")
        self.so_far = SoFarPanel(prefix)
        self._delivery = Delivery(settings, parameter, prefix)
        self._pair = PairPanel(pair)

    @property
    def components(self) -> list[Block]:
        shown = [self._status, self._viewer, self._reduced, self._players, *self.so_far.components]
        return [*shown, *self._delivery.components, *self._pair.components, self._pair.group]

    def standing(self, html: str) -> Update:
        return {self._status: html}

    def empty(self, html: str) -> Update:
        return {
            self._status: html,
            self._viewer: gr.HTML(value=None),
            self._reduced: gr.HTML(visible=False),
            self._players: gr.HTML(value=None),
            **self.so_far.gone(),
            **self._delivery.empty(),
            **self._pair.gone(),
        }

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        values = job.result()
        report, picture, clip = values["report"], values.get("shown"), values.get("played")
        rows = clip_card.report_rows(report["clip"]) if "clip" in report else []
        length = (job.folder / values["file"]).stat().st_size
        return {
            self._status: finished(job),
            self._viewer: gr.HTML(value=None if picture is None else comparison(picture, job.folder)),
            self._reduced: reduced(picture),
            self._players: gr.HTML(value=None if clip is None else played_value(clip, job.folder)),
            **self.so_far.gone(),
            **self._delivery.filled(job, markup.report(report, length, more=rows)),
            self._pair.group: gr.Column(visible=clip is not None),
        }

    def connect(
        self, page: gr.Blocks, store: JobStore, identity: Component, settings: Settings, concurrency_limit: int
    ) -> None:
        """Let the side-by-side clip of the job that ``identity`` holds be made, and what is done of it be shown."""
        self._pair.connect(page, store, identity, settings, concurrency_limit)
        self.so_far.connect(store, identity, settings)
