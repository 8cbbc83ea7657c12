"""What a tab shows of a run: how it stands, before and after, the downloads, the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block

from restore.report import Report
from restore.ui import markup
from restore.ui.preview import Pairs

WHOLE = "Whole picture"
DETAIL = "Middle, pixel by pixel"

FINISHED = "Finished. Before is left of the slider, after is right of it."

# Components and what becomes of them, as an event of Gradio returns it.
Update = dict[Block, Any]


@dataclass(frozen=True)
class Result:
    """What one run gives the page: the engine's own file, the pictures for the slider, the report and its file."""

    path: Path
    pairs: Pairs
    report: Report
    report_path: Path


class ResultPanel:
    """The components of one result, made where it is called for, and the updates that fill and empty them."""

    def __init__(self, text: str) -> None:
        self.status = gr.HTML(markup.status(text), elem_id="status")
        self._slider = gr.ImageSlider(visible=False, max_height=640, buttons=["fullscreen"], elem_id="slider")
        self._view = gr.Radio([WHOLE, DETAIL], value=WHOLE, show_label=False, visible=False, elem_id="view")
        with gr.Row():
            self._download = gr.DownloadButton(
                visible=False, variant="primary", scale=2, min_width=120, elem_id="download"
            )
            self._report_file = gr.DownloadButton("Report", visible=False, min_width=120, elem_id="report-file")
        self._words = gr.HTML(visible=False, elem_id="report")
        with gr.Accordion("Report in full", open=False, visible=False) as self._details:
            self._data = gr.JSON(show_label=False, max_height=480, elem_id="report-data")
        self._pairs = gr.State()
        self._view.change(
            self._show_pair,
            [self._view, self._pairs],
            self._slider,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )

    @property
    def components(self) -> list[Block]:
        """Everything that ``empty`` and ``filled`` may change."""
        return [
            self.status,
            self._slider,
            self._view,
            self._download,
            self._report_file,
            self._words,
            self._details,
            self._data,
            self._pairs,
        ]

    def empty(self, text: str, kind: markup.Kind = "plain") -> Update:
        """No result, and one line that says why."""
        return {
            self.status: markup.status(text, kind),
            self._slider: gr.ImageSlider(value=None, visible=False),
            self._view: gr.Radio(value=WHOLE, visible=False),
            self._download: gr.DownloadButton(value=None, visible=False),
            self._report_file: gr.DownloadButton(value=None, visible=False),
            self._words: gr.HTML(value="", visible=False),
            self._details: gr.Accordion(open=False, visible=False),
            self._data: None,
            self._pairs: None,
        }

    def failed(self, error: gr.Error) -> Update:
        """No result, and what went wrong."""
        return {**self.empty(""), self.status: markup.failure(error)}

    def filled(self, result: Result) -> Update:
        """The result of a run."""
        length = markup.file_size(result.path.stat().st_size)
        return {
            self.status: markup.status(FINISHED, "good"),
            self._slider: self._show_pair(WHOLE, result.pairs),
            self._view: gr.Radio(value=WHOLE, visible=result.pairs.detail != result.pairs.whole),
            self._download: gr.DownloadButton(
                f"Download ({result.path.suffix[1:].upper()}, {length})", value=result.path, visible=True
            ),
            self._report_file: gr.DownloadButton(value=result.report_path, visible=True),
            self._words: gr.HTML(value=markup.report(result.report.to_dict()), visible=True),
            self._details: gr.Accordion(visible=True),
            self._data: result.report.to_dict(),
            self._pairs: result.pairs,
        }

    @staticmethod
    def _show_pair(which: str, pairs: Pairs | None) -> gr.ImageSlider:
        if pairs is None:
            return gr.ImageSlider(value=None, visible=False)
        pair = pairs.whole if which == WHOLE else pairs.detail
        reduced = "" if pair.scale == 1 else f", at {pair.scale:.0%} of the size of the result"
        return gr.ImageSlider(
            value=(str(pair.before), str(pair.after)), label=f"Before and after{reduced}", visible=True
        )
