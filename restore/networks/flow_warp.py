"""Look up one frame's features where optical flow says that they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def flow_warp(features: Tensor, flow: Tensor, padding: str = "zeros") -> Tensor:
    """``features (N, C, H, W)`` moved onto the frame that ``flow (N, 2, H, W)`` starts from.

    The flow is in pixels, x before y: the value at ``(x, y)`` of the result is that of ``features`` at
    ``(x + flow_x, y + flow_y)``, bilinear, with the corners of the picture at the centres of its corner pixels. What
    lies outside is 0, or the nearest pixel with ``padding="border"``. The positions are float32 whatever the features
    are, which keep their own type: bfloat16 cannot tell neighbouring pixels of a wide frame apart.
    """
    height, width = flow.shape[-2:]
    x = torch.arange(width, device=flow.device, dtype=torch.float32) + flow[:, 0].float()
    y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + flow[:, 1].float()
    grid = torch.stack((2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1), dim=-1)
    warped = functional.grid_sample(features.float(), grid, mode="bilinear", padding_mode=padding, align_corners=True)
    return warped.to(features.dtype)
