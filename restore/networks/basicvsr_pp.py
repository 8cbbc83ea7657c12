"""BasicVSR++: four passes through a clip, each with two frames back in sight, aligned with deformable convolutions.

Chan et al. 2022, https://arxiv.org/abs/2104.13371; the key names are those of OpenMMLab's checkpoints
(https://github.com/open-mmlab/mmagic).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from restore.networks.deformable import (
    DeformableConv,
    alignment_values,
    flow_guided,
    groups_in,
    of_groups,
    offset_head,
)
from restore.networks.enlarge_x4 import SCALE, ShufflePack, macs_at_last, plain_resize, residue_x4, values_of_block
from restore.networks.flow_warp import flow_warp
from restore.networks.openmmlab import renamed, without_prefix
from restore.networks.paddlegan import SECOND_ORDER
from restore.networks.residual import Trunk
from restore.networks.spynet import PairFlow, flow_layers, flow_macs, layered_spynet, neighbour_flows
from restore.networks.temporal import Recurrence, TemporalTraits

GROUPS = 16
"""Deformable groups; the first half of them follows the frame before, the other half the one before that."""

PASSES = ("backward_1", "forward_1", "backward_2", "forward_2")


class SecondOrderAlignment(DeformableConv):
    """Brings the features of the last two frames onto this one, along flow and what the offset head finds beside it."""

    def __init__(self, channels: int, magnitude: float) -> None:
        super().__init__(2 * channels, channels)
        self.magnitude = magnitude
        self.conv_offset = offset_head(3 * channels + 4, channels, GROUPS)

    def bring(self, features: Tensor, values: Tensor, flow: Tensor, flow_2: Tensor) -> Tensor:
        """``features (N, 2C, H, W)`` of two frames to ``(N, C, H, W)``, as the answer of ``conv_offset`` says."""
        groups = groups_in(values)

        def find(first: int, stop: int) -> tuple[Tensor, Tensor]:
            residue, mask = of_groups(values, first, stop)
            return flow_guided(residue, flow if stop <= groups // 2 else flow_2, self.magnitude), mask

        return self.deform(features, groups, find)


@dataclass
class Trail:
    """What a pass has behind it: its last two features, and the flow between the frames they belong to."""

    feature: Tensor | None = None
    earlier: Tensor | None = None
    flow: Tensor | None = None

    def then(self, feature: Tensor, flow: Tensor | None) -> Trail:
        """One frame on: its ``feature``, and the ``flow`` from it to the frame before, where there was one."""
        return Trail(feature, self.feature, flow)


@dataclass(frozen=True)
class State:
    """What goes from a window to the next: the last frame, the forward passes' trails, the flows known ahead."""

    frame: Tensor
    forward_1: Trail = field(default_factory=Trail)
    forward_2: Trail = field(default_factory=Trail)
    flows: list[PairFlow] = field(default_factory=list)


class BasicVSRPlusPlus(Recurrence[State]):
    """BasicVSR++ for enlarging four times."""

    def __init__(self, mid_channels: int, num_blocks: int, max_residue_magnitude: float) -> None:
        super().__init__()
        channels = mid_channels
        self.spynet = layered_spynet()
        self.feat_extract = Trunk(3, channels, 5)
        self.deform_align = nn.ModuleDict(
            {name: SecondOrderAlignment(channels, max_residue_magnitude) for name in PASSES}
        )
        self.backbone = nn.ModuleDict(
            {name: Trunk((2 + i) * channels, channels, num_blocks) for i, name in enumerate(PASSES)}
        )
        self.reconstruction = Trunk(5 * channels, channels, 5)
        self.upsample1 = ShufflePack(channels, channels)
        self.upsample2 = ShufflePack(channels, 64)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def step(self, name: str, features: list[Tensor], trail: Trail, flow: Tensor | None) -> Tensor:
        """The feature ``(N, C, H, W)`` of a frame in the pass ``name``.

        ``features`` are the frame's own and those of the passes before this one; ``flow (N, 2, H, W)`` leads from the
        frame to the one where ``trail`` ends, ``None`` where the pass begins.
        """
        current = features[0]
        if trail.feature is None or flow is None:
            brought = torch.zeros_like(current)
        else:
            brought = self._align(name, current, trail, flow)
        residue: Tensor = self.backbone[name](torch.cat((*features, brought), dim=1))
        return brought + residue

    def _align(self, name: str, current: Tensor, trail: Trail, flow: Tensor) -> Tensor:
        assert trail.feature is not None
        warped = flow_warp(trail.feature, flow)
        if trail.earlier is None or trail.flow is None:
            earlier, warped_2, flow_2 = torch.zeros_like(warped), torch.zeros_like(warped), torch.zeros_like(flow)
        else:
            earlier = trail.earlier
            flow_2 = flow + flow_warp(trail.flow, flow)
            warped_2 = flow_warp(earlier, flow_2)
        alignment = self.deform_align[name]
        assert isinstance(alignment, SecondOrderAlignment)
        values = alignment.conv_offset(torch.cat((warped, current, warped_2, flow, flow_2), dim=1))
        del warped, warped_2
        return alignment.bring(torch.cat((trail.feature, earlier), dim=1), values, flow, flow_2)

    def reconstruct(self, frame: Tensor, features: list[Tensor]) -> Tensor:
        """The enlarged ``frame (N, 3, 4H, 4W)`` from its own feature and those of the four passes."""
        deep = self.reconstruction(torch.cat(features, dim=1))
        residue = residue_x4(deep, self.upsample1, self.upsample2, self.conv_hr, self.conv_last)
        return residue + plain_resize(frame)

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        """See ``WindowedNetwork.window``. The features of three passes are held for the frames of a window."""
        previous, known = (state.frame, state.flows) if state else (None, ())
        flows = neighbour_flows(self.spynet, frames, previous, known)
        # For each frame its own feature and, one after the other, those of the passes.
        features: list[list[Tensor]] = [[self.feat_extract(frame)] for frame in frames.unbind(1)]

        self._go_backward("backward_1", features, flows)
        trail = forward_1 = state.forward_1 if state else Trail()
        for i, (own, flow) in enumerate(zip(features, flows, strict=True)):
            back = flow.forward if flow else None
            own.append(self.step("forward_1", own, trail, back))
            trail = trail.then(own[-1], back)
            if i == keep - 1:
                forward_1 = trail
        self._go_backward("backward_2", features, flows)
        del features[keep:]

        trail = state.forward_2 if state else Trail()
        for i, flow in enumerate(flows[:keep]):
            own = features.pop(0)
            back = flow.forward if flow else None
            own.append(self.step("forward_2", own, trail, back))
            trail = trail.then(own[-1], back)
            yield self.reconstruct(frames[:, i], own)
        return State(frames[:, keep - 1], forward_1, trail, [flow for flow in flows[keep:] if flow is not None])

    def _go_backward(self, name: str, features: list[list[Tensor]], flows: list[PairFlow | None]) -> None:
        trail = Trail()
        for i in reversed(range(len(features))):
            flow = flows[i + 1] if i + 1 < len(features) else None
            ahead = flow.backward if flow else None
            features[i].append(self.step(name, features[i], trail, ahead))
            trail = trail.then(features[i][-1], ahead)


def build(mid_channels: int = 64, num_blocks: int = 7, max_residue_magnitude: float = 10) -> nn.Module:
    return BasicVSRPlusPlus(mid_channels, num_blocks, max_residue_magnitude)


def temporal(mid_channels: int = 64, num_blocks: int = 7, max_residue_magnitude: float = 10) -> TemporalTraits:
    squared = mid_channels**2
    head = (3 * mid_channels + 4) * mid_channels + 2 * squared + 27 * GROUPS * mid_channels
    passes = [9 * (head + 2 * squared + (2 + i + 2 * num_blocks) * squared) for i in range(len(PASSES))]
    first = flow_macs() + 9 * (3 * mid_channels + 10 * squared)
    last = 9 * (5 + 10) * squared + macs_at_last(mid_channels)
    return TemporalTraits(
        scale=SCALE,
        context=15,
        needed_context=0,
        reach=64,
        values_per_frame=4 * mid_channels + 4,
        values_at_once=alignment_values(2 * mid_channels, GROUPS) + 6 * mid_channels,
        values_of_block=values_of_block(),
        macs_per_frame=first + sum(passes) + last,
        macs_per_context_frame=first + sum(passes[:3]),
        float32=flow_layers() | {"conv_last"},
    )


def convert(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of the network alone, out of a published training model of OpenMMLab or PaddleGAN."""
    return renamed(without_prefix(state), SECOND_ORDER)
