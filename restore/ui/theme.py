"""The looks of the page: Gradio's theme, our own style sheet, and what the page's head carries of ours."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

HERE = Path(__file__).parent

# Fonts of the visitor's own system: the page needs nothing from anywhere else. The colours are darker than Gradio's, so
# that small and white letters have the contrast that WCAG 2 asks for.
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.stone,
    radius_size=gr.themes.sizes.radius_lg,
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_text_color_subdued="*neutral_500",
    block_info_text_color="*neutral_500",
    color_accent="*primary_600",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
)


def head() -> str:
    """What goes into the page's head: the style sheet, and pasting and dropping anywhere.

    The style sheet goes there because Gradio rewrites what it is given as ``css``, and rules for the whole page (its
    language, its theme inside ``@media``) do not survive that.
    """
    styles = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "paste.js").read_text(encoding="utf-8")
    return f"<style>\n{styles}</style>\n<script>\n{script}</script>\n"
