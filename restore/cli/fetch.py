"""The command ``fetch``: download models beforehand."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from restore import catalog
from restore.catalog import Checkpoint
from restore.cli import FAILED, OK
from restore.cli.bars import Bars
from restore.cli.terminal import put, say
from restore.errors import SettingsError, WeightsError
from restore.progress import Progress
from restore.settings import load_settings


def fetch(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``fetch``: download models, going on past those that cannot be had."""
    from restore import weights

    if bool(arguments.models) == arguments.all:
        raise SettingsError("Give the names of models or --all; `python -m restore models` lists them.")
    settings = load_settings()
    failures: list[str] = []
    for entry in with_companions(list(catalog.checkpoints()) if arguments.all else arguments.models):
        progress.begin(entry.name)
        try:
            found = weights.obtain(entry, settings, progress)
        except WeightsError as error:
            failures.append(str(error))
            continue
        finally:
            bars.close()
        if not arguments.quiet:
            put(str(found.path))
            if not found.use.verified:
                why = "it is another" if entry.sha256 else "nobody has published its sha256"
                say(f"{entry.name} is not verified as the published file: {why}.")
            if not entry.commercial:
                say(f"{entry.name} must not be used commercially ({entry.licence}).")
    for failure in failures:
        say(failure)
    return FAILED if failures else OK


def with_companions(names: Sequence[str]) -> list[Checkpoint]:
    """The models of these names, each followed by those it works with; raises ``SettingsError`` for an unknown name."""
    wanted: dict[str, Checkpoint] = {}
    for name in names:
        entry = catalog.checkpoint(name)
        for each in (entry, *(catalog.checkpoint(other) for other in entry.companions.values())):
            wanted.setdefault(each.name, each)
    return list(wanted.values())
