"""A slider for a moment of a clip."""

from __future__ import annotations

import gradio as gr

from restore.media.clips.facts import ClipInfo
from restore.ui.texts import label


def time_slider(elem_id: str) -> gr.Slider:
    """The slider, for no clip yet."""
    return gr.Slider(0, 1, 0, step=0.01, label=label("frame_time"), min_width=200, elem_id=elem_id)


def along(info: ClipInfo | None) -> gr.Slider:
    """What it becomes for a clip: from its beginning to its last frame, first somewhere near the beginning."""
    seconds = 0.0 if info is None or info.video.duration is None else float(info.video.duration)
    last = 0.0 if info is None else max(0.0, seconds - float(1 / info.video.frame_rate))
    return gr.Slider(value=min(1.0, round(last / 2, 2)), maximum=max(0.01, round(last, 2)))
