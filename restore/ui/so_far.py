"""What is done so far of a clip that is in work or paused: to be played, to be taken away, and to be gone on with."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.errors import RestoreError
from restore.jobs import Job, JobStore
from restore.media.clips.describe import clock
from restore.media.clips.probe import probe
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import QUIET, GoingOn, Update
from restore.ui.clip_again import STEM, join_so_far, resume
from restore.ui.clip_preview import plays_in_browsers, unlimited
from restore.ui.errors import to_gradio_error
from restore.ui.players import players, players_value
from restore.ui.texts import both, label

JOINED_AT_ONCE = 2


class SoFarPanel:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        with gr.Column(visible=False, elem_id=f"{prefix}so-far") as self._group:
            with gr.Row():
                self._resume = gr.Button(
                    label("resume"),
                    variant="primary",
                    visible=False,
                    scale=2,
                    min_width=120,
                    elem_id=f"{prefix}resume",
                    elem_classes="restore-once",
                )
                self._show = gr.Button(
                    label("so_far"), min_width=160, elem_id=f"{prefix}so-far-run", elem_classes="restore-once"
                )
            self._words = gr.HTML(visible=False)
            self._player = players(f"{prefix}so-far-player")
            self._download = gr.DownloadButton(
                str(label("so_far_download")), visible=False, elem_id=f"{prefix}so-far-download"
            )

    @property
    def components(self) -> list[Block]:
        return [self._group, self._resume, self._show, self._words, self._player, self._download]

    def gone(self) -> Update:
        """There is nothing in work, and nothing that is paused."""
        return {
            self._group: gr.Column(visible=False),
            self._resume: gr.Button(visible=False),
            self._show: gr.Button(visible=True),
            self._words: gr.HTML(value="", visible=False),
            self._player: gr.HTML(value=None),
            self._download: gr.DownloadButton(value=None, visible=False),
        }

    def offered(self) -> Update:
        """A clip is in work."""
        return {self._group: gr.Column(visible=True)}

    def going_on(self, store: JobStore, settings: Settings) -> GoingOn:
        """What the tab needs to let work go on that is paused."""

        def go_on(id: str) -> Job:
            return resume(store, id, settings)

        return GoingOn(self._resume, go_on, partial(self._paused, settings))

    def connect(self, store: JobStore, identity: Component, settings: Settings) -> None:
        """Let what is done of the job that ``identity`` holds be shown."""

        def show(id: Any) -> Update:
            try:
                path, _ = join_so_far(store.find(id), settings)
                return self._shown(path, settings)
            except Exception as error:
                raise to_gradio_error(error) from None

        shown = [self._words, self._player, self._download]
        self._show.click(show, identity, shown, concurrency_limit=JOINED_AT_ONCE, **QUIET)

    def _paused(self, settings: Settings, job: Job) -> Update:
        """The work of ``job`` is paused: what is done of it, if that is anything, and the button to go on."""
        update: Update = {
            **self.offered(),
            self._resume: gr.Button(visible=job.asked is not None),
            self._show: gr.Button(visible=False),
        }
        try:
            # What was joined for whoever looked before is still all there is.
            path = next(job.folder.glob(f"{STEM}*"), None) or join_so_far(job, settings)[0]
            return update | self._shown(path, settings)
        except RestoreError:  # nothing is done yet, or the disk has no room for it
            return update

    def _shown(self, path: Path, settings: Settings) -> Update:
        info = probe(path, unlimited(settings))
        time = "?" if info.video.duration is None else clock(info.video.duration)
        title = label("so_far_download") + f" ({markup.file_size(path.stat().st_size)})"
        playable = plays_in_browsers(path, info)
        return {
            self._words: gr.HTML(value=markup.note(both("so_far_title", time=time)), visible=True),
            self._player: gr.HTML(value=players_value(None, path) if playable else None),
            self._download: gr.DownloadButton(title, value=path, visible=True),
        }
