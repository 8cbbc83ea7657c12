"""What work on a clip is: a name for it that says in which folder its segments are kept.

Two names, both hashes of contents. The first is of all that decides the frames of the result: the clip itself, the part
of it and how it is decoded, the chain with its models, and the engine. The second is of how these frames are encoded.
Neither knows the container, the sound, the subtitles, the metadata or the names of files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import torch

from restore import checksums
from restore.clip_plan import ClipPlan
from restore.errors import InputError
from restore.inference.engine import Engine
from restore.media.clips.encoders import Plan
from restore.media.clips.sequence import CONTAINER, list_pictures
from restore.stages import OpenStage
from restore.version import __version__

FORM = 1
"""Goes up when segments are kept in another form than before."""

NOT_OF_THE_ENGINE = ("ui", "cli")
"""Folders of this package that have no part in what becomes of a frame."""

NOT_OF_THE_FRAMES = frozenset({"sound", "path"})
"""Settings of stages that have no part in it: what becomes of the sound, and the names of files, whose contents count.
"""


def name_of(values: dict[str, Any]) -> str:
    """A short name for ``values``, equal where they are."""
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def frames_key(
    plan: ClipPlan, opened: Sequence[OpenStage], engine: Engine, seconds: Fraction, most: int | None
) -> dict[str, Any]:
    """All that decides the frames of the result; raises ``InputError`` where a file cannot be read."""
    settings = engine.settings
    return {
        "form": FORM,
        "version": __version__,
        "engine": _digest_of_engine(),
        "libraries": [torch.__version__, av.__version__, *map(str, av.library_versions.values())],
        "clip": _digest_of_clip(plan),
        "rate": str(plan.info.video.frame_rate),
        "start": None if plan.start is None else str(plan.start),
        "end": None if plan.end is None else str(plan.end),
        "deinterlace": plan.deinterlace,
        "cuts": None if plan.cuts is None else [str(cut) for cut in plan.cuts],
        "cut_threshold": plan.cut_threshold,
        "size": plan.size,
        "written": plan.written,
        "untouched": [region.to_dict() for region in plan.untouched],
        "alpha": plan.encoder.layout.alpha,
        "steps": [_frames_of(stage.to_dict()) for stage in plan.stages],
        "models": [[[use.name, use.sha256] for use in stage.models] for stage in opened],
        "files": [[_digest(path) for path in stage.files] for stage in plan.stages],
        "device": _device(engine.device),
        "precision": settings.precision,
        "tile": settings.tile,
        "seconds": str(seconds),
        "most": most,
    }


def encoding_key(encoder: Plan) -> dict[str, Any]:
    """All that decides how the frames are encoded."""
    picture = encoder.picture
    return {
        "codec": encoder.codec,
        "pixel_format": encoder.pixel_format,
        "options": dict(encoder.options),
        "colour": asdict(encoder.colour),
        "size": (picture.width, picture.height),
        "aspect": str(picture.aspect),
        "rate": str(encoder.rate),
    }


def _frames_of(value: Any) -> Any:
    """Settings of a stage as JSON has them, without those that have no part in the frames."""
    if isinstance(value, dict):
        return {name: _frames_of(each) for name, each in value.items() if name not in NOT_OF_THE_FRAMES}
    return [_frames_of(each) for each in value] if isinstance(value, list | tuple) else value


@cache
def _digest_of_engine() -> str:
    """A hash of this package: what another version of it began is not mixed with what this one makes."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        if place.parts[0] not in NOT_OF_THE_ENGINE:
            digest.update(place.as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _digest_of_clip(plan: ClipPlan) -> list[str]:
    if plan.info.container == CONTAINER:
        return [_digest(path) for path in list_pictures(plan.source)]
    return [_digest(plan.source)]


def _digest(path: Path) -> str:
    try:
        return checksums.compute(path)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}.") from error


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
