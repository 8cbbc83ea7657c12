"""The example pictures and clips as rows of thumbnails; a click on one makes it the upload."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import gradio as gr
import PIL.Image
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from restore.media.clips.probe import probe
from restore.settings import Settings
from restore.ui.clip_preview import picture_of
from restore.ui.texts import both

FOLDER = Path(__file__).parents[2] / "examples"

FILES = {"photo": "portrait.jpg", "scan": "old_scan.jpg", "illustration": "illustration.jpg", "faithful": "cat.jpg"}
"""The example of each preset."""

CLIPS = {"photo": "clip_cat.mp4", "scan": "clip_film.mp4", "illustration": "clip_anime.mp4"}
"""The clips for those presets that one stands for."""

COLOURLESS = {"photo": ("old_scan.jpg", both("material.scan")), "film": ("clip_film.mp4", both("clip_material.scan"))}
"""A photo and a clip without colours: the file, and what it is, as HTML."""

THUMBNAIL = (160, 160)

STYLES = """
.restore-examples { display: flex; flex-wrap: wrap; gap: 8px; }
.restore-examples button {
  display: flex; flex-direction: column; gap: 4px; flex: 1 1 72px; max-width: 110px; padding: 4px;
  border: 1px solid var(--border-color-primary); border-radius: var(--radius-md); cursor: pointer;
  background: var(--block-background-fill); color: var(--body-text-color); font: inherit; font-size: var(--text-xs);
  line-height: 1.3;
}
.restore-examples button:hover { border-color: var(--color-accent); }
.restore-examples img { width: 100%; height: 72px; margin: 0; object-fit: cover; border-radius: var(--radius-sm); }
"""

SCRIPT = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const index = [...button.parentElement.children].indexOf(button);
  trigger("select", { index, value: button.dataset.example });
});
"""


def picture_row(elem_id: str) -> gr.HTML:
    """The row of pictures. Its event ``select`` has the name of a preset as the value of its ``gr.SelectData``."""
    return _row(elem_id, {name: (file, both(f"material.{name}")) for name, file in FILES.items()})


def clip_row(elem_id: str) -> gr.HTML:
    """The row of clips, likewise."""
    return _row(elem_id, {name: (file, both(f"clip_material.{name}")) for name, file in CLIPS.items()})


def colour_row(elem_id: str) -> gr.HTML:
    """The row of what can be coloured, likewise, by the names in ``COLOURLESS``."""
    return _row(elem_id, COLOURLESS)


def as_upload(file: str) -> str:
    """Put an example among the uploads, as if the visitor had sent it; the path there."""
    path = FOLDER / file
    return str(save_bytes_to_cache(path.read_bytes(), path.name, cache_dir=get_upload_folder()))


def _row(elem_id: str, examples: Mapping[str, tuple[str, str]]) -> gr.HTML:
    buttons = "".join(
        f'<button type="button" data-example="{name}"><img alt="" src="{_thumbnail(FOLDER / file)}">'
        f"<span>{words}</span></button>"
        for name, (file, words) in examples.items()
    )
    return gr.HTML(
        f'<p class="restore-note">{both("examples")}</p><div class="restore-examples">{buttons}</div>',
        css_template=STYLES,
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id=elem_id,
    )


@cache
def _thumbnail(path: Path) -> str:
    """A small copy of a picture, or of a frame of a clip, as the address that holds all of it."""
    with _opened(path) as picture:
        picture.thumbnail(THUMBNAIL)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def _opened(path: Path) -> PIL.Image.Image:
    if path.name in CLIPS.values():
        settings = Settings()
        return picture_of(path, probe(path, settings), settings)
    return PIL.Image.open(path)
