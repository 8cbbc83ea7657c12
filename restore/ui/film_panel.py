"""What the tab for films shows of a run: all that a tab for clips does, and the frame in work while it goes on."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.jobs import Job, JobStore, Steps
from restore.progress import Progress
from restore.settings import Settings
from restore.ui.attach import Update
from restore.ui.clip_results import ClipPanel
from restore.ui.clip_work import ClipWork, restore_upload
from restore.ui.film_live import FrameShelf, address_of, live_frame


def restore_film(work: ClipWork, progress: Progress, folder: Path) -> Steps:
    """The work of a job, as ``restore_upload``, with the frame in work to look at meanwhile."""
    shelf = FrameShelf(folder)
    try:
        return (yield from restore_upload(work, progress.seen_by(shelf), folder))
    finally:
        shelf.clear()


class FilmPanel:
    """The components, made where it is called for; a ``JobPanel``."""

    def __init__(self, settings: Settings, prefix: str, parameter: str, pair: str) -> None:
        self._live = live_frame(f"{prefix}live")
        self._result = ClipPanel(settings, prefix, parameter, pair)
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
        """What is to be seen of a job that runs, beside how it stands."""
        return {self._live: address_of(job)}

    def connect(
        self, page: gr.Blocks, store: JobStore, identity: Component, settings: Settings, concurrency_limit: int
    ) -> None:
        """Let the side-by-side clip of the job that ``identity`` holds be made."""
        self._result.connect(page, store, identity, settings, concurrency_limit)
