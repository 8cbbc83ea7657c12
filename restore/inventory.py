"""What is at hand: the device that the work runs on, and the models with what it takes to use each of them.

Nothing is downloaded and no network is loaded. The checksum of a file of weights is computed once and then remembered
until the file changes (``restore.checksums``), so this may be asked at every opening of a page.
"""

from __future__ import annotations

import logging
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal, cast

import torch

from restore import catalog, networks, weights
from restore.catalog import Checkpoint
from restore.errors import WeightsError
from restore.inference import memory
from restore.inference.device import choose_device, choose_precision, name_of
from restore.settings import Settings
from restore.stages import Upscale, auto_candidates
from restore.weights import LocalWeights

logger = logging.getLogger(__name__)

CPUINFO = Path("/proc/cpuinfo")

Speed = Literal["fast", "medium", "slow"]
SLOWEST: Mapping[Speed, float] = {"fast": 2e6, "medium": 8e6}
"""Multiply-accumulate operations up to which a model that enlarges counts as this fast, for a pixel of the input."""


class ModelState(StrEnum):
    """What it takes to use a model."""

    BUILT_IN = "built in"
    ON_DISK = "on disk"
    DOWNLOAD = "download"
    DAMAGED = "damaged"
    """A file is there that cannot be used, and it stands in the way of a download."""


@dataclass(frozen=True)
class DeviceFacts:
    """The device: its name as its maker gives it, the precision of the body of a network on it, and its memory.

    ``memory_bytes`` is what there is in a GPU, and what the work may use at this moment on a processor.
    """

    name: str
    kind: Literal["cpu", "cuda", "mps"]
    precision: str
    memory_bytes: int


@dataclass(frozen=True)
class ModelFacts:
    """A model of the catalogue that a stage offers; its title and description also in Chinese, where they differ.

    ``scale`` is how many times it enlarges, ``None`` for one that does not. ``download_bytes`` is the size of what is
    still to be downloaded, companions included; ``None`` where there is nothing to download or the size is not known.
    ``verified`` says whether the file at hand is the published one, and is ``None`` where there is none. ``default`` is
    whether this is the first choice of ``model="auto"`` for a photo on this device. ``uses_time`` says whether it looks
    at several frames of a clip to enlarge one, and ``speed`` how fast it is among those that enlarge, ``None`` for any
    other. ``problem`` is a sentence on what is wrong with the file at hand; it names no place on this machine.
    """

    name: str
    title: str
    title_zh: str
    description: str
    description_zh: str
    stages: tuple[str, ...]
    scale: int | None
    licence: str
    commercial: bool
    state: ModelState
    download_bytes: int | None
    verified: bool | None
    source: str
    default: bool
    uses_time: bool
    speed: Speed | None
    problem: str | None = None


def device_facts(settings: Settings) -> DeviceFacts:
    """The device that ``settings`` lead to; raises ``SettingsError`` for one that this machine does not have."""
    device = choose_device(settings)
    precision = name_of(choose_precision(settings, device))
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return DeviceFacts(properties.name, "cuda", precision, int(properties.total_memory))
    kind = cast(Literal["cpu", "mps"], device.type)
    return DeviceFacts(processor_name(), kind, precision, memory.available(settings, device))


@cache
def processor_name() -> str:
    """The name of the processor as its maker gives it, or that of its family where the system does not tell."""
    if sys.platform == "darwin":
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        name = answer.stdout.strip()
    elif CPUINFO.is_file():
        name = _name_in_cpuinfo(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    else:
        name = platform.processor()
    return name or platform.machine()


def _name_in_cpuinfo(text: str) -> str:
    """The name in a text such as ``/proc/cpuinfo``; empty where it gives none, as on most ARM machines."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return " ".join(value.split())
    return ""


def model_facts(settings: Settings) -> list[ModelFacts]:
    """Every model that a stage offers: the built-in ones first, then as the catalogue lists them."""
    first_choice = auto_candidates("photo", choose_device(settings).type)[0]
    offered = [entry for entry in catalog.checkpoints().values() if entry.stages]
    offered.sort(key=lambda entry: entry.package_file is None)
    return [_facts(entry, settings, default=entry.name == first_choice) for entry in offered]


def _facts(entry: Checkpoint, settings: Settings, *, default: bool) -> ModelFacts:
    found, problem = _look(entry, settings)
    missing = [entry] if found is None and problem is None else []
    for name in entry.companions.values():
        if _look(companion := catalog.checkpoint(name), settings) == (None, None):
            missing.append(companion)
    if problem is not None:
        state = ModelState.DAMAGED
    elif found is None:
        state = ModelState.DOWNLOAD
    else:
        state = ModelState.BUILT_IN if found.use.origin == "built-in" else ModelState.ON_DISK
    return ModelFacts(
        name=entry.name,
        title=entry.title,
        title_zh=entry.title_zh or entry.title,
        description=entry.description,
        description_zh=entry.description_zh or entry.description,
        stages=entry.stages,
        scale=entry.scale,
        licence=entry.licence,
        commercial=entry.commercial,
        state=state,
        download_bytes=_download_bytes(missing),
        verified=None if found is None else found.use.verified,
        source=entry.source,
        default=default,
        uses_time=Upscale.stage in entry.stages and networks.uses_time(entry.name),
        speed=speed_of(entry),
        problem=problem,
    )


def speed_of(entry: Checkpoint) -> Speed | None:
    """How fast a model that enlarges is; ``None`` for any other."""
    if Upscale.stage not in entry.stages:
        return None
    macs = Upscale(model=entry.name, scale=1).work(1, 1).macs
    return next((speed for speed, most in SLOWEST.items() if macs <= most), "slow")


def _look(entry: Checkpoint, settings: Settings) -> tuple[LocalWeights | None, str | None]:
    """The file of ``entry`` on this machine, or a sentence on why it is of no use; neither where there is none."""
    try:
        return weights.find(entry, settings), None
    except WeightsError as error:
        logger.info("%s", error)
        return None, "Its file on this machine is damaged or cannot be read."


def _download_bytes(missing: Sequence[Checkpoint]) -> int | None:
    sizes = [entry.download_bytes for entry in missing]
    return None if not sizes or None in sizes else sum(size for size in sizes if size is not None)
