"""The frame rate that a clip has, told from its timestamps rather than from what its header claims.

Containers round times to their tick (a millisecond in Matroska, a frame in AVI), and the rates in headers are often
wrong: 1000 for a clip with 25, or an average for one that keeps no rate at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from numbers import Rational, Real

from restore.errors import SettingsError

HIGHEST_RATE = 1000
"""Frames per second above which a rate is a mistake."""

COMMON = tuple(
    Fraction(numerator, denominator)
    for numerator, denominator in (
        *((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1)),
        *((12, 1), (15, 1), (15000, 1001), (16, 1), (18, 1), (20, 1), (100, 1), (120, 1), (120000, 1001), (240, 1)),
    )
)

ROUNDED = Fraction(1, 1_000_000)
"""By how much a rate in a header may be off because of its rounding."""

_FINE = 8
"""How many ticks a frame must last for a jitter of one or two of them to be rounding and not a rate that varies."""

_COARSEST = Fraction(12, 5)
"""How many ticks a frame must last for rounding to be told from a frame that is missing."""


@dataclass(frozen=True)
class Pace:
    """``rate`` in frames per second, the average where it varies; ``constant`` whether every timestamp keeps to it;
    ``pulldown`` whether frames last two and three fields in turn, as film does that is shown at a higher rate."""

    rate: Fraction
    constant: bool
    pulldown: bool = False


def pace_of(times: Sequence[int], time_base: Fraction, claims: Iterable[Fraction | None]) -> Pace | None:
    """The pace of frames at ``times``, ascending and different, in ticks of ``time_base``; ``None`` for fewer than two.

    ``claims`` are rates that the header names, the most trusted first. One of them, or else a common one, is taken
    where every time lies within a tick of it; a rate of the timestamps' own is taken otherwise.
    """
    if len(times) < 2:
        return None
    span = times[-1] - times[0]
    own = Fraction(len(times) - 1, span) / time_base
    for rate in (*(_meant(claim) for claim in claims if claim), *COMMON):
        if abs(rate / own - 1) < Fraction(1, 10) and _keeps(times, 1 / (rate * time_base)):
            return Pace(rate, constant=True)
    steps = [later - earlier for earlier, later in pairwise(times)]
    length = Fraction(span, len(times) - 1)
    if length >= _FINE and max(steps) - min(steps) <= 2 and _keeps(times, length, within=2):
        return Pace(own, constant=True)
    return Pace(own, constant=False, pulldown=_is_pulldown(steps))


def _meant(claim: Fraction) -> Fraction:
    """The common rate that a header means whose numbers are too small for it: 19001/317 in Matroska is 60000/1001."""
    return next((rate for rate in COMMON if abs(claim / rate - 1) < ROUNDED), claim)


def _keeps(times: Sequence[int], length: Fraction, within: int = 1) -> bool:
    """Whether each of ``times`` lies less than ``within`` ticks from where frames of ``length`` ticks would put it.

    A few whole ticks need no rounding, so with them it has to lie there exactly.
    """
    first = times[0]
    top, bottom = length.numerator, length.denominator
    if bottom == 1 and length < _FINE:
        return all(time - first == index * top for index, time in enumerate(times))
    if length < _COARSEST:
        return False
    return all(abs((time - first) * bottom - index * top) < within * bottom for index, time in enumerate(times))


def _is_pulldown(steps: Sequence[int]) -> bool:
    """Whether steps of three and of two fields alternate, at least five times, with at most one exception in ten."""
    long, short = max(steps), min(steps)
    if len(steps) < 10 or abs(Fraction(long, short) - Fraction(3, 2)) > Fraction(1, 10):
        return False
    middle = (long + short) / 2
    turns = sum((earlier > middle) != (later > middle) for earlier, later in pairwise(steps))
    return turns >= 0.9 * (len(steps) - 1)


def parse_rate(value: object, name: str = "rate") -> Fraction:
    """Frames a second as an exact number: from a number, or text such as "25" or "30000/1001".

    Raises ``SettingsError`` for anything else, and beyond ``HIGHEST_RATE``; ``name`` is what it calls the value.
    """
    try:
        if isinstance(value, bool) or not isinstance(value, str | Rational | Real):
            raise ValueError
        rate = Fraction(value.strip()) if isinstance(value, str) else Fraction(str(value))
    except (ValueError, ZeroDivisionError) as error:
        raise SettingsError(f"{name} is {value!r}: give frames a second, such as 24, 23.976 or 24000/1001.") from error
    if not 0 < rate <= HIGHEST_RATE:
        raise SettingsError(f"{name} is {value}: give frames a second, above 0 and at most {HIGHEST_RATE}.")
    return rate
