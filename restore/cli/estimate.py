"""The command ``estimate``: what will come out of a clip, and how long it takes."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.clips import clip_options, refuse_pattern, sequence_of
from restore.cli.run import chosen_settings
from restore.cli.steps import chosen_steps
from restore.cli.terminal import put
from restore.errors import SettingsError
from restore.progress import Progress

if TYPE_CHECKING:
    from restore.estimates import Estimate


def estimate(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``estimate``."""
    import restore
    from restore.calibration import forget

    if not arguments.source:
        raise SettingsError("The name of IN is empty: give a clip.")
    source = Path(arguments.source)
    if arguments.rate is None:
        refuse_pattern(source)
    options = clip_options(arguments)
    steps, settings = chosen_steps(arguments), chosen_settings(arguments)
    if arguments.measure_again:
        forget()
    started = time.time() - psutil.Process().create_time()
    result = restore.estimate(
        source if arguments.rate is None else sequence_of(source, arguments.rate),
        steps,
        arguments.target,
        progress=progress,
        settings=settings,
        **options,
    )
    # Whoever waits for the command waits for its start as well, which took as long now.
    result = replace(result, seconds_high=result.seconds_high + started)
    put(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) if arguments.json else described(result))
    return OK


def described(result: Estimate) -> str:
    """An estimate for people: the line, the parts of the work, the disk, and what is to be said of it."""
    from restore.estimates import in_one_line

    lines = [in_one_line(result), ""]
    for part in result.parts:
        models = f" ({', '.join(part.models)})" if part.models else ""
        how = "" if part.measured else ", not measured"
        lines.append(f"  {part.stage}{models}: {part.low:.1f} to {part.high:.1f} s{how}")
    if result.gpu_seconds:
        lines.append(f"Seconds of the graphics card: up to {result.gpu_seconds:.0f}")
    lines.append(f"Disk: {result.disk_bytes / 1e6:.0f} MB should be free, {result.free_bytes / 1e6:.0f} MB are")
    return "\n".join([*lines, *result.warnings])
