"""Parts of a frame that are named by rectangles, such as the place where subtitles were burnt in.

A rectangle is "x,y,width,height": the left and the upper edge, then how wide and high it is. Each of the four is a
share of the frame as it is shown ("0.85" or "85%"), or a number of its pixels ("864px").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import Any

from restore.errors import SettingsError

Rectangle = str | Sequence[str | int | float]
"""What a person gives for one: "0,85%,100%,15%", or its four values."""

MOST = 16
"""Rectangles that may be named."""

HOW = 'give "x,y,width,height", each as a share of the frame (0.85 or 85%) or in its pixels (864px)'

_EDGES = ("x", "y", "width", "height")
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)\s*(%|px)?", re.ASCII)


@dataclass(frozen=True)
class Region:
    """A rectangle inside a frame of any size, as exact shares of its width and its height."""

    left: Fraction
    top: Fraction
    width: Fraction
    height: Fraction

    def to_dict(self) -> dict[str, float]:
        """The shares as numbers, for JSON."""
        return {name: float(value) for name, value in vars(self).items()}


def parse_regions(value: str | Sequence[Rectangle] | None, size: tuple[int, int]) -> tuple[Region, ...]:
    """The rectangles in ``value``: a list of them, or text with semicolons between them.

    ``size`` is the ``(width, height)`` of the frame as it is shown. Raises ``SettingsError`` for what is no rectangle,
    or does not lie inside the frame.
    """
    if value is None:
        return ()
    if isinstance(value, str):
        value = [part for part in re.split("[;；]", value) if part.strip()]
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise SettingsError(f"untouched is {value!r}: give a list of rectangles; for each {HOW}.")
    if len(value) > MOST:
        raise SettingsError(f"There are {len(value)} rectangles that are to stay untouched, and at most {MOST} may be.")
    return tuple(_region(each, size) for each in value)


def _region(given: object, size: tuple[int, int]) -> Region:
    values: Sequence[Any] = re.split("[,，]", given) if isinstance(given, str) else given  # type: ignore[assignment]
    if not isinstance(values, Sequence) or isinstance(values, bytes) or len(values) != len(_EDGES):
        raise SettingsError(f"The rectangle {given!r} that is to stay untouched is none: {HOW}.")
    shares = [_share(each, size[place % 2], given) for place, each in enumerate(values)]
    region = Region(*shares)
    for begin, length, side, name in (
        (region.left, region.width, size[0], "wide"),
        (region.top, region.height, size[1], "high"),
    ):
        if length == 0:
            raise SettingsError(f"The rectangle {given!r} that is to stay untouched has no area: {HOW}.")
        if begin + length > 1:
            raise SettingsError(
                f"The rectangle {given!r} that is to stay untouched does not lie inside the frame, which is {side} "
                f"pixels {name}: it would end at {float((begin + length) * side):g}."
            )
    return region


def _share(value: object, side: int, given: object) -> Fraction:
    """One of the four values as a share of the ``side`` of the frame, in pixels."""
    number, unit = Fraction(-1), None
    value = value.strip() if isinstance(value, str) else value
    if isinstance(value, str) and (match := _NUMBER.fullmatch(value)):
        number, unit = Fraction(match[1]), match[2]
    elif isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < float("inf"):
        number = Fraction(str(float(value)))  # what was meant by 0.1, and not what a float makes of it
    if number < 0:
        raise SettingsError(f"{value!r} in the rectangle {given!r} is no length: {HOW}.")
    if unit == "px":
        return number / side
    if unit == "%":
        return number / 100
    if number > 1:
        raise SettingsError(
            f"{value!r} in the rectangle {given!r} is more than the whole frame: write {float(number):g}px for pixels, "
            "85% or 0.85 for a share of the frame."
        )
    return number
