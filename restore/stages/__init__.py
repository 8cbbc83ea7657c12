"""What a user picks: stages, each a frozen dataclass of settings that opens into a generator of frames.

A chain of stages as JSON is a *recipe*: ``{"version": 1, "steps": [{"stage": "upscale", "scale": 2}]}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from itertools import islice
from typing import Any

from restore.errors import SettingsError
from restore.stages.base import OpenStage, Stage, Work
from restore.stages.clean import Clean
from restore.stages.colorize import Colorize
from restore.stages.faces import Faces
from restore.stages.interpolate import Interpolate
from restore.stages.material import MATERIALS, auto_candidates
from restore.stages.upscale import Upscale

__all__ = [
    "MATERIALS",
    "RECIPE_VERSION",
    "STAGES",
    "Clean",
    "Colorize",
    "Faces",
    "Interpolate",
    "OpenStage",
    "Stage",
    "Upscale",
    "Work",
    "auto_candidates",
    "parse_steps",
    "recipe",
]

RECIPE_VERSION = 1

LONGEST_CHAIN = 32
"""Steps of a chain at most: a script of a stranger can name as many as it likes, and each takes time."""

_KINDS = (Upscale, Faces, Interpolate, Colorize, Clean)

STAGES: Mapping[str, type[Upscale] | type[Faces] | type[Interpolate] | type[Colorize] | type[Clean]] = {
    kind.stage: kind for kind in _KINDS
}


def _parse_step(step: object, position: int) -> Stage:
    if isinstance(step, _KINDS):
        return step
    if not isinstance(step, Mapping):
        raise SettingsError(f'Step {position} must be an object such as {{"stage": "upscale"}}, not {step!r}.')
    values = dict(step)
    name = values.pop("stage", None)
    if not isinstance(name, str) or name not in STAGES:
        raise SettingsError(f"Step {position} has no known stage ({name!r}): use one of {', '.join(STAGES)}.")
    kind = STAGES[name]
    known = [field.name for field in fields(kind)]
    if unknown := [str(key) for key in values if key not in known]:
        raise SettingsError(
            f"Step {position}, {name}, has no setting {', '.join(map(repr, unknown))}; it has {', '.join(known)}."
        )
    try:
        return kind(**values)
    except SettingsError as error:
        raise SettingsError(f"Step {position}, {name}: {error}") from error


def parse_steps(steps: Iterable[Stage | Mapping[str, Any]] | Mapping[str, Any]) -> tuple[Stage, ...]:
    """Settings objects from a chain of them, of dicts, or of both, or from a recipe; raises ``SettingsError``.

    They are in the order in which they run: that of the chain, but for ``Faces`` right before ``Upscale``.
    """
    if isinstance(steps, Mapping):
        version = steps.get("version")
        if version != RECIPE_VERSION:
            raise SettingsError(f"The recipe has version {version!r}; this program reads version {RECIPE_VERSION}.")
        if unknown := sorted(str(key) for key in steps if key not in ("version", "steps")):
            raise SettingsError(f"The recipe has an unknown entry {', '.join(unknown)}; it has 'version' and 'steps'.")
        steps = steps.get("steps", ())
    if isinstance(steps, str | bytes | Mapping) or not isinstance(steps, Iterable):
        raise SettingsError("The steps must be a list of stages.")
    parsed = tuple(_parse_step(step, position) for position, step in enumerate(islice(steps, LONGEST_CHAIN + 1), 1))
    if len(parsed) > LONGEST_CHAIN:
        raise SettingsError(f"The chain has more than {LONGEST_CHAIN} steps: leave some out.")
    return _in_order(parsed)


def _in_order(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """The chain with ``Faces`` behind the ``Upscale`` that follows it: a face goes in as sharp as it was restored.

    It is cut from the frame before the enlargement all the same. An aligned crop is a picture of its own and stays.
    """
    ordered: list[Stage] = []
    for stage in stages:
        place = len(ordered)
        while isinstance(stage, Upscale) and place and _can_wait(ordered[place - 1]):
            place -= 1
        ordered.insert(place, stage)
    return tuple(ordered)


def _can_wait(stage: Stage) -> bool:
    return isinstance(stage, Faces) and not stage.aligned


def recipe(steps: Iterable[Stage]) -> dict[str, Any]:
    """The chain as JSON has it."""
    return {"version": RECIPE_VERSION, "steps": [step.to_dict() for step in steps]}
