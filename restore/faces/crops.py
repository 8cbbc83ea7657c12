"""Restore aligned crops of faces."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restore.faces import parse, restorers
from restore.faces.paste import plain_mask
from restore.faces.tone import is_grey, match_tone
from restore.inference.device import wide_range_precision
from restore.inference.engine import Engine
from restore.inference.opening import opened
from restore.inference.runner import NetworkSource


@dataclass(frozen=True)
class CropRestorer:
    """Restores crops with the network of ``restorer``; without ``parser`` every face is taken for an oval.

    ``fidelity`` is for the networks that take it.
    """

    restorer: NetworkSource
    parser: NetworkSource | None
    fidelity: float
    engine: Engine

    def precision(self, *, deep: bool) -> torch.dtype:
        """What the body of the network runs in; ``deep`` says that the source has more than 8 bits."""
        if deep and self.engine.settings.precision == "auto":
            return torch.float32
        return wide_range_precision(self.engine.settings, self.engine.device)

    def plain(self, crops: Tensor, *, deep: bool) -> Tensor:
        """``crops`` ``(N, 3, 512, 512) float32`` in [0, 1] as the network restores them, grey where they are grey.

        ``deep`` says that they come from a source of more than 8 bits, which takes float32.
        """
        with opened(self.restorer, self.engine, self.precision(deep=deep)) as network:
            restored = restorers.restore(self.restorer.name, network, crops, self.fidelity)
        return torch.where(is_grey(crops)[:, None, None, None], restored.mean(dim=1, keepdim=True), restored)

    def faces(self, crops: Tensor, *, deep: bool) -> tuple[Tensor, Tensor]:
        """Restored ``crops`` in the colours of their surroundings, and masks ``(N, 512, 512)`` of what is face."""
        restored = self.plain(crops, deep=deep)
        if self.parser is None:
            masks = plain_mask().expand(len(crops), -1, -1)
        else:
            with opened(self.parser, self.engine, self.precision(deep=False)) as network:
                masks = parse.mask(network, restored)
        return match_tone(restored, crops, masks), masks
