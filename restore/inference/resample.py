"""Resize pictures with Lanczos, whole or band by band."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from restore.inference.tiles import blank

_SUPPORT = 3
"""Lobes of the filter, as Pillow's LANCZOS has them."""


def _resize_channel(channel: Tensor, width: int, height: int, box: tuple[float, float, float, float]) -> Tensor:
    picture = Image.fromarray(np.ascontiguousarray(channel.numpy()))
    resized = picture.resize((width, height), Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(resized))


def lanczos(picture: Tensor, height: int, width: int) -> Tensor:
    """Resize ``(C, H, W) float32`` to ``(C, height, width)``; antialiased when it gets smaller, clamped to [0, 1]."""
    _, source_height, source_width = picture.shape
    if (source_height, source_width) == (height, width):
        return picture
    box = (0, 0, source_width, source_height)
    return torch.stack([_resize_channel(c, width, height, box) for c in picture]).clamp_(0, 1)


def lanczos_part(picture: Tensor, size: tuple[int, int], rows: slice, columns: slice) -> Tensor:
    """``rows`` and ``columns`` of what ``lanczos`` makes of ``picture`` ``(C, H, W)`` at ``size`` (height, width)."""
    _, source_height, source_width = picture.shape
    if (source_height, source_width) == size:
        return picture[:, rows, columns]
    down, across = source_height / size[0], source_width / size[1]
    box = (columns.start * across, rows.start * down, columns.stop * across, rows.stop * down)
    box = (*box[:2], min(box[2], source_width), min(box[3], source_height))
    width, height = columns.stop - columns.start, rows.stop - rows.start
    return torch.stack([_resize_channel(c, width, height, box) for c in picture.cpu()]).clamp_(0, 1)


def lanczos_bands(bands: Iterator[Tensor], source: tuple[int, int], target: tuple[int, int]) -> Tensor:
    """Resize a picture that comes in bands from top to bottom, holding only the rows that the filter still needs.

    ``source`` and ``target`` are ``(height, width)``. The result is ``(3, height, width) float32`` in [0, 1] and equals
    that of resizing the whole picture.
    """
    source_height, source_width = source
    height, width = target
    result = blank(height, width)
    step = source_height / height
    reach = _SUPPORT * max(1.0, step) + 1
    kept = torch.empty(3, 0, width)
    first = 0  # the row of the source that ``kept`` begins with
    written = 0
    for band in bands:
        whole_band = (0, 0, source_width, band.shape[1])
        rows = torch.stack([_resize_channel(channel, width, band.shape[1], whole_band) for channel in band])
        kept = torch.cat([kept, rows], dim=1)
        end = first + kept.shape[1]
        ready = height if end >= source_height else max(written, math.floor((end - reach) / step))
        if ready > written:
            box = (0, written * step - first, width, min(kept.shape[1], ready * step - first))
            for c in range(3):
                result[c, written:ready] = _resize_channel(kept[c], width, ready - written, box)
            written = ready
            drop = max(0, math.floor(written * step - reach) - first)
            kept, first = kept[:, drop:], first + drop
    return result.clamp_(0, 1)
