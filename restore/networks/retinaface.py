"""RetinaFace: boxes and five landmarks of faces, from all places of a picture at once.

Deng et al. 2020 (https://arxiv.org/abs/1905.00641); names and layout of the two networks that facexlib publishes
(https://github.com/xinntao/facexlib), on ResNet-50 and on a MobileNet of a quarter of the width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import resnet50
from torchvision.models._utils import IntermediateLayerGetter

STRIDES = (8, 16, 32)
"""Pixels between the places that each of the three levels looks at."""

SIDES = ((16, 32), (64, 128), (256, 512))
"""Sides of the squares in pixels that each level compares faces with."""

MEAN = (104.0, 117.0, 123.0)
"""Of blue, green and red, from 0 to 255."""

_CENTRE, _SIZE = 0.1, 0.2
"""How much of its square's side a predicted shift is, and of the logarithm a predicted growth."""

_WITH_PREFIX = "module."


def _normalised(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(outputs)]


def _block(inputs: int, outputs: int, size: int, slope: float, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*_normalised(inputs, outputs, size, stride), nn.LeakyReLU(slope, inplace=True))


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *_normalised(inputs, inputs, 3, stride, groups=inputs),
        nn.LeakyReLU(0.1, inplace=True),
        *_normalised(inputs, outputs, 1),
        nn.LeakyReLU(0.1, inplace=True),
    )


class MobileNet(nn.Module):
    """Features ``(64, 128, 256)`` channels deep at a stride of 8, 16 and 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(
            _block(3, 8, 3, 0.1, stride=2),
            _separable(8, 16, 1),
            _separable(16, 32, 2),
            _separable(32, 32, 1),
            _separable(32, 64, 2),
            _separable(64, 64, 1),
        )
        self.stage2 = nn.Sequential(_separable(64, 128, 2), *(_separable(128, 128, 1) for _ in range(5)))
        self.stage3 = nn.Sequential(_separable(128, 256, 2), _separable(256, 256, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self.stage1(x)
        second = self.stage2(first)
        return [first, second, self.stage3(second)]


class ResNet(IntermediateLayerGetter):  # type: ignore[misc]
    """Features ``(512, 1024, 2048)`` channels deep at a stride of 8, 16 and 32 pixels."""

    def __init__(self) -> None:
        super().__init__(resnet50(weights=None), {"layer2": "1", "layer3": "2", "layer4": "3"})

    def forward(self, x: Tensor) -> list[Tensor]:
        return list(super().forward(x).values())


class Pyramid(nn.Module):
    """Bring the levels to the same number of channels, and each the knowledge of those above it."""

    def __init__(self, inputs: Sequence[int], outputs: int, slope: float) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (_block(count, outputs, 1, slope) for count in inputs)
        self.merge1 = _block(outputs, outputs, 3, slope)
        self.merge2 = _block(outputs, outputs, 3, slope)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        first, second, third = self.output1(levels[0]), self.output2(levels[1]), self.output3(levels[2])
        second = self.merge2(second + functional.interpolate(third, size=second.shape[2:], mode="nearest"))
        first = self.merge1(first + functional.interpolate(second, size=first.shape[2:], mode="nearest"))
        return [first, second, third]


class Context(nn.Module):
    """See three, five and seven pixels far."""

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.conv3X3 = nn.Sequential(*_normalised(channels, half, 3))
        self.conv5X5_1 = _block(channels, quarter, 3, slope)
        self.conv5X5_2 = nn.Sequential(*_normalised(quarter, quarter, 3))
        self.conv7X7_2 = _block(quarter, quarter, 3, slope)
        self.conv7x7_3 = nn.Sequential(*_normalised(quarter, quarter, 3))

    def forward(self, x: Tensor) -> Tensor:
        five = self.conv5X5_1(x)
        seven = self.conv7x7_3(self.conv7X7_2(five))
        return functional.relu_(torch.cat([self.conv3X3(x), self.conv5X5_2(five), seven], dim=1))


class Head(nn.Module):
    """``values`` numbers for each square at each place: ``(N, C, H, W)`` to ``(N, squares, values)``."""

    def __init__(self, channels: int, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(channels, len(SIDES[0]) * values, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv1x1(x).permute(0, 2, 3, 1)
        return out.reshape(len(x), -1, self.values)


class RetinaFace(nn.Module):
    """``backbone`` is ``"mobilenet0.25"`` or ``"resnet50"``."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        small = backbone == "mobilenet0.25"
        channels, slope = (64, 0.1) if small else (256, 0.0)
        self.body = MobileNet() if small else ResNet()
        self.fpn = Pyramid((64, 128, 256) if small else (512, 1024, 2048), channels, slope)
        self.ssh1, self.ssh2, self.ssh3 = (Context(channels, slope) for _ in STRIDES)
        self.ClassHead = nn.ModuleList(Head(channels, 2) for _ in STRIDES)
        self.BboxHead = nn.ModuleList(Head(channels, 4) for _ in STRIDES)
        self.LandmarkHead = nn.ModuleList(Head(channels, 10) for _ in STRIDES)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """``(N, 3, H, W)`` float32 RGB in [0, 1] to boxes ``(N, P, 4)`` (left, top, right, bottom), landmarks
        ``(N, P, 5, 2)`` (eyes, nose, corners of the mouth) and scores ``(N, P)`` in [0, 1], for each square at each
        place. Boxes and landmarks are in pixels, and may lie outside the picture.
        """
        mean = pictures.new_tensor(MEAN)[:, None, None]
        levels = self.fpn(self.body(pictures.flip(1) * 255 - mean))
        features = [context(level) for context, level in zip((self.ssh1, self.ssh2, self.ssh3), levels, strict=True)]

        def collect(heads: nn.ModuleList) -> Tensor:
            return torch.cat([head(feature) for head, feature in zip(heads, features, strict=True)], dim=1).float()

        square = squares([(feature.shape[2], feature.shape[3]) for feature in features]).to(pictures.device)
        centre, side = square[:, :2], square[:, 2:]
        change = collect(self.BboxHead)
        middle, half = centre + _CENTRE * side * change[..., :2], side * torch.exp(_SIZE * change[..., 2:]) / 2
        landmarks = centre[:, None] + _CENTRE * side[:, None] * collect(self.LandmarkHead).view(*change.shape[:2], 5, 2)
        scores = collect(self.ClassHead).softmax(dim=2)[..., 1]
        return torch.cat([middle - half, middle + half], dim=2), landmarks, scores


def squares(sizes: Sequence[tuple[int, int]]) -> Tensor:
    """``(P, 3)``: centre x, centre y and side in pixels of all squares, for levels of these heights and widths."""
    found = []
    for (height, width), stride, sides in zip(sizes, STRIDES, SIDES, strict=True):
        y, x, side = torch.meshgrid(
            (torch.arange(height) + 0.5) * stride,
            (torch.arange(width) + 0.5) * stride,
            torch.tensor(sides, dtype=torch.float32),
            indexing="ij",
        )
        found.append(torch.stack([x, y, side], dim=-1).flatten(0, 2))
    return torch.cat(found)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off the prefix that training on several devices left in published files."""
    return {key.removeprefix(_WITH_PREFIX): value for key, value in state.items()}


def build(backbone: str) -> nn.Module:
    return cast(nn.Module, RetinaFace(backbone))
