"""The parts that networks with a codebook of picture parts share (VQGAN: Esser et al. 2021, 2012.09841 on arXiv)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

GROUPS = 32


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(GROUPS, channels, eps=1e-6)


class ResBlock(nn.Module):
    """Two normalised convolutions and a shortcut, which is a convolution called ``shortcut`` where channels change."""

    def __init__(self, inputs: int, outputs: int, shortcut: str) -> None:
        super().__init__()
        self.norm1 = group_norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = group_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self._shortcut = shortcut if inputs != outputs else None
        if self._shortcut is not None:
            self.add_module(self._shortcut, nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(functional.silu(self.norm1(x), inplace=True))
        out = self.conv2(functional.silu(self.norm2(out), inplace=True))
        return cast(Tensor, out + (x if self._shortcut is None else self.get_submodule(self._shortcut)(x)))


class Downsample(nn.Module):
    """Half the size; the border that is added lies to the right and below only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(functional.pad(x, (0, 1, 0, 1))))


class Upsample(nn.Module):
    """Twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.conv(functional.interpolate(x, scale_factor=2, mode="nearest")))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Attention of every pixel to every pixel: three times ``(N, C, H, W)`` to the same, in ``heads`` equal parts."""

    batch, channels, height, width = query.shape

    def parts(x: Tensor) -> Tensor:
        return x.reshape(batch, heads, channels // heads, height * width).transpose(2, 3)

    out = functional.scaled_dot_product_attention(parts(query), parts(key), parts(value))
    return out.transpose(2, 3).reshape(query.shape)


class Codebook(nn.Module):
    """``count`` entries of ``channels`` numbers each."""

    def __init__(self, count: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(count, channels)

    def nearest(self, z: Tensor) -> Tensor:
        """The indices ``(N, H * W)`` of the entries nearest to each pixel of ``z`` ``(N, channels, H, W)``."""
        points = z.flatten(2).transpose(1, 2)
        entries = self.embedding.weight
        distance: Tensor = (
            points.square().sum(dim=2, keepdim=True) + entries.square().sum(dim=1) - 2 * points @ entries.t()
        )
        return distance.argmin(dim=2)

    def entries(self, indices: Tensor, height: int, width: int) -> Tensor:
        """The entries at ``indices`` ``(N, height * width)`` as ``(N, channels, height, width)``."""
        found: Tensor = self.embedding(indices)
        return found.transpose(1, 2).reshape(len(indices), -1, height, width)
