"""BasicVSR: features carried backward through a clip, then forward, moved along by optical flow.

Chan et al. 2021, https://arxiv.org/abs/2012.02181; the key names are those of BasicSR's checkpoints
(https://github.com/XPixelGroup/BasicSR). Those that OpenMMLab publishes are renamed by ``convert``.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from restore.networks.enlarge_x4 import SCALE, macs_at_last, plain_resize, residue_x4, values_of_block
from restore.networks.flow_warp import flow_warp
from restore.networks.openmmlab import plain_trunks, without_prefix
from restore.networks.residual import Trunk, leaky
from restore.networks.spynet import PairFlow, flow_layers, flow_macs, neighbour_flows, plain_spynet
from restore.networks.temporal import Recurrence, TemporalTraits


@dataclass(frozen=True)
class State:
    """What goes from a window to the next: the last frame, its forward feature, and the flows that are known ahead."""

    frame: Tensor
    feature: Tensor
    flows: list[PairFlow]


class BidirectionalNetwork(Recurrence[State]):
    """The order of work of BasicVSR; the layers, and their names, are those of the class below it."""

    channels: int
    spynet: nn.Module

    def step_backward(self, frame: Tensor, feature: Tensor) -> Tensor:
        """The backward feature of ``frame (N, 3, H, W)`` from that of the next one ``(N, C, H, W)``, brought here."""
        raise NotImplementedError

    def step_forward(self, frame: Tensor, feature: Tensor) -> Tensor:
        """The forward feature of ``frame`` from that of the one before, brought here."""
        raise NotImplementedError

    def reconstruct(self, frame: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        """The enlarged ``frame (N, 3, 4H, 4W)`` from its two features."""
        raise NotImplementedError

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        """See ``WindowedNetwork.window``. Only the backward features are held for the frames of a window."""
        count = frames.shape[1]
        previous, known = (state.frame, state.flows) if state else (None, ())
        flows = neighbour_flows(self.spynet, frames, previous, known)
        zeros = frames.new_zeros(frames.shape[0], self.channels, *frames.shape[-2:])

        feature = zeros
        backward: list[Tensor] = []
        for i in reversed(range(count)):
            if i < count - 1:
                flow = flows[i + 1]
                assert flow is not None
                feature = flow_warp(feature, flow.backward)
            feature = self.step_backward(frames[:, i], feature)
            if i < keep:
                backward.append(feature)

        feature = state.feature if state else zeros
        for i in range(keep):
            flow = flows[i]
            if flow is not None:
                feature = flow_warp(feature, flow.forward)
            feature = self.step_forward(frames[:, i], feature)
            yield self.reconstruct(frames[:, i], backward.pop(), feature)
        return State(frames[:, keep - 1], feature, [flow for flow in flows[keep:] if flow is not None])


class BasicVSR(BidirectionalNetwork):
    """BasicVSR under BasicSR's names."""

    def __init__(self, num_feat: int, num_block: int) -> None:
        super().__init__()
        self.channels = num_feat
        self.spynet = plain_spynet()
        self.backward_trunk = Trunk(num_feat + 3, num_feat, num_block)
        self.forward_trunk = Trunk(num_feat + 3, num_feat, num_block)
        self.fusion = nn.Conv2d(2 * num_feat, num_feat, 1)
        self.upconv1 = nn.Conv2d(num_feat, 4 * num_feat, 3, padding=1)
        self.upconv2 = nn.Conv2d(num_feat, 4 * 64, 3, padding=1)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def step_backward(self, frame: Tensor, feature: Tensor) -> Tensor:
        result: Tensor = self.backward_trunk(torch.cat((frame, feature), dim=1))
        return result

    def step_forward(self, frame: Tensor, feature: Tensor) -> Tensor:
        result: Tensor = self.forward_trunk(torch.cat((frame, feature), dim=1))
        return result

    def reconstruct(self, frame: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        features = leaky(self.fusion(torch.cat((backward, forward), dim=1)))
        residue = residue_x4(features, self.upconv1, self.upconv2, self.conv_hr, self.conv_last)
        return residue + plain_resize(frame)


def build(num_feat: int = 64, num_block: int = 30) -> nn.Module:
    return BasicVSR(num_feat, num_block)


def temporal(num_feat: int = 64, num_block: int = 30) -> TemporalTraits:
    return bidirectional_traits(num_feat, num_block, "")


def bidirectional_traits(channels: int, blocks: int, prefix: str) -> TemporalTraits:
    """The traits of this order of work with so many channels and blocks, in a network whose names begin so."""
    trunk = 9 * ((channels + 3) * channels + 2 * blocks * channels**2)
    return TemporalTraits(
        scale=SCALE,
        context=15,
        needed_context=0,
        reach=64,
        values_per_frame=channels + 4,
        values_at_once=6 * channels,
        values_of_block=values_of_block(),
        macs_per_frame=flow_macs() + 2 * trunk + 2 * channels**2 + macs_at_last(channels),
        macs_per_context_frame=flow_macs() + trunk,
        float32=flow_layers(f"{prefix}spynet.") | {f"{prefix}conv_last"},
    )


def convert(state: Mapping[str, Any]) -> dict[str, Any]:
    """Published weights under BasicSR's names, from those or from OpenMMLab's."""
    return plain_trunks(without_prefix(state))
