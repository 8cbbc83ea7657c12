"""The command ``probe``: what a clip is."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import restore
from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.clips import refuse_pattern, sequence_of
from restore.cli.terminal import put
from restore.errors import SettingsError
from restore.progress import Progress


def probe(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``probe``."""
    from restore.media.clips.describe import describe

    if not arguments.file:
        raise SettingsError("The name of FILE is empty: give a clip.")
    file = Path(arguments.file)
    if arguments.rate is None:
        refuse_pattern(file)
    info = restore.probe(file if arguments.rate is None else sequence_of(file, arguments.rate))
    put(json.dumps(info.to_dict(), indent=2, ensure_ascii=False) if arguments.json else describe(info))
    return OK
