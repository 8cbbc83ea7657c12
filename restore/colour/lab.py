"""Between sRGB and CIE L*a*b* (D65), as float tensors: L in 0..100, a and b in about -128..127.

The matrix and the white are those that OpenCV and scikit-image write down (their whites differ in the fifth digit).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_XYZ_OF_RGB = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
_WHITE = (0.950456, 1.0, 1.088754)
_EPSILON = 0.008856
_SLOPE = 7.787
_OFFSET = 16 / 116


def _matrix(like: Tensor) -> Tensor:
    matrix = torch.tensor(_XYZ_OF_RGB, dtype=torch.float64)
    return (matrix / torch.tensor(_WHITE, dtype=torch.float64)[:, None]).to(like)


def _mix(matrix: Tensor, planes: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix, planes)


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """``(N, 3, H, W)`` sRGB in [0, 1] to L, a and b."""
    linear = torch.where(rgb > 0.04045, ((rgb.clamp_min(0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = _mix(_matrix(rgb), linear)
    f = torch.where(xyz > _EPSILON, xyz.clamp_min(_EPSILON) ** (1 / 3), _SLOPE * xyz + _OFFSET)
    x, y, z = f.unbind(dim=1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)


def lab_to_rgb(lab: Tensor, *, least_z: float = -math.inf) -> Tensor:
    """L, a and b ``(N, 3, H, W)`` to sRGB, clipped to [0, 1].

    Of colours that no light has, the third of the curved XYZ may fall below 0; scikit-image clips it there (``least_z``
    0), OpenCV does not.
    """
    light, a, b = lab.unbind(dim=1)
    y = (light + 16) / 116
    f = torch.stack((y + a / 500, y, (y - b / 200).clamp_min(least_z)), dim=1)
    xyz = torch.where(f > _EPSILON ** (1 / 3), f**3, (f - _OFFSET) / _SLOPE)
    linear = _mix(torch.linalg.inv(_matrix(lab).double()).to(lab), xyz)
    curved = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curved, linear * 12.92).clamp(0, 1)
