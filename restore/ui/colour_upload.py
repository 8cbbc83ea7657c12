"""Where a photo or a clip is put in to be coloured: what it is, and the question whether colours are to be replaced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from restore.errors import RestoreError
from restore.media.clips.facts import ClipInfo
from restore.settings import Settings
from restore.ui import clip_card, examples, image_tab, markup, preview
from restore.ui.attach import QUIET, Update
from restore.ui.clip_preview import poster
from restore.ui.clip_upload import SUFFIXES as CLIP_SUFFIXES
from restore.ui.colour_source import ColourSource, look
from restore.ui.errors import SECONDS, to_gradio_error
from restore.ui.image_tab import PREVIEW_STYLES, PREVIEWS_AT_ONCE, upload_preview
from restore.ui.texts import both, label
from restore.ui.uploads import given_upload, uploaded


class ColourUpload:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        self._settings, self._prefix = settings, prefix
        self._nothing_yet = markup.limits(settings) + clip_card.limits(settings)
        self.file = gr.File(
            label=label("upload_either"),
            file_types=list(dict.fromkeys(["image", *image_tab.SUFFIXES, "video", *CLIP_SUFFIXES])),
            height=140,
            elem_id=f"{prefix}upload",
            elem_classes=["restore-upload", "restore-either-upload"],
        )
        self._shown = gr.HTML(
            visible=False, css_template=PREVIEW_STYLES, apply_default_css=False, elem_id=f"{prefix}shown"
        )
        self._facts = gr.HTML(self._nothing_yet, elem_id=f"{prefix}facts")
        with gr.Column(visible=False, elem_id=f"{prefix}question") as self._question:
            gr.HTML(markup.status(both("in_colour"), kind="warn"))
            self.anew = gr.Checkbox(False, label=label("colour_anew"), elem_id=f"{prefix}anew")
        self._example = examples.colour_row(f"{prefix}examples")

    def read(self, file: object, anew: Any) -> ColourSource:
        """The upload that is to be coloured; raises ``gr.Error`` for one in colour, unless it is to be so ``anew``."""
        source = look(given_upload(file, both("no_picture_or_clip")), self._settings)
        if source.coloured and anew is not True:
            raise gr.Error(both("in_colour_still"), duration=SECONDS, print_exception=False)
        return source

    def connect(self, changed: Callable[[ColourSource | None], Update], changes: list[Component]) -> None:
        """Show what is uploaded; after all parts are made.

        ``changed`` says what another upload, or none, makes of the components ``changes``.
        """

        def show_upload(file: Mapping[str, Any] | None) -> Update:
            nothing: Update = {
                self._shown: gr.HTML(visible=False),
                self._facts: self._nothing_yet,
                self._question: gr.Column(visible=False),
                self.anew: False,
                **changed(None),
            }
            if file is None:
                return nothing
            try:
                source = look(uploaded(file), self._settings)
                shown = self._picture(source)
            except RestoreError as error:
                # Below the file, where it stays until another one is chosen; Run says it again.
                return {**nothing, self._facts: markup.failure(to_gradio_error(error))}
            except Exception as error:
                raise to_gradio_error(error) from None
            return {
                **nothing,
                self._shown: gr.HTML(value=shown, visible=True),
                self._facts: _facts(source),
                self._question: gr.Column(visible=source.coloured),
                **changed(source),
            }

        def load_example(event: gr.SelectData) -> str:
            return examples.as_upload(examples.COLOURLESS[str(event.value)][0])

        self.file.change(
            show_upload,
            self.file,
            [self._shown, self._facts, self._question, self.anew, *changes],
            preprocess=False,
            concurrency_limit=PREVIEWS_AT_ONCE,
            **QUIET,
        )
        self._example.select(load_example, None, self.file, queue=False, **QUIET)

    def _picture(self, source: ColourSource) -> str:
        """The upload, or a frame of it, as HTML."""
        elem_id = f"{self._prefix}upload-preview"
        if isinstance(source.info, ClipInfo):
            address = poster(source.path, source.info, self._settings)
            return upload_preview(address, both("clip_preview"), elem_id)
        address = preview.as_url(preview.fit(preview.load(source.path, self._settings), preview.UPLOAD_SIDE))
        return upload_preview(address, both("upload_preview"), elem_id)


def _facts(source: ColourSource) -> str:
    if isinstance(source.info, ClipInfo):
        return clip_card.card(source.info)
    return markup.facts(source.info, source.path.stat().st_size)
