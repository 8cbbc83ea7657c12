"""What the cards of the tabs stand for: settings for a kind of picture or clip, named by what a visitor sees in it, and
sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from restore.models import AUTO


@dataclass(frozen=True)
class Preset:
    """The settings that a card chooses; those that it says nothing of stay as the visitor has them."""

    material: str
    denoise: float = 0.5
    strength: float = 1.0
    model: str = AUTO


DEFAULT = "photo"

PRESETS: Mapping[str, Preset] = {
    DEFAULT: Preset("photo"),
    # Grain and the blocks of JPEG are what a scan is to lose; some of the paper's tooth is to stay.
    "scan": Preset("scan", denoise=0.8),
    "illustration": Preset("illustration", denoise=1.0),
    "faithful": Preset("faithful", denoise=0.0),
}
"""By the name of the card, which is that of its text ``preset.*``; every material has one."""

BY_SCALE = ""
"""The target of those who give a scale."""

DEFAULT_SIZE = "double"

SIZES: Mapping[str, tuple[float, str]] = {
    DEFAULT_SIZE: (2.0, BY_SCALE),
    "quadruple": (4.0, BY_SCALE),
    "fhd": (2.0, "1920x1080"),
    "uhd": (2.0, "3840x2160"),
}
"""By the name of the card, which is that of its text ``size.*``: the scale, and the target that goes before it."""
