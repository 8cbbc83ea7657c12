"""Which steps the options ask for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from restore.cli.references import with_references
from restore.errors import SettingsError

DEFAULT_STEPS: Sequence[Mapping[str, Any]] = ({"stage": "upscale", "model": "auto"},)


def read_steps(text: str) -> list[Any] | dict[str, Any]:
    """The steps in ``text``: JSON itself, or the path of a file with it (``@`` before the path is allowed).

    Raises ``SettingsError`` if it cannot be read or is neither a list of steps nor a recipe.
    """
    where = "--steps"
    if not text.lstrip().startswith(("[", "{")):
        path = Path(text.removeprefix("@"))
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8-sig")  # Windows begins text files with a byte-order mark
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not text"
            raise SettingsError(
                f"--steps is neither JSON (a list in [brackets]) nor a file that can be read: {where}: {reason}."
            ) from error
    try:
        steps = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = (
            f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "as a whole"
        )
        problem = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise SettingsError(f"{where} is not valid JSON: {problem} ({place}).") from error
    if not isinstance(steps, list | dict):
        raise SettingsError(f'{where} must be a list of steps, such as [{{"stage": "upscale"}}], or a recipe.')
    return steps


OPTIONS_OF_NAMES = (
    "time_step",
    "remove_duplicates",
    "artistic",
    "render_factor",
    "colorization",
    "reference_dir",
    "mindim",
    "num_frames",
)
"""The options that belong to ``--process-order``."""

SHORT = ("model", "material", "scale", "faces", "colorize", "fps", "slow_motion")
"""The options that are short for steps."""


def chosen_steps(arguments: argparse.Namespace) -> Sequence[Any]:
    """The validated steps that the options ask for; raises ``SettingsError``."""

    def given(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(arguments, name)) is not None}

    ways = given("steps", "recipe", "process_order")
    words = given(*OPTIONS_OF_NAMES)
    pictures = list(given("references").get("references", []))
    everywhere = words.pop("reference_dir", None) if "process_order" not in ways else None
    short = given(*SHORT)
    if not ways and "num_frames" in words:
        short["num_frames"] = words.pop("num_frames")
    steps = _chain(ways, words, short)
    return with_references(steps, pictures, everywhere) if pictures or everywhere is not None else steps


def _chain(ways: Mapping[str, Any], words: Mapping[str, Any], short: Mapping[str, Any]) -> Sequence[Any]:
    """The steps that are given in one of ``ways``, with the ``words`` of PaddleGAN, or by ``short`` options."""
    if words and "process_order" not in ways:
        raise SettingsError(f"{_listed(words)} is for a chain by the names of PaddleGAN: give --process-order as well.")
    if len(ways) > 1:
        raise SettingsError(f"{_listed(ways)} all say what to do: give one of them.")
    if ways and short:
        raise SettingsError(f"{_listed(short)} cannot be combined with {_listed(ways)}: put it into the steps.")
    if "steps" in ways:
        return _parsed(read_steps(ways["steps"]))
    if "recipe" in ways:
        return recipe_of(ways["recipe"])
    if "process_order" in ways:
        return _by_names(ways["process_order"], words)
    return _parsed(_in_short(short))


def recipe_of(text: str) -> Sequence[Any]:
    """The chain of a recipe by its name, or in a file; raises ``SettingsError``."""
    from restore.recipes import load_recipe, named_recipe

    path = Path(text)
    if path.suffix.lower() == ".json" or len(path.parts) > 1 or path.is_file():
        return load_recipe(path)
    return named_recipe(text).steps


def weight_files(arguments: argparse.Namespace) -> tuple[tuple[str, Path], ...]:
    """The files of models that the options name; raises ``SettingsError`` for one that is not there."""
    from restore.paddlegan_names import NAMES, models_of

    files = []
    for name in NAMES:
        file = getattr(arguments, f"{name}_weight")
        if file is None:
            continue
        path = Path(file)
        if not path.is_file():
            raise SettingsError(f"--{name}-weight is {file}, and there is no such file.")
        files += [(model, path) for model in models_of(name)]
    return tuple(files)


def _parsed(steps: Any) -> Sequence[Any]:
    from restore.stages import parse_steps

    return parse_steps(steps)


def _by_names(names: Sequence[str], options: Mapping[str, Any]) -> Sequence[Any]:
    from restore.paddlegan_names import steps_from_process_order

    files = [name for name in names if Path(name).suffix or Path(name).name != name]
    if files:
        raise SettingsError(f"--process-order takes {files[0]} for a name: give IN and OUT before it.")
    return steps_from_process_order(names, **options)


def _in_short(given: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    enlarging = {name: given[name] for name in ("model", "material", "scale", "num_frames") if name in given}
    pace = "fps" in given or "slow_motion" in given
    steps: list[Mapping[str, Any]] = []
    if "colorize" in given:
        steps.append({"stage": "colorize", "model": given["colorize"]})
    if pace:
        slow = {"slow_motion": True, "factor": given["slow_motion"]} if "slow_motion" in given else {}
        steps.append({"stage": "interpolate", "fps": given.get("fps"), **slow})
    if enlarging or "faces" in given or not (pace or "colorize" in given):
        steps.append({**DEFAULT_STEPS[0], **enlarging})
    if "faces" in given:
        steps.append({"stage": "faces", "model": given["faces"]})
    return steps


def _listed(names: Iterable[str]) -> str:
    return " and ".join(f"--{name.replace('_', '-')}" for name in names)
