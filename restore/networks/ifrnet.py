"""IFRNet: motion and features of the frame in between, refined together from coarse to fine.

Kong et al. 2022, https://arxiv.org/abs/2205.14620; the published weights are those of
https://github.com/ltkong218/IFRNet, the network of the base size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.flow_warp import flow_warp
from restore.networks.frame_padding import Padding, to_multiple

WIDTHS = (32, 48, 72, 96)
"""Features of a frame at a half, a quarter, an eighth and a sixteenth of its size."""
SIDE = 32
"""The last features of a decoder, which are also worked on by themselves."""
FLOWS, MASK = 4, 1


def _warp(image: Tensor, flow: Tensor) -> Tensor:
    return flow_warp(image, flow, padding="border")


def _resized(x: Tensor, factor: float) -> Tensor:
    return x if factor == 1 else functional.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inside, outside, 3, stride, 1), nn.PReLU(outside))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        for level, (inside, width) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False), start=1):
            self.add_module(
                f"pyramid{level}", nn.Sequential(_convolution(inside, width, 2), _convolution(width, width))
            )

    def forward(self, frame: Tensor) -> tuple[Tensor, ...]:
        """The features of ``(N, 3, H, W)``, coarsest first; both sides must be a multiple of 16."""
        found: list[Tensor] = []
        for pyramid in self.children():
            frame = pyramid(frame)
            found.insert(0, frame)
        return tuple(found)


class ResidualBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = _convolution(width, width)
        self.conv2 = _convolution(SIDE, SIDE)
        self.conv3 = _convolution(width, width)
        self.conv4 = _convolution(SIDE, SIDE)
        self.conv5 = nn.Conv2d(width, width, 3, 1, 1)
        self.prelu = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for whole, side in ((self.conv1, self.conv2), (self.conv3, self.conv4)):
            y = whole(y)
            y = torch.cat((y[:, :-SIDE], side(y[:, -SIDE:])), dim=1)
        result: Tensor = self.prelu(x + self.conv5(y))
        return result


class Decoder(nn.Module):
    """One step of the refinement; its answer has twice the size of what it is given."""

    def __init__(self, inside: int, width: int, outside: int) -> None:
        super().__init__()
        self.convblock = nn.Sequential(
            _convolution(inside, width), ResidualBlock(width), nn.ConvTranspose2d(width, outside, 4, 2, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.convblock(x)
        return found


@dataclass(frozen=True)
class Pair:
    """Two frames, padded and without their mean, and their features, coarsest first."""

    first: Tensor
    second: Tensor
    mean: Tensor
    features_first: tuple[Tensor, ...]
    features_second: tuple[Tensor, ...]
    scale: float
    padding: Padding


@dataclass(frozen=True)
class Moment:
    """What is known at one time.

    ``flows`` is the motion ``(N, 4, H, W)`` from that time to the first and to the second frame in pixels, coarsest
    level first and the last one at the size at which motion was looked for; ``share`` is that of the first frame, in
    [0, 1], and ``residual`` what the frames lack.
    """

    flows: tuple[Tensor, ...]
    share: Tensor
    residual: Tensor


class Ifrnet(nn.Module):
    """Frames between two frames ``(N, 3, H, W)``, RGB in [0, 1], of any size."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = WIDTHS
        self.encoder = Encoder()
        self.decoder4 = Decoder(2 * sixteenth + 1, 2 * sixteenth, FLOWS + eighth)
        self.decoder3 = Decoder(3 * eighth + FLOWS, 3 * eighth, FLOWS + quarter)
        self.decoder2 = Decoder(3 * quarter + FLOWS, 3 * quarter, FLOWS + half)
        self.decoder1 = Decoder(3 * half + FLOWS, 3 * half, FLOWS + MASK + 3)

    def of_whole(self, first: Tensor, second: Tensor) -> dict[str, Tensor]:
        """What ``prepare`` must be told of two whole frames ``(N, 3, H, W)`` where it is given a part of them."""
        return {"mean": torch.cat((first, second), dim=2).mean(dim=(1, 2, 3), keepdim=True)}

    def prepare(
        self,
        first: Tensor,
        second: Tensor,
        scale: float = 1.0,
        padding: Padding | None = None,
        mean: Tensor | None = None,
    ) -> Pair:
        """What all times between two frames share.

        ``scale`` is the size at which motion is looked for, as a share of that of the frame: 0.5 or less finds the long
        ways that things go in large frames, and costs less. The frames are continued on the right and below to a
        multiple of ``16 / scale`` unless ``padding`` says otherwise. ``mean (N, 1, 1, 1)`` is what is taken off them,
        their own mean if it is not given.
        """
        padding = padding or to_multiple(first, int(16 / scale), replicate=True)
        mean = self.of_whole(first, second)["mean"] if mean is None else mean.to(first.device)
        first, second = padding.pad(first) - mean, padding.pad(second) - mean
        features = [self.encoder(_resized(frame, scale)) for frame in (first, second)]
        return Pair(first, second, mean, features[0], features[1], scale, padding)

    def moment(self, pair: Pair, time: float) -> Moment:
        """The motion from ``time`` to both frames, and how they come together there."""
        coarsest = pair.features_first[0]
        times = torch.full_like(coarsest[:, :1], time)
        found = self.decoder4(torch.cat((coarsest, pair.features_second[0], times), dim=1))
        flow, carried = found[:, :FLOWS].float(), found[:, FLOWS:]
        flows = [flow]
        decoders = (self.decoder3, self.decoder2, self.decoder1)
        levels = zip(decoders, pair.features_first[1:], pair.features_second[1:], strict=True)
        for decoder, features_first, features_second in levels:
            seen = (carried, _warp(features_first, flow[:, :2]), _warp(features_second, flow[:, 2:]))
            found = decoder(torch.cat((*seen, flow), dim=1))
            flow = found[:, :FLOWS].float() + 2 * _resized(flow, 2)
            carried = found[:, FLOWS:]
            flows.append(flow)
        return Moment(tuple(flows), carried[:, :MASK].float().sigmoid(), carried[:, MASK:].float())

    def at(self, pair: Pair, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` in [0, 1] at ``time``, 0 being the first frame and 1 the second."""
        moment = self.moment(pair, time)
        enlarged = 1 / pair.scale
        flow = _resized(moment.flows[-1], enlarged) * enlarged
        share, residual = _resized(moment.share, enlarged), _resized(moment.residual, enlarged)
        frame = share * _warp(pair.first, flow[:, :2]) + (1 - share) * _warp(pair.second, flow[:, 2:])
        return pair.padding.crop((frame + pair.mean + residual).clamp(0, 1))

    def forward(self, first: Tensor, second: Tensor, time: float) -> Tensor:
        """The frame ``(N, 3, H, W)`` at ``time`` in (0, 1) between two frames of that shape, RGB in [0, 1]."""
        return self.at(self.prepare(first, second), time)

    def lower(self, dtype: torch.dtype) -> None:
        """Run the convolutions in ``dtype``; motion and blend stay in float32."""
        self.to(dtype)


build = Ifrnet


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Some copies of the published file name its weights as those of a ``module``."""
    return {key.removeprefix("module."): value for key, value in state.items()}
