"""The command ``run``: a picture, a clip, or everything of both in a folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from restore.cli.bars import Bars
from restore.cli.batch import make_folder, run_folder
from restore.cli.clips import clip_options, refuse_pattern, sequence_of
from restore.cli.single import Restorer, run_file
from restore.cli.steps import chosen_steps, weight_files
from restore.errors import SettingsError
from restore.progress import Progress
from restore.settings import Settings, load_settings


def chosen_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the environment, and what the options change of them; raises ``SettingsError``."""
    settings = load_settings()
    if arguments.device is not None:
        settings = replace(settings, device=arguments.device)
    if arguments.precision is not None:
        settings = replace(settings, precision=arguments.precision)
    return replace(settings, weight_files=weight_files(arguments))


def save(path: Path, steps: Sequence[Any], taken: Sequence[Path]) -> None:
    """Write the recipe of ``steps`` to ``path``, which must not be one of ``taken``."""
    from restore.cli.folders import are_one
    from restore.recipes import save_recipe

    if any(are_one(path, each) for each in taken):
        raise SettingsError(f"The recipe would replace {path}: give another name after --save-recipe.")
    save_recipe(path, steps)


def work_folder(arguments: argparse.Namespace, settings: Settings) -> Path | None:
    """Where clips are kept on the way, so that the same command goes on from there; ``None`` where they are not.

    Raises ``SettingsError`` for options that contradict each other.
    """
    from restore.segments.folder import work_root

    needed = [name for name in ("partial", "keep_master") if getattr(arguments, name)]
    if arguments.no_resume or arguments.crops is not None:
        if needed:
            against = "--no-resume" if arguments.no_resume else "--crops"
            raise SettingsError(f"--{needed[0].replace('_', '-')} needs what is kept on the way: leave {against} out.")
        return None
    return work_root(settings)


def run(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``run``."""
    from restore.cli.folders import is_folder

    if not arguments.source or not arguments.target:  # pathlib takes no name for the current folder
        raise SettingsError("The name of IN or OUT is empty: give a picture, a clip or a folder for each.")
    source, target = Path(arguments.source), Path(arguments.target)
    report = None if arguments.report is None else Path(arguments.report)
    settings = chosen_settings(arguments)
    steps = chosen_steps(arguments)
    if arguments.crops is not None and not any(step.stage == "faces" for step in steps):
        raise SettingsError("--crops keeps the faces that are restored: add --faces.")
    if arguments.process_order is not None and not target.suffix and not is_folder(target):
        make_folder(target)  # as PaddleGAN's tool does
    if arguments.save_recipe is not None:
        save(Path(arguments.save_recipe), steps, (source, target))
    restorer = Restorer(
        steps,
        settings,
        progress,
        bars,
        arguments.quiet,
        clip_options(arguments),
        arguments.crops,
        work_folder(arguments, settings),
        arguments.keep_master,
        arguments.partial,
    )
    if arguments.rate is not None:
        return run_file(restorer, source, target, report, frames=sequence_of(source, arguments.rate))
    refuse_pattern(source)
    return (run_folder if is_folder(source) else run_file)(restorer, source, target, report)
