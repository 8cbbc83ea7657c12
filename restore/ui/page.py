"""The page: the tabs, their looks, and how it is served."""

from __future__ import annotations

import atexit
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from restore.settings import Settings, load_settings
from restore.ui.image_tab import build_image_tab
from restore.ui.work import Desk

TITLE = "Restore"
INTRODUCTION = "# Restore\nOld photos, restored and enlarged."

# Seconds between two looks at the uploads, and their age when they go.
DELETE_CACHE = (3600, 86400)
QUEUE_SIZE = 20

# Fonts of the visitor's own system: the page needs nothing from anywhere else. The colours are darker than Gradio's, so
# that small and white letters have the contrast that WCAG 2 asks for.
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.stone,
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    body_text_color_subdued="*neutral_500",
    block_info_text_color="*neutral_500",
    color_accent="*primary_600",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
)

CSS = """
.gradio-container { max-width: 1280px !important; margin: 0 auto; overflow: clip !important; }
.restore-results { position: sticky; top: 8px; align-self: flex-start; }
.restore-results .html-container { padding: 0; }
.restore-note { margin: 0; color: var(--body-text-color-subdued); font-size: var(--text-sm); overflow-wrap: anywhere; }
.restore-status { margin: 0; padding: 12px 16px; border: 1px solid var(--border-color-primary);
  border-radius: var(--block-radius); background: var(--block-background-fill); overflow-wrap: anywhere; }
.restore-status.good { border-left: 4px solid var(--color-accent); }
.restore-status.bad { border-color: var(--error-border-color); background: var(--error-background-fill);
  color: var(--error-text-color); }
.restore-stage { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 16px; margin-top: 12px;
  font-size: var(--text-sm); font-variant-numeric: tabular-nums; }
.restore-bar { height: 8px; margin-top: 4px; border-radius: 4px; overflow: hidden;
  background: var(--border-color-primary); }
.restore-bar > div { height: 100%; background: var(--color-accent); }
.restore-report p, .restore-report ul { margin: 0 0 6px; overflow-wrap: anywhere; }
.restore-report ul { padding-left: 20px; }
"""


def build_page(settings: Settings | None = None) -> gr.Blocks:
    """The page, ready to be launched; raises ``SettingsError`` when an environment variable makes no sense."""
    settings = load_settings() if settings is None else settings
    desk = Desk(Path(get_upload_folder()))
    atexit.register(desk.close_all)

    def close(request: gr.Request) -> None:
        desk.close(str(request.session_hash))

    page = gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=DELETE_CACHE)
    with page:
        gr.Markdown(INTRODUCTION)
        with gr.Tab("Image restore"):
            build_image_tab(desk, settings)
        page.unload(close)
    page.queue(max_size=QUEUE_SIZE)
    return page


def launch_page(page: gr.Blocks, settings: Settings | None = None) -> None:
    """Serve ``page`` until it is interrupted; Gradio's environment variables (``GRADIO_SERVER_NAME``, …) say where."""
    settings = load_settings() if settings is None else settings
    page.launch(
        max_file_size=settings.max_file_bytes,
        show_error=False,
        theme=THEME,
        css=CSS,
        footer_links=["gradio", "settings"],
    )
