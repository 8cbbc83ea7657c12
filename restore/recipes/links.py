"""A chain as a short text that can stand in a link, and back.

The text is the recipe as JSON without what is as usual, compressed (RFC 1951) and in the letters of base64url, behind
the version of this form: ``1.q1bKL...``. What comes in may be from anybody, so its size is bounded before and after it
is unpacked, and no stage may name a file.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from restore.errors import SettingsError
from restore.recipes.files import parse_recipe
from restore.stages import RECIPE_VERSION, ChainStep, Stage, parse_chain, parse_steps

FORM = "1"
"""The version of the form."""

LONGEST_TEXT = 4096
"""Letters at most; longer links are cut off by some programs."""

LARGEST_JSON = 2**16
"""Bytes at most when it is unpacked."""

PATHS = ("references",)
"""Settings that name files, which are on one machine and no other."""

_WRONG = "The link has no recipe that this program can read: it was cut off or changed; copy it anew."


def encode(steps: Iterable[Stage | ChainStep | Mapping[str, Any]] | Mapping[str, Any]) -> str:
    """A chain as text of letters, digits and ``.-_``, at most ``LONGEST_TEXT`` of them.

    Steps that are switched off are in it too. Raises ``SettingsError`` for a chain that is none, that names files, or
    that is too long for a link.
    """
    chain = parse_chain(steps)
    refuse_paths(step.stage for step in chain)
    data = json.dumps({"version": RECIPE_VERSION, "steps": [_short(step) for step in chain]}, separators=(",", ":"))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data.encode()) + packer.flush()
    text = f"{FORM}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"
    if len(text) > LONGEST_TEXT or len(data) > LARGEST_JSON:
        raise SettingsError("The chain is too long for a link: save it as a file.")
    return text


def decode(text: str) -> tuple[Stage, ...]:
    """What runs of the chain that ``encode`` made ``text`` of; raises ``SettingsError`` for anything else."""
    return parse_steps(decode_chain(text))


def decode_chain(text: str) -> tuple[ChainStep, ...]:
    """The steps that ``encode`` made ``text`` of, with those that are switched off; raises ``SettingsError``."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise SettingsError(_WRONG)
    form, _, letters = text.partition(".")
    if form.isdecimal() and form != FORM and form.isascii():
        raise SettingsError("The link was made by a newer version of this program: open it there.")
    if form != FORM or not re.fullmatch(r"[A-Za-z0-9_-]+", letters):
        raise SettingsError(_WRONG)
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpacker.decompress(base64.urlsafe_b64decode(letters + "=" * (-len(letters) % 4)), LARGEST_JSON)
    except (ValueError, zlib.error) as error:
        raise SettingsError(_WRONG) from error
    if not unpacker.eof or unpacker.unused_data:
        raise SettingsError(_WRONG)
    return parse_recipe(data, "The recipe of the link", refuse_named_files)


def refuse_paths(stages: Iterable[Stage]) -> None:
    """Raise ``SettingsError`` for a chain that names files: they are not for a link, nor for what comes over HTTP."""
    for stage in stages:
        for name in PATHS:
            if getattr(stage, name, None):
                raise SettingsError(f"{name} of {stage.stage} names files of one machine: leave it out here.")


def refuse_named_files(steps: object) -> None:
    """``refuse_paths`` for steps of which nothing has been made yet: to understand a path is to look at the disk."""
    for step in steps if isinstance(steps, Sequence) and not isinstance(steps, str) else ():
        for name in PATHS:
            if isinstance(step, Mapping) and step.get(name):
                raise SettingsError(f"{name} names files of one machine: leave it out here.")


def _short(step: ChainStep) -> dict[str, Any]:
    """What is not as usual in a step."""
    usual = {field.name: field.default for field in fields(step.stage) if field.default is not MISSING}  # type: ignore[arg-type]
    values = step.to_dict()
    return {name: value for name, value in values.items() if name not in usual or value != usual[name]}
