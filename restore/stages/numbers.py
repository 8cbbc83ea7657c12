"""Check the numbers among the settings of a stage."""

from __future__ import annotations

from numbers import Real

from restore.errors import SettingsError


def number(name: str, value: object, low: float, high: float) -> float:
    """``value`` as a number of Python's own, which NumPy's are not; raises ``SettingsError`` outside the range."""
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= float(value) <= high:
        raise SettingsError(f"{name} is {value!r}: give a number from {low:g} to {high:g}.")
    return value if isinstance(value, int | float) else float(value)
