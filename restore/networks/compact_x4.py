"""The built-in network: a small residual upscaler, x4, trained in ``training/``.

A plain stack of 3x3 convolutions works at the low resolution and predicts what bicubic interpolation misses; both are
computed as the 16 sub-pixel phases of the output and interleaved once at the end (sub-pixel convolution: Shi et al.,
https://arxiv.org/abs/1609.05158). The bicubic base is itself a fixed 5x5 convolution, so a network whose last layer is
zero gives bicubic interpolation exactly, and the whole network stays purely convolutional.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.traits import Traits

SCALE = 4
SLOPE = 0.1


def cubic_weight(distance: Tensor, a: float = -0.5) -> Tensor:
    """Keys' cubic convolution kernel (1981) at ``distance`` samples; Pillow and MATLAB use ``a = -0.5``."""
    d = distance.abs()
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return torch.where(d <= 1, near, torch.where(d < 2, far, torch.zeros_like(d)))


def bicubic_kernel(scale: int) -> Tensor:
    """The convolution ``(3 * scale**2, 3, 5, 5)`` that gives the sub-pixel phases of a bicubic enlargement."""
    phases = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
    taps = cubic_weight(torch.arange(-2, 3, dtype=torch.float64) - phases[:, None])
    taps = taps / taps.sum(dim=1, keepdim=True)
    phase_kernels = torch.einsum("pi,qj->pqij", taps, taps).reshape(scale**2, 5, 5)
    kernel = torch.zeros(3, scale**2, 3, 5, 5, dtype=torch.float64)
    for channel in range(3):
        kernel[channel, :, channel] = phase_kernels
    return kernel.reshape(3 * scale**2, 3, 5, 5).float()


class CompactX4(nn.Module):
    """Enlarge ``(N, 3, H, W)`` in [0, 1] to ``(N, 3, 4H, 4W)``; the result may leave [0, 1] slightly.

    ``width`` is the number of features, ``depth`` the number of width-to-width convolutions.
    """

    base: Tensor

    def __init__(self, width: int = 48, depth: int = 12) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.tail = nn.Conv2d(width, 3 * SCALE**2, 3, padding=1)
        self.register_buffer("base", bicubic_kernel(SCALE), persistent=False)

    def features(self, x: Tensor) -> Tensor:
        """The low-resolution features: the part that may run in a lower precision."""
        x = functional.leaky_relu_(self.head(x), SLOPE)
        for convolution in self.body:
            x = functional.leaky_relu_(convolution(x), SLOPE)
        return x

    def image(self, features: Tensor, x: Tensor) -> Tensor:
        """The enlarged image from float32 features and the input that they came from."""
        phases: Tensor = self.tail(features)
        phases += functional.conv2d(functional.pad(x, (2, 2, 2, 2), mode="replicate"), self.base)
        return functional.pixel_shuffle(phases, SCALE)

    def forward(self, x: Tensor) -> Tensor:
        return self.image(self.features(x), x)


build = CompactX4


def traits(width: int = 48, depth: int = 12) -> Traits:
    out = 3 * SCALE**2
    return Traits(
        scale=SCALE,
        context=depth + 2,
        exact=True,
        values_per_pixel=3 * width + 4 * out,
        macs_per_pixel=9 * (3 * width + depth * width**2 + width * out) + 25 * 3 * out,
        macs_of_largest_layer=9 * width**2,
        float32=frozenset({"tail"}),
    )
