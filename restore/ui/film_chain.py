"""The editor of a chain on the page: stages that are added, removed, moved, switched off, each with its settings.

It lives in the browser (``film_chain.js``), so that no change waits for the server; here is what it is told of, and
what its value stands for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from restore.errors import SettingsError
from restore.recipes import named_recipes
from restore.recipes.files import parse_recipe
from restore.recipes.links import refuse_named_files
from restore.stages import RECIPE_VERSION, ChainStep, Colorize, Stage, Upscale, parse_chain, parse_steps
from restore.ui.film_fields import forms
from restore.ui.texts import Text, both, text

HERE = Path(__file__).parent
SCRIPT = (HERE / "film_chain.js").read_text(encoding="utf-8")
STYLES = (HERE / "film_chain.css").read_text(encoding="utf-8")

_OFF = ChainStep(Upscale(), enabled=False)

STARTING_CHAIN: Sequence[Mapping[str, Any]] = ({"stage": "upscale", "scale": 2},)

TEMPLATE = f"""
<div class="restore-chain" role="group" aria-labelledby="NAME-title">
  <h3 id="NAME-title">{both("film_chain")}</h3>
  <label class="restore-chain-recipes">
    <span>{both("film_recipe")}</span><select data-recipes></select>
    <small class="restore-chain-about"></small>
  </label>
  <ol class="restore-chain-list"></ol>
  <p class="restore-note restore-chain-empty" hidden>{both("film_empty")}</p>
  <div class="restore-chain-buttons restore-chain-add" role="group" aria-labelledby="NAME-add">
    <span class="restore-note" id="NAME-add" style="flex-basis: 100%">{both("film_add")}</span>
  </div>
  <div class="restore-chain-buttons">
    <button type="button" data-word="load"></button>
    <button type="button" data-word="save"></button>
    <input type="file" accept=".json,application/json" hidden>
  </div>
  <div class="restore-chain-told" role="status"></div>
</div>"""


def chain_editor(elem_id: str, parameter: str) -> gr.HTML:
    """The component, with the recipes by material to begin with; ``parameter`` of the page's address may bring a chain.

    Its value is what ``editor_value`` makes and ``chosen_steps`` reads. Its event ``change`` comes when the
    chain has changed, ``upload`` when he has chosen a file, whose text ``loaded_steps`` reads.
    """
    schema = {
        "version": RECIPE_VERSION,
        "parameter": parameter,
        "start": editor_value(STARTING_CHAIN),
        "forms": [form.to_dict() for form in forms()],
        "words": {
            "choose_recipe": _words(text("film_choose_recipe")),
            "load": _words(text("film_load")),
            "save": _words(text("film_save")),
            "use": _words(text("film_use", stage="{stage}")),
            "use_hint": _words(text("film_use_hint")),
            "off": _words(text("film_off")),
            "up": _words(text("film_up", stage="{stage}")),
            "down": _words(text("film_down", stage="{stage}")),
            "remove": _words(text("film_remove", stage="{stage}")),
            "moved": _words(text("film_moved", place="{place}", places="{places}")),
            "removed": _words(text("film_removed", places="{places}")),
            "taken": _words(text("film_taken", places="{places}")),
        },
        "recipes": {
            name: {
                "title": {"en": recipe.title, "zh": recipe.title_zh},
                "about": {"en": recipe.description, "zh": recipe.description_zh},
                "steps": [_told(step) for step in recipe.steps],
            }
            for name, recipe in named_recipes().items()
        },
    }
    return gr.HTML(
        value=editor_value(STARTING_CHAIN),
        html_template=TEMPLATE.replace("NAME", elem_id),
        css_template=STYLES,
        js_on_load=f"const SCHEMA = {json.dumps(schema)};\n{SCRIPT}",
        apply_default_css=False,
        elem_id=elem_id,
    )


def editor_value(steps: Iterable[Stage | ChainStep | Mapping[str, Any]]) -> dict[str, Any]:
    """The value that shows these steps."""
    return {"steps": [{"on": step.enabled, "step": _told(step.stage)} for step in parse_chain(steps)]}


def edited_chain(value: object) -> tuple[ChainStep, ...]:
    """All the steps of an editor, in the order in which they stand there; raises ``SettingsError``."""
    entries = _entries(value)
    steps = parse_chain([step for _, step in entries])
    return tuple(replace(step, enabled=on) for step, (on, _) in zip(steps, entries, strict=True))


def chosen_steps(value: object) -> tuple[Stage, ...]:
    """The stages of an editor that are switched on, in the order in which they run; raises ``SettingsError``."""
    # What is switched off may have a wrong setting, but counts: the messages name steps by their place in the editor.
    stages = parse_steps([step if on else _OFF for on, step in _entries(value)])
    if not stages:
        raise SettingsError("The chain has no stage that is switched on: add one, or switch one on.")
    return stages


def colours(value: object) -> bool:
    """Whether a stage that is switched on in an editor gives colour; the settings may be wrong."""
    try:
        entries = _entries(value)
    except SettingsError:  # which is said wherever something is made of the chain
        return False
    return any(on and isinstance(step, Mapping) and step.get("stage") == Colorize.stage for on, step in entries)


def with_model(value: object, model: str) -> dict[str, Any]:
    """The value of an editor in which the first stage that enlarges, of those switched on, has ``model``."""
    steps = list(edited_chain(value))
    for place, step in enumerate(steps):
        if step.enabled and isinstance(step.stage, Upscale):
            steps[place] = replace(step, stage=replace(step.stage, model=model))
            break
    return editor_value(steps)


def loaded_steps(value: object) -> tuple[ChainStep, ...]:
    """The steps in the file that was chosen in an editor; raises ``SettingsError`` for what is no recipe."""
    words = value.get("file") if isinstance(value, Mapping) else None
    if not isinstance(words, str):
        raise SettingsError("No file was chosen: choose a recipe.")
    return parse_recipe(words, "The file", refuse_named_files)


def _entries(value: object) -> list[tuple[bool, Any]]:
    """Whether each step of an editor is switched on, and what it is; of that, only that it names no file is sure."""
    entries = value.get("steps") if isinstance(value, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SettingsError("This is no chain of stages: reload the page.")
    found = [(entry.get("on") is True, entry.get("step")) for entry in entries]
    refuse_named_files([step for _, step in found])
    return found


def _told(stage: Stage) -> dict[str, Any]:
    """A stage with those of its settings that differ from the usual ones."""
    usual = type(stage)().to_dict()
    return {name: value for name, value in stage.to_dict().items() if name == "stage" or value != usual[name]}


def _words(words: Text) -> dict[str, str]:
    return {"en": words.en, "zh": words.zh}
