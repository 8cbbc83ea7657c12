"""The two buttons of whatever begins a job: one that runs it, and beside it one that stops it."""

from __future__ import annotations

import gradio as gr
from gradio.i18n import I18nData

from restore.ui.texts import label


def run_and_stop(
    words: I18nData, prefix: str = "", *, primary: bool = True, min_width: int = 120
) -> tuple[gr.Button, gr.Button]:
    """A row of both, made where it is called for: the first says ``words``, the second cannot be pressed yet.

    Their elements are called ``run`` and ``stop``, with ``prefix`` before that. ``primary`` is for what a visitor came
    for, ``min_width`` is that of the first, in pixels.
    """
    with gr.Row():
        run = gr.Button(
            words,
            variant="primary" if primary else "secondary",
            scale=2,
            min_width=min_width,
            elem_id=f"{prefix}run",
            elem_classes="restore-once",
        )
        stop = gr.Button(label("stop"), variant="stop", interactive=False, min_width=100, elem_id=f"{prefix}stop")
    return run, stop
