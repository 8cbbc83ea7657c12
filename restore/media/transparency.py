"""What lies under the transparent parts of a picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def fill_transparent(pixels: Tensor, alpha: Tensor) -> Tensor:
    """Replace what lies under full transparency, which is often black or noise, by the colours nearby.

    ``pixels`` is ``(3, H, W)``, ``alpha`` is ``(H, W)``, both float32 in [0, 1]. Whatever filters the picture
    afterwards then has nothing to bleed into the visible edge. Averages of the visible pixels at ever coarser scales
    fill the holes of the finer ones (pull-push: Gortler et al., *The Lumigraph*, 1996).
    """
    seen = (alpha > 0).float()[None, None]
    if not bool(seen.any()) or bool(seen.all()):
        return pixels
    colours = pixels[None] * seen
    levels = [(colours, seen)]
    while not bool((levels[-1][1] > 0).all()):
        coarse, weight = levels[-1]
        coarse, weight = (functional.avg_pool2d(x, 2, ceil_mode=True) for x in (coarse, weight))
        levels.append((coarse, weight))
    filled = levels[-1][0] / levels[-1][1]
    for coarse, weight in reversed(levels[:-1]):
        height, width = coarse.shape[-2:]
        spread = functional.interpolate(filled, scale_factor=2, mode="bilinear", align_corners=False)[
            ..., :height, :width
        ]
        filled = torch.where(weight > 0, coarse / weight.clamp(min=1e-12), spread)
    return filled[0]
