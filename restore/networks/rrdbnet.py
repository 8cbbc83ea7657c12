"""RRDBNet: the deep network of RealESRGAN_x4plus and its relatives.

The class is that of the package basicsr (ESRGAN, Wang et al. 2018, https://arxiv.org/abs/1809.00219). Each of its
blocks holds fifteen 3x3 convolutions, so it sees hundreds of pixels far; what lies that far away hardly matters,
which is why ``context`` is much smaller than the receptive field and tiles are not exact. ``docs/benchmarks.md`` has
the differences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from restore.networks._basicsr import architecture
from restore.networks.traits import Traits

CONTEXT = 32
"""Pixels of the grid that the blocks work on: those of the input, or half of them where the input is unshuffled."""


def build(num_feat: int, num_block: int, num_grow_ch: int, scale: int) -> nn.Module:
    network: nn.Module = architecture("basicsr.archs.rrdbnet_arch", "RRDBNet")(
        num_in_ch=3, num_out_ch=3, num_feat=num_feat, num_block=num_block, num_grow_ch=num_grow_ch, scale=scale
    )
    return network


def traits(num_feat: int, num_block: int, num_grow_ch: int, scale: int) -> Traits:
    # The blocks work at a quarter of the output's size, so the network unshuffles its input for scales below 4.
    unshuffle = 4 // scale
    dense = sum((num_feat + i * num_grow_ch) * (num_grow_ch if i < 4 else num_feat) for i in range(5))
    trunk = num_block * 3 * dense + num_feat * (3 * unshuffle**2 + num_feat)
    upsampling = (4 + 16 + 16) * num_feat**2 + 16 * num_feat * 3
    cells = unshuffle**2
    return Traits(
        scale=scale,
        context=CONTEXT * unshuffle,
        exact=False,
        values_per_pixel=(3 * 16 * num_feat + 4 * num_feat) // cells,
        macs_per_pixel=9 * (trunk + upsampling) // cells,
        macs_of_largest_layer=9 * 16 * num_feat**2 // cells,
        multiple=unshuffle,
        float32=frozenset({"conv_last"}),
    )


_OLDER_NAMES = (
    (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv([12])\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)


def convert(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under BasicSR's names, from those or from the older ones of ESRGAN, which PaddleGAN has kept."""
    renamed = {}
    for key, value in state.items():
        for old, new in _OLDER_NAMES:
            key = re.sub(old, new, key)
        renamed[key] = value
    return renamed
