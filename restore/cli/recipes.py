"""The command ``recipes``: the chains that come with the program."""

from __future__ import annotations

import argparse
import json

from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.terminal import put
from restore.progress import Progress


def recipes(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``recipes``."""
    from restore.recipes import named_recipes

    offered = named_recipes()
    if arguments.json:
        put(json.dumps({name: each.to_dict() for name, each in offered.items()}, indent=2, ensure_ascii=False))
        return OK
    for name, each in offered.items():
        put(f"{name}: {each.description}")
        put(f"  {' -> '.join(step.stage for step in each.steps)}")
    put("\n`run IN OUT --recipe NAME` uses one, and `--save-recipe FILE` with it writes it down, to be changed.")
    return OK
