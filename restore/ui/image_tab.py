"""The tab "Image restore": one picture in, the same picture restored and enlarged out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image

import restore
from restore.errors import RestoreError
from restore.executors import Executor
from restore.jobs import Function, JobStore
from restore.media.images import check_output_pixels, probe_image
from restore.progress import Progress
from restore.settings import Settings
from restore.stages import Stage
from restore.ui import examples, markup, preview
from restore.ui.attach import QUIET, Update, attach
from restore.ui.errors import to_gradio_error
from restore.ui.face_panel import FacePanel
from restore.ui.options import UpscaleOptions
from restore.ui.picture_tryout import PictureTryout
from restore.ui.results import ResultPanel, result_values, shown_pair
from restore.ui.run_buttons import run_and_stop
from restore.ui.texts import both, label
from restore.ui.uploads import FORMATS, SAME, given_upload, result_name, uploaded

# Pictures that are decoded for a preview at the same time: each may take hundreds of megabytes. They have a limit of
# their own and no share in that of the jobs, so they wait for each other only, however many jobs are watched.
PREVIEWS_AT_ONCE = 2

# What the file chooser offers beside what the browser itself takes for a picture.
SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".avif", ".heic", ".heif", ".gif")

FORMAT_TITLES = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP", "tiff": "TIFF", "avif": "AVIF"}

PREVIEW_STYLES = """
.restore-upload-preview img {
  display: block; max-width: 100%; max-height: 200px; margin: 0 auto; border-radius: var(--radius-md);
}
.restore-upload-preview span { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""


def restore_upload(
    source: Path,
    name: str,
    stages: Sequence[Stage],
    settings: Settings,
    executor: Executor,
    progress: Progress,
    folder: Path,
) -> dict[str, Any]:
    """The work of a job: restore ``source`` into ``folder / name``, with pictures to show and the report beside it."""
    target = folder / name
    report = restore.restore_image(source, target, stages, progress, settings=settings, run_chain=executor.run_chain)
    progress.check()
    pair = preview.write_pair(source, target, folder, settings)
    progress.check()
    report_path = folder / f"{target.stem}_report.json"
    report.write(report_path)
    return result_values(name, report.to_dict(), report_path.name, shown=shown_pair(pair))


def build_image_tab(
    page: gr.Blocks, store: JobStore, executor: Executor, settings: Settings, concurrency_limit: int
) -> None:
    """Put the components and the events of the tab into ``page``, which is being built."""
    nothing_yet = markup.limits(settings)
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            # Not ``gr.Image``: it opens the file itself, knows no HEIC and has no words for a broken one.
            upload = gr.File(
                label=label("upload"),
                file_types=["image", *SUFFIXES],
                height=140,
                elem_id="upload",
                elem_classes="restore-upload",
            )
            shown = gr.HTML(visible=False, css_template=PREVIEW_STYLES, apply_default_css=False, elem_id="shown")
            facts = gr.HTML(nothing_yet, elem_id="facts")
            example = examples.picture_row("examples")
            options = UpscaleOptions(settings)
            options.size_by_hand()
            faces = FacePanel(settings)
            run, stop = run_and_stop(label("run"))
            with options.advanced():
                saved_as = gr.Dropdown(
                    [(label("format_same"), SAME), *((FORMAT_TITLES[name], name) for name in FORMATS)],
                    value=SAME,
                    label=label("format"),
                    info=label("format_info"),
                    elem_id="format",
                )
        with gr.Column(scale=3, min_width=300, elem_classes="restore-results"):
            panel = ResultPanel(settings)
    tryout = PictureTryout(settings)

    def show_upload(file: Mapping[str, Any] | None) -> Update:
        if file is None:
            return {shown: gr.HTML(visible=False), facts: nothing_yet, **tryout.no_picture(), **faces.forget()}
        try:
            path = uploaded(file)
            info = probe_image(path, settings)
            address = preview.as_url(preview.fit(preview.load(path, settings), preview.UPLOAD_SIDE))
        except RestoreError as error:
            # Below the file, where it stays until another one is chosen; Run says it again.
            failure = markup.failure(to_gradio_error(error))
            return {shown: gr.HTML(visible=False), facts: failure, **tryout.no_picture(), **faces.forget()}
        except Exception as error:
            raise to_gradio_error(error) from None
        return {
            shown: gr.HTML(value=upload_preview(address, both("upload_preview"), "upload-preview"), visible=True),
            facts: markup.facts(info, path.stat().st_size),
            **tryout.picture(address, info.width, info.height),
            **faces.forget(),
        }

    def load_example(event: gr.SelectData) -> Update:
        name = str(event.value)
        return {upload: examples.as_upload(examples.FILES[name]), options.preset: name, **options.choose_preset(name)}

    def begin(file: Mapping[str, Any] | None, saved_as: Any, *values: Any) -> tuple[Function, str]:
        """Refuse at once what can be refused, not after a wait for others."""
        source = given_upload(file, both("no_picture"))
        info = probe_image(source, settings)
        own = len(options.inputs)
        chosen, face = options.read(*values[:own]), faces.options.read(*values[own:])
        check_output_pixels(*chosen.stage.output_size(info.width, info.height), settings)
        name = result_name(source, info.format, saved_as)
        stages: list[Stage] = [chosen.stage] if face is None else [chosen.stage, face]
        return partial(restore_upload, source, name, stages, chosen.settings, executor), name

    def look(file: Mapping[str, Any] | None) -> tuple[Callable[[], PIL.Image.Image], str]:
        source = given_upload(file, both("no_picture"))
        probe_image(source, settings)
        return partial(preview.load, source, settings), source.name

    upload.change(
        show_upload,
        upload,
        [shown, facts, *tryout.of_picture, *faces.of_upload],
        preprocess=False,
        concurrency_limit=PREVIEWS_AT_ONCE,
        **QUIET,
    )
    example.select(load_example, None, [upload, options.preset, *options.governed], queue=False, **QUIET)
    options.connect(page)
    faces.connect(page, store, look, [upload], concurrency_limit)
    attach(
        page,
        store,
        panel,
        run,
        stop,
        begin,
        [upload, saved_as, *options.inputs, *faces.options.inputs],
        parameter="job",
        concurrency_limit=concurrency_limit,
        remembered=True,
    )
    tryout.connect_picture(page, store, executor, upload, options, concurrency_limit)


def upload_preview(address: str, words: str, elem_id: str) -> str:
    """The upload as it looks, with a name for those who cannot see it."""
    return (
        f'<div class="restore-upload-preview" role="img" aria-labelledby="{elem_id}">'
        f'<img alt="" src="{address}"><span id="{elem_id}">{words}</span></div>'
    )
