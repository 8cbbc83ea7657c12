"""All models on one crop: where it is taken from, and what each model made of it, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component

from restore import catalog
from restore.executors import Executor
from restore.inventory import ModelState, model_facts
from restore.jobs import Function, Job, JobStore
from restore.media.images import probe_image
from restore.models import BUILT_IN, for_pictures
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Upscale
from restore.tryout import CROP_SIDE, try_models
from restore.ui import markup
from restore.ui.attach import QUIET, Update, attach
from restore.ui.options import Chosen, UpscaleOptions
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.uploads import given_upload
from restore.ui.viewer import Cell, grid_value, try_grid

MIDDLE = 50
"""Percent of the width and the height."""

# The value is {src, width, height, x, y}: the picture, the crop's sides and its middle as fractions of the picture's.
PICKER = f"""
<div class="restore-picker" hidden role="img" aria-labelledby="picker-name">
  <span class="restore-picker-name" id="picker-name">{both("upload_preview")}</span>
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


def try_upload(
    source: Path,
    centre: tuple[float, float],
    chosen: Chosen,
    download: bool,
    executor: Executor,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job: run every model over a crop of ``source``."""
    tryout = try_models(
        source,
        folder,
        centre,
        model_names(),
        chosen.stage.to_dict(),
        progress,
        download=download,
        settings=chosen.settings,
        run_chain=executor.run_chain,
    )
    return {"tryout": tryout.to_dict()}


def model_names() -> list[str]:
    """The models to try, the built-in one first."""
    return sorted(for_pictures(Upscale.stage), key=lambda name: name != BUILT_IN)


class TryoutPanel:
    """The components, made where it is called for; a ``JobPanel``."""

    status_id = "tryout-status"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        with gr.Accordion(label("tryout"), open=False, elem_id="tryout") as self._accordion:
            gr.HTML(markup.note(both("tryout_info")))
            with gr.Row():
                with gr.Column(scale=2, min_width=280):
                    self._picker = gr.HTML(
                        html_template=PICKER,
                        css_template=PICKER_STYLES,
                        js_on_load=PICKER_SCRIPT,
                        apply_default_css=False,
                        elem_id="picker",
                    )
                with gr.Column(scale=3, min_width=280):
                    self._across = gr.Slider(
                        0, 100, MIDDLE, step=1, label=label("tryout_across"), elem_id="tryout-across"
                    )
                    self._down = gr.Slider(0, 100, MIDDLE, step=1, label=label("tryout_down"), elem_id="tryout-down")
                    self._download = gr.Checkbox(False, label=label("tryout_download"), elem_id="tryout-download")
                    self._run, self._stop = run_and_stop(label("tryout_run"), "tryout-")
            self._status = gr.HTML(visible=False, elem_id=self.status_id)
            self._grid = try_grid("tryout-grid")

    @property
    def components(self) -> list[Block]:
        return [self._accordion, self._status, self._grid]

    @property
    def of_picture(self) -> list[Component]:
        """What ``picture`` and ``no_picture`` change."""
        return [self._picker, self._across, self._down]

    def picture(self, address: str, width: int, height: int) -> Update:
        """Let the crop be chosen on the picture at ``address``, whose size in pixels is this; first in the middle."""
        side = min(CROP_SIDE, width, height)
        value = {"src": address, "width": side / width, "height": side / height, "x": 0.5, "y": 0.5}
        return {self._picker: gr.HTML(value=value), self._across: MIDDLE, self._down: MIDDLE}

    def no_picture(self) -> Update:
        return {self._picker: gr.HTML(value=None), self._across: MIDDLE, self._down: MIDDLE}

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
        executor: Executor,
        upload: Component,
        options: UpscaleOptions,
        concurrency_limit: int,
    ) -> None:
        """Let the crop of ``upload`` be chosen and tried, and a model be taken over into ``options``."""

        def begin(
            file: Mapping[str, Any] | None, across: Any, down: Any, download: Any, *values: Any
        ) -> tuple[Function, str]:
            source = given_upload(file, both("no_picture"))
            probe_image(source, self._settings)
            chosen = options.read(*values)
            centre = (across / 100, down / 100)
            work = partial(try_upload, source, centre, chosen, download is True, executor)
            return work, f"All models on a crop of {source.name}"

        def show_download() -> gr.Checkbox:
            names = model_names()
            tried = (each for each in model_facts(self._settings) if each.name in names)
            missing = [each for each in tried if each.state is ModelState.DOWNLOAD]
            size = sum(each.download_bytes or 0 for each in missing)
            return gr.Checkbox(label=label("tryout_download") + f" ({markup.file_size(size)})", visible=bool(missing))

        def use_model(event: gr.SelectData) -> Update:
            catalog.checkpoint(str(event.value))
            return {options.model: str(event.value), options.preset: None}  # no card stands for a single model

        place = [self._across, self._down]
        self._picker.select(None, self._picker, place, js=TO_SLIDERS, **QUIET)
        gr.on([each.change for each in place], None, [*place, self._picker], self._picker, js=TO_PICKER, **QUIET)
        self._accordion.expand(show_download, None, self._download, queue=False, **QUIET)
        self._grid.select(use_model, None, [options.model, options.preset], queue=False, **QUIET)
        attach(
            page,
            store,
            self,
            self._run,
            self._stop,
            begin,
            [upload, self._across, self._down, self._download, *options.inputs],
            parameter="try",
            concurrency_limit=concurrency_limit,
        )


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
    if trial["download_bytes"] is None:
        return Cell(name, title, None, markup.english(trial["problem"]), badges)
    badges.append(both("needs", size=markup.file_size(trial["download_bytes"])))
    return Cell(name, title, None, both("trial_missing"), badges)
