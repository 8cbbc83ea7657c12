"""The command ``models``: the device, the models, their licences, and what it takes to use each of them."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from restore.cli import OK
from restore.cli.bars import Bars
from restore.cli.terminal import put, say
from restore.errors import WeightsError
from restore.progress import Progress
from restore.settings import Settings, load_settings

if TYPE_CHECKING:
    from restore.inventory import DeviceFacts, ModelFacts


def models(arguments: argparse.Namespace, progress: Progress, bars: Bars) -> int:
    """The command ``models``."""
    from restore.inventory import device_facts, model_facts

    settings = load_settings()
    device, listed = device_facts(settings), model_facts(settings)
    files = {model.name: local_file(model, settings) for model in listed}
    if arguments.json:
        rows = [asdict(model) | {"file": files[model.name]} for model in listed]
        put(json.dumps({"device": asdict(device), "models": rows}, indent=2, ensure_ascii=False))
        return OK
    table = [("NAME", "STAGES", "SCALE", "STATE", "LICENCE"), *(cells(model) for model in listed)]
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    for line in table:
        put("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())
    put(f"\n{device_line(device)}")
    for model in listed:
        if model.default:
            put(f"For photos, auto takes {model.name} here if it can be had.")
    return OK


def cells(model: ModelFacts) -> tuple[str, str, str, str, str]:
    """The row of the table for a model."""
    licence = model.licence + ("" if model.commercial else " (non-commercial)")
    scale = "-" if model.scale is None else f"x{model.scale}"
    return model.name, ", ".join(model.stages), scale, state(model), licence


def state(model: ModelFacts) -> str:
    """What it takes to use a model, in a few words."""
    size = "" if model.download_bytes is None else f" of {model.download_bytes / 1e6:.1f} MB"
    if model.state == "download":
        return f"download{size}"
    unsure = ", not verified" if model.verified is False and model.state == "on disk" else ""
    partner = f", its partner a download{size}" if size else ""
    return f"{model.state}{unsure}{partner}"


def device_line(device: DeviceFacts) -> str:
    """The device in one line."""
    return f"Device: {device.name} ({device.kind}, {device.precision}, {device.memory_bytes / 1e9:.1f} GB of memory)"


def local_file(model: ModelFacts, settings: Settings) -> str | None:
    """Where the file of ``model`` lies on this machine; one that cannot be used is told to the person who asks."""
    from restore import weights

    try:
        found = weights.find(model.name, settings)
    except WeightsError as error:
        say(str(error))
        return None
    return None if found is None else str(found.path)
