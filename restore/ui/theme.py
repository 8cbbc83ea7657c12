"""The looks of the page: Gradio's theme, our own style sheet, and what the page's head carries of ours."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

from restore.ui.texts import text

HERE = Path(__file__).parent

# Fonts of the visitor's own system: the page needs nothing from anywhere else. The colours are further from their
# grounds than Gradio's, so that small and white letters have the contrast that WCAG 2 asks for.
THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.teal,
    secondary_hue=gr.themes.colors.teal,
    neutral_hue=gr.themes.colors.stone,
    radius_size=gr.themes.sizes.radius_lg,
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    color_accent="*primary_700",
    color_accent_soft_dark="*primary_950",
    border_color_primary_dark="*neutral_700",
    link_text_color="*primary_700",
    link_text_color_dark="*primary_300",
    block_background_fill="white",
    block_background_fill_dark="*neutral_900",
    block_radius="*radius_lg",
    block_label_text_color="*neutral_600",
    block_label_text_color_dark="*neutral_300",
    block_label_border_width="0px",
    block_label_background_fill="transparent",
    block_label_background_fill_dark="transparent",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    block_title_text_weight="600",
    input_background_fill_dark="*neutral_800",
    input_border_color="*neutral_300",
    input_border_color_dark="*neutral_600",
    input_border_color_focus="*primary_600",
    input_border_color_focus_dark="*primary_400",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    input_radius="*radius_md",
    checkbox_background_color_selected_dark="*primary_600",
    checkbox_border_color="*neutral_400",
    checkbox_border_color_dark="*neutral_500",
    checkbox_border_color_selected_dark="*primary_600",
    checkbox_label_border_color_selected="*primary_700",
    checkbox_label_border_color_selected_dark="*primary_400",
    checkbox_label_background_fill_selected="*primary_50",
    checkbox_label_background_fill_selected_dark="*primary_950",
    slider_color_dark="*primary_500",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_800",
    button_primary_border_color="*primary_700",
    button_primary_border_color_dark="*primary_700",
    button_secondary_background_fill="white",
    button_secondary_background_fill_dark="*neutral_800",
    button_secondary_background_fill_hover="*neutral_100",
    button_secondary_background_fill_hover_dark="*neutral_700",
    button_secondary_border_color="*neutral_300",
    button_secondary_border_color_dark="*neutral_600",
    button_secondary_border_color_hover="*neutral_400",
    button_secondary_text_color="*neutral_800",
    button_secondary_text_color_dark="*neutral_100",
    button_cancel_background_fill="white",
    button_cancel_background_fill_dark="*neutral_800",
    button_cancel_background_fill_hover="#fef2f2",
    button_cancel_background_fill_hover_dark="#450a0a",
    button_cancel_border_color="#b91c1c",
    button_cancel_border_color_dark="#f87171",
    button_cancel_text_color="#b91c1c",
    button_cancel_text_color_dark="#fca5a5",
    button_cancel_text_color_hover="#b91c1c",
    button_cancel_text_color_hover_dark="#fca5a5",
    button_border_width="1px",
    button_large_radius="*radius_md",
    button_large_text_weight="600",
)


def head() -> str:
    """What goes into the page's head: the style sheet, pasting and dropping anywhere, and one run for a double click.

    The style sheet goes there because Gradio rewrites what it is given as ``css``, and rules for the whole page (its
    language, its theme inside ``@media``) do not survive that.
    """
    styles = (HERE / "page.css").read_text(encoding="utf-8")
    hints = {
        ":root": text("upload_hint"),
        ".restore-clip-upload": text("upload_clip_hint"),
        ".restore-either-upload": text("upload_either_hint"),
    }
    words = "\n".join(
        f"{place} {{ --restore-upload-en: {json.dumps(hint.en)}; "
        f"--restore-upload-zh: {json.dumps(hint.zh, ensure_ascii=False)}; }}"
        for place, hint in hints.items()
    )
    scripts = "".join(
        f"<script>\n{(HERE / name).read_text(encoding='utf-8')}</script>\n"
        for name in ("paste.js", "once.js", "announce.js", "own_jobs.js")
    )
    return f"<style>\n{words}\n{styles}</style>\n{scripts}"
