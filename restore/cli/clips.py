"""The options of ``run`` that are for clips."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from restore.errors import SettingsError

NAMES = ("start", "end", "codec", "crf", "preset", "deinterlace", "keep_aspect")


def clip_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is to be given to ``restore_video`` beside the chain, validated; empty where nothing was asked for.

    Raises ``SettingsError``.
    """
    from restore.clip_plan import seconds_of
    from restore.media.clips.encoders import Encoding

    given = {name: value for name in NAMES if (value := getattr(arguments, name)) is not None}
    options: dict[str, Any] = {}
    for name in ("start", "end"):
        if name in given:
            options[name] = seconds_of(f"--{name}", given[name])
    if encoding := {name: given[name] for name in ("codec", "crf", "preset") if name in given}:
        options["encoding"] = Encoding(**encoding)
    if "deinterlace" in given:
        options["deinterlace"] = given["deinterlace"]
    if "keep_aspect" in given:
        options["square_pixels"] = False
    return options


def refuse_for_picture(options: Mapping[str, Any], target: str) -> None:
    """Raise ``SettingsError`` if there are ``options`` of clips for a result that is a picture."""
    if options:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in NAMES)
        raise SettingsError(f"{target} will be a picture, and {names} are for clips: leave them out.")
