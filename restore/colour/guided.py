"""Enlarge chroma so that its edges follow those of the luma."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def _mean(x: Tensor, radius: int) -> Tensor:
    """The mean over a window that is cut off at the borders of the picture."""
    return functional.avg_pool2d(x, 2 * radius + 1, stride=1, padding=radius, count_include_pad=False)


def enlarge_guided(chroma: Tensor, small_guide: Tensor, guide: Tensor, radius: int, epsilon: float) -> Tensor:
    """``chroma (N, C, h, w)`` at the size of ``guide (N, 1, H, W)``; ``small_guide (N, 1, h, w)`` is the guide,
    reduced.

    In each window of ``2 * radius + 1`` pixels of the small size, chroma is taken for a linear function of the guide;
    the functions' coefficients are enlarged, and read at the full size (fast guided filter: He and Sun 2015,
    https://arxiv.org/abs/1505.00996). ``epsilon`` is the variance of the guide below which a window counts as flat, and
    its chroma as one colour.
    """
    radius = min(radius, (min(chroma.shape[-2:]) - 1) // 2)
    mean_guide, mean_chroma = _mean(small_guide, radius), _mean(chroma, radius)
    covariance = _mean(small_guide * chroma, radius) - mean_guide * mean_chroma
    variance = _mean(small_guide * small_guide, radius) - mean_guide * mean_guide
    slope = covariance / (variance + epsilon)
    offset = mean_chroma - slope * mean_guide
    size = (guide.shape[2], guide.shape[3])
    slope = functional.interpolate(_mean(slope, radius), size, mode="bilinear", align_corners=False)
    offset = functional.interpolate(_mean(offset, radius), size, mode="bilinear", align_corners=False)
    return slope * guide + offset
