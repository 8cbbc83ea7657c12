"""The command ``models``: which there are, under which licences, and which of them are on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from restore import catalog
from restore.catalog import Checkpoint
from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.terminal import put, say
from restore.errors import WeightsError
from restore.progress import Progress
from restore.settings import Settings, load_settings


def models(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``models``."""
    settings = load_settings()
    rows = [describe(entry, settings) for entry in catalog.checkpoints().values()]
    if arguments.json:
        put(json.dumps(rows, indent=2, ensure_ascii=False))
        return OK
    table = [("NAME", "STAGES", "SCALE", "SIZE", "ON DISK", "LICENCE")]
    for row in rows:
        licence = row["licence"] + ("" if row["commercial"] else " (non-commercial)")
        scale = f"x{row['scale']}" if row["scale"] else "-"
        size = f"{row['size'] / 1e6:.1f} MB" if row["size"] else "-"
        table.append((row["name"], ", ".join(row["stages"]) or "-", scale, size, on_disk(row), licence))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        put("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    for row in rows:
        if row["problem"]:
            say(row["problem"])
    return OK


def describe(entry: Checkpoint, settings: Settings) -> dict[str, Any]:
    """What ``models`` tells about a model: plain values, ready for JSON."""
    from restore import weights

    try:
        found = weights.find(entry, settings)
        problem = None
    except WeightsError as error:
        found, problem = None, str(error)
    return {
        "name": entry.name,
        "title": entry.title,
        "description": entry.description,
        "stages": list(entry.stages),
        "scale": entry.scale,
        "licence": entry.licence,
        "commercial": entry.commercial,
        "size": found.path.stat().st_size if found else entry.size,
        "source": entry.source,
        "file": str(found.path) if found else None,
        "origin": found.use.origin if found else None,
        "verified": found.use.verified if found else None,
        "problem": problem,
    }


def on_disk(row: Mapping[str, Any]) -> str:
    """The last column of the table of models."""
    if row["problem"]:
        return "damaged"
    if row["origin"] is None:
        return "no"
    return "yes" if row["origin"] == "built-in" or row["verified"] else "yes (unverified)"
