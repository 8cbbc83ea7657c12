"""What is done so far of a film that is in work, to be played and to be taken away."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.jobs import JobStore
from restore.media.clips.describe import clock
from restore.media.clips.probe import probe
from restore.settings import Settings
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.clip_again import join_so_far
from restore.ui.clip_preview import plays_in_browsers, unlimited
from restore.ui.errors import to_gradio_error
from restore.ui.players import players, players_value
from restore.ui.texts import both, label

JOINED_AT_ONCE = 2


class SoFarPanel:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        with gr.Column(visible=False, elem_id=f"{prefix}so-far") as self._group:
            self._show = gr.Button(label("so_far"), elem_id=f"{prefix}so-far-run", elem_classes="restore-once")
            self._words = gr.HTML(visible=False)
            self._player = players(f"{prefix}so-far-player")
            self._download = gr.DownloadButton(
                str(label("so_far_download")), visible=False, elem_id=f"{prefix}so-far-download"
            )

    @property
    def components(self) -> list[Block]:
        return [self._group, self._words, self._player, self._download]

    def gone(self) -> Update:
        """There is nothing in work."""
        return {
            self._group: gr.Column(visible=False),
            self._words: gr.HTML(value="", visible=False),
            self._player: gr.HTML(value=None),
            self._download: gr.DownloadButton(value=None, visible=False),
        }

    def offered(self) -> Update:
        """A film is in work."""
        return {self._group: gr.Column(visible=True)}

    def connect(self, store: JobStore, identity: Component, settings: Settings) -> None:
        """Let what is done of the job that ``identity`` holds be shown."""

        def show(id: Any) -> Update:
            try:
                path, _ = join_so_far(store.find(id), settings)
                info = probe(path, unlimited(settings))
            except Exception as error:
                raise to_gradio_error(error) from None
            time = "?" if info.video.duration is None else clock(info.video.duration)
            title = label("so_far_download") + f" ({markup.file_size(path.stat().st_size)})"
            playable = plays_in_browsers(path, info)
            return {
                self._words: gr.HTML(value=markup.note(both("so_far_title", time=time)), visible=True),
                self._player: gr.HTML(value=players_value(None, path) if playable else None),
                self._download: gr.DownloadButton(title, value=path, visible=True),
            }

        shown = [self._words, self._player, self._download]
        self._show.click(show, identity, shown, concurrency_limit=JOINED_AT_ONCE, **QUIET)
