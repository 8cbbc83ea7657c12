"""DeOldify (Jason Antic, https://github.com/jantic/DeOldify): a U-net on a ResNet, with one layer of self-attention.

Two builds exist: the wide one (stable, video), and the deep one (artistic), which has two convolutions at each step up.
Every weight of the decoder is published with a spectral norm; ``convert`` folds those into the weights.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.folded_norms import fold_spectral, fold_weight_norm
from restore.networks.shuffle_up import ShuffleUp, convolution

RANGE = 3.0
"""The output lies in (-3, 3): the values of a picture normalised as for ImageNet."""

SKIPS = (6, 5, 4, 2)
"""The children of the encoder whose outputs the blocks of the decoder read, from the bottom up."""

WIDE = 512
"""Features at each step up of the wide build, but for the last one, which has half of them."""

ENCODERS: Mapping[str, str] = {"deep": "resnet34", "wide": "resnet101"}
"""torchvision's name of the encoder of each build."""

MACS_PER_PIXEL: Mapping[str, float] = {"deep": 3.0e6, "wide": 2.2e6}
"""Multiply-accumulate operations for each pixel of the square that the network sees."""

DEEP_FACTOR = 1.5
"""The deep build widens each step up by this."""


class SelfAttention(nn.Module):
    """Every place takes from all others what suits it (Zhang et al. 2018, https://arxiv.org/abs/1805.08318).

    The weights are normalised over the places that ``query`` is taken of, so ``key`` is what asks here.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv1d(width, width // 8, 1, bias=False)
        self.key = nn.Conv1d(width, width // 8, 1, bias=False)
        self.value = nn.Conv1d(width, width, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        places = x.flatten(2)
        asking, asked, value = (layer(places).transpose(1, 2) for layer in (self.key, self.query, self.value))
        found = functional.scaled_dot_product_attention(asking, asked, value, scale=1.0)
        return x + self.gamma * found.transpose(1, 2).reshape(x.shape)


class _StepUp(nn.Module):
    """Enlarge, put the encoder's features beside it: what both builds have in common."""

    def __init__(self, below: int, up: int, beside: int) -> None:
        super().__init__()
        self.shuf = ShuffleUp(below, up)
        self.bn = nn.BatchNorm2d(beside)

    def joined(self, below: Tensor, beside: Tensor) -> Tensor:
        up = self.shuf(below)
        if up.shape[2:] != beside.shape[2:]:
            up = functional.interpolate(up, beside.shape[2:], mode="nearest")
        return functional.relu(torch.cat((up, self.bn(beside)), dim=1))


class WideStepUp(_StepUp):
    """A step up with one convolution."""

    def __init__(self, below: int, beside: int, outputs: int, attends: bool) -> None:
        super().__init__(below, outputs, beside)
        self.conv = convolution(outputs + beside, outputs)
        if attends:
            self.conv.append(SelfAttention(outputs))

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        result: Tensor = self.conv(self.joined(below, beside))
        return result


class DeepStepUp(_StepUp):
    """A step up with two convolutions."""

    def __init__(self, below: int, beside: int, outputs: int, attends: bool) -> None:
        super().__init__(below, below // 2, beside)
        self.conv1 = convolution(below // 2 + beside, outputs)
        self.conv2 = convolution(outputs, outputs)
        if attends:
            self.conv2.append(SelfAttention(outputs))

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        result: Tensor = self.conv2(self.conv1(self.joined(below, beside)))
        return result


class LastResidual(nn.Module):
    """Two convolutions, each with its ReLU, beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU()) for _ in range(2))
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


class DeOldify(nn.Module):
    """Colours for a grey picture.

    ``kind`` is the build, "deep" or "wide". The numbers in the published keys are those of ``layers``; places 2 and 9
    hold no weights, and are steps of ``logits``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        trunk = torchvision.models.get_model(ENCODERS[kind], weights=None)
        children = list(trunk.children())[:-2]
        bottom = trunk.fc.in_features
        beside = [bottom // 2, bottom // 4, bottom // 8, 64]
        blocks: list[nn.Module] = []
        below = bottom
        for index, width in enumerate(beside):
            is_last = index == len(beside) - 1
            if kind == "deep":
                outputs = int((below // 2 + width) // (2 if is_last else 1) * DEEP_FACTOR)
                blocks.append(DeepStepUp(below, width, outputs, attends=index == 1))
            else:
                outputs = WIDE // 2 if is_last else WIDE
                blocks.append(WideStepUp(below, width, outputs, attends=index == 1))
            below = outputs
        last = below + 3
        self.layers = nn.ModuleList(
            [
                nn.Sequential(*children),
                nn.BatchNorm2d(bottom),
                nn.Identity(),
                nn.Sequential(convolution(bottom, 2 * bottom), convolution(2 * bottom, bottom)),
                *blocks,
                ShuffleUp(below, below, norm=False),
                nn.Identity(),
                LastResidual(last),
                nn.Sequential(nn.Conv2d(last, 3, 1)),
            ]
        )

    def encoded(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The bottom of the encoder, and what the steps up read beside it."""
        kept: dict[int, Tensor] = {}
        encoder = self.layers[0]
        assert isinstance(encoder, nn.Sequential)
        y = x
        for index, layer in enumerate(encoder):
            y = layer(y)
            if index in SKIPS:
                kept[index] = y
        return y, [kept[index] for index in SKIPS]

    def logits(self, x: Tensor) -> Tensor:
        """The output before it is brought into its range."""
        y, beside = self.encoded(x)
        y = self.layers[3](functional.relu(self.layers[1](y)))
        for block, skip in zip(self.layers[4:8], beside, strict=True):
            y = block(y, skip)
        y = self.layers[8](y)
        result: Tensor = self.layers[11](self.layers[10](torch.cat((y, x), dim=1)))
        return result

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, H, W)`` RGB, normalised as for ImageNet, to as much in (-3, 3); sides are multiples of 16."""
        return torch.sigmoid(self.logits(x)) * (2 * RANGE) - RANGE

    def lower(self, dtype: torch.dtype) -> None:
        """Run everything but the last convolution in ``dtype``."""
        self.layers.to(dtype)
        self.layers[11].float()


build = DeOldify


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict of the published one: spectral norms and the weight norm of ``layers.8`` are folded."""
    return fold_weight_norm(fold_spectral(state))
