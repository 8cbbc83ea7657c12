"""Pictures to compare: before and after under a divider, and many results of one crop side by side.

Both are ``gr.HTML`` components whose value is a mapping made by ``comparison_value`` or ``grid_value``. The browser
draws the pictures as plain images that it zooms and moves itself, so that their size is bounded by the browser alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr
from gradio.route_utils import API_PREFIX

from restore.ui.texts import both

HERE = Path(__file__).parent
SCRIPT = (HERE / "viewer.js").read_text(encoding="utf-8")
STYLES = (HERE / "viewer.css").read_text(encoding="utf-8")

ENLARGE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"/></svg>'
ARROWS = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M9 6l-6 6 6 6M15 6l6 6-6 6"/></svg>'
MINUS = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8h10"/></svg>'
PLUS = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 8h10M8 3v10"/></svg>'


@dataclass(frozen=True)
class Words:
    """What the viewers say, each as HTML (escaped, in as many languages as the page has)."""

    before: str
    after: str
    divider: str
    picture: str
    failed: str
    fit: str
    zoom_in: str
    zoom_out: str
    full_screen: str
    use_model: str


PAGE_WORDS = Words(
    before=both("viewer.before"),
    after=both("viewer.after"),
    divider=both("viewer.divider"),
    picture=both("viewer.picture"),
    failed=both("viewer.failed"),
    fit=both("viewer.fit"),
    zoom_in=both("viewer.zoom_in"),
    zoom_out=both("viewer.zoom_out"),
    full_screen=both("viewer.full_screen"),
    use_model=both("viewer.use_model"),
)


@dataclass(frozen=True)
class Cell:
    """One result in the grid.

    ``model`` is what the event ``select`` hands over, ``None`` for a cell that cannot be chosen; ``picture`` is
    ``None`` where there is none, and then ``note`` says why. ``title``, ``note`` and ``badges`` are HTML: escape what
    is not.
    """

    model: str | None
    title: str
    picture: Path | None = None
    note: str = ""
    badges: Sequence[str] = ()


def file_url(path: Path) -> str:
    """The address of a file in Gradio's folder of uploads and results, relative to the page.

    Relative, because a share link, a Space or a proxy may serve the page under an address that the program cannot know.
    """
    return f"{API_PREFIX.lstrip('/')}/file={quote(path.as_posix())}"


def comparison_value(before: Path, after: Path, width: int, height: int) -> dict[str, Any]:
    """The value of ``before_after`` for two files that browsers show, drawn ``width`` by ``height`` pixels at 100 %."""
    return {"before": file_url(before), "after": file_url(after), "width": width, "height": height}


def grid_value(cells: Sequence[Cell], width: int, height: int, selected: str | None = None) -> dict[str, Any]:
    """The value of ``try_grid``: every picture is drawn ``width`` by ``height`` pixels at 100 %."""
    return {
        "width": width,
        "height": height,
        "selected": selected,
        "cells": [
            {
                "model": cell.model,
                "title": cell.title,
                "picture": None if cell.picture is None else file_url(cell.picture),
                "note": cell.note,
                "badges": "".join(badge(words) for words in cell.badges),
            }
            for cell in cells
        ],
    }


def badge(html: str) -> str:
    """A few words in a small frame."""
    return f'<span class="restore-badge">{html}</span>'


def before_after(elem_id: str, words: Words = PAGE_WORDS, **parameters: Any) -> gr.HTML:
    """The viewer with the divider; ``parameters`` go to ``gr.HTML``. Empty and without height while its value is none.

    Dragging anywhere moves the divider while the whole picture is in view; zoomed in, dragging moves the picture and
    the divider has its handle. At 100 % a pixel of the picture is one of the screen.
    """
    template = f"""
<div class="restore-viewer" hidden>
  {_tools(words)}
  <div class="restore-port" tabindex="0" role="group" aria-labelledby="{elem_id}-picture">
    <span class="restore-unseen" id="{elem_id}-picture">{words.picture}</span>
    <img class="restore-after" alt="" draggable="false">
    <img class="restore-before" alt="" draggable="false">
    <span class="restore-tag">{words.before}</span>
    <span class="restore-tag">{words.after}</span>
    <div class="restore-divider" tabindex="0" role="slider" aria-orientation="horizontal" aria-valuemin="0"
      aria-valuemax="100" aria-valuenow="50" aria-labelledby="{elem_id}-divider">
      <span class="restore-unseen" id="{elem_id}-divider">{words.divider}</span>
      <span class="restore-handle">{ARROWS}</span>
    </div>
    <div class="restore-failed" role="alert" hidden>{words.failed}</div>
  </div>
</div>"""
    return _component(template, "beforeAfter(element, props, watch);", elem_id, parameters)


def try_grid(elem_id: str, words: Words = PAGE_WORDS, **parameters: Any) -> gr.HTML:
    """The grid of results that zoom and move together; ``parameters`` go to ``gr.HTML``.

    Its event ``select`` comes from the button of a cell: the value of its ``gr.SelectData`` is the cell's model.
    """
    template = f"""
<div class="restore-try" hidden>
  {_tools(words)}
  <div class="restore-cells"></div>
  <template>
    <article class="restore-cell">
      <div class="restore-port" tabindex="0" role="group">
        <img alt="" draggable="false">
        <span class="restore-spot" hidden></span>
      </div>
      <h4 class="restore-title"></h4>
      <div class="restore-badges"></div>
      <div class="restore-remark"></div>
      <button type="button" aria-pressed="false">{words.use_model}</button>
    </article>
  </template>
</div>"""
    return _component(template, "tryGrid(element, props, watch, trigger);", elem_id, parameters)


def _component(template: str, start: str, elem_id: str, parameters: dict[str, Any]) -> gr.HTML:
    return gr.HTML(
        html_template=_literal(template),
        css_template=STYLES,
        js_on_load=f"{SCRIPT}\n{start}",
        apply_default_css=False,
        elem_id=elem_id,
        **parameters,
    )


def _literal(html: str) -> str:
    """``html`` with nothing in it that Gradio's templates (Handlebars inside a JavaScript template) would act upon."""
    for special, entity in (("\\", "&#92;"), ("`", "&#96;"), ("$", "&#36;"), ("{", "&#123;")):
        html = html.replace(special, entity)
    return html


def _tools(words: Words) -> str:
    def button(command: str, html: str) -> str:
        return f'<button type="button" data-command="{command}">{html}</button>'

    def icon(command: str, picture: str, html: str) -> str:
        return button(command, f'{picture}<span class="restore-unseen">{html}</span>')

    return f"""<div class="restore-tools">
    {button("fit", words.fit)}{button("1", "100&nbsp;%")}{button("2", "200&nbsp;%")}<span class="restore-gap"></span>
    {icon("out", MINUS, words.zoom_out)}<span class="restore-percent"></span>{icon("in", PLUS, words.zoom_in)}
    {icon("full", ENLARGE, words.full_screen)}
  </div>"""
