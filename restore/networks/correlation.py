"""How much the features of two frames are alike at every small displacement: the cost volume of flow networks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def correlation(here: Tensor, there: Tensor, reach: int = 4) -> Tensor:
    """The mean product of ``here`` and of ``there`` displaced by up to ``reach`` pixels, both ``(N, C, H, W)``.

    ``(N, (2 * reach + 1)**2, H, W)``: displacements row by row, from ``reach`` up and left to ``reach`` down and right.
    Outside the frame there is nothing (zeros). As in PWC-Net (Sun et al. 2018, https://arxiv.org/abs/1709.02371).
    """
    height, width = here.shape[-2:]
    padded = functional.pad(there, (reach,) * 4)
    side = range(2 * reach + 1)
    return torch.stack(
        [(here * padded[..., y : y + height, x : x + width]).mean(dim=1) for y in side for x in side], dim=1
    )
