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
    from restore.regions import Region

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Span:
    """A time on the clock of a clip, from ``start``, in seconds, to just before ``end``; open where one is ``None``."""

    start: Fraction | None = None
    end: Fraction | None = None

    def holds(self, pts: Fraction) -> bool:
        """Whether what is shown from ``pts`` on begins in this time."""
        return (self.start is None or pts >= self.start) and (self.end is None or pts < self.end)

    def times(self, factor: Fraction) -> Span:
        """The same time on a clock that runs ``factor`` times as long."""
        start, end = (None if time is None else time * factor for time in (self.start, self.end))
        return Span(start, end)


@dataclass
class Engine:
    """One piece of work: where it runs, who watches it, and what there is to say about it afterwards.

    ``download`` says whether models that are missing may be downloaded. ``pass_bytes`` is what one pass of a network
    may take at most, where other work beside it needs memory too. ``crops`` takes the faces that are cut out, if
    anybody wants them. Stages that are opened leave the regions ``untouched`` alone. ``rate`` is how many frames a
    second come in, on the average, ``None`` for a picture. Where the frames that come in are only a part of the clip,
    ``begin`` is when the first of all is shown, and what lies outside of ``span``, on the clock of the frames that come
    out, is there for its neighbours alone and not counted.
    """

    settings: Settings
    progress: Progress
    device: torch.device
    warnings: list[str] = field(default_factory=list)
    download: bool = True
    pass_bytes: int | None = None
    crops: CropFolder | None = None
    untouched: tuple[Region, ...] = ()
    rate: Fraction | None = None
    begin: Fraction | None = None
    span: Span = field(default_factory=Span)

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
