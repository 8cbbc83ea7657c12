"""The last step of the networks for clips: features become a residue four times as large, on top of a plain resize."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from restore.networks.residual import leaky

SCALE = 4


def plain_resize(frame: Tensor) -> Tensor:
    """``(N, 3, H, W)`` to ``(N, 3, 4H, 4W)``, bilinear: what the residue is added to."""
    return functional.interpolate(frame, scale_factor=SCALE, mode="bilinear", align_corners=False)


def shuffle_twice(features: Tensor, first: nn.Module, second: nn.Module) -> Tensor:
    """``(N, C, H, W)`` to ``(N, C', 4H, 4W)``: twice a convolution to four times the channels, and a shuffle."""
    twice = leaky(functional.pixel_shuffle(first(features), 2))
    return leaky(functional.pixel_shuffle(second(twice), 2))


def macs_at_last(channels: int, wide: int = 64, layers: int = 2) -> int:
    """Multiply-accumulates of two shuffles and the ``layers`` convolutions after them, for each pixel of the input."""
    return 9 * (4 * channels**2 + 16 * channels * wide + 16 * ((layers - 1) * wide**2 + 3 * wide))


def values_at_last(channels: int, wide: int = 64) -> int:
    """Numbers for each pixel of the input that these steps hold at most, with the features they begin with."""
    return 6 * channels + 2 * 16 * wide + 3 * 16 * 3


class ShufflePack(nn.Module):
    """The convolution before a shuffle under the name that mmagic and PaddleGAN give it."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.upsample_conv = nn.Conv2d(channels_in, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, 4 * channels, H, W)``; the shuffle is for who calls."""
        result: Tensor = self.upsample_conv(x)
        return result
