"""The settings of the stage "upscale" on the page, for pictures and for clips: cards, the size, and everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from restore import catalog
from restore.errors import SettingsError
from restore.inventory import ModelFacts, ModelState, device_facts, model_facts
from restore.models import AUTO, BUILT_IN, for_pictures, offered_for
from restore.settings import Settings
from restore.stages import MATERIALS, Upscale, auto_candidates
from restore.ui import markup
from restore.ui.attach import QUIET, Update
from restore.ui.presets import BY_SCALE, DEFAULT, DEFAULT_SIZE, PRESETS, SIZES, Preset
from restore.ui.texts import both, group_of, grouped_label, label, model_label, text

TARGETS = [
    (label("target.scale"), BY_SCALE),
    (label("target.fhd"), "1920x1080"),
    (label("target.qhd"), "2560x1440"),
    (label("target.uhd"), "3840x2160"),
    (label("target.uhd2"), "7680x4320"),
]

PRECISIONS = {"auto": label("precision.auto"), "float32": label("precision.float32")}

# The engine stays below what a layer may take, but a tile that was asked for does not shrink for lack of memory.
LARGEST_TILE = 512
TILE_STEP = 32


@dataclass(frozen=True)
class Words:
    """What the cards and the materials are called, by preset and by material, and what is offered by model."""

    question: I18nData
    cards: Mapping[str, I18nData]
    material: I18nData
    materials: Mapping[str, I18nData]
    models: Mapping[str, I18nData]


def _built_in_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: name != BUILT_IN)


PICTURE_WORDS = Words(
    question=label("preset_label"),
    cards={name: label(f"preset.{name}") for name in PRESETS},
    material=label("material_label"),
    materials={name: label(f"material.{name}") for name in MATERIALS},
    models={name: model_label(name) for name in _built_in_first(for_pictures(Upscale.stage))},
)

CLIP_WORDS = Words(
    question=label("clip_preset_label"),
    cards={name: label(f"clip_preset.{name}") for name in PRESETS},
    material=label("clip_material_label"),
    materials={name: label(f"clip_material.{name}") for name in MATERIALS},
    models={name: grouped_label(name) for name in _built_in_first(offered_for(Upscale.stage))},
)


@dataclass(frozen=True)
class Chosen:
    """What the visitor chose: a stage, and the settings of this run."""

    stage: Upscale
    settings: Settings


class UpscaleOptions:
    """The components of the settings, made where their methods are called, and what they say.

    The names of their elements begin with ``prefix``.
    """

    def __init__(self, settings: Settings, words: Words = PICTURE_WORDS, prefix: str = "") -> None:
        """Make the cards by material."""
        self._settings = settings
        self._device = device_facts(settings).kind
        self._words, self._prefix = words, prefix
        self._size: gr.Radio | None = None
        self.preset = self._cards(words.question, words.cards, DEFAULT, "preset")

    def size_cards(self) -> None:
        """Make cards for the sizes that are asked for most."""
        sizes = {name: label(f"size.{name}") for name in SIZES}
        self._size = self._cards(label("size_label"), sizes, DEFAULT_SIZE, "size")

    def size_by_hand(self) -> None:
        """Make what every size can be chosen with."""
        scale, target = SIZES[DEFAULT_SIZE] if self._size is not None else (4.0, BY_SCALE)
        with gr.Row():
            self.scale = gr.Slider(
                1,
                8,
                scale,
                step=0.5,
                label=label("scale"),
                info=label("scale_info"),
                min_width=200,
                elem_id=self._named("scale"),
            )
            self.target = gr.Dropdown(
                TARGETS,
                value=target,
                label=label("target_label"),
                info=label("target_info"),
                min_width=200,
                elem_id=self._named("target"),
            )

    @contextmanager
    def advanced(self) -> Iterator[None]:
        """Make the part for those who want to choose everything; what is made inside comes between."""
        preset = PRESETS[DEFAULT]
        with gr.Accordion(label("advanced"), open=False, elem_id=self._named("advanced")):
            self.material = gr.Dropdown(
                [(title, name) for name, title in self._words.materials.items()],
                value=preset.material,
                label=self._words.material,
                info=label("material_info"),
                elem_id=self._named("material"),
            )
            self.model = gr.Dropdown(
                [(label("model_auto"), AUTO), *((title, name) for name, title in self._words.models.items())],
                value=preset.model,
                label=label("model"),
                elem_id=self._named("model"),
            )
            self.note = gr.HTML(elem_id=self._named("model-note"))
            self.denoise = gr.Slider(
                0,
                1,
                preset.denoise,
                step=0.05,
                label=label("denoise"),
                info=label("denoise_info"),
                elem_id=self._named("denoise"),
            )
            self.strength = gr.Slider(
                0,
                1,
                preset.strength,
                step=0.05,
                label=label("strength"),
                info=label("strength_info"),
                elem_id=self._named("strength"),
            )
            yield
            self.precision = gr.Radio(
                [(title, name) for name, title in PRECISIONS.items()],
                value="auto",
                label=label("precision_label"),
                info=label("precision_info"),
                elem_id=self._named("precision"),
            )
            self.tile = gr.Slider(
                0,
                LARGEST_TILE,
                0,
                step=TILE_STEP,
                label=label("tile"),
                info=label("tile_info"),
                elem_id=self._named("tile"),
            )

    def _named(self, name: str) -> str:
        return self._prefix + name

    def _cards(self, question: I18nData, cards: Mapping[str, I18nData], chosen: str, name: str) -> gr.Radio:
        return gr.Radio(
            [(title, value) for value, title in cards.items()],
            value=chosen,
            label=question,
            elem_id=self._named(name),
            elem_classes="restore-cards",
        )

    @property
    def inputs(self) -> list[Component]:
        """What ``read`` takes the values of, in its order."""
        return [
            self.material,
            self.model,
            self.scale,
            self.target,
            self.denoise,
            self.strength,
            self.precision,
            self.tile,
        ]

    @property
    def governed(self) -> list[Component]:
        """What a card sets."""
        return [getattr(self, field.name) for field in fields(Preset)]

    def read(
        self,
        material: Any,
        model: Any,
        scale: Any,
        target: Any,
        denoise: Any,
        strength: Any,
        precision: Any,
        tile: Any,
    ) -> Chosen:
        """What the raw values of ``inputs`` stand for; raises ``SettingsError`` for what the page does not offer."""
        if precision not in tuple(PRECISIONS):
            raise SettingsError(f"The precision is {precision!r}: choose one of {', '.join(PRECISIONS)}.")
        if tile not in range(0, LARGEST_TILE + 1, TILE_STEP):
            raise SettingsError(f"The tile is {tile!r}: choose from {TILE_STEP} to {LARGEST_TILE} pixels, or 0.")
        settings = self._settings
        if precision != "auto":
            settings = replace(settings, precision=precision)
        if tile:
            settings = replace(settings, tile=int(tile))
        stage = Upscale(
            model=model, scale=scale, target=target or None, denoise=denoise, strength=strength, material=material
        )
        return Chosen(stage, settings)

    def choose_preset(self, name: str) -> Update:
        """What becomes of the settings when a card is chosen; raises ``KeyError`` for one that there is not."""
        preset = PRESETS[name]
        return {getattr(self, field.name): getattr(preset, field.name) for field in fields(Preset)}

    def connect(self, page: gr.Blocks) -> None:
        """Let the components follow each other; after all parts are made."""

        def name_preset(*values: Any) -> str | None:
            """The card that stands for the settings as they are now; none where they were changed by hand."""
            chosen = dict(zip((field.name for field in fields(Preset)), values, strict=True))
            alike = (name for name, preset in PRESETS.items() if vars(preset) == chosen)
            return next(alike, None)

        def show_model(model: str, material: str) -> Update:
            facts = {each.name: each for each in model_facts(self._settings)}
            names = auto_candidates(material, self._device) if model == AUTO else (model,)
            denoises = any(catalog.checkpoint(name).companions for name in names)
            note = self._automatic(names, facts) if model == AUTO else _about(facts[model])
            return {self.note: note, self.denoise: gr.Slider(visible=denoises)}

        def show_target(target: str) -> gr.Slider:
            return gr.Slider(interactive=target == BY_SCALE)

        def choose_size(name: str) -> Update:
            scale, target = SIZES[name]
            return {self.scale: scale, self.target: target}

        def name_size(scale: float, target: str) -> str | None:
            alike = (name for name, size in SIZES.items() if size == (scale, target) or target == size[1] != BY_SCALE)
            return next(alike, None)

        self.preset.input(self.choose_preset, self.preset, self.governed, queue=False, **QUIET)
        by_hand = [self.material.input, self.model.input, self.denoise.input, self.strength.input]
        gr.on(by_hand, name_preset, self.governed, self.preset, queue=False, **QUIET)
        shown = [self.model.change, self.material.change, page.load]
        gr.on(shown, show_model, [self.model, self.material], [self.note, self.denoise], queue=False, **QUIET)
        self.target.change(show_target, self.target, self.scale, queue=False, **QUIET)
        if self._size is not None:
            size = [self.scale, self.target]
            self._size.input(choose_size, self._size, size, queue=False, **QUIET)
            gr.on([self.scale.input, self.target.input], name_size, size, self._size, queue=False, **QUIET)

    @staticmethod
    def _automatic(names: Sequence[str], facts: dict[str, ModelFacts]) -> str:
        """What the automatic choice comes to now."""
        here = [name for name in names if facts[name].state in (ModelState.BUILT_IN, ModelState.ON_DISK)]
        first = next(name for name in names if name in here or facts[name].state is ModelState.DOWNLOAD)
        title, size = markup.model_title(first), facts[first].download_bytes
        if first in here or size is None:
            return markup.note(both("auto_at_hand", model=title))
        other = markup.model_title(here[0])
        return markup.note(both("auto_download", model=title, size=markup.file_size(size), other=other))


def _about(facts: ModelFacts) -> str:
    """What a model is good for, how fast it is, what there is to download, and what its licence allows."""
    size = facts.download_bytes
    missing = facts.state is ModelState.DOWNLOAD and size is not None
    return markup.note(
        both(
            "upscale_note",
            description=markup.model_description(facts.name),
            group=group_of(catalog.checkpoint(facts.name)),
            speed=text(f"speed.{facts.speed}"),
            state=text("download_of", size=markup.file_size(size or 0))
            if missing
            else text(f"model_state.{facts.state.name.lower()}"),
            licence=facts.licence,
            use=text("commercial" if facts.commercial else "non_commercial"),
        )
    )
