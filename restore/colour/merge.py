"""Give a frame the colours of another one and nothing else of it."""

from __future__ import annotations

from torch import Tensor

from restore.colour.eight_bits import luma


def chroma_of(frames: Tensor) -> Tensor:
    """What frames ``(N, 3, H, W)`` have beside their luma: R' - Y', G' - Y' and B' - Y', with Y' of BT.601."""
    return frames - luma(frames)


def with_chroma(frames: Tensor, chroma: Tensor, saturation: float = 1.0) -> Tensor:
    """The luma of ``frames`` with ``chroma``, both ``(N, 3, H, W)``, nominally in [0, 1].

    Where a colour times ``saturation`` is stronger than the luma of a pixel allows for, it is made weaker as a whole
    until it fits, which keeps hue and luma; clipping would change both. Turned grey (Y' of BT.601) the result is
    ``frames`` turned grey.
    """
    own = luma(frames)
    chroma = saturation * chroma
    tiny = 1e-12
    room_above = (1 - own).clamp_min(0) / chroma.amax(dim=1, keepdim=True).clamp_min(tiny)
    room_below = own.clamp_min(0) / (-chroma.amin(dim=1, keepdim=True)).clamp_min(tiny)
    return own + chroma * room_above.minimum(room_below).clamp_max(1)


def with_own_luma(frames: Tensor, coloured: Tensor, saturation: float = 1.0) -> Tensor:
    """The luma of ``frames`` with the chroma of ``coloured``, as ``with_chroma`` has it."""
    return with_chroma(frames, chroma_of(coloured), saturation)
