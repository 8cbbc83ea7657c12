"""Which steps the options ask for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

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


def chosen_steps(arguments: argparse.Namespace) -> Sequence[Any]:
    """The validated steps that the options ask for."""
    from restore.stages import parse_steps

    shortcut = {name: getattr(arguments, name) for name in ("model", "material", "scale")}
    given = {name: value for name, value in shortcut.items() if value is not None}
    if arguments.steps is not None and (given or arguments.faces is not None):
        named = [*given, *(["faces"] if arguments.faces is not None else [])]
        raise SettingsError(f"--{' and --'.join(named)} cannot be combined with --steps: put it into the steps.")
    if arguments.steps is not None:
        return parse_steps(read_steps(arguments.steps))
    faces = [] if arguments.faces is None else [{"stage": "faces", "model": arguments.faces}]
    return parse_steps([{**DEFAULT_STEPS[0], **given}, *faces])
