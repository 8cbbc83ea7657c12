"""Restore gives old photos and old film a second life.

    import restore
    report = restore.restore_image("photo.jpg", "restored.png", [restore.Upscale(scale=4)])

Everything public is named here. The engine below is imported when it is first used, so that ``import restore`` and the
command line's help are quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from restore.errors import (
    BusyError,
    Cancelled,
    InputError,
    LimitError,
    OutputError,
    Paused,
    ResourceError,
    RestoreError,
    SettingsError,
    WeightsError,
)
from restore.progress import Position, Progress
from restore.report import Report
from restore.settings import Settings, load_settings
from restore.version import __version__

if TYPE_CHECKING:
    from restore.clip_pipeline import restore_frames, restore_in_segments, restore_partly, restore_video
    from restore.colour.references import Reference
    from restore.estimates import Estimate, estimate
    from restore.frame import Frame
    from restore.media.clips.encoders import Encoding
    from restore.media.clips.probe import probe
    from restore.media.clips.sequence import ImageSequence
    from restore.paddlegan_names import steps_from_process_order
    from restore.pipeline import restore_image
    from restore.segments.run import Done
    from restore.stages import Clean, Colorize, Faces, Interpolate, Upscale, parse_steps, recipe

__all__ = [
    "BusyError",
    "Cancelled",
    "Clean",
    "Colorize",
    "Done",
    "Encoding",
    "Estimate",
    "Faces",
    "Frame",
    "ImageSequence",
    "InputError",
    "Interpolate",
    "LimitError",
    "OutputError",
    "Paused",
    "Position",
    "Progress",
    "Reference",
    "Report",
    "ResourceError",
    "RestoreError",
    "Settings",
    "SettingsError",
    "Upscale",
    "WeightsError",
    "__version__",
    "estimate",
    "load_settings",
    "parse_steps",
    "probe",
    "recipe",
    "restore_frames",
    "restore_image",
    "restore_in_segments",
    "restore_partly",
    "restore_video",
    "steps_from_process_order",
]

_LAZY = {
    "Encoding": "restore.media.clips.encoders",
    "Estimate": "restore.estimates",
    "Frame": "restore.frame",
    "ImageSequence": "restore.media.clips.sequence",
    "estimate": "restore.estimates",
    "Done": "restore.segments.run",
    "restore_in_segments": "restore.clip_pipeline",
    "restore_partly": "restore.clip_pipeline",
    "restore_frames": "restore.clip_pipeline",
    "restore_video": "restore.clip_pipeline",
    "restore_image": "restore.pipeline",
    "Clean": "restore.stages",
    "Colorize": "restore.stages",
    "Faces": "restore.stages",
    "Interpolate": "restore.stages",
    "Reference": "restore.colour.references",
    "Upscale": "restore.stages",
    "parse_steps": "restore.stages",
    "probe": "restore.media.clips.probe",
    "recipe": "restore.stages",
    "steps_from_process_order": "restore.paddlegan_names",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'restore' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
