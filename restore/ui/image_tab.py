"""The tab "Image restore": one picture in, the same picture restored and enlarged out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

import restore
from restore import catalog
from restore.errors import Cancelled, InputError, RestoreError
from restore.media import images
from restore.models import AUTO, BUILT_IN
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import auto_candidates
from restore.ui import markup, preview
from restore.ui.errors import to_gradio_error
from restore.ui.results import Result, ResultPanel, Update
from restore.ui.work import Desk

POLL_SECONDS = 0.25
# Stop is promised within two seconds; after that the page says that the work is still coming to its end.
STOP_SECONDS = 2.0
# Pictures that are decoded for a preview at the same time: each may take hundreds of megabytes.
PREVIEWS_AT_ONCE = 2

# What the file chooser offers beside what the browser itself takes for a picture.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif", ".gif")
AS_UPLOAD = "As the upload"
FORMATS = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp", "TIFF": ".tif", "AVIF": ".avif"}

BY_SCALE = "By the scale"
TARGETS = {
    BY_SCALE: None,
    "Full HD, 1920 × 1080": "1920x1080",
    "QHD, 2560 × 1440": "2560x1440",
    "4K, 3840 × 2160": "3840x2160",
    "8K, 7680 × 4320": "7680x4320",
}

READY = "Choose a picture and press Run."
WAITING = "Waiting until the engine is free."
STOPPED = "Stopped; nothing was kept."
STOPPING = "Stopping; the part that runs now is still coming to its end."


def restore_upload(
    source: Path, name: str, step: Mapping[str, Any], settings: Settings, progress: Progress, folder: Path
) -> Result:
    """Restore ``source`` into ``folder / name``, with pictures to show and the report beside it."""
    target = folder / name
    report = restore.restore_image(source, target, [step], progress, settings=settings)
    progress.check()
    pairs = preview.write_pairs(source, target, folder, settings)
    progress.check()
    report_path = folder / f"{target.stem}_report.json"
    report.write(report_path)
    return Result(target, pairs, report, report_path)


def result_name(upload: Path, upload_format: str, chosen: str) -> str:
    """``photo.bmp`` saved as ``JPEG`` becomes ``photo_restored.jpg``; formats that cannot be written become PNG.

    Of the visitor's name only what is harmless in every file system and header is kept.
    """
    writable = {name: suffix for suffix, name in reversed(list(images.OUTPUT_SUFFIXES.items()))}
    suffix = FORMATS[chosen] if chosen in FORMATS else writable.get(upload_format, ".png")
    stem = re.sub(r"[^\w .()+-]", "_", upload.stem).strip(" .")[:80]
    return f"{stem or 'picture'}_restored{suffix}"


@dataclass(frozen=True)
class ModelChoice:
    """A line of the list of models: its label, the HTML of its note, and whether the denoise strength does anything."""

    label: str
    note: str
    denoises: bool


def model_choices() -> dict[str, ModelChoice]:
    """The models to choose from, by name: automatic, built-in, then as the catalogue lists them."""
    entries = catalog.checkpoints()
    gpu, cpu = (entries[names[0]].title for names in (auto_candidates("photo", kind) for kind in ("cuda", "cpu")))
    automatic = (
        f"{gpu} on a graphics card, {cpu} on a plain processor, if it is on this machine or can be downloaded; "
        "else the built-in model. The report says which one it was."
    )
    choices = {AUTO: ModelChoice("Automatic", markup.note(automatic), True)}
    able = [entry for entry in entries.values() if "upscale" in entry.stages]
    for entry in sorted(able, key=lambda entry: entry.name != BUILT_IN):
        choices[entry.name] = ModelChoice(entry.title, markup.model(entry.name), "weak_denoise" in entry.companions)
    return choices


def build_image_tab(desk: Desk, settings: Settings) -> None:
    """Put the components and the events of the tab into the ``gr.Blocks`` that is being built."""
    models = model_choices()

    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            # Not ``gr.Image``: it opens the file itself, knows no HEIC and has no words for a broken one.
            upload = gr.File(label="Picture", file_types=["image", *SUFFIXES], height=120, elem_id="upload")
            shown = gr.Image(
                visible=False,
                interactive=False,
                show_label=False,
                buttons=[],
                height=160,
                format="jpeg",
                elem_id="shown",
            )
            facts = gr.HTML(markup.limits(settings), elem_id="facts")
            model = gr.Dropdown(
                [(c.label, name) for name, c in models.items()], value=AUTO, label="Model", elem_id="model"
            )
            note = gr.HTML(models[AUTO].note, elem_id="model-note")
            with gr.Row():
                scale = gr.Slider(
                    1, 8, 4, step=0.5, label="Scale", info="1 keeps the size", min_width=200, elem_id="scale"
                )
                target = gr.Dropdown(
                    list(TARGETS), value=BY_SCALE, label="Size", info="Or fit into", min_width=200, elem_id="target"
                )
            with gr.Accordion("More", open=False):
                denoise = gr.Slider(
                    0, 1, 0.5, step=0.05, label="Denoise", info="0 keeps the grain, 1 removes it", elem_id="denoise"
                )
                strength = gr.Slider(
                    0,
                    1,
                    1,
                    step=0.05,
                    label="Strength",
                    info="0 only enlarges, 1 is the model alone",
                    elem_id="strength",
                )
                saved_as = gr.Dropdown(
                    [AS_UPLOAD, *FORMATS],
                    value=AS_UPLOAD,
                    label="Save as",
                    info="HEIC and GIF become PNG",
                    elem_id="format",
                )
            with gr.Row():
                run = gr.Button("Run", variant="primary", min_width=100, elem_id="run")
                stop = gr.Button("Stop", variant="stop", interactive=False, min_width=100, elem_id="stop")
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = ResultPanel(READY)
    # The path of the upload that the run is for. It is kept on the server, where nobody can put another one in.
    source = gr.State()

    def buttons(at_work: bool) -> Update:
        return {run: gr.Button(interactive=not at_work), stop: gr.Button(interactive=at_work)}

    def show_upload(file: Mapping[str, Any] | None) -> Update:
        hidden = gr.Image(value=None, visible=False)
        if file is None:
            return {shown: hidden, facts: markup.limits(settings)}
        path = Path(file["path"])
        try:
            info = images.probe_image(path, settings)
            picture = preview.fit(preview.load(path, settings), preview.UPLOAD_SIDE)
        except RestoreError as error:
            # Below the file, where it stays until another one is chosen; Run says it again.
            return {shown: hidden, facts: markup.failure(to_gradio_error(error))}
        except Exception as error:
            raise to_gradio_error(error) from None
        return {shown: gr.Image(value=picture, visible=True), facts: markup.facts(info, path.stat().st_size)}

    def show_model(name: str) -> Update:
        return {note: models[name].note, denoise: gr.Slider(visible=models[name].denoises)}

    def show_target(name: str) -> Update:
        return {scale: gr.Slider(interactive=name == BY_SCALE)}

    def prepare(file: Mapping[str, Any] | None) -> Iterator[Update]:
        """Refuse at once what can be refused, not after a wait in the queue."""
        try:
            if file is None:
                raise InputError("There is no picture yet: choose one first.")
            path = Path(file["path"])
            images.probe_image(path, settings)
        except Exception as error:
            # In the panel as well: the result of the run before would seem to be that of this one.
            failure = to_gradio_error(error)
            yield panel.failed(failure)
            raise failure from None
        yield {source: path, **panel.empty(WAITING), **buttons(at_work=True)}

    async def run_upload(
        path: Path,
        model: str,
        scale: float,
        target: str,
        denoise: float,
        strength: float,
        saved_as: str,
        request: gr.Request,
    ) -> AsyncIterator[Update]:
        step = {
            "stage": "upscale",
            "model": model,
            "scale": scale,
            "target": TARGETS[target],
            "denoise": denoise,
            "strength": strength,
        }
        work = None
        try:
            name = result_name(path, images.probe_image(path, settings).format, saved_as)
            work = desk.begin(str(request.session_hash), partial(restore_upload, path, name, step, settings))
            while not work.ended:
                yield {panel.status: markup.progress(work.stages(), work.seconds)}
                await asyncio.sleep(POLL_SECONDS)
            end = panel.filled(work.result())
        except Cancelled:
            end = panel.empty(STOPPED)
        except Exception as error:
            failure = to_gradio_error(error)
            yield {**panel.failed(failure), **buttons(at_work=False)}
            raise failure from None
        finally:
            # Stop and a closed tab end this generator while it waits.
            if work is not None and not work.ended:
                work.discard()
        yield {**end, **buttons(at_work=False)}

    def stop_work(request: gr.Request) -> Update:
        work = desk.latest(str(request.session_hash))
        ended = True
        if work is not None:
            work.discard()
            ended = work.wait(STOP_SECONDS)
        return {**panel.empty(STOPPED if ended else STOPPING), **buttons(at_work=False)}

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    # preprocess=False hands over the uploaded file as it came, checked to be an upload: otherwise ``gr.File`` leaves an
    # empty temporary file behind at every event and judges the picture by its suffix.
    upload.change(show_upload, upload, [shown, facts], preprocess=False, concurrency_limit=PREVIEWS_AT_ONCE, **quiet)
    model.change(show_model, model, [note, denoise], queue=False, **quiet)
    target.change(show_target, target, scale, queue=False, **quiet)
    outputs = [*panel.components, run, stop]
    # Queued, because Gradio shows no error of an event that is not; without limit, because nobody should wait for it.
    checked = run.click(prepare, upload, [source, *outputs], preprocess=False, concurrency_limit=None, **quiet)
    running = checked.success(
        run_upload,
        [source, model, scale, target, denoise, strength, saved_as],
        outputs,
        concurrency_id="gpu",
        concurrency_limit=1,
        **quiet,
    )
    # ``cancels`` takes a visitor who still waits out of the queue; the work itself is stopped by the handler.
    stop.click(stop_work, None, outputs, cancels=[running], queue=False, **quiet)
