"""Where a clip is put in: the upload, a frame and the facts of the clip that is there, and the examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.errors import RestoreError
from restore.media.clips.facts import ClipInfo
from restore.media.clips.probe import probe
from restore.settings import Settings
from restore.ui import clip_card, examples, markup
from restore.ui.attach import QUIET, Update
from restore.ui.clip_preview import poster
from restore.ui.errors import to_gradio_error
from restore.ui.image_tab import PREVIEW_STYLES, PREVIEWS_AT_ONCE, upload_preview
from restore.ui.texts import both, label
from restore.ui.uploads import uploaded

# What the file chooser offers beside what the browser itself takes for a clip.
SUFFIXES = [
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".mts",
    ".m2ts",
    ".vob",
    ".flv",
    ".ogv",
    ".3gp",
    ".mxf",
    ".dv",
    ".wmv",
    ".m2v",
    ".h264",
    ".hevc",
    ".y4m",
    ".gif",
    ".apng",
    ".webp",
]


class ClipUpload:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._nothing_yet = clip_card.limits(settings)
        self.file = gr.File(
            label=label("upload_clip"),
            file_types=["video", *SUFFIXES],
            height=140,
            elem_id=f"{prefix}upload",
            elem_classes=["restore-upload", "restore-clip-upload"],
        )
        self._shown = gr.HTML(
            visible=False, css_template=PREVIEW_STYLES, apply_default_css=False, elem_id=f"{prefix}shown"
        )
        self._facts = gr.HTML(self._nothing_yet, elem_id=f"{prefix}facts")
        self._example = examples.clip_row(f"{prefix}examples")

    def connect(
        self,
        changed: Callable[[ClipInfo | None], Update],
        changes: list[Component],
        chosen: Callable[[str], Update],
        chooses: list[Component],
    ) -> None:
        """Show what is uploaded; after all parts are made.

        ``changed`` says what another clip, or none, makes of the components ``changes``; ``chosen``, what the example
        of that name makes of ``chooses``.
        """

        def show_upload(file: Mapping[str, Any] | None) -> Update:
            hidden = gr.HTML(visible=False)
            if file is None:
                return {self._shown: hidden, self._facts: self._nothing_yet, **changed(None)}
            try:
                path = uploaded(file)
                info = probe(path, self._settings)
                address = poster(path, info, self._settings)
            except RestoreError as error:
                # Below the file, where it stays until another one is chosen; Run says it again.
                return {self._shown: hidden, self._facts: markup.failure(to_gradio_error(error)), **changed(None)}
            except Exception as error:
                raise to_gradio_error(error) from None
            preview = upload_preview(address, both("clip_preview"), f"{self._prefix}upload-preview")
            return {
                self._shown: gr.HTML(value=preview, visible=True),
                self._facts: clip_card.card(info),
                **changed(info),
            }

        def load_example(event: gr.SelectData) -> Update:
            name = str(event.value)
            return {self.file: examples.as_upload(examples.CLIPS[name]), **chosen(name)}

        self.file.change(
            show_upload,
            self.file,
            [self._shown, self._facts, *changes],
            preprocess=False,
            concurrency_limit=PREVIEWS_AT_ONCE,
            **QUIET,
        )
        self._example.select(load_example, None, [self.file, *chooses], queue=False, **QUIET)
