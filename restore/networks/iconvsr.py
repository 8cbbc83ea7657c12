"""IconVSR: BasicVSR whose propagated features are refilled at every fifth frame with those of an EDVR.

Chan et al. 2021, https://arxiv.org/abs/2012.02181; the key names are those of BasicSR's checkpoints
(https://github.com/XPixelGroup/BasicSR). Those that OpenMMLab publishes are renamed by ``convert``.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from restore.networks.edvr_features import FeatureExtractor, Pyramid, folded, fuse_macs, fuse_values, padded
from restore.networks.enlarge_x4 import SCALE, macs_at_last, plain_resize, residue_x4, values_of_block
from restore.networks.flow_warp import flow_warp
from restore.networks.openmmlab import plain_trunks, without_prefix
from restore.networks.residual import Trunk
from restore.networks.spynet import PairFlow, flow_layers, flow_macs, neighbour_flows, plain_spynet
from restore.networks.temporal import Recurrence, TemporalTraits

EXTRACTOR_GROUPS = 8
EXTRACTOR_BLOCKS = 5


@dataclass(frozen=True)
class State:
    """What goes from a window to the next, which starts at frame number ``start`` of the shot."""

    start: int
    before: dict[int, Tensor]
    """The last frames by number, as far back as a keyframe looks."""

    feature: Tensor
    flows: list[PairFlow]


class IconVSR(Recurrence[State]):
    """IconVSR; keyframes are every ``keyframe_stride`` frames and see ``temporal_padding`` frames on each side."""

    def __init__(self, num_feat: int, num_block: int, keyframe_stride: int, temporal_padding: int) -> None:
        super().__init__()
        self.channels = num_feat
        self.stride = keyframe_stride
        self.padding = temporal_padding
        self.edvr = FeatureExtractor(num_feat, 2 * temporal_padding + 1, EXTRACTOR_GROUPS, EXTRACTOR_BLOCKS)
        self.spynet = plain_spynet()
        self.backward_fusion = nn.Conv2d(2 * num_feat, num_feat, 3, padding=1)
        self.backward_trunk = Trunk(num_feat + 3, num_feat, num_block)
        self.forward_fusion = nn.Conv2d(2 * num_feat, num_feat, 3, padding=1)
        self.forward_trunk = Trunk(2 * num_feat + 3, num_feat, num_block)
        self.upconv1 = nn.Conv2d(num_feat, 4 * num_feat, 3, padding=1)
        self.upconv2 = nn.Conv2d(num_feat, 4 * 64, 3, padding=1)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def is_keyframe(self, number: int, end: int, last: bool) -> bool:
        """Whether the frame is refilled: every fifth one of a shot, and its last one."""
        return number % self.stride == 0 or (last and number == end - 1)

    def around(self, number: int, count: int) -> list[int]:
        """The frames that a keyframe sees, in a shot of ``count``; both ends are continued as the authors do."""
        chosen = []
        for i in range(number - self.padding, number + self.padding + 1):
            if i < 0:
                i = self.padding - i
            elif i >= count:
                i = count - 1 - self.padding - (i - count + 1)
            chosen.append(folded(i, count))
        return chosen

    def refills(self, frames: Mapping[int, Tensor], start: int, end: int, last: bool) -> dict[int, Tensor]:
        """The features ``(N, C, H, W)`` of the keyframes from ``start`` to ``end``, by number."""
        features = {}
        pyramids: dict[int, Pyramid] = {}
        for number in range(start, end):
            if self.is_keyframe(number, end, last):
                chosen = self.around(number, end)
                pyramids = {
                    other: pyramids[other] if other in pyramids else self.edvr.pyramid(frames[other])
                    for other in set(chosen)
                }
                features[number] = self.edvr.fuse([pyramids[other] for other in chosen])
        return features

    def step_backward(self, frame: Tensor, feature: Tensor, refill: Tensor | None) -> Tensor:
        """The backward feature of ``frame (N, 3, H, W)`` from that of the next one ``(N, C, H, W)``, brought here."""
        if refill is not None:
            feature = self.backward_fusion(torch.cat((feature, refill), dim=1))
        result: Tensor = self.backward_trunk(torch.cat((frame, feature), dim=1))
        return result

    def step_forward(self, frame: Tensor, backward: Tensor, feature: Tensor, refill: Tensor | None) -> Tensor:
        """The forward feature of ``frame`` from its backward one and the forward one before, brought here."""
        if refill is not None:
            feature = self.forward_fusion(torch.cat((feature, refill), dim=1))
        result: Tensor = self.forward_trunk(torch.cat((frame, backward, feature), dim=1))
        return result

    def reconstruct(self, frame: Tensor, feature: Tensor) -> Tensor:
        """The enlarged ``frame (N, 3, 4H, 4W)`` from its forward feature."""
        residue = residue_x4(feature, self.upconv1, self.upconv2, self.conv_hr, self.conv_last)
        return residue + plain_resize(frame)

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        """See ``WindowedNetwork.window``. The backward and the keyframes' features are held for the window."""
        height, width = frames.shape[-2:]
        frames = padded(frames)
        start = state.start if state else 0
        end = start + frames.shape[1]
        seen = (state.before if state else {}) | dict(enumerate(frames.unbind(1), start))
        previous, known = (seen[start - 1], state.flows) if state else (None, ())
        flows = dict(enumerate(neighbour_flows(self.spynet, frames, previous, known), start))
        refills = self.refills(seen, start, end, last)
        zeros = frames.new_zeros(frames.shape[0], self.channels, *frames.shape[-2:])

        feature = zeros
        backward: list[Tensor] = []
        for number in reversed(range(start, end)):
            if number < end - 1:
                flow = flows[number + 1]
                assert flow is not None
                feature = flow_warp(feature, flow.backward)
            feature = self.step_backward(seen[number], feature, refills.get(number))
            if number < start + keep:
                backward.append(feature)

        feature = state.feature if state else zeros
        for number in range(start, start + keep):
            flow = flows[number]
            if flow is not None:
                feature = flow_warp(feature, flow.forward)
            feature = self.step_forward(seen[number], backward.pop(), feature, refills.pop(number, None))
            yield self.reconstruct(seen[number], feature)[..., : SCALE * height, : SCALE * width]
        following = start + keep
        before = {number: seen[number] for number in range(max(0, following - 2 * self.padding), following)}
        ahead = [flow for number, flow in flows.items() if number >= following and flow is not None]
        return State(following, before, feature, ahead)


def build(num_feat: int = 64, num_block: int = 30, keyframe_stride: int = 5, temporal_padding: int = 2) -> nn.Module:
    return IconVSR(num_feat, num_block, keyframe_stride, temporal_padding)


def temporal(
    num_feat: int = 64, num_block: int = 30, keyframe_stride: int = 5, temporal_padding: int = 2
) -> TemporalTraits:
    seen = 2 * temporal_padding + 1
    pyramid = 9 * (3 * num_feat + (2 * EXTRACTOR_BLOCKS + 1) * num_feat**2)
    refill = (seen * pyramid + fuse_macs(num_feat, seen, EXTRACTOR_GROUPS) + 18 * num_feat**2) // keyframe_stride
    trunk = 9 * ((num_feat + 3) * num_feat + 2 * num_block * num_feat**2)
    return TemporalTraits(
        scale=SCALE,
        context=15,
        needed_context=0,
        reach=64,
        values_per_frame=num_feat + num_feat // keyframe_stride + 4 + 3,
        values_at_once=fuse_values(num_feat, seen, seen, EXTRACTOR_GROUPS),
        values_of_block=values_of_block(),
        macs_per_frame=flow_macs() + refill + 2 * trunk + 9 * num_feat**2 + macs_at_last(num_feat),
        macs_per_context_frame=flow_macs() + refill + trunk,
        float32=flow_layers() | {"conv_last"},
    )


def convert(state: Mapping[str, Any]) -> dict[str, Any]:
    """Published weights under BasicSR's names, from those or from OpenMMLab's."""
    return plain_trunks(without_prefix(state))
