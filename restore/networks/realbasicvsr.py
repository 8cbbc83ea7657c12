"""RealBasicVSR: BasicVSR for real clips, whose frames are cleaned of noise and artefacts first.

Chan et al. 2022, https://arxiv.org/abs/2111.12704; the key names are those of OpenMMLab's checkpoints
(https://github.com/open-mmlab/mmagic).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from restore.networks import basicvsr
from restore.networks.basicvsr import BidirectionalNetwork
from restore.networks.enlarge_x4 import ShufflePack, plain_resize, residue_x4
from restore.networks.openmmlab import without_prefix
from restore.networks.residual import Trunk, leaky
from restore.networks.spynet import layered_spynet
from restore.networks.temporal import Recurrence, TemporalTraits

MOST_PASSES = 3
"""Cleaning stops after so many passes even where much is left to clean."""


class Propagation(BidirectionalNetwork):
    """BasicVSR under OpenMMLab's names."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.channels = channels
        self.spynet = layered_spynet()
        self.backward_resblocks = Trunk(channels + 3, channels, blocks)
        self.forward_resblocks = Trunk(channels + 3, channels, blocks)
        self.fusion = nn.Conv2d(2 * channels, channels, 1)
        self.upsample1 = ShufflePack(channels, channels)
        self.upsample2 = ShufflePack(channels, 64)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def step_backward(self, frame: Tensor, feature: Tensor) -> Tensor:
        result: Tensor = self.backward_resblocks(torch.cat((frame, feature), dim=1))
        return result

    def step_forward(self, frame: Tensor, feature: Tensor) -> Tensor:
        result: Tensor = self.forward_resblocks(torch.cat((frame, feature), dim=1))
        return result

    def reconstruct(self, frame: Tensor, backward: Tensor, forward: Tensor) -> Tensor:
        features = leaky(self.fusion(torch.cat((backward, forward), dim=1)))
        residue = residue_x4(features, self.upsample1, self.upsample2, self.conv_hr, self.conv_last)
        return residue + plain_resize(frame)


@dataclass(frozen=True)
class State:
    """What goes from a window to the next: how often frames are cleaned, and what BasicVSR hands on."""

    passes: int
    propagation: basicvsr.State


class RealBasicVSR(Recurrence[State]):
    """RealBasicVSR; ``dynamic_refine_thres`` is in 8-bit steps."""

    def __init__(
        self,
        mid_channels: int,
        num_propagation_blocks: int,
        num_cleaning_blocks: int,
        dynamic_refine_thres: float,
    ) -> None:
        super().__init__()
        self.threshold = dynamic_refine_thres / 255
        self.image_cleaning = nn.Sequential(
            Trunk(3, mid_channels, num_cleaning_blocks), nn.Conv2d(mid_channels, 3, 3, padding=1)
        )
        self.basicvsr = Propagation(mid_channels, num_propagation_blocks)

    def clean(self, frames: Tensor, passes: int | None) -> tuple[Tensor, int]:
        """``frames (N, T, 3, H, W)`` cleaned, and in how many passes.

        Where ``passes`` is not given, passes follow until one of them changes all frames together by less than the
        threshold in the mean.
        """
        frames = frames.clone()
        done = 0
        while done < (passes or MOST_PASSES):
            change = frames.new_zeros(())
            for i in range(frames.shape[1]):
                residue = self.image_cleaning(frames[:, i])
                frames[:, i] += residue
                change += residue.abs().mean(dtype=torch.float32) / frames.shape[1]
            done += 1
            if passes is None and change < self.threshold:
                break
        return frames, done

    def window(self, frames: Tensor, state: State | None, keep: int, last: bool) -> Generator[Tensor, None, State]:
        """See ``WindowedNetwork.window``. The first window of a shot decides how often its frames are cleaned."""
        cleaned, passes = self.clean(frames, state.passes if state else None)
        propagation = yield from self.basicvsr.window(cleaned, state.propagation if state else None, keep, last)
        return State(passes, propagation)


def build(
    mid_channels: int = 64,
    num_propagation_blocks: int = 20,
    num_cleaning_blocks: int = 20,
    dynamic_refine_thres: float = 255,
) -> nn.Module:
    return RealBasicVSR(mid_channels, num_propagation_blocks, num_cleaning_blocks, dynamic_refine_thres)


def temporal(
    mid_channels: int = 64,
    num_propagation_blocks: int = 20,
    num_cleaning_blocks: int = 20,
    dynamic_refine_thres: float = 255,
) -> TemporalTraits:
    traits = basicvsr.bidirectional_traits(mid_channels, num_propagation_blocks, "basicvsr.")
    cleaning = 9 * (6 * mid_channels + 2 * num_cleaning_blocks * mid_channels**2)
    return replace(
        traits,
        values_per_frame=traits.values_per_frame + 3,
        macs_per_frame=traits.macs_per_frame + cleaning,
        macs_per_context_frame=traits.macs_per_context_frame + cleaning,
    )


def convert(state: Mapping[str, Any]) -> dict[str, Any]:
    """The weights of the network alone, out of a published training model: the averaged ones where it has them."""
    return without_prefix(state)
