"""Pad frames to the size that a network needs, and cut its answer back to theirs."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Padding:
    """Pixels added on each side: zeros, or the pixels of the border again where ``replicate`` is set."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    replicate: bool = False

    def pad(self, frames: Tensor) -> Tensor:
        """``(N, C, H, W)`` with the pixels added."""
        if not any((self.left, self.right, self.top, self.bottom)):
            return frames
        sides = (self.left, self.right, self.top, self.bottom)
        return functional.pad(frames, sides, mode="replicate" if self.replicate else "constant")

    def crop(self, frames: Tensor) -> Tensor:
        """``(N, C, H, W)`` without the pixels that ``pad`` added."""
        height, width = frames.shape[-2:]
        return frames[..., self.top : height - self.bottom, self.left : width - self.right]


def to_multiple(frames: Tensor, multiple: int, *, centred: bool = False, replicate: bool = False) -> Padding:
    """What brings both sides of ``(N, C, H, W)`` to a multiple: on the right and below, or shared by the two sides."""
    height, width = frames.shape[-2:]
    down, across = -height % multiple, -width % multiple
    top, left = (down // 2, across // 2) if centred else (0, 0)
    return Padding(left, across - left, top, down - top, replicate)
