"""The command ``mirror``: copies of models in a repository of one's own on the Hub."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace

from restore import catalog
from restore.catalog import Checkpoint
from restore.cli import FAILED, OK
from restore.cli.bars import Bars
from restore.cli.fetch import with_companions
from restore.cli.terminal import put, say
from restore.errors import SettingsError, WeightsError
from restore.progress import Progress
from restore.settings import REPOSITORY, load_settings


def mirror(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``mirror``: fetch, check, convert and upload models, going on past those that cannot be had."""
    if not re.fullmatch(REPOSITORY, arguments.to):
        raise SettingsError(f"--to {arguments.to}: give OWNER/REPO, as in the address of the repository.")
    if arguments.models and arguments.all:
        raise SettingsError("Give the names of models or --all, not both.")
    # Copies are made of the published files, not of other copies.
    settings = replace(load_settings(), hub_mirror=None)
    entries = wanted(arguments)

    from restore import hub_upload

    target = hub_upload.open_mirror(arguments.to, progress, private=arguments.private)
    failures: list[str] = []
    for entry in entries:
        if target.has(entry):
            if not arguments.quiet:
                put(f"{entry.name}: is there already")
            continue
        progress.begin(entry.name)
        try:
            target = hub_upload.publish(entry, target, settings, progress)
        except WeightsError as error:
            failures.append(f"{entry.name}: {error}")
            continue
        finally:
            bars.close()
        if not arguments.quiet:
            put(f"{entry.name}: uploaded")
            if not entry.commercial:
                say(f"{entry.name} must not be used commercially ({entry.licence}).")
    for failure in failures:
        say(failure)
    if not failures and not arguments.quiet:
        put(f"Fetch from it with RESTORE_HUB_MIRROR={arguments.to}")
    return FAILED if failures else OK


def wanted(arguments: argparse.Namespace) -> list[Checkpoint]:
    """The models to copy: those that are named, or all, or all that have no home on the Hub."""
    names = arguments.models or [
        entry.name
        for entry in catalog.checkpoints().values()
        if entry.package_file is None and (arguments.all or entry.repo is None)
    ]
    if built_in := [name for name in names if catalog.checkpoint(name).package_file is not None]:
        raise SettingsError(f"{built_in[0]} comes with the program: there is nothing to copy.")
    return with_companions(names)
