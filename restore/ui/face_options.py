"""The settings of the stage "faces" on the page, for pictures and for clips."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from restore import catalog
from restore.inventory import ModelState, model_facts
from restore.models import AUTO, offered_for
from restore.settings import Settings
from restore.stages import Faces
from restore.stages.faces import RESTORERS
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.texts import both, label, model_label

FAITHFUL_BY_CHOICE = "codeformer"
"""The kind of network that can be told how much to keep to what it sees."""


class FaceOptions:
    """The components, made where it is called for; the names of their elements begin with ``prefix``.

    ``moving`` says that they are for clips, in which faces are followed.
    """

    def __init__(self, settings: Settings, prefix: str = "", *, moving: bool = False) -> None:
        usual = Faces()
        self._settings = settings
        self._on = gr.Checkbox(False, label=label("faces_on"), info=label("faces_info"), elem_id=f"{prefix}faces-on")
        with gr.Column(visible=False) as self._details:
            self._model = gr.Dropdown(
                [(label("model_auto"), AUTO), *((model_label(name), name) for name in offered_for(Faces.stage))],
                value=usual.model,
                label=label("faces_model"),
                elem_id=f"{prefix}faces-model",
            )
            self._note = gr.HTML(elem_id=f"{prefix}faces-note")
            self._fidelity = gr.Slider(
                0,
                1,
                usual.fidelity,
                step=0.05,
                label=label("fidelity"),
                info=label("fidelity_info"),
                visible=False,
                elem_id=f"{prefix}fidelity",
            )
            self._strength = gr.Slider(
                0,
                1,
                usual.strength,
                step=0.05,
                label=label("faces_strength"),
                info=label("faces_strength_info"),
                elem_id=f"{prefix}faces-strength",
            )
            self._min_size = gr.Slider(
                0,
                256,
                usual.min_size,
                step=4,
                label=label("min_size"),
                info=label("min_size_info"),
                elem_id=f"{prefix}min-size",
            )
            self._smoothing = gr.Slider(
                0,
                1,
                usual.smoothing,
                step=0.05,
                label=label("smoothing"),
                info=label("smoothing_info"),
                visible=moving,
                elem_id=f"{prefix}smoothing",
            )
            self._only_center = gr.Checkbox(
                usual.only_center,
                label=label("only_center"),
                info=label("only_center_info"),
                elem_id=f"{prefix}only-center",
            )

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        return [
            self._on,
            self._model,
            self._fidelity,
            self._strength,
            self._min_size,
            self._smoothing,
            self._only_center,
        ]

    def read(
        self, on: Any, model: Any, fidelity: Any, strength: Any, min_size: Any, smoothing: Any, only_center: Any
    ) -> Faces | None:
        """What the raw values of ``inputs`` stand for, ``None`` for faces that are left as they are.

        Raises ``SettingsError`` for what the page does not offer.
        """
        if on is not True:
            return None
        return Faces(
            model=model,
            fidelity=fidelity,
            strength=strength,
            min_size=min_size,
            smoothing=smoothing,
            only_center=only_center is True,
        )

    def connect(self, page: gr.Blocks) -> None:
        """Let the components follow each other; after all parts are made."""

        def show_model(model: str) -> Update:
            entry = catalog.checkpoint(RESTORERS[0] if model == AUTO else model)
            return {self._note: self._words(model), self._fidelity: gr.Slider(visible=_follows(entry.network))}

        def show_details(on: bool) -> gr.Column:
            return gr.Column(visible=on)

        self._on.change(show_details, self._on, self._details, queue=False, **QUIET)
        gr.on(
            [self._model.change, self._on.change, page.load],
            show_model,
            self._model,
            [self._note, self._fidelity],
            queue=False,
            **QUIET,
        )

    def _words(self, model: str) -> str:
        """What a model is for, and what has to be downloaded for it."""
        facts = {each.name: each for each in model_facts(self._settings)}
        if model == AUTO:
            here = [name for name in RESTORERS if facts[name].state is ModelState.ON_DISK]
            name = here[0] if here else RESTORERS[0]
            words = markup.note(both("faces_auto", model=markup.model_title(name)))
        else:
            name = model
            words = markup.model(model)
        size = facts[name].download_bytes
        if facts[name].state is not ModelState.DOWNLOAD:
            return words
        missing = both("faces_missing", size="?" if size is None else markup.file_size(size))
        return words + markup.note(missing)


def _follows(network: str) -> bool:
    return network == FAITHFUL_BY_CHOICE
