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

    def given(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(arguments, name)) is not None}

    enlarging, faces, pace = given("model", "material", "scale"), given("faces"), given("fps", "slow_motion")
    if arguments.steps is not None:
        if named := [name.replace("_", "-") for name in (*enlarging, *faces, *pace)]:
            raise SettingsError(f"--{' and --'.join(named)} cannot be combined with --steps: put it into the steps.")
        return parse_steps(read_steps(arguments.steps))
    steps: list[Mapping[str, Any]] = []
    if pace:
        slow = {"slow_motion": True, "factor": pace["slow_motion"]} if "slow_motion" in pace else {}
        steps.append({"stage": "interpolate", "fps": pace.get("fps"), **slow})
    if enlarging or faces or not pace:
        steps.append({**DEFAULT_STEPS[0], **enlarging})
    if faces:
        steps.append({"stage": "faces", "model": faces["faces"]})
    return parse_steps(steps)
