"""The settings on the page that only clips have: how they are encoded, what becomes of their fields, which part."""

from __future__ import annotations

from typing import Any, get_args

import gradio as gr
from gradio.components import Component

from restore.clip_plan import ClipOptions
from restore.media.clips.encoders import KINDS, TITLES, Container, Encoding
from restore.media.clips.reader import Deinterlace
from restore.settings import Settings
from restore.ui.attach import QUIET, Update
from restore.ui.texts import label
from restore.ui.untouched_fields import UntouchedFields

SAME = "same"

CODECS = {codec: label(f"codec.{codec}") for codec in KINDS}


class ClipComponents:
    """The components, made where it is called for; the names of their elements begin with ``prefix``."""

    def __init__(self, prefix: str) -> None:
        usual = Encoding()
        self._codec = gr.Dropdown(
            [(title, codec) for codec, title in CODECS.items()],
            value=usual.codec,
            label=label("codec_label"),
            elem_id=f"{prefix}codec",
        )
        self._crf = gr.Slider(
            0,
            KINDS[usual.codec].largest_crf,
            KINDS[usual.codec].crf,
            step=1,
            label=label("crf"),
            info=label("crf_info"),
            elem_id=f"{prefix}crf",
        )
        self._container = gr.Dropdown(
            [(label("container_same"), SAME), *((TITLES[name], name) for name in get_args(Container))],
            value=SAME,
            label=label("container_label"),
            info=label("container_info"),
            elem_id=f"{prefix}container",
        )
        self._deinterlace = gr.Radio(
            [(label(f"deinterlace.{name}"), name) for name in get_args(Deinterlace)],
            value="auto",
            label=label("deinterlace_label"),
            info=label("deinterlace_info"),
            elem_id=f"{prefix}deinterlace",
        )
        self._square = gr.Checkbox(True, label=label("square"), info=label("square_info"), elem_id=f"{prefix}square")
        with gr.Row():
            self._start, self._end = (
                gr.Textbox(
                    label=label(f"cut.{name}"),
                    info=label("cut_info"),
                    placeholder=placeholder,
                    max_lines=1,
                    min_width=120,
                    elem_id=f"{prefix}{name}",
                )
                for name, placeholder in (("start", "0:00"), ("end", "1:02:03.5"))
            )
        self._untouched = UntouchedFields(prefix)

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        own = [self._codec, self._crf, self._container, self._deinterlace, self._square, self._start, self._end]
        return [*own, *self._untouched.inputs]

    @property
    def encoding_chosen(self) -> list[Any]:
        """The events in which a visitor chooses what the result can hold."""
        return [self._codec.input, self._container.input]

    @property
    def chosen(self) -> list[Any]:
        """The events in which a visitor chooses anything here, in the end: not each letter or step on the way."""
        whole = [self._codec.input, self._container.input, self._deinterlace.input, self._square.input]
        return [*whole, self._crf.release, self._start.blur, self._end.blur]

    def read(
        self, codec: Any, crf: Any, container: Any, deinterlace: Any, square: Any, start: Any, end: Any, *untouched: Any
    ) -> ClipOptions:
        """What the raw values of ``inputs`` stand for; raises ``SettingsError`` for what a clip cannot have."""
        encoding = Encoding(codec, container=None if container == SAME else container)
        if KINDS[encoding.codec].crf is not None:
            encoding = Encoding(codec, crf, container=encoding.container)
        left_alone = self._untouched.read(*untouched)
        return ClipOptions(start or None, end or None, encoding, deinterlace, square is True, untouched=left_alone)

    def connect(self, file: Component, settings: Settings) -> None:
        """Let the quality follow the codec, and what is left alone be seen on a frame of the clip ``file``."""

        def show_quality(codec: str) -> Update:
            kind = KINDS[codec]  # type: ignore[index]  # one of the choices
            if kind.crf is None:
                return {self._crf: gr.Slider(visible=False)}
            return {self._crf: gr.Slider(value=kind.crf, maximum=kind.largest_crf, visible=True)}

        self._codec.input(show_quality, self._codec, self._crf, queue=False, **QUIET)
        self._untouched.connect(file, settings)
