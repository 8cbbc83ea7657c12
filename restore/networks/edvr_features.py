"""EDVR's way from frames to one feature: pyramids, alignment with deformable convolutions, fusion with attention.

Wang et al. 2019, https://arxiv.org/abs/1905.02716; the key names are BasicSR's. IconVSR holds these parts as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from restore.networks.deformable import DeformablePack, alignment_values
from restore.networks.residual import leaky, residual_blocks

MULTIPLE = 4
"""The smallest size of the pyramid is a quarter, so the sides of a frame must be multiples of this."""


class Pyramid(NamedTuple):
    """The features of a frame at its size, half and a quarter of it: ``(N, C, H, W)``, ``(N, C, H/2, W/2)``, …"""

    full: Tensor
    half: Tensor
    quarter: Tensor


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class PCDAlignment(nn.Module):
    """Brings the features of one frame onto those of another: coarse to fine, then once more at full size."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        levels = ("l3", "l2", "l1")

        def conv(inputs: int = 1) -> nn.Conv2d:
            return nn.Conv2d(inputs * channels, channels, 3, padding=1)

        self.offset_conv1 = nn.ModuleDict({level: conv(2) for level in levels})
        self.offset_conv2 = nn.ModuleDict({level: conv(1 if level == "l3" else 2) for level in levels})
        self.offset_conv3 = nn.ModuleDict({level: conv() for level in levels[1:]})
        self.dcn_pack = nn.ModuleDict({level: DeformablePack(channels, groups) for level in levels})
        self.feat_conv = nn.ModuleDict({level: conv(2) for level in levels[1:]})
        self.cas_offset_conv1 = conv(2)
        self.cas_offset_conv2 = conv()
        self.cas_dcnpack = DeformablePack(channels, groups)

    def forward(self, neighbour: Pyramid, reference: Pyramid) -> Tensor:
        """The features of ``neighbour`` where ``reference`` has them, ``(N, C, H, W)``."""
        guide, feature = self._coarsest(neighbour.quarter, reference.quarter)
        feature = leaky(feature)
        guide, feature = self._finer("l2", neighbour.half, reference.half, guide, feature)
        feature = leaky(feature)
        _, feature = self._finer("l1", neighbour.full, reference.full, guide, feature)
        guide = leaky(self.cas_offset_conv1(torch.cat((feature, reference.full), dim=1)))
        guide = leaky(self.cas_offset_conv2(guide))
        return leaky(self.cas_dcnpack(feature, guide))

    def _coarsest(self, neighbour: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
        guide = leaky(self.offset_conv1["l3"](torch.cat((neighbour, reference), dim=1)))
        guide = leaky(self.offset_conv2["l3"](guide))
        return guide, self.dcn_pack["l3"](neighbour, guide)

    def _finer(
        self, level: str, neighbour: Tensor, reference: Tensor, coarse_guide: Tensor, coarse: Tensor
    ) -> tuple[Tensor, Tensor]:
        guide = leaky(self.offset_conv1[level](torch.cat((neighbour, reference), dim=1)))
        # What tells offsets grows with them: a pixel of the smaller size is two of this one.
        guide = leaky(self.offset_conv2[level](torch.cat((guide, 2 * _twice(coarse_guide)), dim=1)))
        guide = leaky(self.offset_conv3[level](guide))
        feature = self.dcn_pack[level](neighbour, guide)
        return guide, self.feat_conv[level](torch.cat((feature, _twice(coarse)), dim=1))


class TSAFusion(nn.Module):
    """Fuses the aligned features of several frames: each weighs as much as it resembles the one in the middle."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.middle = frames // 2
        self.temporal_attn1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.temporal_attn2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.feat_fusion = nn.Conv2d(frames * channels, channels, 1)
        self.spatial_attn1 = nn.Conv2d(frames * channels, channels, 1)
        self.spatial_attn2 = nn.Conv2d(2 * channels, channels, 1)
        self.spatial_attn3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.spatial_attn4 = nn.Conv2d(channels, channels, 1)
        self.spatial_attn5 = nn.Conv2d(channels, channels, 3, padding=1)
        self.spatial_attn_l1 = nn.Conv2d(channels, channels, 1)
        self.spatial_attn_l2 = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.spatial_attn_l3 = nn.Conv2d(channels, channels, 3, padding=1)
        self.spatial_attn_add1 = nn.Conv2d(channels, channels, 1)
        self.spatial_attn_add2 = nn.Conv2d(channels, channels, 1)

    def forward(self, aligned: Sequence[Tensor]) -> Tensor:
        """One ``(N, C, H, W)`` from one such feature for each frame."""
        reference = self.temporal_attn1(aligned[self.middle])
        alike = [(self.temporal_attn2(one) * reference).sum(dim=1, keepdim=True).sigmoid() for one in aligned]
        weighed = torch.cat([one * weight for one, weight in zip(aligned, alike, strict=True)], dim=1)
        fused = leaky(self.feat_fusion(weighed))

        attention = leaky(self.spatial_attn2(_pooled(leaky(self.spatial_attn1(weighed)))))
        coarse = leaky(self.spatial_attn_l2(_pooled(leaky(self.spatial_attn_l1(attention)))))
        coarse = _twice(leaky(self.spatial_attn_l3(coarse)))
        attention = leaky(self.spatial_attn4(leaky(self.spatial_attn3(attention)) + coarse))
        attention = self.spatial_attn5(_twice(attention))
        gate: Tensor = attention.sigmoid()
        shift: Tensor = self.spatial_attn_add2(leaky(self.spatial_attn_add1(attention)))
        return 2 * fused * gate + shift


def _pooled(x: Tensor) -> Tensor:
    """The largest and the mean values around every second pixel, side by side."""
    largest, mean = functional.max_pool2d(x, 3, 2, 1), functional.avg_pool2d(x, 3, 2, 1)
    return torch.cat((largest, mean), dim=1)


class FeatureExtractor(nn.Module):
    """From ``frames`` neighbouring frames to one feature of the one in the middle, with EDVR's parts."""

    def __init__(self, channels: int, frames: int, groups: int, blocks: int, attention: bool = True) -> None:
        super().__init__()
        self.middle = frames // 2
        self.conv_first = nn.Conv2d(3, channels, 3, padding=1)
        self.feature_extraction = residual_blocks(channels, blocks)
        self.conv_l2_1 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv_l2_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_l3_1 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv_l3_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.pcd_align = PCDAlignment(channels, groups)
        self.fusion = TSAFusion(channels, frames) if attention else nn.Conv2d(frames * channels, channels, 1)

    def pyramid(self, frame: Tensor) -> Pyramid:
        """The features of one frame ``(N, 3, H, W)``, whose sides are multiples of 4."""
        full = self.feature_extraction(leaky(self.conv_first(frame)))
        half = leaky(self.conv_l2_2(leaky(self.conv_l2_1(full))))
        quarter = leaky(self.conv_l3_2(leaky(self.conv_l3_1(half))))
        return Pyramid(full, half, quarter)

    def fuse(self, pyramids: Sequence[Pyramid]) -> Tensor:
        """The feature ``(N, C, H, W)`` of the frame in the middle of these."""
        # A short clip shows a frame more than once; it is aligned only once.
        aligned: dict[int, Tensor] = {}
        for one in pyramids:
            if id(one) not in aligned:
                aligned[id(one)] = self.pcd_align(one, pyramids[self.middle])
        features = [aligned[id(one)] for one in pyramids]
        result: Tensor = self.fusion(features if isinstance(self.fusion, TSAFusion) else torch.cat(features, dim=1))
        return result


def fuse_macs(channels: int, frames: int, groups: int) -> int:
    """Multiply-accumulates for each pixel of aligning so many frames and fusing them."""
    deform = 27 * groups * channels + channels**2
    level = 6 * channels**2 + deform
    align = 9 * (level * (1 + 1 / 4 + 1 / 16) + 3 * channels**2 + deform)
    return int(frames * align) + (9 * (frames + 1) + 2 * frames + 9) * channels**2


def fuse_values(channels: int, frames: int, pyramids: int, groups: int) -> int:
    """Numbers for each pixel that aligning and fusing so many frames holds, with so many pyramids beside it."""
    return channels * (4 * pyramids // 3 + 2 * frames) + alignment_values(channels, groups)


def folded(index: int, count: int) -> int:
    """``index`` brought into ``range(count)`` by mirrors at the first and the last frame, which are not repeated."""
    if count == 1:
        return 0
    index %= 2 * (count - 1)
    return min(index, 2 * (count - 1) - index)


def padding_to(sides: Sequence[int], multiple: int) -> tuple[int, int]:
    """How many rows and columns are missing at the bottom and the right."""
    return -sides[0] % multiple, -sides[1] % multiple


def padded(frames: Tensor) -> Tensor:
    """``(..., 3, H, W)`` mirrored at the bottom and the right until both sides are multiples of 4.

    Sides too short for a mirror repeat their last row or column instead.
    """
    bottom, right = padding_to(frames.shape[-2:], MULTIPLE)
    if not bottom and not right:
        return frames
    flat = frames.flatten(0, -4)
    mirrored = bottom < flat.shape[-2] and right < flat.shape[-1]
    flat = functional.pad(flat, (0, right, 0, bottom), mode="reflect" if mirrored else "replicate")
    return flat.view(*frames.shape[:-2], *flat.shape[-2:])
