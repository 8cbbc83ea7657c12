"""What a user picks: stages, each a frozen dataclass of settings that opens into a generator of frames.

A chain of stages as JSON is a *recipe*: ``{"version": 1, "steps": [{"stage": "upscale", "scale": 2}]}``. A step with
``"enabled": false`` is kept in it, and not run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
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
    "ChainStep",
    "Clean",
    "Colorize",
    "Faces",
    "Interpolate",
    "OpenStage",
    "Stage",
    "Upscale",
    "Work",
    "auto_candidates",
    "parse_chain",
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


ENABLED = "enabled"
"""What a step says beside the settings of its stage: whether it is run. One that says nothing is."""


@dataclass(frozen=True)
class ChainStep:
    """A stage as a recipe has it, which may be switched off: then it is kept, and not run."""

    stage: Stage
    enabled: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The settings of the stage as JSON has them, and that it is switched off where it is."""
        return self.stage.to_dict() if self.enabled else {**self.stage.to_dict(), ENABLED: False}


def _parse_step(step: object, position: int) -> ChainStep:
    if isinstance(step, ChainStep):
        return step
    if isinstance(step, _KINDS):
        return ChainStep(step)
    if not isinstance(step, Mapping):
        raise SettingsError(f'Step {position} must be an object such as {{"stage": "upscale"}}, not {step!r}.')
    values = dict(step)
    name, enabled = values.pop("stage", None), values.pop(ENABLED, True)
    if not isinstance(name, str) or name not in STAGES:
        raise SettingsError(f"Step {position} has no known stage ({name!r}): use one of {', '.join(STAGES)}.")
    if not isinstance(enabled, bool):
        raise SettingsError(f"Step {position}, {name}: {ENABLED} is {enabled!r}: use true or false.")
    kind = STAGES[name]
    known = [field.name for field in fields(kind)]
    if unknown := [str(key) for key in values if key not in known]:
        raise SettingsError(
            f"Step {position}, {name}, has no setting {', '.join(map(repr, unknown))}; it has {', '.join(known)}."
        )
    try:
        return ChainStep(kind(**values), enabled)
    except SettingsError as error:
        raise SettingsError(f"Step {position}, {name}: {error}") from error


def parse_chain(steps: Iterable[Stage | ChainStep | Mapping[str, Any]] | Mapping[str, Any]) -> tuple[ChainStep, ...]:
    """All the steps of a chain or of a recipe, in its order, also those that are switched off.

    Each is an object with settings, or a dict of them. Raises ``SettingsError``.
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
    return parsed


def parse_steps(steps: Iterable[Stage | ChainStep | Mapping[str, Any]] | Mapping[str, Any]) -> tuple[Stage, ...]:
    """Settings objects from a chain of them, of dicts, or of both, or from a recipe; raises ``SettingsError``.

    They are those that run, in the order in which they do: that of the chain without the steps that are switched off,
    but for ``Faces`` right before ``Upscale``.
    """
    return _in_order([step.stage for step in parse_chain(steps) if step.enabled])


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


def recipe(steps: Iterable[Stage | ChainStep]) -> dict[str, Any]:
    """The chain as JSON has it."""
    return {"version": RECIPE_VERSION, "steps": [step.to_dict() for step in steps]}
