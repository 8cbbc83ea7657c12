"""How the brightness of a whole frame changes to the next one, as in a fade or a flash."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 16
"""Side in pixels of the squares over which frames are compared: much larger than most of what moves within them."""
LEAST_CHANGE = 2 / 255
"""A mean difference of the squares that is no change of brightness."""
EXPLAINED = 0.5
"""How much of the difference of the squares may be left when the brightness is made the same; otherwise what is in the
frames differs, and not how bright they are."""
LARGEST_GAIN = 5.0
"""Factor beyond which, up or down, too little of the darker frame is left to be made as bright as the other."""
CONTRAST = 1 / 255
"""What is added to deviations, so that those of flat frames can be compared."""


@dataclass(frozen=True)
class Levels:
    """A first frame times ``gain`` plus ``offset``, both ``(1, 3, 1, 1)``, is as bright as the second one."""

    gain: Tensor
    offset: Tensor

    def first(self, frame: Tensor, time: float) -> Tensor:
        """``frame (1, 3, H, W)``, as bright as the first one, as it is at ``time``; at 1 it is as the second one."""
        return frame * (1 - time + time * self.gain) + time * self.offset

    def second(self, frame: Tensor, time: float) -> Tensor:
        """``frame (1, 3, H, W)``, as bright as the second one, as it is at ``time``."""
        return self.first((frame - self.offset) / self.gain, time)


def levels(first: Tensor, second: Tensor) -> Levels:
    """What takes the brightness of ``first (1, 3, H, W)`` to that of ``second``, channel by channel.

    No change where another brightness alone does not bring the frames much nearer to each other.
    """
    height, width = first.shape[-2:]
    one, none = first.new_ones(1, 3, 1, 1), first.new_zeros(1, 3, 1, 1)
    if height * width < BLOCK * BLOCK:
        return Levels(one, none)
    deviations = [frame.std(dim=(2, 3), keepdim=True) + CONTRAST for frame in (first, second)]
    means = [frame.mean(dim=(2, 3), keepdim=True) for frame in (first, second)]
    gain = deviations[1] / deviations[0]
    found = Levels(gain, means[1] - gain * means[0])
    size = (-(-height // BLOCK), -(-width // BLOCK))
    here, there = (functional.adaptive_avg_pool2d(frame, size) for frame in (first, second))
    before, after = (here - there).abs().mean(), (found.first(here, 1) - there).abs().mean()
    changed = before >= LEAST_CHANGE and after <= EXPLAINED * before
    if changed and bool(torch.maximum(gain, 1 / gain).max() <= LARGEST_GAIN):
        return found
    return Levels(one, none)
