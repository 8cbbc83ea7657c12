"""The frame in work, shown now and then while a film is restored."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import gradio as gr

from restore.frame import Frame
from restore.jobs import Job, Steps
from restore.progress import Progress
from restore.ui.clip_preview import to_picture
from restore.ui.clip_work import ClipWork, restore_upload
from restore.ui.preview import flat
from restore.ui.texts import both
from restore.ui.viewer import file_url

logger = logging.getLogger(__name__)

FILE = "frame_in_work.jpg"

EVERY_SECONDS = 2.0
"""Between two frames that are shown."""

LARGEST_SIDE = 640

STYLES = """
.restore-live { margin: 0; }
.restore-live[hidden] { display: none; }
.restore-live img { display: block; width: 100%; max-height: 360px; margin: 0; object-fit: contain; background: #000;
  border-radius: var(--radius-md); }
.restore-live figcaption { color: var(--body-text-color-subdued); font-size: var(--text-sm); margin-bottom: 4px; }
"""

# The next picture takes the place of the one before when it has come, so that nothing flickers.
SCRIPT = """
const root = element.querySelector(".restore-live"), picture = root.querySelector("img");
let wanted = null;
function paint() {
  const next = props.value || null;
  if (next === wanted) return;
  wanted = next;
  if (!next) {
    root.hidden = true;
    picture.removeAttribute("src");
    return;
  }
  const coming = new Image();
  coming.onload = () => {
    if (wanted !== next) return;
    picture.src = next;
    root.hidden = false;
  };
  coming.src = next;
}
watch("value", paint);
paint();
"""


class FrameShelf:
    """Keeps a small picture of the newest frame in ``folder``, a new one every few seconds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._since: float | None = None

    def __call__(self, frame: Frame) -> None:
        now = time.monotonic()
        if self._since is not None and now - self._since < EVERY_SECONDS:
            return
        self._since = now
        # Every so many pixels: quick, and as good as is needed here.
        step = max(1, -(-max(frame.width, frame.height) // LARGEST_SIDE))
        alpha = None if frame.alpha is None else frame.alpha[::step, ::step]
        small = Frame(frame.pixels[:, ::step, ::step], alpha=alpha)
        new = self._file.with_suffix(".new.jpg")
        try:
            flat(to_picture(small)).save(new, "JPEG", quality=80)
            new.replace(self._file)
        except OSError as error:  # the work itself notices a full disk, and may go on without a picture
            logger.warning("The frame in work cannot be shown: %s", error)

    def clear(self) -> None:
        """Leave nothing of it beside the result."""
        self._file.unlink(missing_ok=True)


def restore_film(work: ClipWork, progress: Progress, folder: Path) -> Steps:
    """The work of a job, as ``restore_upload``, with the frame in work to look at meanwhile."""
    shelf = FrameShelf(folder)
    try:
        return (yield from restore_upload(work, progress.seen_by(shelf), folder))
    finally:
        shelf.clear()


def live_frame(elem_id: str) -> gr.HTML:
    """The component; its value is what ``address_of`` gives."""
    return gr.HTML(
        html_template=f'<figure class="restore-live" hidden><figcaption>{both("film_live")}</figcaption>'
        '<img alt=""></figure>',
        css_template=STYLES,
        js_on_load=SCRIPT,
        apply_default_css=False,
        elem_id=elem_id,
    )


def address_of(job: Job) -> Any:
    """Where the browser finds the newest frame of a job; none while there is none."""
    file = job.folder / FILE
    try:
        changed = file.stat().st_mtime_ns
    except OSError:
        return None
    return f"{file_url(file)}?{changed}"
