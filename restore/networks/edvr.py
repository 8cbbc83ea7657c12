"""EDVR: each frame from itself and its neighbours, aligned with deformable convolutions.

Wang et al. 2019, https://arxiv.org/abs/1905.02716; the key names are those of BasicSR's checkpoints
(https://github.com/XPixelGroup/BasicSR). Those that OpenMMLab publishes are renamed by ``convert``.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from restore.networks.edvr_features import FeatureExtractor, Pyramid, folded, fuse_macs, fuse_values, padded
from restore.networks.enlarge_x4 import SCALE, macs_at_last, plain_resize, residue_x4, values_of_block
from restore.networks.openmmlab import plain_trunks, without_prefix
from restore.networks.residual import residual_blocks
from restore.networks.temporal import Recurrence, TemporalTraits


@dataclass(frozen=True)
class State:
    """The features that the next window needs as well, by number of the frame in the shot; it starts at ``start``."""

    start: int
    pyramids: dict[int, Pyramid]


def neighbours(frame: int, seen: int, count: int) -> list[int]:
    """The ``seen`` frames around ``frame`` of ``count``: what is missing on one side comes from beyond the other one.

    That is how the published models are tested. Clips that are too short for it are mirrored.
    """
    half = seen // 2
    chosen = []
    for i in range(frame - half, frame + half + 1):
        if i < 0:
            i = frame + half - i
        elif i >= count:
            i = frame - half - (i - count + 1)
        chosen.append(folded(i, count))
    return chosen


class EDVR(FeatureExtractor, Recurrence[State]):
    """EDVR, with or without attention in the fusion."""

    def __init__(
        self,
        num_feat: int,
        num_frame: int,
        deformable_groups: int,
        num_extract_block: int,
        num_reconstruct_block: int,
        with_tsa: bool,
    ) -> None:
        super().__init__(num_feat, num_frame, deformable_groups, num_extract_block, with_tsa)
        self.seen = num_frame
        self.reconstruction = residual_blocks(num_feat, num_reconstruct_block)
        self.upconv1 = nn.Conv2d(num_feat, 4 * num_feat, 3, padding=1)
        self.upconv2 = nn.Conv2d(num_feat, 4 * 64, 3, padding=1)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def reconstruct(self, frame: Tensor, feature: Tensor) -> Tensor:
        """The enlarged ``frame (N, 3, 4H, 4W)`` from the fused feature around it."""
        deep = self.reconstruction(feature)
        residue = residue_x4(deep, self.upconv1, self.upconv2, self.conv_hr, self.conv_last)
        return residue + plain_resize(frame)

    def middle_frame(self, clip: Tensor) -> Tensor:
        """The middle one of ``clip (N, num_frame, 3, H, W)`` enlarged, ``(N, 3, 4H, 4W)``: the network as published."""
        height, width = clip.shape[-2:]
        clip = padded(clip)
        pyramids = [self.pyramid(frame) for frame in clip.unbind(1)]
        return self.reconstruct(clip[:, self.middle], self.fuse(pyramids))[..., : SCALE * height, : SCALE * width]

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        """See ``WindowedNetwork.window``. The features of a frame are found once and serve all frames around it."""
        height, width = frames.shape[-2:]
        frames = padded(frames)
        start, pyramids = (state.start, dict(state.pyramids)) if state else (0, {})
        end = start + frames.shape[1]
        for number in range(start, start + keep):
            chosen = neighbours(number, self.seen, end)
            for other in chosen:
                if other not in pyramids:
                    pyramids[other] = self.pyramid(frames[:, other - start])
            feature = self.fuse([pyramids[other] for other in chosen])
            result = self.reconstruct(frames[:, number - start], feature)
            yield result[..., : SCALE * height, : SCALE * width]
            # At the end of a shot a frame looks back as far as it sees in all, never farther.
            pyramids = {other: one for other, one in pyramids.items() if other > number + 1 - self.seen}
        return State(start + keep, pyramids)


def build(
    num_feat: int = 64,
    num_frame: int = 5,
    deformable_groups: int = 8,
    num_extract_block: int = 5,
    num_reconstruct_block: int = 10,
    with_tsa: bool = True,
) -> nn.Module:
    return EDVR(num_feat, num_frame, deformable_groups, num_extract_block, num_reconstruct_block, with_tsa)


def temporal(
    num_feat: int = 64,
    num_frame: int = 5,
    deformable_groups: int = 8,
    num_extract_block: int = 5,
    num_reconstruct_block: int = 10,
    with_tsa: bool = True,
) -> TemporalTraits:
    pyramid = 9 * (3 * num_feat + 2 * num_extract_block * num_feat**2 + num_feat**2)
    fusing = fuse_macs(num_feat, num_frame, deformable_groups) + 9 * 2 * num_reconstruct_block * num_feat**2
    return TemporalTraits(
        scale=SCALE,
        # The first frames of a shot see others farther away in place of those that are missing before them.
        context=num_frame - 1,
        needed_context=num_frame - 1,
        reach=64,
        values_per_frame=3,
        values_at_once=fuse_values(num_feat, num_frame, 2 * num_frame, deformable_groups),
        values_of_block=values_of_block(),
        macs_per_frame=pyramid + fusing + macs_at_last(num_feat),
        macs_per_context_frame=0,
        float32=frozenset({"conv_last"}),
    )


def convert(state: Mapping[str, Any]) -> dict[str, Any]:
    """Published weights under BasicSR's names, from those or from OpenMMLab's."""
    return plain_trunks(without_prefix(state))
