"""The settings of each stage as the editor of a chain offers them: what it asks for, what it calls it, what it allows.

The editor (``film_chain.js``) draws these, so a setting that a stage gains is offered by one more entry here. What is
not here stays in a chain as it came, out of a file or a link.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from restore import catalog
from restore.inventory import speed_of
from restore.models import AUTO, BUILT_IN, offered_for
from restore.stages import MATERIALS, Clean, Colorize, Faces, Interpolate, Upscale
from restore.stages.colorize import BUILT_IN as BUILT_IN_COLOUR
from restore.stages.colorize import MOST_SATURATION, RENDER_FACTORS
from restore.stages.faces import RESTORERS
from restore.stages.interpolate import Sound
from restore.ui.face_options import FAITHFUL_BY_CHOICE
from restore.ui.interpolate_options import LARGEST_FACTOR, SEARCHES
from restore.ui.markup import model_description
from restore.ui.texts import Text, group_of, joined, text, title_of

Kind = Literal["choice", "slider", "text", "check"]


@dataclass(frozen=True)
class Choice:
    """One of several values of a setting, what it is called, and what there is to know of it."""

    value: Any
    title: Text
    note: Text | None = None

    def to_dict(self) -> dict[str, Any]:
        return {"value": self.value, "title": _both(self.title), "note": _both(self.note)}


@dataclass(frozen=True)
class Field:
    """One setting of a stage.

    ``usual`` is what it is where a chain says nothing of it. A slider goes from ``low`` to ``high`` by ``step``; a
    check stands for the values ``off`` and ``on``. The field is shown while each setting that ``shown`` names has one
    of the values there. What ``clears`` names is taken out of the chain where this is set, because both say the same.
    ``gist`` tells that its value stands beside the name of the stage.
    """

    name: str
    kind: Kind
    title: Text
    usual: Any
    info: Text | None = None
    choices: Sequence[Choice] = ()
    low: float = 0
    high: float = 1
    step: float = 0.05
    off: Any = False
    on: Any = True
    placeholder: str = ""
    shown: Mapping[str, Sequence[Any]] | None = None
    clears: Sequence[str] = ()
    gist: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            **vars(self),
            "title": _both(self.title),
            "info": _both(self.info),
            "choices": [choice.to_dict() for choice in self.choices],
            "shown": {name: list(values) for name, values in (self.shown or {}).items()},
            "clears": list(self.clears),
        }


@dataclass(frozen=True)
class StageForm:
    """A stage in the editor: its settings, and with which of them it comes in when it is added."""

    stage: str
    title: Text
    info: Text
    fields: Sequence[Field]
    first: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "title": _both(self.title),
            "info": _both(self.info),
            "fields": [field.to_dict() for field in self.fields],
            "first": dict(self.first),
        }


def forms() -> list[StageForm]:
    """The stages that a chain can have, in the order in which they are offered."""
    return [_clean(), _colorize(), _upscale(), _faces(), _interpolate()]


def _clean() -> StageForm:
    fields = [
        _model(Clean.stage),
        Field("strength", "slider", text("strength"), Clean().strength, text("film_clean_strength")),
    ]
    return StageForm(Clean.stage, text("stage.clean"), text("film_about.clean"), fields, {})


def _upscale() -> StageForm:
    usual = Upscale()
    by_scale = {"target": [None]}
    denoising = _models_that(lambda name: bool(catalog.checkpoint(name).companions), Upscale.stage)
    sizes = [
        Choice(None, text("target.scale")),
        Choice("1920x1080", text("target.fhd")),
        Choice("2560x1440", text("target.qhd")),
        Choice("3840x2160", text("target.uhd")),
        Choice("7680x4320", text("target.uhd2")),
    ]
    fields = [
        _model(Upscale.stage),
        Field(
            "material",
            "choice",
            text("clip_material_label"),
            usual.material,
            text("material_info"),
            [Choice(name, text(f"clip_material.{name}")) for name in MATERIALS],
            shown={"model": [AUTO]},
        ),
        Field("target", "choice", text("target_label"), None, None, sizes, gist=True),
        Field(
            "scale",
            "slider",
            text("scale"),
            usual.scale,
            text("scale_info"),
            low=1,
            high=8,
            step=0.5,
            shown=by_scale,
            gist=True,
        ),
        Field(
            "denoise",
            "slider",
            text("denoise"),
            usual.denoise,
            text("denoise_info"),
            shown={"model": [AUTO, *denoising]},
        ),
        Field("strength", "slider", text("strength"), usual.strength, text("strength_info")),
    ]
    return StageForm(Upscale.stage, text("stage.upscale"), text("film_about.upscale"), fields, {"scale": 2})


def _faces() -> StageForm:
    usual = Faces()

    def follows(name: str) -> bool:
        return catalog.checkpoint(RESTORERS[0] if name == AUTO else name).network == FAITHFUL_BY_CHOICE

    fields = [
        _model(Faces.stage),
        Field(
            "fidelity",
            "slider",
            text("fidelity"),
            usual.fidelity,
            text("fidelity_info"),
            shown={"model": _models_that(follows, Faces.stage, AUTO)},
        ),
        Field("strength", "slider", text("faces_strength"), usual.strength, text("faces_strength_info")),
        Field("min_size", "slider", text("min_size"), usual.min_size, text("min_size_info"), high=256, step=4),
        Field("smoothing", "slider", text("smoothing"), usual.smoothing, text("smoothing_info")),
        Field("only_center", "check", text("only_center"), usual.only_center, text("only_center_info")),
    ]
    return StageForm(Faces.stage, text("stage.faces"), text("film_about.faces"), fields, {})


def _interpolate() -> StageForm:
    usual = Interpolate()
    fields = [
        _model(
            Interpolate.stage,
            Choice(BUILT_IN, text("interpolate_built_in"), text("interpolate_built_in_note")),
        ),
        Field(
            "fps",
            "text",
            text("fps"),
            None,
            text("fps_info"),
            placeholder="60000/1001",
            clears=("factor", "time_step"),
            gist=True,
        ),
        Field(
            "factor",
            "slider",
            text("factor"),
            2,
            text("factor_info"),
            low=1,
            high=LARGEST_FACTOR,
            step=0.5,
            shown={"fps": [None]},
            clears=("time_step",),
            gist=True,
        ),
        Field("slow_motion", "check", text("slow"), usual.slow_motion, text("slow_info"), clears=("fps",)),
        Field(
            "sound",
            "choice",
            text("slow_sound_label"),
            usual.sound,
            None,
            [Choice(name, text(f"slow_sound.{name}")) for name in get_args(Sound)],
            shown={"slow_motion": [True]},
        ),
        Field(
            "duplicates",
            "check",
            text("duplicates"),
            usual.duplicates,
            text("duplicates_info"),
            off="keep",
            on="resample",
        ),
        Field(
            "scale",
            "choice",
            text("search_label"),
            usual.scale,
            text("search_info"),
            [Choice(share, text(f"search.{name}")) for name, share in SEARCHES.items()],
        ),
    ]
    return StageForm(
        Interpolate.stage, text("stage.interpolate"), text("film_about.interpolate"), fields, {"fps": "60"}
    )


def _colorize() -> StageForm:
    usual = Colorize()

    def rendered(name: str) -> bool:
        return name != AUTO and catalog.checkpoint(name).network == "deoldify"

    fields = [
        _model(Colorize.stage),
        Field(
            "render_factor",
            "slider",
            text("render_factor"),
            usual.render_factor,
            text("render_factor_info"),
            low=RENDER_FACTORS[0],
            high=RENDER_FACTORS[1],
            step=1,
            shown={"model": _models_that(rendered, Colorize.stage)},
        ),
        Field(
            "saturation",
            "slider",
            text("saturation"),
            usual.saturation,
            text("saturation_info"),
            high=MOST_SATURATION,
        ),
        Field("steadiness", "slider", text("film_steadiness"), usual.steadiness, text("film_steadiness_info")),
        Field("keep_luma", "check", text("keep_luma"), usual.keep_luma, text("keep_luma_info")),
    ]
    return StageForm(Colorize.stage, text("stage.colorize"), text("film_about.colorize"), fields, {})


def _model(stage: str, *methods: Choice) -> Field:
    """The model of a stage, by what it is called, with what it is for and what its licence allows.

    ``methods`` are choices that need no model.
    """
    names = sorted(offered_for(stage), key=lambda name: name not in (BUILT_IN, BUILT_IN_COLOUR))
    choices = [Choice(AUTO, text("model_auto")), *methods, *map(_model_choice, names)]
    return Field("model", "choice", text("model"), AUTO, None, choices, gist=True)


def _model_choice(name: str) -> Choice:
    entry = catalog.checkpoint(name)
    use = text("commercial" if entry.commercial else "non_commercial")
    note = text("model_note", description=model_description(name), licence=entry.licence, use=use)
    if Upscale.stage not in entry.stages:
        return Choice(name, title_of(entry), note)
    title = joined([title_of(entry), group_of(entry), text(f"speed.{speed_of(entry)}")], " · ", " · ")
    return Choice(name, title, note)


def _models_that(test: Callable[[str], bool], stage: str, *others: str) -> list[str]:
    return [name for name in (*others, *offered_for(stage)) if test(name)]


def _both(words: Text | None) -> dict[str, str] | None:
    return None if words is None else {"en": words.en, "zh": words.zh}
