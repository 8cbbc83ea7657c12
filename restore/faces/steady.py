"""Keep what a network draws from changing where the face itself does not: less flicker, as sharp as before."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

KEPT = 0.65
"""The share of what was shown before that is kept where nothing moves."""

STILL = 0.03
"""A change of the crop, averaged over some pixels, that counts as movement; noise and grain stay below it."""

LOOK = 6.0
"""Standard deviation, in pixels of a crop, of that average."""

BANDS = ((3.0, 7.5), (1.2, 3.0), (0.0, 1.2))
"""The same of the two blurs between which detail of one size lies, the coarsest first: the crop of a small face is
pasted several times smaller, and what is fine there is coarse in the crop.
"""

LARGEST_GAIN = 2.0


@dataclass(frozen=True)
class Shown:
    """A crop of a face, and what was shown for it: ``(3, S, S) float32``."""

    crop: Tensor
    face: Tensor


def steadied(restored: Tensor, crop: Tensor, before: Shown, smoothing: float) -> Tensor:
    """``restored`` ``(3, S, S)`` of this ``crop``, drawn towards what was shown in the frame before where it is still.
    ``smoothing``, from 0 to 1, says how much.

    Averages of drawings are softer than each of them, so detail of every size gets back the strength that it has in
    ``restored``.
    """
    change = _blurred((crop - before.crop).abs().mean(dim=0, keepdim=True), LOOK)
    weight = smoothing * KEPT * torch.exp(-(change / STILL).square())
    return _as_detailed(restored.lerp(before.face, weight), restored).clamp(0, 1)


def _as_detailed(picture: Tensor, model: Tensor) -> Tensor:
    """``picture`` with detail as strong as around the same place of ``model``, where it is weaker."""
    for fine, coarse in BANDS:
        seen, wanted, look = _blurred(picture, fine), _blurred(model, fine), max(LOOK, 2 * coarse)
        gain = _sharpness(wanted, look) / _sharpness(seen, look).clamp(min=1e-6)
        picture = picture + (seen - _blurred(picture, coarse)) * (gain.clamp(1, LARGEST_GAIN) - 1)
    return picture


def _sharpness(picture: Tensor, look: float) -> Tensor:
    """``(1, S, S)``: how strong the Laplacian of a picture is around each pixel."""
    edges = [cv2.Laplacian(np.ascontiguousarray(channel), cv2.CV_32F) for channel in picture.numpy()]
    return _blurred(torch.from_numpy(np.stack(edges)).square().mean(dim=0, keepdim=True), look).clamp(min=0).sqrt()


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    if sigma == 0:
        return pictures
    channels = [cv2.GaussianBlur(np.ascontiguousarray(channel), (0, 0), sigma) for channel in pictures.numpy()]
    return torch.from_numpy(np.stack(channels))
