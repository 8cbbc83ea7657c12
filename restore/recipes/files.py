"""Recipes in files: JSON with a ``version`` and the ``steps``, and perhaps a ``title`` and a ``description``.

A step with ``"enabled": false`` is one that is switched off: it stays in the file with its settings, and is not run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from restore.errors import SettingsError
from restore.report import write_json
from restore.stages import ChainStep, Stage, parse_chain, parse_steps, recipe

LARGEST_FILE = 2**20
"""Bytes of a recipe at most: what is larger is something else."""

WORDS = ("title", "description")
"""What a recipe may say of itself; it changes nothing."""


def load_recipe(path: str | Path) -> tuple[Stage, ...]:
    """The chain in the JSON file at ``path``, a recipe or a list of steps, without those that are switched off.

    Raises ``SettingsError`` for a file that cannot be read, that is no JSON or no recipe, that is of a version which
    this program does not know, or with a setting that is wrong; the message says where.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SettingsError(f"The recipe {path} cannot be read: {reason}.") from error
    if len(data) > LARGEST_FILE:
        raise SettingsError(f"{path} is too large for a recipe: give a JSON file with a list of steps.")
    return parse_steps(parse_recipe(data, str(path)))


def parse_recipe(
    data: bytes | str, where: str, check: Callable[[object], None] = lambda steps: None
) -> tuple[ChainStep, ...]:
    """The steps in JSON text, a recipe or a list of them; ``where`` is what the messages call it.

    ``check`` gets the steps before anything is made of them, and may raise ``SettingsError`` as well.

    Raises ``SettingsError``.
    """
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")  # some editors begin it with a mark
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        problem = error.msg if isinstance(error, json.JSONDecodeError) else "it is not text, or nested too deeply"
        raise SettingsError(f"{where} is not valid JSON: {problem}{place}.") from error
    if isinstance(value, Mapping):
        value = _without_words(value, where)
    elif not isinstance(value, list):
        raise SettingsError(
            f'{where} is no recipe: it begins like {{"version": 1, "steps": [{{"stage": "upscale"}}]}}.'
        )
    try:
        check(value.get("steps") if isinstance(value, Mapping) else value)
        return parse_chain(value)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


def save_recipe(path: str | Path, steps: Iterable[Stage | ChainStep | Mapping[str, Any]] | Mapping[str, Any]) -> None:
    """Write a chain as a recipe to ``path``, with every setting, so that it stays what it is when defaults change.

    Steps that are switched off are written as well, and say so.

    Raises ``SettingsError`` for a chain that is none and ``OutputError`` where the file cannot be written.
    """
    write_json(Path(path), recipe(parse_chain(steps)))


def _without_words(value: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    for name in WORDS:
        if not isinstance(value.get(name, ""), str):
            raise SettingsError(f"{where}: {name} is {value[name]!r}: give text, or leave it out.")
    return {name: entry for name, entry in value.items() if name not in WORDS}
