"""DDColor (Kang et al. 2023, https://arxiv.org/abs/2212.11613; https://github.com/piddnad/DDColor).

A ConvNeXt reads the picture, a U-net paints features at its full size, and a transformer asks for a hundred colours;
how much each of them suits each place makes the chroma. The published spectral norms are folded into the weights by
``convert``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.convnext import ConvNeXt
from restore.networks.folded_norms import fold_spectral
from restore.networks.shuffle_up import ShuffleUp, convolution

MULTIPLE = 32
"""Both sides of the input must be a multiple of this."""

ENCODERS: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "convnext-t": ((3, 3, 9, 3), (96, 192, 384, 768)),
    "convnext-l": ((3, 3, 27, 3), (192, 384, 768, 1536)),
}
"""Depths and widths of the published encoders."""

MACS_PER_PIXEL: Mapping[str, float] = {"convnext-t": 3.7e5, "convnext-l": 1.0e6}
"""Multiply-accumulate operations for each pixel of the square that the network sees, by encoder."""

WIDTH = 256
"""Of the colours and of the painted features."""

HEADS = 8
HIDDEN = 2048
LEVELS = 3
POSITION_TEMPERATURE = 10000.0


class Encoder(nn.Module):
    """The encoder under its published prefix."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.arch = ConvNeXt(*ENCODERS[name])

    def forward(self, x: Tensor) -> list[Tensor]:
        levels: list[Tensor] = self.arch(x)
        return levels


class StepUp(nn.Module):
    """Enlarge, put the encoder's features beside it, convolve."""

    def __init__(self, below: int, beside: int, outputs: int) -> None:
        super().__init__()
        self.shuf = ShuffleUp(below, outputs)
        self.bn = nn.BatchNorm2d(beside)
        self.conv = convolution(outputs + beside, outputs)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        result: Tensor = self.conv(functional.relu(torch.cat((self.shuf(below), self.bn(beside)), dim=1)))
        return result


class CrossAttention(nn.Module):
    """The colours look at the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, colours: Tensor, asking: Tensor, picture: Tensor, positions: Tensor) -> Tensor:
        found, _ = self.multihead_attn(colours + asking, picture + positions, picture, need_weights=False)
        result: Tensor = self.norm(colours + found)
        return result


class OwnAttention(nn.Module):
    """The colours look at each other."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, colours: Tensor, asking: Tensor) -> Tensor:
        placed = colours + asking
        found, _ = self.self_attn(placed, placed, colours, need_weights=False)
        result: Tensor = self.norm(colours + found)
        return result


class Perceptron(nn.Module):
    """The feed-forward part of a layer of the transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(WIDTH, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, WIDTH)
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(x + self.linear2(functional.relu(self.linear1(x))))
        return result


class ColourEmbedding(nn.Module):
    """Three linear layers with ReLU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first, second, third = self.layers
        result: Tensor = third(functional.relu(second(functional.relu(first(x)))))
        return result


def positions(rows: int, columns: int, like: Tensor) -> Tensor:
    """Sines and cosines of the place, half of them for the row: ``(1, rows * columns, WIDTH)``.

    As in DETR (Carion et al. 2020, https://arxiv.org/abs/2005.12872), with places scaled to 2 pi.
    """

    def along(size: int) -> Tensor:
        place = torch.arange(1, size + 1, device=like.device, dtype=torch.float32)
        place = place / (size + 1e-6) * (2 * math.pi)
        pairs = torch.arange(WIDTH // 4, device=like.device, dtype=torch.float32)
        angles = place[:, None] / POSITION_TEMPERATURE ** (2 * pairs / (WIDTH // 2))
        return torch.stack((angles.sin(), angles.cos()), dim=2).flatten(1)

    vertical = along(rows)[:, None].expand(-1, columns, -1)
    horizontal = along(columns)[None].expand(rows, -1, -1)
    return torch.cat((vertical, horizontal), dim=2).reshape(1, rows * columns, WIDTH).to(like.dtype)


class ColourDecoder(nn.Module):
    """Ask the levels of the picture in turn, the coarsest first, for its colours."""

    def __init__(self, inputs: tuple[int, ...], layers: int, queries: int) -> None:
        super().__init__()
        self.query_feat = nn.Embedding(queries, WIDTH)
        self.query_embed = nn.Embedding(queries, WIDTH)
        self.level_embed = nn.Embedding(LEVELS, WIDTH)
        self.input_proj = nn.ModuleList(nn.Conv2d(width, WIDTH, 1) for width in inputs)
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttention() for _ in range(layers))
        self.transformer_self_attention_layers = nn.ModuleList(OwnAttention() for _ in range(layers))
        self.transformer_ffn_layers = nn.ModuleList(Perceptron() for _ in range(layers))
        self.decoder_norm = nn.LayerNorm(WIDTH)
        self.color_embed = ColourEmbedding()

    def colours(self, levels: list[Tensor]) -> Tensor:
        """``(N, queries, WIDTH)`` from the levels ``(N, C, h, w)``."""
        pictures = [
            project(level).flatten(2).transpose(1, 2) + self.level_embed.weight[index]
            for index, (project, level) in enumerate(zip(self.input_proj, levels, strict=True))
        ]
        places = [
            positions(level.shape[2], level.shape[3], picture) for level, picture in zip(levels, pictures, strict=True)
        ]
        count = levels[0].shape[0]
        found = self.query_feat.weight.expand(count, -1, -1)
        asking = self.query_embed.weight.expand(count, -1, -1)
        layers = zip(
            self.transformer_cross_attention_layers,
            self.transformer_self_attention_layers,
            self.transformer_ffn_layers,
            strict=True,
        )
        for index, (look, confer, think) in enumerate(layers):
            level = index % LEVELS
            found = think(confer(look(found, asking, pictures[level], places[level]), asking))
        result: Tensor = self.color_embed(self.decoder_norm(found))
        return result

    def forward(self, levels: list[Tensor], painted: Tensor) -> Tensor:
        """How much each colour suits each place, ``(N, queries, H, W)``."""
        colours = self.colours(levels)
        return torch.einsum("nqc,nchw->nqhw", colours, painted.to(colours.dtype))


class Decoder(nn.Module):
    """From the levels of the encoder to the map of each colour."""

    def __init__(self, widths: tuple[int, ...], features: int, layers: int, queries: int) -> None:
        super().__init__()
        outputs = (features, features, features // 2)
        below = (widths[3], *outputs)
        self.layers = nn.ModuleList(
            StepUp(below[step], widths[2 - step], outputs[step]) for step in range(len(outputs))
        )
        self.last_shuf = ShuffleUp(outputs[-1], WIDTH, 4, norm=False)
        self.color_decoder = ColourDecoder(outputs, layers, queries)

    def steps(self, levels: list[Tensor]) -> list[Tensor]:
        """The features at 1/16, 1/8 and 1/4 of the size."""
        below, found = levels[3], []
        for step, beside in zip(self.layers, reversed(levels[:3]), strict=True):
            below = step(below, beside)
            found.append(below)
        return found

    def forward(self, levels: list[Tensor]) -> Tensor:
        steps = self.steps(levels)
        result: Tensor = self.color_decoder(steps, self.last_shuf(steps[-1]))
        return result


class DDColor(nn.Module):
    """Chroma for a grey picture.

    ``encoder`` is one of ``ENCODERS``, ``features`` the width of the first steps up, ``layers`` and ``queries`` the
    depth of the transformer and the number of its colours.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: str, features: int = 512, layers: int = 9, queries: int = 100) -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.decoder = Decoder(ENCODERS[encoder][1], features, layers, queries)
        self.refine_net = nn.Sequential(nn.Sequential(nn.Conv2d(queries + 3, 2, 1)))
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """RGB ``(N, 3, H, W)`` in [0, 1], grey, sides multiples of 32, to a and b of CIE Lab ``(N, 2, H, W)``."""
        normalised = (x - self.mean) / self.std
        maps = self.decoder(self.encoder(normalised))
        result: Tensor = self.refine_net(torch.cat((maps, normalised), dim=1))
        return result

    def lower(self, dtype: torch.dtype) -> None:
        """Run what works on pictures in ``dtype``; the colours, of which there are few, stay in float32."""
        for part in (self.encoder, self.decoder.layers, self.decoder.last_shuf):
            part.to(dtype)


build = DDColor


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict of the published one: spectral norms are folded, the encoder's classifier is left out."""
    return {key: value for key, value in fold_spectral(state).items() if ".head_cls." not in key}
