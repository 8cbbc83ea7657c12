"""What a stage is opened on: the device, the limits, and somebody to report to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import torch

from restore.inference.device import choose_device, choose_precision
from restore.progress import Progress
from restore.settings import Settings

if TYPE_CHECKING:
    from restore.faces.keep import CropFolder

log = logging.getLogger(__name__)


@dataclass
class Engine:
    """One piece of work: where it runs, who watches it, and what there is to say about it afterwards.

    ``download`` says whether models that are missing may be downloaded. ``pass_bytes`` is what one pass of a network
    may take at most, where other work beside it needs memory too. ``crops`` takes the faces that are cut out, if
    anybody wants them. ``rate`` is how many frames a second come in, on the average, ``None`` for a picture.
    """

    settings: Settings
    progress: Progress
    device: torch.device
    warnings: list[str] = field(default_factory=list)
    download: bool = True
    pass_bytes: int | None = None
    crops: CropFolder | None = None
    rate: Fraction | None = None

    @classmethod
    def start(cls, settings: Settings, progress: Progress, *, download: bool = True) -> Engine:
        """An engine on the device that the settings name; raises ``SettingsError`` where it or the precision is not."""
        device = choose_device(settings)
        choose_precision(settings, device)
        return cls(settings, progress, device, download=download)

    def warn(self, message: str) -> None:
        """Put ``message`` into the report, once."""
        if message not in self.warnings:
            log.warning(message)
            self.warnings.append(message)
