"""Reference pictures for colour, as the command line names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from restore.errors import SettingsError

SHOT = re.compile(r"(\d{1,6})=(.+)", re.DOTALL)
TIME = re.compile(r"((?:\d+:){0,2}\d+(?:\.\d+)?)s?=(.+)", re.DOTALL)


def with_references(steps: Sequence[Any], words: Sequence[str], everywhere: str | None = None) -> Sequence[Any]:
    """``steps`` with the references that ``words`` name, in each that gives colours; raises ``SettingsError``.

    A word is a picture or a folder of them; ``3=PICTURE`` is for shot number 3 and ``12.5=PICTURE``, ``12s=PICTURE`` or
    ``1:02=PICTURE`` for the shot at that time. ``everywhere`` is a folder whose pictures are for every shot.
    """
    from restore.colour.references import for_every_shot
    from restore.stages import Colorize

    if not any(isinstance(step, Colorize) for step in steps):
        raise SettingsError("References say which colours are wanted, and nothing here gives any: add --colorize.")
    found = tuple(each for word in words for each in _of(word))
    if everywhere is not None:
        found += for_every_shot(Path(everywhere))
    return tuple(
        replace(step, references=(*step.references, *found)) if isinstance(step, Colorize) else step for step in steps
    )


def _of(word: str) -> Sequence[Any]:
    from restore.colour.references import Reference, parse_references

    found: Sequence[Any]
    if match := SHOT.fullmatch(word):
        found = (Reference(match[2], shot=int(match[1])),)
    elif match := TIME.fullmatch(word):
        found = (Reference(match[2], time=match[1]),)
    else:
        found = parse_references(word)
    for reference in found:
        if not Path(reference.path).is_file():
            raise SettingsError(f"There is no reference picture {reference.path}: give a picture or a folder of them.")
    return found
