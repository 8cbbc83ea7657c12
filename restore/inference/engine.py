"""What a stage is opened on: the device, the limits, and somebody to report to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import torch

from restore.inference.device import choose_device, choose_precision
from restore.progress import Progress
from restore.settings import Settings

log = logging.getLogger(__name__)


@dataclass
class Engine:
    """One piece of work: where it runs, who watches it, and what there is to say about it afterwards."""

    settings: Settings
    progress: Progress
    device: torch.device
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, settings: Settings, progress: Progress) -> Engine:
        """An engine on the device that the settings name; raises ``SettingsError`` where it or the precision is not."""
        device = choose_device(settings)
        choose_precision(settings, device)
        return cls(settings, progress, device)

    def warn(self, message: str) -> None:
        """Put ``message`` into the report, once."""
        if message not in self.warnings:
            log.warning(message)
            self.warnings.append(message)
