"""The networks that restore an aligned face of 512 x 512 pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.oracle_runners.case import Case

RUNNERS: Mapping[str, Callable[[Case], None]] = {}
