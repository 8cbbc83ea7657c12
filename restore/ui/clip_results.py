"""What a tab for clips shows of a run: how it stands, source and result as they play, the downloads, the report."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore.clip_plan import ClipOptions, plan_clip
from restore.errors import InputError
from restore.jobs import Function, Job, JobStore
from restore.media.clips.encoders import Encoding
from restore.media.clips.probe import probe
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import MATERIALS
from restore.ui import clip_card, markup
from restore.ui.attach import Update, attach
from restore.ui.players import BEFORE_AFTER, players, players_value
from restore.ui.results import Delivery, finished
from restore.ui.run_buttons import run_and_stop
from restore.ui.side_by_side import write_side_by_side
from restore.ui.so_far import SoFarPanel
from restore.ui.texts import both, label, text
from restore.ui.uploads import still_there

PAIR_FILE = "side_by_side.mp4"


class ClipPanel:
    """The components of the result of one clip, made where it is called for; a ``JobPanel``.

    It shows the jobs of the page and those of the API, which bring nothing to play beside the result. The id of the job
    is the ``parameter`` of the page's address, that of the side-by-side clip ``pair``; the names of the elements begin
    with ``prefix``.
    """

    def __init__(
        self, settings: Settings, prefix: str, parameter: str, pair: str, words: tuple[str, str] = BEFORE_AFTER
    ) -> None:
        self.status_id = f"{prefix}status"
        self._status = gr.HTML(
            markup.status(both("state.ready_for_clip")), elem_id=self.status_id, elem_classes="restore-bars"
        )
        self._players = players(f"{prefix}players", words)
        self.so_far = SoFarPanel(prefix)
        self._delivery = Delivery(settings, parameter, prefix)
        self._pair = PairPanel(pair)

    @property
    def components(self) -> list[Block]:
        shown = [self._status, self._players, *self.so_far.components]
        return [*shown, *self._delivery.components, *self._pair.components, self._pair.group]

    def standing(self, html: str) -> Update:
        return {self._status: html}

    def empty(self, html: str) -> Update:
        return {
            self._status: html,
            self._players: gr.HTML(value=None),
            **self.so_far.gone(),
            **self._delivery.empty(),
            **self._pair.gone(),
        }

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        values = job.result()
        report = values["report"]
        materials = {name: text(f"clip_material.{name}") for name in MATERIALS}
        rows = clip_card.report_rows(report["clip"]) if "clip" in report else []
        length = (job.folder / values["file"]).stat().st_size
        shown = values.get("played")
        return {
            self._status: finished(job),
            self._players: gr.HTML(value=None if shown is None else played_value(shown, job.folder)),
            **self.so_far.gone(),
            **self._delivery.filled(job, markup.report(report, length, materials, rows)),
            self._pair.group: gr.Column(visible=shown is not None),
        }

    def connect(
        self, page: gr.Blocks, store: JobStore, identity: Component, settings: Settings, concurrency_limit: int
    ) -> None:
        """Let the side-by-side clip of the job that ``identity`` holds be made, and what is done of it be shown."""
        self._pair.connect(page, store, identity, settings, concurrency_limit)
        self.so_far.connect(store, identity, settings)


def played_value(shown: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The value of the players for what a job says: files of its own, or an upload that plays as it is."""
    before = folder / shown["before"] if shown["before"] else still_there(shown["source"])
    return players_value(before, folder / shown["after"], shown["offset"], shown.get("stretch", 1.0))


class PairPanel:
    """The clip that shows source and result in one picture, on request; a ``JobPanel``.

    The id of the job is the ``parameter`` of the page's address, with which the names of the elements begin.
    """

    def __init__(self, parameter: str) -> None:
        self._parameter, self.status_id = parameter, f"{parameter}-status"
        with gr.Column(visible=False, elem_id=parameter) as self.group:
            gr.HTML(markup.note(both("pair_info")))
            self._run, self._stop = run_and_stop(label("pair_run"), f"{parameter}-", primary=False, min_width=160)
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            self._player = players(f"{parameter}-player")
            self._download = gr.DownloadButton(str(label("download")), visible=False, elem_id=f"{parameter}-download")

    @property
    def components(self) -> list[Block]:
        return [self._status, self._player, self._download]

    def gone(self) -> Update:
        """There is no result that it could be made of."""
        return {
            self.group: gr.Column(visible=False),
            self._status: gr.HTML(value="", visible=False),
            self._player: gr.HTML(value=None),
            self._download: gr.DownloadButton(value=None, visible=False),
        }

    def standing(self, html: str) -> Update:
        return {self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return {
            **self.standing(html),
            self._player: gr.HTML(value=None),
            self._download: gr.DownloadButton(value=None, visible=False),
        }

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        path = job.folder / job.result()["file"]
        title = label("download") + f" (MP4, {markup.file_size(path.stat().st_size)})"
        return {
            **self.standing(finished(job)),
            self._player: gr.HTML(value=players_value(None, path)),
            self._download: gr.DownloadButton(title, value=path, visible=True),
        }

    def connect(
        self, page: gr.Blocks, store: JobStore, identity: Component, settings: Settings, concurrency_limit: int
    ) -> None:
        def begin(id: Any) -> tuple[Function, str]:
            job = store.find(id)
            values = job.result() if job.ended else {}
            source = still_there(values["played"]["source"]) if values.get("played") else None
            if source is None:
                raise InputError("The clip that this result was made of is not kept any more: upload it again.")
            work = partial(compare, source, job.folder / values["file"], values["options"], settings)
            return work, f"{job.title} side by side"

        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [identity],
            parameter=self._parameter,
            concurrency_limit=concurrency_limit,
        )


def compare(
    source: Path, result: Path, options: Mapping[str, Any], settings: Settings, progress: Progress, folder: Path
) -> dict[str, Any]:
    """The work of a job: ``result`` beside the part of ``source`` that it was made of."""
    target = folder / PAIR_FILE
    info = probe(source, settings)
    part = ClipOptions(
        options["start"], options["end"], Encoding(), options["deinterlace"], options["square_pixels"], cuts=()
    )
    plan = plan_clip(info, source, target, (), part, settings)
    write_side_by_side(plan, result, target, progress, settings, Fraction(options.get("stretch", 1)))
    return {"file": target.name}
