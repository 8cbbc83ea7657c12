"""A chain as it comes from outside: from the page, from a link, or from a script.

Nobody out there names a file of the server. Settings that do are refused before anything is made of them, because to
understand one is to look at the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from restore.errors import SettingsError
from restore.paddlegan_names import steps_from_process_order
from restore.recipes import named_recipe
from restore.recipes.links import refuse_named_files
from restore.stages import Stage, parse_steps

PATH_OPTIONS = ("reference_dir",)
"""Options of PaddleGAN's tool that name files."""


def steps_over_http(steps: object, options: Mapping[str, Any] | None = None) -> tuple[Stage, ...]:
    """The stages that ``steps`` stand for: a list of steps, a recipe, the name of a recipe, or names of PaddleGAN's
    models in their order, with its ``options``. Raises ``SettingsError``, also where one of them names a file.
    """
    if options is not None and not isinstance(options, Mapping):
        raise SettingsError(f"options is {options!r}: give an object with PaddleGAN's options.")
    named = isinstance(steps, Sequence) and not isinstance(steps, str) and bool(steps) and isinstance(steps[0], str)
    if options and not named:
        raise SettingsError(
            "options are those of PaddleGAN's names: in any other chain each step has its own settings."
        )
    if isinstance(steps, str):
        return named_recipe(steps).steps
    if named:
        return _in_process_order(steps, options or {})  # type: ignore[arg-type]  # a list, as was just found
    given = steps.get("steps") if isinstance(steps, Mapping) else steps
    refuse_named_files(given)
    if isinstance(steps, Mapping):
        steps = {name: value for name, value in steps.items() if name not in ("title", "description")}
    return parse_steps(steps)  # type: ignore[arg-type]  # anything may come; it says itself what is wrong


def _in_process_order(names: Sequence[str], options: Mapping[str, Any]) -> tuple[Stage, ...]:
    if given := [name for name in PATH_OPTIONS if options.get(name) is not None]:
        raise SettingsError(f"{given[0]} names files, which nobody can name from outside: leave it out.")
    return steps_from_process_order(names, **options)
