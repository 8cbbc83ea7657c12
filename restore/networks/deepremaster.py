"""DeepRemaster (Iizuka and Simo-Serra 2019, https://github.com/satoshiiizuka/siggraphasia2019_remastering).

Two networks of 3D convolutions in one published file: ``modelR`` repairs the luminance of a few frames of old film,
``modelC`` colours them, from any number of reference pictures or from none.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MEAN_LUMINANCE, MEAN_REFERENCE = 0.4462414, 0.48
"""Of the authors' training data; taken off what the networks see."""

MULTIPLE = 16
"""Both sides of the frames must be a multiple of this."""

HALF = (1, 2, 2)
"""Stride and scale: the frames are halved or doubled, time is not."""


class Convolution(nn.Module):
    """3D convolution, batch norm, ELU; over 3 x 3 pixels of ``frames`` frames."""

    def __init__(
        self, inputs: int, outputs: int, frames: int = 1, stride: tuple[int, int, int] = (1, 1, 1), padded: bool = True
    ) -> None:
        super().__init__()
        padding = (frames // 2, 1, 1) if padded else 0
        self.conv3d = nn.Conv3d(inputs, outputs, (frames, 3, 3), stride, padding)
        self.bn = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.elu(self.bn(self.conv3d(x)))


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=HALF, mode="trilinear", align_corners=False)


class Up(Convolution):
    """Double the frames, then convolve over three of them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, frames=3)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_doubled(x))


class UpBeside(nn.Module):
    """Double the frames, put other features behind theirs, convolve."""

    def __init__(self, below: int, beside: int, outputs: int) -> None:
        super().__init__()
        self.conv3d = Convolution(below + beside, outputs, frames=3)

    def forward(self, below: Tensor, beside: Tensor) -> Tensor:
        result: Tensor = self.conv3d(torch.cat((_doubled(below), beside), dim=1))
        return result


class Attention(nn.Module):
    """Every place of the source takes from all places of all references what suits it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_conv = nn.Conv3d(width, width // 8, 1)
        self.key_conv = nn.Conv3d(width, width // 8, 1)
        self.value_conv = nn.Conv3d(width, width, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, source: Tensor, references: Tensor) -> Tensor:
        query, key, value = (
            convolution(x).flatten(2).transpose(1, 2)
            for convolution, x in (
                (self.query_conv, source),
                (self.key_conv, references),
                (self.value_conv, references),
            )
        )
        found = functional.scaled_dot_product_attention(query, key, value, scale=1.0)
        return self.gamma * found.transpose(1, 2).reshape(source.shape) + source


class Restoration(nn.Module):
    """Repair the luminance of a block of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReplicationPad3d(1),
            Convolution(1, 64, 3, HALF, padded=False),
            Convolution(64, 128, 3),
            Convolution(128, 128, 3),
            Convolution(128, 256, 3, HALF),
            *(Convolution(256, 256, 3) for _ in range(4)),
            Up(256, 128),
            Convolution(128, 64, 3),
            Convolution(64, 64, 3),
            Up(64, 16),
            nn.Conv3d(16, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 1, T, H, W)`` in [0, 1] to as much; sides are multiples of 4."""
        result: Tensor = (x + torch.tanh(self.layers(x - MEAN_LUMINANCE))).clamp(0, 1)
        return result


def _encoder(inputs: int, *, replicated: bool) -> list[nn.Module]:
    """From pictures to 512 features at 1/8 of the size, frame by frame."""
    return [
        Convolution(inputs, 64, stride=HALF, padded=not replicated),
        Convolution(64, 128),
        Convolution(128, 128),
        Convolution(128, 256, stride=HALF),
        Convolution(256, 256),
        Convolution(256, 256),
        Convolution(256, 512, stride=HALF),
        Convolution(512, 512),
        Convolution(512, 512),
    ]


class Colourisation(nn.Module):
    """Colour a block of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Sequential(nn.ReplicationPad3d((1, 1, 1, 1, 0, 0)), *_encoder(1, replicated=True))
        self.flat = nn.Sequential(Convolution(512, 512), Convolution(512, 512))
        self.down2 = nn.Sequential(Convolution(512, 512, stride=HALF), Convolution(512, 512))
        self.stattn1, self.stattn2 = Attention(512), Attention(512)
        self.selfattn1 = Attention(512)
        self.conv1 = Convolution(512, 512)
        self.up1 = UpBeside(512, 512, 512)
        self.selfattn2 = Attention(512)
        self.conv2 = Convolution(512, 256, 3)
        self.up2 = nn.Sequential(Up(256, 128), Convolution(128, 64, 3))
        self.up3 = nn.Sequential(Up(64, 32), Convolution(32, 16, 3))
        self.up4 = nn.Sequential(Up(16, 8), nn.Conv3d(8, 2, 3, padding=1))
        self.reffeatnet1 = nn.Sequential(*_encoder(3, replicated=False))
        self.reffeatnet2 = nn.Sequential(
            Convolution(512, 512, stride=HALF), Convolution(512, 512), Convolution(512, 512)
        )

    def forward(self, luminance: Tensor, references: Tensor | None = None) -> Tensor:
        """``(N, 1, T, H, W)`` in [0, 1] to a and b as ``(N, 2, T, H, W)`` in [0, 1], which stands for -128 to 127.

        ``references`` are RGB ``(N, R, 3, h, w)`` in [0, 1]. Sides are multiples of 16; those of references are free.
        The self-attention at 1/8 of the size costs time and memory with the square of frames x pixels.
        """
        fine = self.down1(luminance - MEAN_LUMINANCE)
        found = None
        if references is not None:
            found = self.reffeatnet1(references.transpose(1, 2) - MEAN_REFERENCE)
            fine = self.stattn1(fine, found)
        coarse = self.down2(fine)
        if found is not None:
            coarse = self.stattn2(coarse, self.reffeatnet2(found))
        coarse = self.conv1(coarse)
        coarse = self.selfattn1(coarse, coarse)
        fine = self.up1(coarse, self.flat(fine))
        fine = self.conv2(self.selfattn2(fine, fine))
        return torch.sigmoid(self.up4(self.up3(self.up2(fine))))


class DeepRemaster(nn.Module):
    """Both networks, under the names that they have in the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.modelR = Restoration()
        self.modelC = Colourisation()

    def forward(self, luminance: Tensor, references: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Repair and colour: luminance ``(N, 1, T, H, W)`` and chroma ``(N, 2, T, H, W)``, both in [0, 1]."""
        repaired: Tensor = self.modelR(luminance)
        chroma: Tensor = self.modelC(repaired, references)
        return repaired, chroma

    def lower(self, dtype: torch.dtype) -> None:
        """Run everything but the last convolution of each network in ``dtype``."""
        self.to(dtype)
        self.modelR.layers[-1].float()
        self.modelC.up4[-1].float()


build = DeepRemaster
