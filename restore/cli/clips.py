"""The options of ``run`` that are for clips."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import restore
from restore.errors import SettingsError

NAMES = ("start", "end", "codec", "crf", "preset", "deinterlace", "keep_aspect", "cuts", "cut_threshold")
"""The options that pictures do not have."""


def clip_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What is to be given to ``restore_video`` beside the chain, validated; empty where nothing was asked for.

    Raises ``SettingsError``.
    """
    from restore.media.clips.encoders import Encoding
    from restore.media.clips.seconds import seconds_of

    given = {name: value for name in (*NAMES, "untouched") if (value := getattr(arguments, name)) is not None}
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
    if "cuts" in given:
        options["cuts"] = _cuts(given["cuts"])
    if "cut_threshold" in given:
        options["cut_threshold"] = given["cut_threshold"]
    if "untouched" in given:
        options["untouched"] = given["untouched"]
    return options


def _cuts(text: str) -> str | list[str]:
    """What ``--cuts`` asks for: "auto", or a list of times, empty for "none"."""
    if text == "auto":
        return text
    return [] if text == "none" else text.split(",")


def sequence_of(path: Path, rate: str) -> restore.ImageSequence:
    """The numbered pictures at ``path``, a folder or a pattern, ``rate`` a second; raises ``SettingsError``."""
    from restore.cli.folders import is_folder
    from restore.media.clips.sequence import is_pattern

    if not is_pattern(path) and not is_folder(path):
        raise SettingsError(
            f"--rate is for numbered pictures, and {path} is neither a folder nor a name with a place for the number, "
            "such as frames/%05d.png: leave it out, or give one of them."
        )
    return restore.ImageSequence(path, rate)


def refuse_pattern(path: Path) -> None:
    """Raise ``SettingsError`` if ``path`` is no file and reads like the pattern of numbered pictures."""
    from restore.cli.folders import is_there
    from restore.media.clips.sequence import is_pattern

    if is_pattern(path) and not is_there(path):
        raise SettingsError(f"For the numbered pictures {path}, say how many there are a second, such as --rate 24.")


def refuse_for_picture(options: Mapping[str, Any], target: str) -> None:
    """Raise ``SettingsError`` if there are ``options`` of clips for a result that is a picture."""
    if options.keys() - {"untouched"}:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in NAMES)
        raise SettingsError(f"{target} will be a picture, and {names} are for clips: leave them out.")
