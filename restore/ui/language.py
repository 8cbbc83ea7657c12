"""The visible switch between English and Simplified Chinese, and what makes the page follow it.

Gradio's own locale is the one truth: the switch sets it, and the page takes its language from it.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import gradio as gr

from restore.ui.texts import LANGUAGES, label, text

SCRIPTS = tuple(Path(__file__).with_name(name) for name in ("language.js", "names.js"))

CONTROLS = ("reset", "upload", "file", "close", "copy", "expand", "collapse", "footer")
"""Gradio's own controls whose names it has in English only, beside the two of a slider."""

STYLES = """
.restore-languages { display: flex; justify-content: flex-end; gap: 4px; }
.restore-languages[hidden] { display: none; }
.restore-languages button {
  min-height: 32px; padding: 2px 12px; border: 1px solid transparent; border-radius: 999px; background: transparent;
  color: var(--body-text-color-subdued); font: inherit; font-size: var(--text-sm); cursor: pointer;
}
.restore-languages button:hover { border-color: var(--border-color-primary); color: var(--body-text-color); }
.restore-languages button[aria-pressed="true"] {
  border-color: var(--color-accent); background: var(--color-accent-soft); color: var(--body-text-color);
}
@media (pointer: coarse) {
  .restore-languages button { min-height: 44px; }
}
"""

# Each in its own language, so that whoever reads only that one finds it.
NAMES = {"en": "English", "zh": "简体中文"}


def language_switch() -> None:
    """Put the switch, and the hidden element that tells the page its language, into the ``gr.Blocks`` being built."""
    name = text("language")
    buttons = "".join(
        f'<button type="button" lang="{LANGUAGES[language]}" data-language="{language}" aria-pressed="false">'
        f"{NAMES[language]}</button>"
        for language in LANGUAGES
    )
    gr.HTML(
        f'<div class="restore-languages" role="group" aria-label="{escape(f"{name.en} · {name.zh}")}">{buttons}</div>',
        css_template=STYLES,
        apply_default_css=False,
        elem_id="language",
        js_on_load=None,
    )
    gr.HTML(str(label("language_code")), visible="hidden", elem_id="language-code", js_on_load=None)


def head() -> str:
    """What the switch needs in the page's head."""
    sliders = text("slider.number", label="{label}"), text("slider.range", label="{label}")
    names = [(each.en, each.zh) for each in (*sliders, *(text(f"gradio.{name}") for name in CONTROLS))]
    data = f'<script type="application/json" id="restore-names">{json.dumps(names)}</script>\n'
    return data + "".join(f"<script>\n{script.read_text(encoding='utf-8')}</script>\n" for script in SCRIPTS)
