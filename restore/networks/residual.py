"""Residual blocks as the networks for clips use them: two convolutions, no normalisation."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

SLOPE = 0.1
"""The negative slope of the leaky ReLUs of this family of networks."""


def leaky(x: Tensor) -> Tensor:
    """The leaky ReLU of this family; it may overwrite ``x``."""
    return functional.leaky_relu(x, SLOPE, inplace=True)


class ResidualBlock(nn.Module):
    """``x`` plus two 3x3 convolutions with a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` to the same shape."""
        residue: Tensor = self.conv2(functional.relu(self.conv1(x), inplace=True))
        return x + residue


def residual_blocks(channels: int, count: int) -> nn.Sequential:
    """``count`` residual blocks, one after the other."""
    return nn.Sequential(*(ResidualBlock(channels) for _ in range(count)))


class Trunk(nn.Module):
    """A convolution to the number of channels of the blocks, and residual blocks after it."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE, inplace=True),
            residual_blocks(channels, blocks),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, channels, H, W)``."""
        result: Tensor = self.main(x)
        return result
