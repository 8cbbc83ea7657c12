"""The way up in the U-nets of DeOldify and DDColor: sub-pixel convolution with a blur against its checkerboards."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class ShuffleUp(nn.Module):
    """Enlarge ``(N, inputs, H, W)`` to ``(N, outputs, scale * H, scale * W)``.

    A 1x1 convolution, batch norm where ``norm`` is true and a bias where it is not, ReLU, pixel shuffle, and the mean
    of each pixel with its neighbours above and to the left ("super-resolution with no checkerboard", Sugawara et al.
    2018, https://arxiv.org/abs/1806.02658). The published networks blur at every place, whatever their arguments say.
    """

    def __init__(self, inputs: int, outputs: int, scale: int = 2, *, norm: bool = True) -> None:
        super().__init__()
        self.scale = scale
        convolution = nn.Conv2d(inputs, outputs * scale**2, 1, bias=not norm)
        self.conv = nn.Sequential(convolution, *([nn.BatchNorm2d(outputs * scale**2)] if norm else []))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pixel_shuffle(functional.relu(self.conv(x)), self.scale)
        return functional.avg_pool2d(functional.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """A 3x3 convolution, then ReLU, then batch norm: in this order, and with no bias."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.ReLU(), nn.BatchNorm2d(outputs))
