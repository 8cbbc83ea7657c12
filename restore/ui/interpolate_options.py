"""The settings of the stage "interpolate" on the page: cards for the pace, the model, and everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, get_args

import gradio as gr
from gradio.components import Component

from restore.errors import SettingsError
from restore.inventory import ModelState, model_facts
from restore.models import AUTO, BUILT_IN, offered_for
from restore.settings import Settings
from restore.stages import Interpolate
from restore.stages.interpolate import CANDIDATES, Sound
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.pace_presets import BY_FACTOR, DEFAULT, PACES, Pace, pace_of
from restore.ui.texts import both, label, model_label, text

LARGEST_FACTOR = 16
"""By which the slider goes up; the engine and the API go further."""

SEARCHES = {"auto": None, "full": 1.0, "half": 0.5, "quarter": 0.25}
"""The shares of its size at which motion is looked for in a frame, by the names of their texts ``search.*``."""


class InterpolateOptions:
    """The components, made where its methods are called; the names of their elements begin with ``prefix``."""

    def __init__(self, settings: Settings, prefix: str) -> None:
        """Make what most visitors choose."""
        self._settings, self._prefix = settings, prefix
        self._pace = gr.Radio(
            [(label(f"pace.{name}"), name) for name in PACES],
            value=DEFAULT,
            label=label("pace_label"),
            elem_id=f"{prefix}pace",
            elem_classes=["restore-cards", "restore-short-cards"],
        )
        self._duplicates = gr.Checkbox(
            False, label=label("duplicates"), info=label("duplicates_info"), elem_id=f"{prefix}duplicates"
        )
        self._sound = gr.Radio(
            [(label(f"slow_sound.{name}"), name) for name in get_args(Sound)],
            value="stretch",
            label=label("slow_sound_label"),
            visible=False,
            elem_id=f"{prefix}sound",
        )
        names = [name for name in offered_for(Interpolate.stage) if name != BUILT_IN]
        self._model = gr.Dropdown(
            [
                (label("model_auto"), AUTO),
                (label("interpolate_built_in"), BUILT_IN),
                *((model_label(name), name) for name in names),
            ],
            value=AUTO,
            label=label("model"),
            elem_id=f"{prefix}model",
        )
        self._note = gr.HTML(elem_id=f"{prefix}model-note")

    @contextmanager
    def advanced(self) -> Iterator[None]:
        """Make the part for those who want to choose everything; what is made inside comes below."""
        pace = PACES[DEFAULT]
        with gr.Accordion(label("advanced"), open=False, elem_id=f"{self._prefix}advanced"):
            with gr.Row():
                self._fps = gr.Textbox(
                    pace.fps,
                    label=label("fps"),
                    info=label("fps_info"),
                    placeholder="60000/1001",
                    max_lines=1,
                    min_width=120,
                    elem_id=f"{self._prefix}fps",
                )
                self._factor = gr.Slider(
                    1,
                    LARGEST_FACTOR,
                    pace.factor,
                    step=0.5,
                    label=label("factor"),
                    info=label("factor_info"),
                    min_width=200,
                    elem_id=f"{self._prefix}factor",
                )
            self._slow = gr.Checkbox(
                pace.slow_motion, label=label("slow"), info=label("slow_info"), elem_id=f"{self._prefix}slow"
            )
            self._scale = gr.Radio(
                [(label(f"search.{name}"), name) for name in SEARCHES],
                value="auto",
                label=label("search_label"),
                info=label("search_info"),
                elem_id=f"{self._prefix}scale",
            )
            yield

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        return [self._fps, self._factor, self._slow, self._duplicates, self._sound, self._model, self._scale]

    @property
    def of_example(self) -> list[Component]:
        """What ``choose`` changes."""
        return [self._duplicates]

    def choose(self, *, duplicates: bool) -> Update:
        """What becomes of the settings for a clip that is known."""
        return {self._duplicates: duplicates}

    @property
    def governed(self) -> list[Component]:
        """What a card sets."""
        return [self._fps, self._factor, self._slow]

    @property
    def pace_chosen(self) -> list[Any]:
        """The events after which the result has another length or rate."""
        return [each.change for each in (self._fps, self._factor, self._slow, self._sound)]

    def read(
        self, fps: Any, factor: Any, slow: Any, duplicates: Any, sound: Any, model: Any, scale: Any
    ) -> Interpolate:
        """What the raw values of ``inputs`` stand for; raises ``SettingsError`` for what makes no sense."""
        if scale not in tuple(SEARCHES):
            raise SettingsError(f"Motion is to be looked for at {scale!r}: choose one of {', '.join(SEARCHES)}.")
        rate = fps.strip() if isinstance(fps, str) else fps
        by_factor = slow is True or not rate
        return Interpolate(
            model=model,
            fps=rate or None,
            factor=factor if by_factor else None,
            slow_motion=slow is True,
            duplicates="resample" if duplicates is True else "keep",
            scale=SEARCHES[scale],
            sound=sound,
        )

    def connect(self, page: gr.Blocks) -> None:
        """Let the components follow each other; after all parts are made."""

        def choose_pace(name: str) -> Update:
            pace = PACES[name]
            return dict(zip(self.governed, (getattr(pace, field.name) for field in fields(Pace)), strict=True))

        def name_pace(fps: str, factor: float, slow: bool) -> str | None:
            return pace_of(fps, factor, slow)

        def show_what_counts(fps: str, slow: bool) -> Update:
            by_factor = slow or fps.strip() == BY_FACTOR
            return {self._factor: gr.Slider(interactive=by_factor), self._sound: gr.Radio(visible=slow)}

        def show_model(model: str) -> str:
            return self._words(model)

        self._pace.input(choose_pace, self._pace, self.governed, queue=False, **QUIET)
        # Of a text that is pasted there is no event "input".
        by_hand = [self._fps.change, self._factor.input, self._slow.input]
        gr.on(by_hand, name_pace, self.governed, self._pace, queue=False, **QUIET)
        gr.on(
            [self._fps.change, self._slow.change, page.load],
            show_what_counts,
            [self._fps, self._slow],
            [self._factor, self._sound],
            queue=False,
            **QUIET,
        )
        gr.on([self._model.change, page.load], show_model, self._model, self._note, queue=False, **QUIET)

    def _words(self, model: str) -> str:
        """What a model is for, and what has to be downloaded for it."""
        facts = {each.name: each for each in model_facts(self._settings)}
        built_in = markup.note(both("interpolate_built_in_note"))
        if model == BUILT_IN:
            return built_in
        if model != AUTO:
            missing, size = facts[model].state is ModelState.DOWNLOAD, facts[model].download_bytes
            words = markup.model(model)
            if missing:
                words += markup.note(both("model_missing", size="?" if size is None else markup.file_size(size)))
            return words
        offered = [name for name in CANDIDATES if name in facts and name != BUILT_IN]
        here = next((name for name in offered if facts[name].state is ModelState.ON_DISK), None)
        if here is not None:
            return markup.note(both("auto_at_hand", model=markup.model_title(here)))
        first = next((name for name in offered if facts[name].state is ModelState.DOWNLOAD), None)
        if first is None:
            return built_in
        size = facts[first].download_bytes
        return markup.note(
            both(
                "auto_download",
                model=markup.model_title(first),
                size="?" if size is None else markup.file_size(size),
                other=text("interpolate_built_in"),
            )
        )
