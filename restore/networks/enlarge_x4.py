"""The last step of the networks for clips: features become a residue four times as large, on top of a plain resize."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from restore.networks.blocks import in_blocks, values_in
from restore.networks.residual import leaky

SCALE = 4

HALO = 3
"""Pixels of the features that the layers of ``residue_x4`` see around each."""


def plain_resize(frame: Tensor) -> Tensor:
    """``(N, 3, H, W)`` to ``(N, 3, 4H, 4W)``, bilinear: what the residue is added to."""
    return functional.interpolate(frame, scale_factor=SCALE, mode="bilinear", align_corners=False)


def doubled(features: Tensor, conv: nn.Module) -> Tensor:
    """``(N, C, H, W)`` to ``(N, C', 2H, 2W)``: a convolution to four times the channels, and a shuffle."""
    return leaky(functional.pixel_shuffle(conv(features), 2))


def residue_x4(
    features: Tensor, first: nn.Module, second: nn.Module, smooth: nn.Module | None, last: nn.Module
) -> Tensor:
    """``(N, C, H, W)`` to ``(N, 3, 4H, 4W)``: doubled twice, then one more layer where there is one, then the last."""

    def layers(block: Tensor) -> Tensor:
        large = doubled(doubled(block, first), second)
        if smooth is not None:
            large = leaky(smooth(large))
        residue: Tensor = last(large)
        return residue

    return in_blocks(layers, features, halo=HALO)


def macs_at_last(channels: int, wide: int = 64, layers: int = 2) -> int:
    """Multiply-accumulates of two shuffles and the ``layers`` convolutions after them, for each pixel of the input."""
    return 9 * (4 * channels**2 + 16 * channels * wide + 16 * ((layers - 1) * wide**2 + 3 * wide))


def values_of_block(wide: int = 64, others: int = 0, halo: int = HALO) -> int:
    """Numbers that these layers hold at most for a block and what is around it; ``others`` for each pixel included."""
    return values_in(3 * 16 * wide + others, halo)


class ShufflePack(nn.Module):
    """The convolution before a shuffle under the name that mmagic and PaddleGAN give it."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.upsample_conv = nn.Conv2d(channels_in, 4 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, 4 * channels, H, W)``; the shuffle is for who calls."""
        result: Tensor = self.upsample_conv(x)
        return result
