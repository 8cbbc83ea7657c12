"""CodeFormer: a transformer guesses the parts of a face in a codebook, and ``fidelity`` says how much of what was seen
goes in beside them.

Zhou et al. 2022 (https://arxiv.org/abs/2206.11253); names and layout of https://github.com/sczhou/CodeFormer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.vqgan import Codebook, Downsample, ResBlock, Upsample, attend, group_norm

CHANNELS = (64, 128, 128, 256, 256, 512)
"""Channels at 512, 256 ... 16 pixels."""

BLOCKS = 2
CODE_CHANNELS = 256
CODE_SIDE = 16
_SHORTCUT = "conv_out"
_SLOPE = 0.2

SEEN_AFTER = {"256": 5, "128": 8, "64": 11, "32": 14}
"""After which block of the encoder the features of each size are taken."""

FUSED_AFTER = {"32": 9, "64": 12, "128": 15, "256": 18}
"""After which block of the generator they go in."""


class Attention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        own = self.norm(x)
        return x + cast(Tensor, self.proj_out(attend(self.q(own), self.k(own), self.v(own), heads=1)))


class Blocks(nn.Module):
    """Blocks one after the other, under the names ``blocks.0``, ``blocks.1`` ..."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)


def _middle(channels: int) -> list[nn.Module]:
    return [ResBlock(channels, channels, _SHORTCUT), Attention(channels), ResBlock(channels, channels, _SHORTCUT)]


def _level(inputs: int, outputs: int, attention: bool) -> list[nn.Module]:
    found: list[nn.Module] = []
    for index in range(BLOCKS):
        found.append(ResBlock(inputs if index == 0 else outputs, outputs, _SHORTCUT))
        if attention:
            found.append(Attention(outputs))
    return found


def _encoder() -> Blocks:
    blocks: list[nn.Module] = [nn.Conv2d(3, CHANNELS[0], 3, padding=1)]
    last = len(CHANNELS) - 1
    for level, channels in enumerate(CHANNELS):
        blocks += _level(CHANNELS[max(0, level - 1)], channels, attention=level == last)
        if level < last:
            blocks.append(Downsample(channels))
    blocks += [*_middle(CHANNELS[-1]), group_norm(CHANNELS[-1])]
    return Blocks([*blocks, nn.Conv2d(CHANNELS[-1], CODE_CHANNELS, 3, padding=1)])


def _generator() -> Blocks:
    blocks: list[nn.Module] = [nn.Conv2d(CODE_CHANNELS, CHANNELS[-1], 3, padding=1), *_middle(CHANNELS[-1])]
    last = len(CHANNELS) - 1
    for level in reversed(range(len(CHANNELS))):
        blocks += _level(CHANNELS[min(last, level + 1)], CHANNELS[level], attention=level == last)
        if level > 0:
            blocks.append(Upsample(CHANNELS[level]))
    return Blocks([*blocks, group_norm(CHANNELS[0]), nn.Conv2d(CHANNELS[0], 3, 3, padding=1)])


class TransformerLayer(nn.Module):
    """Attention and two linear layers over tokens ``(tokens, N, channels)``."""

    def __init__(self, channels: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor, position: Tensor) -> Tensor:
        own = self.norm1(x)
        placed = own + position
        x = x + self.self_attn(placed, placed, own, need_weights=False)[0]
        return x + cast(Tensor, self.linear2(functional.gelu(self.linear1(self.norm2(x)))))


class Fuse(nn.Module):
    """Change features towards what the encoder saw."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encode_enc = ResBlock(2 * channels, channels, _SHORTCUT)
        self.scale = self._convolutions(channels)
        self.shift = self._convolutions(channels)

    @staticmethod
    def _convolutions(channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, seen: Tensor, x: Tensor, fidelity: float) -> Tensor:
        both = self.encode_enc(torch.cat([seen, x], dim=1))
        change: Tensor = x * self.scale(both) + self.shift(both)
        return x + fidelity * change


def match_statistics(content: Tensor, style: Tensor) -> Tensor:
    """``content`` with the mean and the standard deviation that each channel has in ``style``, both ``(N, C, H, W)``.

    Adaptive instance normalisation (Huang and Belongie 2017, https://arxiv.org/abs/1703.06868).
    """

    def mean_and_deviation(x: Tensor) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(x, dim=(2, 3), keepdim=True)
        return mean, (variance + 1e-5).sqrt()

    mean, deviation = mean_and_deviation(content)
    wanted, wanted_deviation = mean_and_deviation(style)
    matched: Tensor = (content - mean) / deviation * wanted_deviation + wanted
    return matched


class CodeFormer(nn.Module):
    """Restore aligned faces of 512 pixels."""

    def __init__(self, channels: int = 512, heads: int = 8, layers: int = 9, codebook: int = 1024) -> None:
        super().__init__()
        self.encoder = _encoder()
        self.quantize = Codebook(codebook, CODE_CHANNELS)
        self.generator = _generator()
        self.position_emb = nn.Parameter(torch.zeros(CODE_SIDE**2, channels))
        self.feat_emb = nn.Linear(CODE_CHANNELS, channels)
        self.ft_layers = nn.ModuleList(TransformerLayer(channels, heads, 2 * channels) for _ in range(layers))
        self.idx_pred_layer = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, codebook, bias=False))
        sizes = {str(512 >> level): count for level, count in enumerate(CHANNELS)}
        self.fuse_convs_dict = nn.ModuleDict({size: Fuse(sizes[size]) for size in FUSED_AFTER})

    def forward(self, x: Tensor, fidelity: float) -> Tensor:
        """``(N, 3, 512, 512)`` RGB in [-1, 1] to the same in float32, nominally in [-1, 1].

        ``fidelity`` from 0 (all from the codebook) to 1 (as close to ``x`` as it gets).
        """
        code, seen = self.encode(x.float(), keep=fidelity > 0)
        indices = self.logits(code).argmax(dim=2)
        found = match_statistics(self.quantize.entries(indices, CODE_SIDE, CODE_SIDE), code)
        dtype = self.generator.blocks[0].weight.dtype
        out = found.to(cast(torch.dtype, dtype))
        fused = {block: size for size, block in FUSED_AFTER.items()} if fidelity > 0 else {}
        last = len(self.generator.blocks) - 1
        for index, block in enumerate(self.generator.blocks):
            out = block(out.float() if index == last else out)
            if index in fused:
                out = self.fuse_convs_dict[fused[index]](seen.pop(fused[index]).to(out.dtype), out, fidelity)
        return out.float()

    def encode(self, x: Tensor, keep: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """The code ``(N, 256, 16, 16)`` of ``x`` and, where ``keep``, the features to fuse, by their size."""
        kept = {block: size for size, block in SEEN_AFTER.items()} if keep else {}
        seen = {}
        for index, block in enumerate(self.encoder.blocks):
            x = block(x)
            if index in kept:
                seen[kept[index]] = x
        return x, seen

    def logits(self, code: Tensor) -> Tensor:
        """How well each entry of the codebook suits each pixel of ``code``: ``(N, 16 * 16, entries)``."""
        tokens = self.feat_emb(code.flatten(2).permute(2, 0, 1))
        for layer in self.ft_layers:
            tokens = layer(tokens, self.position_emb[:, None])
        return cast(Tensor, self.idx_pred_layer(tokens)).transpose(0, 1)

    def lower(self, dtype: torch.dtype) -> None:
        """Run the generator in ``dtype``; what chooses the entries of the codebook stays in float32, because another
        entry is another part of a face.
        """
        self.generator.to(dtype)
        self.generator.blocks[-1].float()
        self.fuse_convs_dict.to(dtype)


build = CodeFormer
