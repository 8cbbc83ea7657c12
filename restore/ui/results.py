"""What a tab shows of a run: how it stands, before and after, the downloads, the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.blocks import Block

from restore.jobs import Job
from restore.settings import HOUR, Settings
from restore.ui import markup
from restore.ui.attach import Update
from restore.ui.preview import Pair
from restore.ui.texts import both, label
from restore.ui.viewer import before_after, comparison_value

# The whole address, as the visitor may want to copy it; only the browser knows it.
SHOW_ADDRESS = """
const show = () => {
  for (const link of element.querySelectorAll("a")) link.textContent = link.href;
};
watch("value", show);
show();
"""


def result_values(file: str, report: Mapping[str, Any], report_file: str, pair: Pair | None) -> dict[str, Any]:
    """What the job of one picture returns: names of files in its folder, and the report."""
    shown = None if pair is None else {**asdict(pair), "before": pair.before.name, "after": pair.after.name}
    return {"file": file, "report": dict(report), "report_file": report_file, "shown": shown}


class ResultPanel:
    """The components of one result, made where it is called for, and the updates that fill and empty them.

    It shows the jobs of the page and those of the API, which bring no pictures to look at.
    """

    status_id = "status"

    def __init__(self, settings: Settings) -> None:
        self._hours = f"{settings.keep_seconds / HOUR:g}"
        self._status = gr.HTML(markup.status(both("state.ready")), elem_id=self.status_id)
        self._viewer = before_after("viewer")
        self._reduced = gr.HTML(visible=False, elem_id="reduced")
        with gr.Row():
            self._download = gr.DownloadButton(
                str(label("download")), visible=False, variant="primary", scale=2, min_width=160, elem_id="download"
            )
            self._report_file = gr.DownloadButton(
                str(label("report_file")), visible=False, min_width=120, elem_id="report-file"
            )
        self._kept = gr.HTML(visible=False, js_on_load=SHOW_ADDRESS, elem_id="kept")
        self._table = gr.HTML(visible=False, elem_id="report")
        with gr.Accordion(label("report_in_full"), open=False, visible=False) as self._details:
            self._data = gr.JSON(show_label=False, max_height=480, elem_id="report-data")

    @property
    def components(self) -> list[Block]:
        return [
            self._status,
            self._viewer,
            self._reduced,
            self._download,
            self._report_file,
            self._kept,
            self._table,
            self._details,
            self._data,
        ]

    def standing(self, html: str) -> Update:
        return {self._status: html}

    def empty(self, html: str) -> Update:
        return {
            self._status: html,
            self._viewer: gr.HTML(value=None),
            self._reduced: gr.HTML(visible=False),
            self._download: gr.DownloadButton(value=None, visible=False),
            self._report_file: gr.DownloadButton(value=None, visible=False),
            self._kept: gr.HTML(value="", visible=False),
            self._table: gr.HTML(value="", visible=False),
            self._details: gr.Accordion(open=False, visible=False),
            self._data: None,
        }

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        values = job.result()
        report, path = values["report"], job.folder / values["file"]
        length = path.stat().st_size
        shown, report_file = values.get("shown"), values.get("report_file")
        return {
            self._status: markup.status(
                both("state.finished", time=markup.duration(job.snapshot().seconds)), kind="good"
            ),
            self._viewer: gr.HTML(value=None if shown is None else _comparison(shown, job.folder)),
            self._reduced: _reduced(shown),
            self._download: gr.DownloadButton(
                label("download") + f" ({path.suffix[1:].upper()}, {markup.file_size(length)})",
                value=path,
                visible=True,
            ),
            self._report_file: gr.DownloadButton(
                value=None if report_file is None else job.folder / report_file, visible=report_file is not None
            ),
            self._kept: gr.HTML(value=self._link(job.id), visible=True),
            self._table: gr.HTML(value=markup.report(report, length), visible=True),
            self._details: gr.Accordion(visible=True),
            self._data: report,
        }

    def _link(self, id: str) -> str:
        address = escape(f"?job={quote(id)}")
        return markup.note(f'{both("kept", hours=self._hours)} <a href="{address}">{address}</a>')


def _comparison(shown: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return comparison_value(folder / shown["before"], folder / shown["after"], shown["width"], shown["height"])


def _reduced(shown: Mapping[str, Any] | None) -> gr.HTML:
    if shown is None or shown["scale"] == 1:
        return gr.HTML(visible=False)
    # Never 100 %, which would not be true.
    percent = min(99, round(100 * shown["scale"]))
    return gr.HTML(value=markup.note(both("reduced", percent=percent)), visible=True)
