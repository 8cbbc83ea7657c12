"""Read a time that a person gives."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Rational, Real

from restore.errors import SettingsError


def seconds_of(name: str, value: object) -> Fraction:
    """A time as exact seconds, at least 0; raises ``SettingsError``. Text may have minutes and hours before colons."""
    try:
        if isinstance(value, str):
            total = Fraction(0)
            for part in value.strip().split(":"):
                total = total * 60 + Fraction(part)
            exact = total
        elif isinstance(value, Rational) and not isinstance(value, bool):
            exact = Fraction(value)
        elif isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
            exact = Fraction(str(float(value)))  # what was meant by 0.1, and not what a float makes of it
        else:
            raise ValueError
        if exact < 0:
            raise ValueError
    except (ValueError, ZeroDivisionError) as error:
        raise SettingsError(f"{name} is {value!r}: give seconds, or a time such as 1:02:03.5.") from error
    return exact
