"""What the cards of the tab for interpolation stand for: how many frames a second, or how many times as many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

BY_FACTOR = ""
"""The frame rate of those who give a factor."""


@dataclass(frozen=True)
class Pace:
    """The settings that a card chooses: the frames a second, which go before the factor unless in slow motion."""

    fps: str = BY_FACTOR
    factor: float = 2
    slow_motion: bool = False


DEFAULT = "fps60"

PACES: Mapping[str, Pace] = {
    "fps50": Pace("50"),
    DEFAULT: Pace("60"),
    "fps120": Pace("120"),
    "double": Pace(factor=2),
    "quadruple": Pace(factor=4),
    "eightfold": Pace(factor=8),
    "slow2": Pace(factor=2, slow_motion=True),
    "slow4": Pace(factor=4, slow_motion=True),
}
"""By the name of the card, which is that of its text ``pace.*``."""


def pace_of(fps: str, factor: float, slow_motion: bool) -> str | None:
    """The card that stands for these settings; ``None`` where they were made by hand."""
    fps = fps.strip()
    for name, pace in PACES.items():
        governed = (fps, factor) == (pace.fps, pace.factor) if slow_motion or not fps else fps == pace.fps
        if governed and slow_motion == pace.slow_motion:
            return name
    return None
