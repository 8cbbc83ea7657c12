"""The settings of the stage "colorize" on the page, for pictures and for clips."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from restore import catalog
from restore.inventory import ModelFacts, ModelState, device_facts, model_facts
from restore.models import AUTO, offered_for
from restore.settings import Settings
from restore.stages import Colorize
from restore.stages.colorize import BUILT_IN, CANDIDATES, DEEPREMASTER, MINDIMS, MOST_SATURATION, RENDER_FACTORS
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.texts import both, label, model_label

RENDERED = "deoldify"
"""The kind of network that has a render factor."""


class ColourOptions:
    """The components, made where its methods are called; the names of their elements begin with ``prefix``."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        """Make what most visitors choose."""
        self._settings, self._prefix = settings, prefix
        self._device = device_facts(settings).kind
        usual = Colorize()
        names = sorted(offered_for(Colorize.stage), key=lambda name: name != BUILT_IN)
        self._model = gr.Dropdown(
            [(label("model_auto"), AUTO), *((model_label(name), name) for name in names)],
            value=usual.model,
            label=label("model"),
            elem_id=f"{prefix}model",
        )
        self._note = gr.HTML(elem_id=f"{prefix}model-note")
        self._render_factor = gr.Slider(
            *RENDER_FACTORS,
            usual.render_factor,
            step=1,
            label=label("render_factor"),
            info=label("render_factor_info"),
            visible=False,
            elem_id=f"{prefix}render-factor",
        )
        self._mindim = gr.Slider(
            *MINDIMS,
            usual.mindim,
            step=1,
            label=label("mindim"),
            info=label("mindim_info"),
            visible=False,
            elem_id=f"{prefix}mindim",
        )
        self._saturation = gr.Slider(
            0,
            MOST_SATURATION,
            usual.saturation,
            step=0.05,
            label=label("saturation"),
            info=label("saturation_info"),
            elem_id=f"{prefix}saturation",
        )

    def advanced(self) -> None:
        """Make what few change."""
        self._steadiness = gr.Slider(
            0,
            1,
            Colorize().steadiness,
            step=0.05,
            label=label("steadiness"),
            info=label("steadiness_info"),
            elem_id=f"{self._prefix}steadiness",
        )
        self._keep_luma = gr.Checkbox(
            Colorize().keep_luma,
            label=label("keep_luma"),
            info=label("keep_luma_info"),
            elem_id=f"{self._prefix}keep-luma",
        )

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        return [
            self._model,
            self._render_factor,
            self._mindim,
            self._saturation,
            self._steadiness,
            self._keep_luma,
        ]

    def read(
        self, model: Any, render_factor: Any, mindim: Any, saturation: Any, steadiness: Any, keep_luma: Any
    ) -> Colorize:
        """What the raw values of ``inputs`` stand for; raises ``SettingsError`` for what makes no sense."""
        return Colorize(
            model=model,
            render_factor=render_factor,
            saturation=saturation,
            steadiness=steadiness,
            keep_luma=keep_luma is True,
            mindim=mindim,
        )

    def connect(self, page: gr.Blocks) -> None:
        """Let the components follow each other; after all parts are made."""

        def show_model(model: str) -> Update:
            rendered = model != AUTO and catalog.checkpoint(model).network == RENDERED
            return {
                self._note: self._words(model),
                self._render_factor: gr.Slider(visible=rendered),
                self._mindim: gr.Slider(visible=model == DEEPREMASTER),
            }

        gr.on(
            [self._model.change, page.load],
            show_model,
            self._model,
            [self._note, self._render_factor, self._mindim],
            queue=False,
            **QUIET,
        )

    def _words(self, model: str) -> str:
        """What a model is for, what has to be downloaded for it, and what colours of any model are worth."""
        facts = {each.name: each for each in model_facts(self._settings)}
        words = self._automatic(facts) if model == AUTO else _of_model(facts[model])
        return words + markup.note(both("colour_guess"))

    def _automatic(self, facts: dict[str, ModelFacts]) -> str:
        """What the automatic choice comes to now."""
        first = next(name for name in CANDIDATES[self._device] if facts[name].state is not ModelState.DAMAGED)
        size = facts[first].download_bytes
        if facts[first].state is ModelState.BUILT_IN:
            return _of_model(facts[first])
        if facts[first].state is ModelState.ON_DISK or size is None:
            return markup.note(both("auto_at_hand", model=markup.model_title(first)))
        words = both(
            "auto_download",
            model=markup.model_title(first),
            size=markup.file_size(size),
            other=markup.model_title(BUILT_IN),
        )
        return markup.note(words)


def _of_model(facts: ModelFacts) -> str:
    words = markup.model(facts.name)
    if facts.state is ModelState.BUILT_IN:
        return words + markup.note(both("colour_built_in_note"))
    if facts.state is not ModelState.DOWNLOAD:
        return words
    size = facts.download_bytes
    return words + markup.note(both("model_missing", size="?" if size is None else markup.file_size(size)))
