"""All models on one crop: where it is taken from, and what each model made of it, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore import catalog
from restore.inventory import ModelState, model_facts
from restore.jobs import Function, Job, JobStore
from restore.models import BUILT_IN
from restore.settings import Settings
from restore.tryout import CROP_SIDE
from restore.ui import markup
from restore.ui.attach import QUIET, Update, attach
from restore.ui.options import UpscaleOptions
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.time_slider import time_slider
from restore.ui.viewer import Cell, grid_value, try_grid

MIDDLE = 50
"""Percent of the width and the height."""

# The value is {src, width, height, x, y}: the picture, the crop's sides and its middle as fractions of the picture's.
PICKER = """
<div class="restore-picker" hidden role="img" aria-labelledby="NAME">
  <span class="restore-picker-name restore-unseen" id="NAME">WORDS</span>
  <img alt="" draggable="false"><span class="restore-crop"></span>
</div>"""

PICKER_STYLES = """
.restore-picker { position: relative; width: fit-content; max-width: 100%; overflow: hidden; cursor: crosshair;
  border-radius: var(--radius-md); }
.restore-picker[hidden] { display: none; }
.restore-picker-name { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.restore-picker img { display: block; max-width: 100%; max-height: 320px; margin: 0; }
.restore-crop { position: absolute; border: 2px solid #fff; box-shadow: 0 0 0 1px #000, 0 0 0 9999px rgb(0 0 0 / 35%);
  pointer-events: none; }
"""

PICKER_SCRIPT = """
const root = element.querySelector(".restore-picker");
const picture = root.querySelector("img");
const frame = root.querySelector(".restore-crop");
const clamp = (value, high) => Math.min(high, Math.max(0, value));
function paint() {
  const { value } = props;
  root.hidden = !value;
  if (!value) return picture.removeAttribute("src");
  if (picture.src !== value.src) picture.src = value.src;
  frame.style.left = `${100 * clamp(value.x - value.width / 2, 1 - value.width)}%`;
  frame.style.top = `${100 * clamp(value.y - value.height / 2, 1 - value.height)}%`;
  frame.style.width = `${100 * value.width}%`;
  frame.style.height = `${100 * value.height}%`;
}
picture.addEventListener("click", (event) => {
  const box = picture.getBoundingClientRect();
  const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  props.value = { ...props.value, x, y };
  paint();
  trigger("select");
});
watch("value", paint);
paint();
"""

TO_SLIDERS = "(value) => [Math.round(100 * value.x), Math.round(100 * value.y)]"
TO_PICKER = "(x, y, value) => value && { ...value, x: x / 100, y: y / 100 }"


Work = Callable[..., tuple[Function, str]]
"""Given the middle of the crop, as shares of the sides, whether to download what is missing, and the raw values of what
the tab asks for: the work of a job and its title."""

Use = Callable[..., Update]
"""Given the name of a model and the values of some components, what it means to take that model over into them."""


def into(options: UpscaleOptions) -> Use:
    """Take a model over into ``options``, of which no card stands for a single model."""
    return lambda name, *_: {options.model: name, options.preset: None}


class TryoutPanel:
    """The components, made where it is called for; a ``JobPanel``.

    The names of the elements begin with ``prefix``, and so does the parameter of the page's address. For a clip there
    is a slider for the moment as well; ``models`` are those that are tried.
    """

    def __init__(self, settings: Settings, models: Sequence[str], prefix: str = "", *, clip: bool = False) -> None:
        self.settings, self._models = settings, models
        self._parameter, self.status_id = f"{prefix}try", f"{prefix}tryout-status"
        name = f"{prefix}picker-name"
        words = both("clip_preview") if clip else both("upload_preview")
        with gr.Accordion(label("tryout"), open=False, elem_id=f"{prefix}tryout") as self._accordion:
            gr.HTML(markup.note(both("clip_tryout_info") if clip else both("tryout_info")))
            with gr.Row():
                with gr.Column(scale=2, min_width=280):
                    self.picker = gr.HTML(
                        html_template=PICKER.replace("NAME", name).replace("WORDS", words),
                        css_template=PICKER_STYLES,
                        js_on_load=PICKER_SCRIPT,
                        apply_default_css=False,
                        elem_id=f"{prefix}picker",
                    )
                with gr.Column(scale=3, min_width=280):
                    self._time = time_slider(f"{prefix}tryout-time") if clip else None
                    self._across = gr.Slider(
                        0, 100, MIDDLE, step=1, label=label("tryout_across"), elem_id=f"{prefix}tryout-across"
                    )
                    self._down = gr.Slider(
                        0, 100, MIDDLE, step=1, label=label("tryout_down"), elem_id=f"{prefix}tryout-down"
                    )
                    self._download = gr.Checkbox(
                        False, label=label("tryout_download"), elem_id=f"{prefix}tryout-download"
                    )
                    self._run, self._stop = run_and_stop(label("tryout_run"), f"{prefix}tryout-")
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            self._grid = try_grid(f"{prefix}tryout-grid")

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, self._grid]

    @property
    def place(self) -> list[Component]:
        """Where the middle of the crop lies, in percent of the width and of the height."""
        return [self._across, self._down]

    @property
    def unfolded(self) -> Any:
        """The event in which somebody unfolds the panel."""
        return self._accordion.expand

    @property
    def of_picture(self) -> list[Component]:
        """What ``picture`` and ``no_picture`` change."""
        return [self.picker, self._across, self._down]

    def picture(self, address: str, width: int, height: int) -> Update:
        """Let the crop be chosen on the picture at ``address``, whose size in pixels is this; first in the middle."""
        value = {**picked(address, width, height), "x": 0.5, "y": 0.5}
        return {self.picker: gr.HTML(value=value), self._across: MIDDLE, self._down: MIDDLE}

    def no_picture(self) -> Update:
        return {self.picker: gr.HTML(value=None), self._across: MIDDLE, self._down: MIDDLE}

    def standing(self, html: str) -> Update:
        # Opened, because the page may come to a job that was begun before it was loaded.
        return {self._accordion: gr.Accordion(open=True), self._status: gr.HTML(value=html, visible=True)}

    def empty(self, html: str) -> Update:
        return {**self.standing(html), self._grid: gr.HTML(value=None)}

    def failed(self, error: gr.Error) -> Update:
        return self.empty(markup.failure(error))

    def filled(self, job: Job) -> Update:
        tryout = job.result()["tryout"]
        box = tryout["box"]
        words = both("tryout_finished", width=box["width"], height=box["height"], scale=f"{tryout['scale']:g}")
        trials = sorted(tryout["trials"], key=lambda trial: trial["file"] is None)  # the pictures side by side
        cells = [
            Cell(None, both("trial_plain"), job.folder / tryout["plain"]),
            *(_cell(trial, job.folder) for trial in trials),
        ]
        return {
            **self.standing(markup.status(words, kind="good")),
            self._grid: gr.HTML(value=grid_value(cells, *tryout["size"])),
        }

    def connect(
        self,
        page: gr.Blocks,
        store: JobStore,
        work: Work,
        inputs: list[Component],
        use: Use,
        used: list[Component],
        concurrency_limit: int,
    ) -> None:
        """Let the crop be tried as ``work`` says of ``inputs``, and a model be taken over into ``used`` by ``use``."""

        def begin(across: Any, down: Any, download: Any, *values: Any) -> tuple[Function, str]:
            return work((across / 100, down / 100), download is True, *values)

        def show_download() -> gr.Checkbox:
            tried = (each for each in model_facts(self.settings) if each.name in self._models)
            missing = [each for each in tried if each.state is ModelState.DOWNLOAD]
            size = sum(each.download_bytes or 0 for each in missing)
            return gr.Checkbox(label=label("tryout_download") + f" ({markup.file_size(size)})", visible=bool(missing))

        def use_model(event: gr.SelectData, *values: Any) -> Update:
            catalog.checkpoint(str(event.value))
            return use(str(event.value), *values)

        moved = [self._across.change, self._down.change]
        self.picker.select(None, self.picker, self.place, js=TO_SLIDERS, **QUIET)
        gr.on(moved, None, [*self.place, self.picker], self.picker, js=TO_PICKER, **QUIET)
        self._accordion.expand(show_download, None, self._download, queue=False, **QUIET)
        self._grid.select(use_model, used, used, preprocess=False, queue=False, **QUIET)
        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [self._across, self._down, self._download, *inputs],
            parameter=self._parameter,
            concurrency_limit=concurrency_limit,
        )


def picked(address: str, width: int, height: int) -> dict[str, Any]:
    """What the picker shows of a picture of this size in pixels, but for the place."""
    side = min(CROP_SIDE, width, height)
    return {"src": address, "width": side / width, "height": side / height}


def _cell(trial: Mapping[str, Any], folder: Path) -> Cell:
    """One model in the grid."""
    name = trial["model"]
    title, badges = markup.model_title(name).html, []
    if name == BUILT_IN:
        badges.append(both("model_state.built_in"))
    if not trial["commercial"]:
        badges.append(both("non_commercial"))
    if trial["file"] is not None:
        badges.append(markup.duration(trial["seconds"]).html)
        notes = "".join(markup.note(markup.english(warning)) for warning in trial["warnings"])
        return Cell(name, title, folder / trial["file"], notes, badges)
    if not trial.get("missing"):
        return Cell(name, title, None, markup.english(trial["problem"]), badges)
    if trial["download_bytes"] is not None:
        badges.append(both("needs", size=markup.file_size(trial["download_bytes"])))
    return Cell(name, title, None, both("trial_missing"), badges)
