"""Try a lower precision on a small part of the work, with the weights and the picture at hand, before it is used."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from restore.inference.device import name_of

QUALITY_DB = 40.0
"""PSNR against float32 that a lower precision must keep."""


def decibels(found: Tensor, exact: Tensor) -> float:
    """PSNR between two pictures in [0, 1]."""
    error = (found - exact).square().mean().item()
    return math.inf if error == 0 else -10 * math.log10(error)


@dataclass
class Trial:
    """Tries a precision once, and keeps to what came of it.

    ``said`` says what came of it, for the plan of the report, and is empty where nothing was tried; ``failed`` says
    that float32 took the place of what was tried.
    """

    said: str = ""
    failed: bool = False
    _verdict: torch.dtype | None = None

    def precision(self, wanted: torch.dtype, work: Callable[[torch.dtype], Tensor]) -> torch.dtype:
        """``wanted`` where it keeps ``QUALITY_DB``, else float32.

        ``work`` is given a precision and makes pictures in it, in [0, 1]; it is called the first time only.
        """
        if wanted == torch.float32:
            return wanted
        if self._verdict is None:
            self._verdict = self._tried(wanted, work)
        return self._verdict

    def _tried(self, wanted: torch.dtype, work: Callable[[torch.dtype], Tensor]) -> torch.dtype:
        name, found = name_of(wanted), work(wanted)
        if not bool(found.isfinite().all()):
            self.said = f"{name} gives numbers that are not finite"
        else:
            kept = decibels(found, work(torch.float32))
            self.said = f"{name} keeps {kept:.1f} dB against float32"
            if kept >= QUALITY_DB:
                return wanted
        self.failed = True
        return torch.float32
