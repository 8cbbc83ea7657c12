"""What the tab for films shows of a run: all that a tab for clips does, and what there is to see while it goes on."""

from __future__ import annotations

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.jobs import Job, JobStore, State
from restore.settings import Settings
from restore.ui.attach import Update
from restore.ui.clip_results import ClipPanel
from restore.ui.film_live import address_of, live_frame


class FilmPanel:
    """The components, made where it is called for; a ``JobPanel``."""

    def __init__(self, settings: Settings, prefix: str, parameter: str, pair: str) -> None:
        self._result = ClipPanel(settings, prefix, parameter, pair)
        self._live = live_frame(f"{prefix}live")
        self.so_far = self._result.so_far
        self.status_id = self._result.status_id

    @property
    def components(self) -> list[Block]:
        return [*self._result.components, self._live]

    def standing(self, html: str) -> Update:
        return self._result.standing(html)

    def empty(self, html: str) -> Update:
        return {**self._result.empty(html), self._live: None}

    def failed(self, error: gr.Error) -> Update:
        return {**self._result.failed(error), self._live: None}

    def filled(self, job: Job) -> Update:
        return {**self._result.filled(job), self._live: None}

    def live(self, job: Job) -> Update:
        """What is to be seen of a job that has not ended, beside how it stands."""
        running = job.snapshot().state is State.RUNNING
        return {self._live: address_of(job), **(self.so_far.offered() if running else {})}

    def connect(
        self,
        page: gr.Blocks,
        store: JobStore,
        identity: Component,
        settings: Settings,
        concurrency_limit: int,
    ) -> None:
        """Let what is done of the job that ``identity`` holds be shown, and in the end a side-by-side clip be made."""
        self._result.connect(page, store, identity, settings, concurrency_limit)
