"""A page with each kind of text on it: ``python -m tests.texts_page`` serves it for the tests of the two languages."""

from __future__ import annotations

from typing import Any

import gradio as gr

from restore.ui import language, theme
from restore.ui.texts import I18N, both, label, model_label


def serve() -> None:
    """Serve the page until the process ends; ``GRADIO_SERVER_PORT`` says where."""
    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    with gr.Blocks(analytics_enabled=False) as page:
        language.language_switch()
        with gr.Tab(label("tab.image")):
            gr.HTML(f"<p>{both('introduction')}</p>", elem_id="introduction")
            kinds = [(label(f"preset.{name}"), name) for name in ("photo", "scan")]
            gr.Radio(kinds, value="scan", label=label("preset_label"), elem_id="kind")
            gr.Textbox(label=label("format"), info=label("tile_info"), interactive=True, elem_id="words")
            models = [(model_label(name), name) for name in ("RealESRGAN_x4plus", "built-in")]
            gr.Dropdown(models, value="built-in", label=label("material_label"), elem_id="model")
            gr.Slider(0, 1, label=label("strength"))
            run = gr.Button(label("run"), elem_id="run")
            download = gr.DownloadButton(label("download"), elem_id="download")
            status = gr.HTML(elem_id="status")

        def finish() -> dict[Any, Any]:
            return {
                download: gr.DownloadButton(label("download") + " (PNG)"),
                status: f"<p>{both('state.stopped')}</p>",
            }

        run.click(finish, None, [download, status], **quiet)
    page.launch(i18n=I18N, head=theme.head() + language.head(), footer_links=["settings"], quiet=True)


if __name__ == "__main__":
    serve()
