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


def result_values(file: str, report: Mapping[str, Any], report_file: str, **more: Any) -> dict[str, Any]:
    """What the job of one picture or clip returns: names of files in its folder, the report, and what to show."""
    return {"file": file, "report": dict(report), "report_file": report_file, **more}


def shown_pair(pair: Pair) -> dict[str, Any]:
    """``pair`` in what a job returns, its files by their names in the job's folder."""
    return {**asdict(pair), "before": pair.before.name, "after": pair.after.name}


class Delivery:
    """What a finished job hands over: the file, the report, and the link under which it is kept.

    The id of the job is the ``parameter`` of that link. The names of the elements begin with ``prefix``.
    """

    def __init__(self, settings: Settings, parameter: str, prefix: str = "") -> None:
        self._hours, self._parameter = f"{settings.keep_seconds / HOUR:g}", parameter
        with gr.Row():
            self._download = gr.DownloadButton(
                str(label("download")),
                visible=False,
                variant="primary",
                scale=2,
                min_width=160,
                elem_id=f"{prefix}download",
            )
            self._report_file = gr.DownloadButton(
                str(label("report_file")), visible=False, min_width=120, elem_id=f"{prefix}report-file"
            )
        self._kept = gr.HTML(visible=False, js_on_load=SHOW_ADDRESS, elem_id=f"{prefix}kept")
        self._table = gr.HTML(visible=False, elem_id=f"{prefix}report")
        with gr.Accordion(label("report_in_full"), open=False, visible=False) as self._details:
            self._data = gr.JSON(show_label=False, max_height=480, elem_id=f"{prefix}report-data")

    @property
    def components(self) -> list[Block]:
        return [self._download, self._report_file, self._kept, self._table, self._details, self._data]

    def empty(self) -> Update:
        return {
            self._download: gr.DownloadButton(value=None, visible=False),
            self._report_file: gr.DownloadButton(value=None, visible=False),
            self._kept: gr.HTML(value="", visible=False),
            self._table: gr.HTML(value="", visible=False),
            self._details: gr.Accordion(open=False, visible=False),
            self._data: None,
        }

    def filled(self, job: Job, table: str) -> Update:
        """Hand over the result of ``job``; ``table`` is its report as HTML."""
        values = job.result()
        path, report_file = job.folder / values["file"], values.get("report_file")
        return {
            self._download: gr.DownloadButton(
                label("download") + f" ({path.suffix[1:].upper()}, {markup.file_size(path.stat().st_size)})",
                value=path,
                visible=True,
            ),
            self._report_file: gr.DownloadButton(
                value=None if report_file is None else job.folder / report_file, visible=report_file is not None
            ),
            self._kept: gr.HTML(value=self._link(job.id), visible=True),
            self._table: gr.HTML(value=table, visible=True),
            self._details: gr.Accordion(visible=True),
            self._data: values["report"],
        }

    def _link(self, id: str) -> str:
        address = escape(f"?{self._parameter}={quote(id)}")
        return markup.note(f'{both("kept", hours=self._hours)} <a href="{address}">{address}</a>')


class ResultPanel:
    """The components of the result of one picture, made where it is called for, and the updates that fill them.

    It shows the jobs of the page and those of the API, which bring no pictures to look at.
    """

    status_id = "status"

    def __init__(self, settings: Settings) -> None:
        self._status = gr.HTML(markup.status(both("state.ready")), elem_id=self.status_id)
        self._viewer = before_after("viewer")
        self._reduced = gr.HTML(visible=False, elem_id="reduced")
        self._delivery = Delivery(settings, "job")

    @property
    def components(self) -> list[Block]:
        return [self._status, self._viewer, self._reduced, *self._delivery.components]

    def standing(self, html: str) -> Update:
        return {self._status: html}

    def empty(self, html: str) -> Update:
        return {
            self._status: html,
            self._viewer: gr.HTML(value=None),
            self._reduced: gr.HTML(visible=False),
            **self._delivery.empty(),
        }

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        values = job.result()
        shown = values.get("shown")
        length = (job.folder / values["file"]).stat().st_size
        return {
            self._status: finished(job),
            self._viewer: gr.HTML(value=None if shown is None else comparison(shown, job.folder)),
            self._reduced: reduced(shown),
            **self._delivery.filled(job, markup.report(values["report"], length)),
        }


def finished(job: Job) -> str:
    """The line on a job that finished."""
    return markup.status(both("state.finished", time=markup.duration(job.snapshot().seconds)), kind="good")


def comparison(shown: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The value of the viewer for what ``shown_pair`` gave."""
    return comparison_value(folder / shown["before"], folder / shown["after"], shown["width"], shown["height"])


def reduced(shown: Mapping[str, Any] | None) -> gr.HTML:
    """The remark on pictures that are shown smaller than they are; hidden where they are not."""
    if shown is None or shown["scale"] == 1:
        return gr.HTML(visible=False)
    # Never 100 %, which would not be true.
    percent = min(99, round(100 * shown["scale"]))
    return gr.HTML(value=markup.note(both("reduced", percent=percent)), visible=True)
