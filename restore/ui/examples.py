"""The example pictures as a row of thumbnails; a click on one makes it the upload."""

from __future__ import annotations

import base64
import io
from functools import cache
from pathlib import Path

import gradio as gr
import PIL.Image
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from restore.ui.presets import PRESETS
from restore.ui.texts import both

FOLDER = Path(__file__).parents[2] / "examples"

FILES = {"photo": "portrait.jpg", "scan": "old_scan.jpg", "illustration": "illustration.jpg", "faithful": "cat.jpg"}
"""The example of each preset."""

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


def example_row(elem_id: str) -> gr.HTML:
    """The row. Its event ``select`` has the name of a preset as the value of its ``gr.SelectData``."""
    buttons = "".join(
        f'<button type="button" data-example="{name}"><img alt="" src="{_thumbnail(FOLDER / file)}">'
        f"<span>{both(f'material.{PRESETS[name].material}')}</span></button>"
        for name, file in FILES.items()
    )
    return gr.HTML(
        f'<p class="restore-note">{both("examples")}</p><div class="restore-examples">{buttons}</div>',
        css_template=STYLES,
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id=elem_id,
    )


def as_upload(name: str) -> str:
    """Put the example of the preset ``name`` among the uploads, as if the visitor had sent it; the path there.

    Raises ``KeyError`` for a preset that there is not.
    """
    path = FOLDER / FILES[name]
    return str(save_bytes_to_cache(path.read_bytes(), path.name, cache_dir=get_upload_folder()))


@cache
def _thumbnail(path: Path) -> str:
    """A small copy of a picture as the address that holds all of it."""
    with PIL.Image.open(path) as picture:
        picture.thumbnail(THUMBNAIL)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
