"""PP-MSVSR: three stages over a clip - neighbours, both directions, both directions again with what that has found.

Jiang et al. 2021, https://arxiv.org/abs/2112.02828; the key names, a misspelt one included, are those of PaddleGAN's
checkpoints (https://github.com/PaddlePaddle/PaddleGAN). PP-MSVSR-L is the same network with more of everything.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from restore.networks.blocks import in_blocks
from restore.networks.deformable import (
    TAPS,
    DeformableConv,
    alignment_values,
    flow_guided,
    groups_in,
    of_groups,
    offset_head,
)
from restore.networks.enlarge_x4 import (
    SCALE,
    ShufflePack,
    doubled,
    macs_at_last,
    plain_resize,
    residue_x4,
    values_of_block,
)
from restore.networks.flow_warp import flow_warp
from restore.networks.residual import SLOPE, ResidualBlock, leaky
from restore.networks.spynet import PairFlow, flow_layers, flow_macs, modified_spynet, neighbour_flows
from restore.networks.temporal import Recurrence, TemporalTraits

MAGNITUDE = 10
"""Pixels beside the flow that an offset may be at most."""

STAGE1_BLOCKS = 3

AUXILIARY_HALO = 8
"""Pixels of its features that the auxiliary stage sees around each, on the way up and down again."""

SMALL_WIDTH = 32
"""Channels of PP-MSVSR; PP-MSVSR-L has more."""

TINY_FLOW = (8, 16, 16, 32, 32, 32, 32, 16, 16, 16, 8, 8, 2)
TINY_LEVELS = 3
LARGE_FLOW = (8, 16, 16, 32, 32, 32, 64, 32, 32, 32, 16, 16, 16, 16, 16, 2)
LARGE_LEVELS = 6


class NamedTrunk(nn.Module):
    """A convolution and residual blocks after it, under PaddleGAN's names."""

    def __init__(self, channels_in: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.covn1 = nn.Conv2d(channels_in, channels, 3, padding=1)
        self.ResidualBlocks = nn.Sequential(OrderedDict((f"block{i}", ResidualBlock(channels)) for i in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        """``(N, channels_in, H, W)`` to ``(N, channels, H, W)``."""
        result: Tensor = self.ResidualBlocks(leaky(self.covn1(x)))
        return result


class Alignment(nn.Module):
    """Brings the feature of one frame onto another, along flow and what the offset head finds beside it."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.conv_offset = offset_head(2 * channels + 2, channels, groups)
        self.dcn = DeformableConv(channels, channels)

    def look(self, feature: Tensor, current: Tensor, flow: Tensor) -> Tensor:
        """What the offset head says of bringing ``feature`` onto the frame of ``current``, both ``(N, C, H, W)``."""
        values: Tensor = self.conv_offset(torch.cat((flow_warp(feature, flow), current, flow), dim=1))
        return values

    def find(self, feature: Tensor, current: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """All offsets and masks that bring ``feature`` onto the frame of ``current``."""
        values = self.look(feature, current, flow)
        residue, mask = of_groups(values, 0, groups_in(values))
        return flow_guided(residue, flow, MAGNITUDE), mask

    def forward(self, feature: Tensor, current: Tensor, flow: Tensor) -> Tensor:
        """``feature (N, C, H, W)`` brought onto ``current``; ``flow (N, 2, H, W)`` leads from there to it."""
        values = self.look(feature, current, flow)

        def find(first: int, stop: int) -> tuple[Tensor, Tensor]:
            residue, mask = of_groups(values, first, stop)
            return flow_guided(residue, flow, MAGNITUDE), mask

        return self.dcn.deform(feature, groups_in(values), find)


class Realignment(nn.Module):
    """The same once more, from the offsets and masks that an earlier stage has found."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.mdconv = DeformableConv(channels, channels)
        self.conv_offset = offset_head(2 * channels + 2, channels, groups)
        self.dcn = DeformableConv(channels, channels)

    def forward(self, feature: Tensor, current: Tensor, flow: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """``feature (N, C, H, W)`` brought onto ``current``, in the first place as ``offset`` and ``mask`` say."""
        groups = mask.shape[1] // TAPS

        def earlier(first: int, stop: int) -> tuple[Tensor, Tensor]:
            return offset[:, 2 * TAPS * first : 2 * TAPS * stop], mask[:, TAPS * first : TAPS * stop]

        values = self.conv_offset(torch.cat((self.mdconv.deform(feature, groups, earlier), current, flow), dim=1))

        def find(first: int, stop: int) -> tuple[Tensor, Tensor]:
            residue, own_mask = of_groups(values, first, stop)
            known, known_mask = earlier(first, stop)
            return residue.tanh_().mul_(MAGNITUDE).add_(known), own_mask.add_(known_mask).div_(2)

        return self.dcn.deform(feature, groups, find)


@dataclass(frozen=True)
class State:
    """What goes from a window to the next: the last frame and its features, and the flows that are known ahead."""

    frame: Tensor
    spatial: Tensor
    stage2_forward: Tensor
    stage3_forward: Tensor
    flows: list[PairFlow]


class PPMSVSR(Recurrence[State]):
    """PP-MSVSR and PP-MSVSR-L."""

    def __init__(
        self,
        mid_channels: int,
        num_init_blocks: int,
        num_blocks: int,
        num_reconstruction_blocks: int,
        only_last: bool,
        use_tiny_spynet: bool,
        deform_groups: int,
        stage1_groups: int,
        aux_reconstruction_blocks: int,
    ) -> None:
        super().__init__()
        channels = mid_channels
        self.spynet = (
            modified_spynet(TINY_FLOW, TINY_LEVELS) if use_tiny_spynet else modified_spynet(LARGE_FLOW, LARGE_LEVELS)
        )
        self.feat_extract = NamedTrunk(3, channels, num_init_blocks)
        self.deform_align = nn.ModuleDict(
            {
                "stage2_backward": Alignment(channels, deform_groups),
                "stage2_forward": Alignment(channels, deform_groups),
                "stage3_backward": Realignment(channels, deform_groups),
                "stage3_forward": Realignment(channels, deform_groups),
            }
        )
        self.backbone = nn.ModuleDict(
            {name: NamedTrunk((3 + i) * channels, channels, num_blocks) for i, name in enumerate(self.deform_align)}
        )
        self.stage1_align = Alignment(channels, stage1_groups)
        self.stage1_blocks = NamedTrunk(3 * channels, channels, STAGE1_BLOCKS)
        self.reconstruction = NamedTrunk(6 * channels, channels, num_reconstruction_blocks)
        self.upsample1 = ShufflePack(channels, channels)
        self.upsample2 = ShufflePack(channels, channels)
        self.conv_hr = None if only_last else nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_last = nn.Conv2d(channels, 3, 3, padding=1)
        self.aux_fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.aux_reconstruction = NamedTrunk(4 * channels, channels, aux_reconstruction_blocks)
        self.aux_block_down1 = _halved(3 + channels, channels)
        self.aux_block_down2 = _halved(2 * channels, channels)
        self.aux_conv_last = nn.Conv2d(channels, 3, 3, padding=1)
        self.aux_upsample1 = ShufflePack(channels, channels)
        self.aux_upsample2 = ShufflePack(channels, channels)
        self.hybrid_conv_last = nn.Conv2d(channels, 3, 3, padding=1)

    def step_neighbours(
        self, current: Tensor, before: tuple[Tensor, Tensor] | None, after: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Stage 1: the feature of a frame from its own, ``current (N, C, H, W)``, and those of its two neighbours.

        Each neighbour is its feature and the flow from the frame to it, or ``None`` at an end of the clip.
        """
        aligned = [
            torch.zeros_like(current) if one is None else self.stage1_align(one[0], current, one[1])
            for one in (after, before)
        ]
        result: Tensor = self.stage1_blocks(torch.cat((current, *aligned), dim=1))
        return result

    def step(self, name: str, features: list[Tensor], brought: Tensor) -> Tensor:
        """Stages 2 and 3: the feature of a frame from those that it has and the one ``brought`` from its neighbour."""
        residue: Tensor = self.backbone[name](torch.cat((*features, brought), dim=1))
        return brought + residue

    def auxiliary(self, frame: Tensor, features: list[Tensor]) -> Tensor:
        """Between stages 2 and 3: enlarge ``frame (N, 3, H, W)`` and bring what that shows down to ``(N, C, H, W)``."""
        low = self.aux_reconstruction(torch.cat(features, dim=1))
        return in_blocks(self._up_and_down, low, frame, halo=AUXILIARY_HALO)

    def _up_and_down(self, low: Tensor, frame: Tensor) -> Tensor:
        middle = doubled(low, self.aux_upsample1)
        high = doubled(middle, self.aux_upsample2)
        enlarged = self.aux_conv_last(high) + plain_resize(frame)
        down = self.aux_block_down1(torch.cat((enlarged, high), dim=1))
        down = self.aux_block_down2(torch.cat((down, middle), dim=1))
        result: Tensor = self.aux_fusion(torch.cat((down, low), dim=1))
        return result

    def reconstruct(self, frame: Tensor, stage1: Tensor, features: list[Tensor]) -> Tensor:
        """The enlarged ``frame (N, 3, 4H, 4W)`` from all features, and from that of stage 1 once more by itself."""
        deep = self.reconstruction(torch.cat(features, dim=1))
        residue = residue_x4(deep, self.upsample1, self.upsample2, self.conv_hr, self.conv_last)
        local = residue_x4(stage1, self.aux_upsample1, self.aux_upsample2, None, self.hybrid_conv_last)
        return local + residue + plain_resize(frame)

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        """See ``WindowedNetwork.window``.

        Six features are held for the frames of a window. The offsets and masks of stage 2, which are many times as
        large, are found again in stage 3 instead.
        """
        count = frames.shape[1]
        previous, known = (state.frame, state.flows) if state else (None, ())
        flows = neighbour_flows(self.spynet, frames, previous, known)
        spatial = [self.feat_extract(frame) for frame in frames.unbind(1)]
        stage1 = self._stage1(spatial, state.spatial if state else None, flows)

        backward: list[Tensor] = []
        for i in reversed(range(count)):
            brought = torch.zeros_like(spatial[i])
            flow = flows[i + 1] if i + 1 < count else None
            if flow is not None:
                brought = self.deform_align["stage2_backward"](backward[-1], spatial[i], flow.backward)
            backward.append(self.step("stage2_backward", [spatial[i], stage1[i]], brought))
        backward.reverse()

        forward: list[Tensor] = []
        before = state.stage2_forward if state else None
        for i, flow in enumerate(flows):
            brought = torch.zeros_like(spatial[i])
            if flow is not None and before is not None:
                brought = self.deform_align["stage2_forward"](before, spatial[i], flow.forward)
            before = self.step("stage2_forward", [spatial[i], stage1[i], backward[i]], brought)
            forward.append(before)

        auxiliary = [
            self.auxiliary(frames[:, i], [spatial[i], stage1[i], backward[i], forward[i]]) for i in range(count)
        ]

        again: list[Tensor] = []
        for i in reversed(range(count)):
            brought = torch.zeros_like(spatial[i])
            flow = flows[i + 1] if i + 1 < count else None
            if flow is not None:
                brought = self._realigned(
                    "backward", again[-1], backward[i + 1], spatial[i], auxiliary[i], flow.backward
                )
            again.append(self.step("stage3_backward", [auxiliary[i], stage1[i], backward[i], forward[i]], brought))
        again.reverse()

        feature = state.stage3_forward if state else None
        before = state.stage2_forward if state else None
        for i, flow in enumerate(flows[:keep]):
            brought = torch.zeros_like(spatial[i])
            if flow is not None and feature is not None and before is not None:
                brought = self._realigned("forward", feature, before, spatial[i], auxiliary[i], flow.forward)
            found = [stage1[i], backward[i], forward[i], again[i]]
            feature = self.step("stage3_forward", [auxiliary[i], *found], brought)
            before = forward[i]
            yield self.reconstruct(frames[:, i], stage1[i], [spatial[i], *found, feature])
        assert feature is not None
        assert before is not None
        ahead = [flow for flow in flows[keep:] if flow is not None]
        return State(frames[:, keep - 1], spatial[keep - 1], before, feature, ahead)

    def _stage1(self, spatial: list[Tensor], before: Tensor | None, flows: list[PairFlow | None]) -> list[Tensor]:
        features = []
        for i, current in enumerate(spatial):
            left = spatial[i - 1] if i else before
            flow, next_flow = flows[i], flows[i + 1] if i + 1 < len(flows) else None
            features.append(
                self.step_neighbours(
                    current,
                    (left, flow.forward) if left is not None and flow is not None else None,
                    (spatial[i + 1], next_flow.backward) if next_flow is not None else None,
                )
            )
        return features

    def _realigned(
        self, direction: str, feature: Tensor, earlier: Tensor, spatial: Tensor, current: Tensor, flow: Tensor
    ) -> Tensor:
        """``feature`` of stage 3 brought onto ``current``, from the offsets that brought ``earlier`` in stage 2."""
        alignment = self.deform_align[f"stage2_{direction}"]
        assert isinstance(alignment, Alignment)
        offset, mask = alignment.find(earlier, spatial, flow)
        aligned: Tensor = self.deform_align[f"stage3_{direction}"](feature, current, flow, offset, mask)
        return aligned


def _halved(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, 3, stride=2, padding=1),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
    )


def build(
    mid_channels: int = 32,
    num_init_blocks: int = 2,
    num_blocks: int = 3,
    num_reconstruction_blocks: int = 2,
    only_last: bool = True,
    use_tiny_spynet: bool = True,
    deform_groups: int = 4,
    stage1_groups: int = 8,
    aux_reconstruction_blocks: int = 1,
) -> nn.Module:
    return PPMSVSR(
        mid_channels,
        num_init_blocks,
        num_blocks,
        num_reconstruction_blocks,
        only_last,
        use_tiny_spynet,
        deform_groups,
        stage1_groups,
        aux_reconstruction_blocks,
    )


def temporal(
    mid_channels: int = 32,
    num_init_blocks: int = 2,
    num_blocks: int = 3,
    num_reconstruction_blocks: int = 2,
    only_last: bool = True,
    use_tiny_spynet: bool = True,
    deform_groups: int = 4,
    stage1_groups: int = 8,
    aux_reconstruction_blocks: int = 1,
) -> TemporalTraits:
    width, squared = mid_channels, mid_channels**2
    flow = flow_macs(TINY_FLOW, 3) if use_tiny_spynet else flow_macs(LARGE_FLOW, 3)

    def found(groups: int) -> int:
        return (2 * width + 2) * width + 2 * squared + 27 * groups * width

    stage1 = 2 * (found(stage1_groups) + squared) + (3 + 2 * STAGE1_BLOCKS) * squared
    stage2 = [found(deform_groups) + squared + (3 + i + 2 * num_blocks) * squared for i in range(2)]
    # Stage 3 finds the offsets of stage 2 once more.
    stage3 = [2 * found(deform_groups) + 2 * squared + (5 + i + 2 * num_blocks) * squared for i in range(2)]
    auxiliary = (4 + 2 * aux_reconstruction_blocks) * squared + 4 * ((3 + width) * width + squared) + 5 * squared
    first = flow + 9 * (3 * width + 2 * num_init_blocks * squared + stage1 + sum(stage2) + auxiliary + stage3[0])
    first += macs_at_last(width, width, 1)
    last = 9 * (stage3[1] + (6 + 2 * num_reconstruction_blocks) * squared)
    last += macs_at_last(width, width, 1 if only_last else 2) + macs_at_last(width, width, 1)
    return TemporalTraits(
        scale=SCALE,
        context=10,
        needed_context=0,
        reach=64,
        values_per_frame=6 * width + 4,
        values_at_once=alignment_values(width, max(deform_groups, stage1_groups)) + 6 * width + 27 * deform_groups,
        values_of_block=values_of_block(width, 16 * (2 * width + 6), AUXILIARY_HALO),
        macs_per_frame=first + last,
        macs_per_context_frame=first,
        float32=flow_layers()
        | {"conv_last", "aux_conv_last", "hybrid_conv_last", "stage1_align.dcn"}
        | {f"deform_align.stage{i}_{way}.dcn" for i in (2, 3) for way in ("backward", "forward")}
        | {f"deform_align.stage3_{way}.mdconv" for way in ("backward", "forward")},
        # It is chosen for being small.
        modest_bytes=15 * 10**8 if width <= SMALL_WIDTH else TemporalTraits.modest_bytes,
        smallest_window=4 if width <= SMALL_WIDTH else TemporalTraits.smallest_window,
    )
