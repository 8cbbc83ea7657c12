"""RestoreFormer: the parts of a face are looked up in a codebook and put together with attention to what was seen.

Wang et al. 2022 (https://arxiv.org/abs/2201.06374); names and layout of the version that GFPGAN publishes
(https://github.com/TencentARC/GFPGAN).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.vqgan import Codebook, Downsample, ResBlock, Upsample, attend, group_norm

HEADS = 8
_SHORTCUT = "nin_shortcut"


class Attention(nn.Module):
    """Attention of a picture's features to themselves, or, where ``seen`` is given, from those to these."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = group_norm(channels)
        self.norm2 = group_norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        own = self.norm1(x)
        asking = own if seen is None else self.norm2(seen)
        return x + cast(Tensor, self.proj_out(attend(self.q(asking), self.k(own), self.v(own), HEADS)))


class Level(nn.Module):
    """The blocks of one size, an attention after each where there is any, and what changes the size after them."""

    downsample: nn.Module
    upsample: nn.Module

    def __init__(self, inputs: int, outputs: int, blocks: int, attention: bool) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            ResBlock(inputs if index == 0 else outputs, outputs, _SHORTCUT) for index in range(blocks)
        )
        self.attn = nn.ModuleList(Attention(outputs) for _ in range(blocks if attention else 0))

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        for index, block in enumerate(self.block):
            x = block(x)
            if self.attn:
                x = self.attn[index](x, seen)
        return x


class Middle(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResBlock(channels, channels, _SHORTCUT)
        self.attn_1 = Attention(channels)
        self.block_2 = ResBlock(channels, channels, _SHORTCUT)


class Encoder(nn.Module):
    def __init__(self, channels: Sequence[int], blocks: int, outputs: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, channels[0], 3, padding=1)
        self.down = nn.ModuleList()
        last = len(channels) - 1
        for level, count in enumerate(channels):
            down = Level(channels[max(0, level - 1)], count, blocks, attention=level == last)
            if level < last:
                down.downsample = Downsample(count)
            self.down.append(down)
        self.mid = Middle(channels[-1])
        self.norm_out = group_norm(channels[-1])
        self.conv_out = nn.Conv2d(channels[-1], outputs, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The code to look up, what the decoder's middle and what its first level pay attention to."""
        x = self.conv_in(x)
        for level in self.down:
            x = level(x)
            if hasattr(level, "downsample"):
                x = cast(nn.Module, level.downsample)(x)
        first_seen = self.mid.block_1(x)
        middle_seen = self.mid.block_2(self.mid.attn_1(first_seen))
        code = self.conv_out(functional.silu(self.norm_out(middle_seen)))
        return code, middle_seen, first_seen


class Decoder(nn.Module):
    def __init__(self, channels: Sequence[int], blocks: int, inputs: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(inputs, channels[-1], 3, padding=1)
        self.mid = Middle(channels[-1])
        self.up = nn.ModuleList()
        last = len(channels) - 1
        for level, count in enumerate(channels):
            up = Level(channels[min(last, level + 1)], count, blocks, attention=level == last)
            if level > 0:
                up.upsample = Upsample(count)
            self.up.append(up)
        self.norm_out = group_norm(channels[0])
        self.conv_out = nn.Conv2d(channels[0], 3, 3, padding=1)

    def forward(self, code: Tensor, middle_seen: Tensor, first_seen: Tensor) -> Tensor:
        x = self.mid.block_1(self.conv_in(code))
        x = self.mid.block_2(self.mid.attn_1(x, middle_seen))
        for level in reversed(self.up):
            x = level(x, first_seen)
            if hasattr(level, "upsample"):
                x = cast(nn.Module, level.upsample)(x)
        return cast(Tensor, self.conv_out(functional.silu(self.norm_out(x)).to(self.conv_out.weight.dtype)))


class RestoreFormer(nn.Module):
    """Restore aligned faces of 512 pixels."""

    def __init__(
        self,
        channels: Sequence[int] = (64, 128, 128, 256, 256, 512),
        blocks: int = 2,
        codebook: int = 1024,
        code_channels: int = 256,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(channels, blocks, code_channels)
        self.decoder = Decoder(channels, blocks + 1, code_channels)
        self.quantize = Codebook(codebook, code_channels)
        self.quant_conv = nn.Conv2d(code_channels, code_channels, 1)
        self.post_quant_conv = nn.Conv2d(code_channels, code_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, 512, 512)`` RGB in [-1, 1] to the same in float32, nominally in [-1, 1]."""
        code, middle_seen, first_seen = self.encoder(x.float())
        z = self.quant_conv(code)
        found = self.quantize.entries(self.quantize.nearest(z), *z.shape[2:])
        dtype = self.decoder.conv_in.weight.dtype
        picture = self.decoder(self.post_quant_conv(found).to(dtype), middle_seen.to(dtype), first_seen.to(dtype))
        return cast(Tensor, picture.float())

    def lower(self, dtype: torch.dtype) -> None:
        """Run the decoder in ``dtype``; what chooses the entries of the codebook stays in float32, because another
        entry is another part of a face.
        """
        self.decoder.to(dtype)
        self.decoder.conv_out.float()


build = RestoreFormer
