"""CIE Lab as OpenCV computes it from float pictures: by interpolation in a table, up to 0.3 off the formula.

DDColor was trained on these values, and its published results are made with them.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor


def rgb_to_lab(frames: Tensor) -> Tensor:
    """``(N, 3, H, W)`` sRGB in [0, 1] to L in 0..100, a and b."""
    pictures = frames.detach().permute(0, 2, 3, 1).to("cpu", torch.float32).contiguous().numpy()
    return (
        torch.from_numpy(np.stack([cv2.cvtColor(each, cv2.COLOR_RGB2Lab) for each in pictures]))
        .to(frames.device, frames.dtype)
        .permute(0, 3, 1, 2)
    )
