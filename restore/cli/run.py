"""The command ``run``: a picture, a clip, or everything of both in a folder."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from restore.cli.bars import Bars
from restore.cli.batch import run_folder
from restore.cli.clips import clip_options, refuse_pattern, sequence_of
from restore.cli.single import Restorer, run_file
from restore.cli.steps import chosen_steps
from restore.errors import SettingsError
from restore.progress import Progress
from restore.settings import load_settings


def run(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``run``."""
    from restore.cli.folders import is_folder

    if not arguments.source or not arguments.target:  # pathlib takes no name for the current folder
        raise SettingsError("The name of IN or OUT is empty: give a picture, a clip or a folder for each.")
    source, target = Path(arguments.source), Path(arguments.target)
    report = None if arguments.report is None else Path(arguments.report)
    settings = load_settings()
    if arguments.device is not None:
        settings = replace(settings, device=arguments.device)
    if arguments.precision is not None:
        settings = replace(settings, precision=arguments.precision)
    steps = chosen_steps(arguments)
    if arguments.crops is not None and not any(step.stage == "faces" for step in steps):
        raise SettingsError("--crops keeps the faces that are restored: add --faces.")
    restorer = Restorer(steps, settings, progress, bars, arguments.quiet, clip_options(arguments), arguments.crops)
    if arguments.rate is not None:
        return run_file(restorer, source, target, report, frames=sequence_of(source, arguments.rate))
    refuse_pattern(source)
    return (run_folder if is_folder(source) else run_file)(restorer, source, target, report)
